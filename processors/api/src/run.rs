//! Which run a report is about.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::printable;

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
    /// The processor that ended the run before it began, if one did; `interrupted` then
    /// holds its reason. Nothing was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
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
            gate: None,
        }
    }

    /// The run in a few words for people: `run 019a9f3b · 2026-11-20 06:00 UTC`, with the
    /// time at which it ended.
    pub fn label(&self) -> String {
        let id = self.id.simple().to_string();
        let ended = self.finished_at.as_str();
        let minute = ended
            .is_ascii()
            .then(|| ended.get(..10).zip(ended.get(11..16)))
            .flatten();
        match minute {
            Some((date, time)) if ended.ends_with('Z') => {
                format!("run {} · {date} {time} UTC", &id[..8])
            }
            _ => format!("run {} · {}", &id[..8], printable(ended)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_labelled_with_its_id_and_minute() {
        let cases = [
            ("2026-11-20T06:00:59.412Z", "2026-11-20 06:00 UTC"),
            ("2026-11-20T06:00:59+01:00", "2026-11-20T06:00:59+01:00"),
            ("soonZ", "soonZ"),
            ("", ""),
            (
                "\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}Z",
                "\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}Z",
            ),
            ("a\nb", "a\\nb"),
        ];
        let id = Uuid::from_u128(0x019a_9f3b_5c00_7000_8000_0000_0000_002a);
        for (ended, expected) in cases {
            let mut run = Run::new(id, "orders", RunKey::default(), "");
            run.finished_at = ended.to_owned();
            assert_eq!(run.label(), format!("run 019a9f3b · {expected}"));
        }
    }
}
