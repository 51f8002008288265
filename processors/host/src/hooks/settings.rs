//! The settings that every hook has.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use jsonschema::Validator;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use veracity_processor::{Mode, Subscription, Test};

use crate::settings::{Isolation, Settings};
use crate::shared::{Shared, bytes, duration, schema_of, validator_of};

/// The settings that every hook has, beside its own.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
#[non_exhaustive]
pub struct HookSettings {
    /// The hook's name, where the name it is configured under is another.
    #[serde(rename = "use")]
    pub plugin: Option<String>,
    /// Whether it gets events. Default: true.
    pub enabled: bool,
    /// Names of the events it gets; `*` stands for any text (`assertion.*`, `*.error`).
    /// Default: the hook's own choice.
    pub events: Option<Vec<String>>,
    /// Only events whose fields are like that: a value (`*` stands for any text), a list of
    /// values, or bounds (`{min: 100}`). Default: the hook's own choice.
    #[serde(rename = "where")]
    pub condition: Option<BTreeMap<String, Test>>,
    /// Hooks with lower numbers get an event first. Default: the hook's own choice.
    pub priority: Option<i64>,
    /// `queued`: the run does not wait for it; `synchronous`: the run waits for each event.
    /// Default: the hook's own choice.
    pub mode: Option<Mode>,
    /// The most events that wait in its queue. Default: 65536.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub capacity: usize,
    /// The most events it gets at once. Default: 256.
    #[schemars(range(min = 1, max = 10_000))]
    pub batch: usize,
    /// What happens when its queue is full: `drop_oldest` loses the oldest event, and counts
    /// it; `block` waits for room for at most `time_limit`, then loses the newest, and counts
    /// it. Default: drop_oldest.
    pub overflow: Overflow,
    /// The longest that one call may take. Default: 5s.
    #[schemars(with = "String")]
    #[serde(deserialize_with = "duration")]
    pub time_limit: Duration,
    /// `thread`: in a thread of its own; `process`: in a process of its own. Default: thread.
    pub isolation: Isolation,
    /// The most memory it may have, for `isolation: process` and hooks that are programs of
    /// their own. Default: 1GiB, and none for such programs.
    #[schemars(with = "String")]
    #[serde(deserialize_with = "bytes")]
    pub memory_limit: Option<u64>,
}

/// What happens when a queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overflow {
    /// The oldest event is lost, and counted.
    #[default]
    DropOldest,
    /// The run waits for room, for a limited time.
    Block,
}

impl Default for HookSettings {
    fn default() -> Self {
        Self {
            plugin: None,
            enabled: true,
            events: None,
            condition: None,
            priority: None,
            mode: None,
            capacity: 65_536,
            batch: 256,
            overflow: Overflow::DropOldest,
            time_limit: Duration::from_secs(5),
            isolation: Isolation::Thread,
            memory_limit: None,
        }
    }
}

impl HookSettings {
    /// `own`, which the plugin asks for, with what is said here instead.
    pub fn subscription(&self, own: &Subscription) -> Subscription {
        let mut subscription = own.clone();
        if let Some(events) = &self.events {
            subscription.events.clone_from(events);
        }
        if let Some(condition) = &self.condition {
            subscription.condition.clone_from(condition);
        }
        subscription.priority = self.priority.unwrap_or(own.priority);
        subscription.mode = self.mode.unwrap_or(own.mode);
        subscription
    }
}

impl Shared for HookSettings {
    fn schema() -> &'static Value {
        static SCHEMA: LazyLock<Value> = LazyLock::new(schema_of::<HookSettings>);
        &SCHEMA
    }

    fn validator() -> &'static Validator {
        static VALIDATOR: LazyLock<Validator> = LazyLock::new(validator_of::<HookSettings>);
        &VALIDATOR
    }

    fn settings(&self) -> Settings {
        Settings {
            plugin: self.plugin.clone(),
            enabled: self.enabled,
            time_limit: self.time_limit,
            isolation: self.isolation,
            memory_limit: self.memory_limit,
            retries: 0,
            ..Settings::default()
        }
    }
}
