//! What a recording host writes down.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::{DeliveryStatus, Outcome, ProcessorError};

/// What a call gave.
pub type Answer = Result<Outcome, Fault>;

/// Why a call gave no outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The plugin returned an error.
    Failed(ProcessorError),
    /// The plugin panicked.
    Panicked {
        /// With what message.
        message: String,
    },
    /// The plugin did not return in time.
    Hung {
        /// The time it had.
        limit: Duration,
    },
    /// The plugin was not called.
    Unavailable {
        /// Why not.
        message: String,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => error.fmt(f),
            Self::Panicked { message } => write!(f, "panicked: {message}"),
            Self::Hung { limit } => write!(f, "no answer within {limit:?}"),
            Self::Unavailable { message } => f.write_str(message),
        }
    }
}

impl std::error::Error for Fault {}

impl From<ProcessorError> for Fault {
    fn from(error: ProcessorError) -> Self {
        Self::Failed(error)
    }
}

/// A call that a [`RecordingHost`](super::RecordingHost) made.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Call {
    /// The method: `startup`, `process`, `before_run`, `notify`, `dead_letter`, `handle`,
    /// `flush`, `publish`, `health`, `shutdown`.
    pub method: &'static str,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// What the plugin was told as idempotency key; empty where it is told none.
    pub idempotency_key: String,
    /// What came of it. For `startup`, `health` and `shutdown` a plain outcome stands for
    /// success; what `health` said is its note.
    pub answer: Answer,
    /// All that the plugin remembers of the suite after it.
    pub state: BTreeMap<String, Value>,
    /// Why what the plugin wanted to remember was not kept.
    pub state_error: Option<String>,
    /// How long until it is tried again; nobody slept that long. `None` if it is not.
    pub wait: Option<Duration>,
}

/// How a delivery ended: of a report, a message, a letter, a parcel.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Delivered {
    /// How it ended, as the report would say it.
    pub status: DeliveryStatus,
    /// How many attempts were made this time.
    pub attempts: u32,
    /// What the last attempt gave.
    pub answer: Answer,
    /// The waits between the attempts.
    pub waits: Vec<Duration>,
    /// If it is deferred: how long until it is tried again.
    pub again_in: Option<Duration>,
}
