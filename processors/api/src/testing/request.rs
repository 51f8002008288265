//! What can be asked of a plugin.

use std::sync::Arc;

use super::thread::Plugged;
use crate::{
    DeadLetter, Event, Kind, Message, Outcome, Parcel, ProcessContext, ProcessorError, Report,
    Stage, Upcoming,
};

/// What is asked of a plugin.
#[derive(Clone)]
pub(super) enum Request {
    Process(Arc<Report>),
    BeforeRun(Arc<Upcoming>),
    Notify(Arc<Message>),
    DeadLetter(Arc<DeadLetter>),
    Handle(Vec<Arc<Event>>),
    Flush,
    Publish(Arc<Parcel>),
}

impl Request {
    pub(super) fn method(&self) -> &'static str {
        match self {
            Self::Process(_) => "process",
            Self::BeforeRun(_) => "before_run",
            Self::Notify(_) => "notify",
            Self::DeadLetter(_) => "dead_letter",
            Self::Handle(_) => "handle",
            Self::Flush => "flush",
            Self::Publish(_) => "publish",
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Handle(_) | Self::Flush => Kind::Hook,
            Self::Publish(_) => Kind::Channel,
            _ => Kind::Processor,
        }
    }

    pub(super) fn stage(&self) -> Option<Stage> {
        match self {
            Self::BeforeRun(_) => Some(Stage::BeforeRun),
            Self::DeadLetter(_) => Some(Stage::DeadLetter),
            _ => None,
        }
    }

    pub(super) async fn put(
        &self,
        plugged: &Plugged,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        match (plugged, self) {
            (Plugged::Processor(it), Self::Process(report)) => it.process(report, context).await,
            (Plugged::Processor(it), Self::BeforeRun(run)) => it.before_run(run, context).await,
            (Plugged::Processor(it), Self::Notify(message)) => it.notify(message, context).await,
            (Plugged::Processor(it), Self::DeadLetter(letter)) => {
                it.dead_letter(letter, context).await
            }
            (Plugged::Hook(it), Self::Handle(events)) => it.handle(events, context).await,
            (Plugged::Hook(it), Self::Flush) => it.flush(context).await,
            (Plugged::Channel(it), Self::Publish(parcel)) => it.publish(parcel, context).await,
            _ => unreachable!("the kind was checked"),
        }
    }
}
