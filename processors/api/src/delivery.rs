//! What became of a report at each processor.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ActionRecord;

/// What became of a report at one instance of a processor.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Delivery {
    /// The name the processor is configured under.
    pub processor: String,
    /// How it ended in this run.
    pub status: DeliveryStatus,
    /// How often it was tried, over all runs.
    pub attempts: u32,
    /// Time of the attempts of this run together, in milliseconds.
    pub duration_ms: u64,
    /// Why it was not delivered.
    pub error: Option<String>,
    /// Why it was skipped, or something worth knowing about what was delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Whether it is kept in the store and will be tried again.
    #[serde(default)]
    pub pending: bool,
    /// Whether the run is to end with an error code if it was not delivered.
    #[serde(default)]
    pub required: bool,
    /// The same for every attempt; receivers can tell repetitions by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// What the host did for the processor because it asked for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<ActionRecord>,
}

impl Delivery {
    /// A delivery to `processor` that ended with `status`.
    pub fn new(processor: impl Into<String>, status: DeliveryStatus) -> Self {
        Self {
            processor: processor.into(),
            status,
            ..Self::default()
        }
    }
}

/// How a delivery ended.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeliveryStatus {
    /// The processor took the report; whether a person saw it is not known.
    Delivered,
    /// There was nothing to deliver: filtered out, or an earlier processor said stop.
    Skipped,
    /// The processor is switched off.
    Disabled,
    /// Not tried, because a processor it comes after did not deliver.
    SkippedDependency,
    /// It failed for now; the store keeps it and it will be tried again.
    #[default]
    Deferred,
    /// Not tried, because the processor failed too often lately.
    BreakerOpen,
    /// It failed and is given up.
    Dead,
    /// The processor did not return in time.
    Hung,
    /// The processor panicked.
    Panicked,
    /// The processor's process ended without an answer, or answered nonsense.
    Crashed,
}

impl DeliveryStatus {
    /// Its word in JSON: `skipped_dependency`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Skipped => "skipped",
            Self::Disabled => "disabled",
            Self::SkippedDependency => "skipped_dependency",
            Self::Deferred => "deferred",
            Self::BreakerOpen => "breaker_open",
            Self::Dead => "dead",
            Self::Hung => "hung",
            Self::Panicked => "panicked",
            Self::Crashed => "crashed",
        }
    }

    /// Whether the processor has, or needs, nothing of this report any more.
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Delivered | Self::Skipped | Self::Disabled)
    }
}

impl fmt::Display for DeliveryStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Delivered => "delivered",
            Self::Skipped => "skipped",
            Self::Disabled => "disabled",
            Self::SkippedDependency => "skipped dependency",
            Self::Deferred => "deferred",
            Self::BreakerOpen => "breaker open",
            Self::Dead => "dead",
            Self::Hung => "hung",
            Self::Panicked => "panicked",
            Self::Crashed => "crashed",
        })
    }
}
