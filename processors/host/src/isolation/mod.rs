//! Calls plugins so that nothing they do harms the run.
//!
//! A [`Thread`] keeps a linked processor on a thread of its own: panics, errors and
//! endless waits are survived and reported. A [`Child`] keeps a processor, linked or
//! executable, in a process of its own: then also what ends or exhausts a process is.

mod capture;
mod child;
pub(crate) mod exclusive;
mod once;
mod panics;
mod process;
mod protocol;
mod resident;
mod task;
mod thread;
mod watch;
pub mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use veracity_processor::{Config, Health, Metric, Outcome, ProcessorError, Report, Stage};

pub use child::{Child, Program};
pub use once::once;
pub use task::{Built, Task};
pub use thread::{MAX_ABANDONED, Thread, abandoned_threads};
pub use watch::Snapshot;
pub use worker::serve_if_worker;

/// Why a call to a plugin gave no answer of its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The plugin returned an error.
    #[error("{0}")]
    Failed(ProcessorError),
    /// The plugin panicked.
    #[error("panicked: {message}")]
    Panicked {
        /// The panic's message and, where it is known, ` at file:line`.
        message: String,
    },
    /// The plugin did not return in time.
    #[error("no answer within {:?}", whole(*limit))]
    Hung {
        /// The time it had.
        limit: Duration,
    },
    /// The plugin's process ended, or said something else than an answer.
    #[error("{message}")]
    Crashed {
        /// What happened: the signal, the exit status or the breach of the protocol, and
        /// the end of what the process wrote to its standard error.
        message: String,
    },
    /// The plugin was not called.
    #[error("{message}")]
    Unavailable {
        /// Why not: quarantined after a hang, shut down, could not be started.
        message: String,
    },
}

impl Fault {
    fn unavailable(message: impl Into<String>) -> Self {
        Self::Unavailable {
            message: message.into(),
        }
    }
}

/// A time limit in whole milliseconds: the fractions come from counting down.
fn whole(limit: Duration) -> Duration {
    let rounded = limit.saturating_add(Duration::from_micros(500)).as_millis();
    u64::try_from(rounded).map_or(limit, Duration::from_millis)
}

/// A processor that can be called without danger.
///
/// Calls may come from any thread, but not from inside an asynchronous task, because they
/// block: at most `limit` plus a little. Calls to one instance never overlap; one that
/// comes while another runs waits for its turn, within its limit.
pub trait Isolated: Send + Sync {
    /// Starts the processor: builds it, or its process, and opens what it needs.
    ///
    /// # Errors
    ///
    /// Whatever came of it instead.
    fn startup(&self, limit: Duration) -> Result<(), Fault>;

    /// Has the plugin do `task`. What is not started yet is built first, within the limit,
    /// but only a [`Child`] also calls the plugin's own `startup` then.
    fn call(&self, task: Task, call: Call, limit: Duration) -> Attempt;

    /// Attempts to deliver `report`.
    fn process(&self, report: Arc<Report>, call: Call, limit: Duration) -> Attempt {
        self.call(Task::Report(report), call, limit)
    }

    /// Asks whether a report could be delivered now.
    ///
    /// # Errors
    ///
    /// Whatever came of it instead.
    fn health(&self, limit: Duration) -> Result<Health, Fault>;

    /// Closes what the processor opened, and drops it or ends its process. Later calls are
    /// [`Fault::Unavailable`]. Does nothing if it was never started.
    ///
    /// # Errors
    ///
    /// Whatever came of it instead. It is closed all the same, as far as that can be done.
    fn shutdown(&self, limit: Duration) -> Result<(), Fault>;

    /// How many answers came after their limit, when nobody waited for them any more.
    /// They are not used.
    fn late(&self) -> u64 {
        0
    }
}

/// What a plugin is told with a task.
#[derive(Debug, Clone)]
pub struct Call {
    /// The name it is configured under.
    pub instance: String,
    /// Its configuration, defaults filled in. A process got it when it started.
    pub config: Config,
    /// Stays the same however often this report is delivered to this instance.
    pub idempotency_key: String,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// The stage of the run.
    pub stage: Stage,
    /// What was measured in the run, if it may see that.
    pub metrics: Vec<Metric>,
    /// What the instance remembers of this suite.
    pub state: BTreeMap<String, Value>,
}

impl Default for Call {
    fn default() -> Self {
        Self {
            instance: String::new(),
            config: Config::default(),
            idempotency_key: String::new(),
            attempt: 1,
            stage: Stage::AfterRun,
            metrics: Vec::new(),
            state: BTreeMap::new(),
        }
    }
}

/// What came of an attempt to deliver a report.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// What the processor said, or why it said nothing.
    pub result: Result<Outcome, Fault>,
    /// What the instance remembers from now on, if it changed that; also after an error.
    /// Nobody has looked at its size yet.
    pub state: Option<BTreeMap<String, Value>>,
    /// What a process wrote to its standard error during this attempt, bounded.
    pub stderr: Option<String>,
}

impl Attempt {
    fn faulty(fault: Fault) -> Self {
        Self {
            result: Err(fault),
            state: None,
            stderr: None,
        }
    }
}

/// The longest limit that is told apart from no limit; adding it to any instant is safe.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hang_is_told_without_fractions_of_milliseconds() {
        let cases = [
            (Duration::from_nanos(1_999_999_559), "2s"),
            (Duration::from_secs(90), "90s"),
            (Duration::from_millis(1_500), "1.5s"),
            (Duration::from_nanos(499_999_001), "500ms"),
            (Duration::from_micros(1_400), "1ms"),
        ];
        for (limit, expected) in cases {
            let told = Fault::Hung { limit }.to_string();
            assert_eq!(told, format!("no answer within {expected}"), "{limit:?}");
        }
    }
}
