//! What a plugin can be asked to do.

use std::sync::Arc;

use serde_json::Value;
use veracity_processor::{
    Channel, ConfigError, DeadLetter, Event, EventHook, Health, Kind, Message, Outcome, Parcel,
    Plugin, ProcessContext, ProcessorError, Report, ResultProcessor, StartContext, Upcoming,
};

/// What a plugin is asked to do.
#[derive(Debug, Clone)]
pub enum Task {
    /// Processor: may this run begin?
    BeforeRun(Arc<Upcoming>),
    /// Processor: handle a report.
    Report(Arc<Report>),
    /// Processor: tell people.
    Message(Arc<Message>),
    /// Processor: take what was given up elsewhere.
    Letter(Arc<DeadLetter>),
    /// Hook: take events.
    Events(Arc<Vec<Arc<Event>>>),
    /// Hook: nothing more is waiting.
    Flush,
    /// Channel: carry a message.
    Publish(Arc<Parcel>),
}

/// A plugin that was built, of whatever kind.
pub enum Built {
    /// Receives reports.
    Processor(Box<dyn ResultProcessor>),
    /// Watches runs.
    Hook(Box<dyn EventHook>),
    /// Carries what others publish.
    Channel(Box<dyn Channel>),
}

impl From<Box<dyn ResultProcessor>> for Built {
    fn from(processor: Box<dyn ResultProcessor>) -> Self {
        Self::Processor(processor)
    }
}

impl Built {
    /// What `plugin` builds of `config`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with `config`; also if nothing can be built of such a plugin.
    pub fn of(plugin: &Plugin, config: Value) -> Result<Self, ConfigError> {
        match plugin.kind() {
            Kind::Hook => plugin.build_hook(config).map(Self::Hook),
            Kind::Channel => plugin.build_channel(config).map(Self::Channel),
            _ => plugin.build_processor(config).map(Self::Processor),
        }
    }

    pub(super) async fn startup(&self, context: &StartContext) -> Result<(), ProcessorError> {
        match self {
            Self::Processor(processor) => processor.startup(context).await,
            Self::Hook(hook) => hook.startup(context).await,
            Self::Channel(channel) => channel.startup(context).await,
        }
    }

    pub(super) async fn does(
        &self,
        task: &Task,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        match (self, task) {
            (Self::Processor(one), Task::BeforeRun(run)) => one.before_run(run, context).await,
            (Self::Processor(one), Task::Report(report)) => one.process(report, context).await,
            (Self::Processor(one), Task::Message(message)) => one.notify(message, context).await,
            (Self::Processor(one), Task::Letter(letter)) => one.dead_letter(letter, context).await,
            (Self::Hook(hook), Task::Events(events)) => hook.handle(events, context).await,
            (Self::Hook(hook), Task::Flush) => hook.flush(context).await,
            (Self::Channel(channel), Task::Publish(parcel)) => {
                channel.publish(parcel, context).await
            }
            _ => Err(ProcessorError::permanent(
                "a plugin of its kind cannot do that",
            )),
        }
    }

    pub(super) async fn health(&self) -> Result<Health, ProcessorError> {
        match self {
            Self::Processor(processor) => processor.health().await,
            Self::Hook(_) | Self::Channel(_) => Ok(Health::healthy()),
        }
    }

    pub(super) async fn shutdown(&self) -> Result<(), ProcessorError> {
        match self {
            Self::Processor(processor) => processor.shutdown().await,
            Self::Hook(hook) => hook.shutdown().await,
            Self::Channel(channel) => channel.shutdown().await,
        }
    }
}
