//! The trait that everything receiving reports implements.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{
    Action, ConfigError, DeadLetter, Message, ProcessContext, ProcessorError, Report, StartContext,
    Upcoming,
};

/// Receives the report of a finished run, and is called at other stages of a run if it says
/// so when it is registered.
///
/// One value serves many reports. Calls never overlap: `startup` once, `process` for each
/// attempt to deliver a report, `health` at any time after `startup`, `shutdown` once.
/// They run on a thread of the processor's own, in a single-threaded tokio runtime of its
/// own with timers and I/O, and under a time limit. A panic, an endless loop or an error
/// in one processor reaches neither the run nor the other processors.
#[async_trait]
pub trait ResultProcessor: Send + Sync {
    /// Opens what it needs, once, before the first report. Does nothing by default.
    ///
    /// # Errors
    ///
    /// Any: the processor then gets no report in this run, and with a store its
    /// deliveries wait for the next one.
    async fn startup(&self, _context: &StartContext) -> Result<(), ProcessorError> {
        Ok(())
    }

    /// Handles one report.
    ///
    /// Delivery is at least once: the same report may come again, also after it arrived.
    /// `context.idempotency_key` is then the same. The report holds the results that this
    /// processor asked for; verdict and summary are those of the whole run.
    ///
    /// # Errors
    ///
    /// [`ProcessorError::Retryable`] is tried again, [`ProcessorError::Permanent`] is not.
    async fn process(
        &self,
        report: &Report,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError>;

    /// Called before anything is read, at the stage `before_run`:
    /// [`Outcome::stop`] ends the run, all assertions are then skipped with its reason;
    /// anything else lets it go on. Lets it go on by default.
    ///
    /// # Errors
    ///
    /// Any: it is not tried again, the run goes on, and the report says so.
    async fn before_run(
        &self,
        _run: &Upcoming,
        _context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        Ok(Outcome::done())
    }

    /// Tells people a few words that are no report. Only processors with the capability
    /// [`Messages`](crate::Capability::Messages) are asked to. [`Message::to_report`] puts
    /// them into the form of a report for those that know nothing else.
    ///
    /// # Errors
    ///
    /// As for `process`; that it cannot do that, by default.
    async fn notify(
        &self,
        _message: &Message,
        _context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        Err(ProcessorError::permanent("it takes reports, no messages"))
    }

    /// Takes a report that was given up at another processor, at the stage `dead_letter`.
    /// By default people are told.
    ///
    /// # Errors
    ///
    /// As for `process`.
    async fn dead_letter(
        &self,
        letter: &DeadLetter,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        self.notify(&letter.message(), context).await
    }

    /// Says whether a report could be delivered now, without delivering one. Healthy by
    /// default.
    ///
    /// # Errors
    ///
    /// Any: it counts as unhealthy.
    async fn health(&self) -> Result<Health, ProcessorError> {
        Ok(Health::healthy())
    }

    /// Closes what `startup` opened, once, after the last report. Does nothing by default.
    ///
    /// # Errors
    ///
    /// Any: it is a warning in the report.
    async fn shutdown(&self) -> Result<(), ProcessorError> {
        Ok(())
    }
}

/// A [`ResultProcessor`] that can be registered: it is built from a configuration.
pub trait Processor: ResultProcessor + Sized + 'static {
    /// Its settings. Every field has a doc comment, which becomes its description;
    /// `#[serde(deny_unknown_fields)]` makes a misspelled field an error.
    type Config: DeserializeOwned + JsonSchema;

    /// Reads and checks the settings. It opens nothing and looks nothing up, so that a
    /// whole configuration can be checked offline.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the settings.
    fn build(config: Self::Config) -> Result<Self, ConfigError>;
}

/// What came of a call that did not fail.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Outcome {
    /// Whether it was handled.
    pub status: OutcomeStatus,
    /// Why it was skipped, or why everything after it stops.
    pub reason: Option<String>,
    /// Something worth knowing: a recipient that was refused while others were not.
    pub note: Option<String>,
    /// What the host is to do, in this order.
    pub actions: Vec<Action>,
}

/// Whether a report was handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OutcomeStatus {
    /// It was.
    Done,
    /// There was nothing to do.
    Skipped,
    /// It was, and no later wave of processors shall get it.
    Stop,
}

impl Outcome {
    /// The report was handled.
    pub fn done() -> Self {
        Self {
            status: OutcomeStatus::Done,
            reason: None,
            note: None,
            actions: Vec::new(),
        }
    }

    /// There was nothing to do.
    pub fn skipped(reason: impl Into<String>) -> Self {
        Self {
            status: OutcomeStatus::Skipped,
            reason: Some(reason.into()),
            ..Self::done()
        }
    }

    /// The report was handled, and processors of later waves shall not get it.
    pub fn stop(reason: impl Into<String>) -> Self {
        Self {
            status: OutcomeStatus::Stop,
            reason: Some(reason.into()),
            ..Self::done()
        }
    }

    /// Asks the host to do something.
    pub fn with_action(mut self, action: Action) -> Self {
        self.actions.push(action);
        self
    }

    /// Adds something worth knowing.
    pub fn with_note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }
}

/// Whether a processor could deliver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Health {
    /// In a word.
    pub status: HealthStatus,
    /// What was found, or what is wrong.
    #[serde(default)]
    pub detail: Option<String>,
}

/// Whether a processor could deliver, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HealthStatus {
    /// It could.
    Healthy,
    /// It could, with restrictions: slowly, only in part.
    Degraded,
    /// It could not.
    Unhealthy,
}

impl Health {
    /// It could deliver.
    pub fn healthy() -> Self {
        Self {
            status: HealthStatus::Healthy,
            detail: None,
        }
    }

    /// It could deliver, with restrictions.
    pub fn degraded(detail: impl Into<String>) -> Self {
        Self {
            status: HealthStatus::Degraded,
            detail: Some(detail.into()),
        }
    }

    /// It could not deliver.
    pub fn unhealthy(detail: impl Into<String>) -> Self {
        Self {
            status: HealthStatus::Unhealthy,
            detail: Some(detail.into()),
        }
    }

    /// Adds what was found.
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}
