//! What a processor is told beside the report.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{Metric, Stage};

/// What a processor is told when it starts.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StartContext {
    /// The name it is configured under.
    pub instance: String,
    /// When `startup` must have returned.
    pub deadline: Instant,
}

impl StartContext {
    /// A context for `instance`, with `limit` from now on.
    pub fn new(instance: impl Into<String>, limit: Duration) -> Self {
        Self {
            instance: instance.into(),
            deadline: Instant::now() + limit,
        }
    }
}

/// What a processor is told with a report.
#[derive(Debug)]
#[non_exhaustive]
pub struct ProcessContext {
    /// The name it is configured under (`oncall`).
    pub instance: String,
    /// Its configuration, defaults filled in.
    pub config: Config,
    /// Stays the same however often this report is delivered to this instance, also
    /// after a crash. A UUID as text, so it fits into headers and keys.
    pub idempotency_key: String,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// When `process` must have returned; it is stopped then.
    pub deadline: Instant,
    /// The stage at which it is called; `after_run` and `on_error` are both about a report.
    pub stage: Stage,
    /// What plugins and hooks measured in this run so far; only with the capability
    /// `metrics`.
    pub metrics: Vec<Metric>,
    /// What this instance remembers of this suite between runs.
    pub state: State,
}

impl ProcessContext {
    /// The first attempt to deliver to `instance`, with `limit` from now on, without
    /// configuration or state.
    pub fn new(
        instance: impl Into<String>,
        idempotency_key: impl Into<String>,
        limit: Duration,
    ) -> Self {
        Self {
            instance: instance.into(),
            config: Config::default(),
            idempotency_key: idempotency_key.into(),
            attempt: 1,
            deadline: Instant::now() + limit,
            stage: Stage::AfterRun,
            metrics: Vec::new(),
            state: State::default(),
        }
    }

    /// The time left.
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// A configuration as JSON. It may hold secrets, so `Debug` shows only its fields' names.
#[derive(Clone, PartialEq, Default)]
pub struct Config(pub Value);

impl Config {
    /// The value at the JSON pointer `path` (`/to/0`).
    pub fn get(&self, path: &str) -> Option<&Value> {
        self.0.pointer(path)
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = self.0.as_object().map(|fields| fields.keys());
        f.debug_set().entries(fields.into_iter().flatten()).finish()
    }
}

/// A few values that an instance of a plugin remembers of a suite between runs.
///
/// The host loads them before an attempt and keeps them after it, whatever came out of
/// it; without `store:` they last as long as the process. All of them together may take
/// [`State::MAX_BYTES`] of JSON.
#[derive(Debug, Default)]
pub struct State(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    values: BTreeMap<String, Value>,
    changed: bool,
}

impl State {
    /// The most bytes of JSON that are kept.
    pub const MAX_BYTES: usize = 64 * 1024;

    /// A state that holds `values`.
    pub fn new(values: BTreeMap<String, Value>) -> Self {
        Self(Mutex::new(Entries {
            values,
            changed: false,
        }))
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        // The map is whole even if a thread panicked while it held the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value called `name`.
    pub fn get(&self, name: &str) -> Option<Value> {
        self.entries().values.get(name).cloned()
    }

    /// Remembers `value` under `name`.
    pub fn set(&self, name: impl Into<String>, value: impl Into<Value>) {
        let mut entries = self.entries();
        entries.values.insert(name.into(), value.into());
        entries.changed = true;
    }

    /// Forgets the value called `name`.
    pub fn remove(&self, name: &str) {
        let mut entries = self.entries();
        entries.changed |= entries.values.remove(name).is_some();
    }

    /// All values.
    pub fn values(&self) -> BTreeMap<String, Value> {
        self.entries().values.clone()
    }

    /// Whether anything was set or removed since it was made.
    pub fn is_changed(&self) -> bool {
        self.entries().changed
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_config_shows_its_fields_but_not_their_values() {
        let config = Config(json!({"url": "https://user:pw@host", "to": ["a"]}));
        assert_eq!(format!("{config:?}"), r#"{"url", "to"}"#);
        assert_eq!(config.get("/to/0"), Some(&json!("a")));
    }

    #[test]
    fn a_state_knows_whether_it_changed() {
        let state = State::new(BTreeMap::from([("a".to_owned(), json!(1))]));
        assert_eq!(
            (state.get("a"), state.is_changed()),
            (Some(json!(1)), false)
        );
        state.remove("b");
        assert!(!state.is_changed(), "nothing was removed");
        state.set("b", 2);
        assert_eq!((state.values().len(), state.is_changed()), (2, true));
    }
}
