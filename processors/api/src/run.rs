//! Which run a report is about.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Identity and times of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Run {
    /// A UUID of version 7: sorts by time.
    pub id: Uuid,
    /// Name of the suite.
    pub suite: String,
    /// What the run is about; the same key means the same run made again.
    pub key: RunKey,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// RFC 3339, UTC.
    pub finished_at: String,
    /// Wall time in milliseconds.
    pub duration_ms: u64,
    /// What evaluated the suite.
    pub engine: Engine,
    /// Why the run ended early (`interrupted`, `time limit of 5s reached`); absent
    /// when it ran to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interrupted: Option<String>,
}

impl Run {
    /// A run that starts now, under `key`, and has not taken any time yet.
    pub fn new(
        id: Uuid,
        suite: impl Into<String>,
        key: RunKey,
        started_at: impl Into<String>,
    ) -> Self {
        let started_at = started_at.into();
        Self {
            id,
            suite: suite.into(),
            key,
            finished_at: started_at.clone(),
            started_at,
            duration_ms: 0,
            engine: Engine::default(),
            interrupted: None,
        }
    }
}

/// What a run is about.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct RunKey {
    /// The date of the data, `YYYY-MM-DD`.
    pub date: String,
    /// Free labels of the run, such as `env: prod`.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

impl RunKey {
    /// The key of the data of `date` (`YYYY-MM-DD`).
    pub fn new(date: impl Into<String>, tags: BTreeMap<String, String>) -> Self {
        Self {
            date: date.into(),
            tags,
        }
    }
}

/// What evaluated the suite.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Engine {
    /// Version of veracity.
    pub version: String,
    /// Where it was computed: `local`.
    pub compute: String,
}

impl Engine {
    /// An engine of `version` computing on `compute`.
    pub fn new(version: impl Into<String>, compute: impl Into<String>) -> Self {
        Self {
            version: version.into(),
            compute: compute.into(),
        }
    }
}
