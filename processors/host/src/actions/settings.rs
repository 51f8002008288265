//! The settings that every channel has.

use std::sync::LazyLock;
use std::time::Duration;

use jsonschema::Validator;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::settings::{Isolation, Settings};
use crate::shared::{Shared, bytes, duration, schema_of, validator_of};

/// The settings that every channel has, beside its own.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
#[non_exhaustive]
pub struct ChannelSettings {
    /// The channel's name, where the name it is configured under is another.
    #[serde(rename = "use")]
    pub plugin: Option<String>,
    /// Whether anything can be published. Default: true.
    pub enabled: bool,
    /// The longest that one attempt may take. Default: 10s.
    #[schemars(with = "String")]
    #[serde(deserialize_with = "duration")]
    pub time_limit: Duration,
    /// How often a failed attempt is repeated. Default: 3.
    #[schemars(range(max = 100))]
    pub retries: u32,
    /// `thread`: in a thread of its own; `process`: in a process of its own. Default: thread.
    pub isolation: Isolation,
    /// The most memory it may have, for `isolation: process` and channels that are programs
    /// of their own. Default: 1GiB, and none for such programs.
    #[schemars(with = "String")]
    #[serde(deserialize_with = "bytes")]
    pub memory_limit: Option<u64>,
}

impl Default for ChannelSettings {
    fn default() -> Self {
        Self {
            plugin: None,
            enabled: true,
            time_limit: Duration::from_secs(10),
            retries: 3,
            isolation: Isolation::Thread,
            memory_limit: None,
        }
    }
}

impl Shared for ChannelSettings {
    fn schema() -> &'static Value {
        static SCHEMA: LazyLock<Value> = LazyLock::new(schema_of::<ChannelSettings>);
        &SCHEMA
    }

    fn validator() -> &'static Validator {
        static VALIDATOR: LazyLock<Validator> = LazyLock::new(validator_of::<ChannelSettings>);
        &VALIDATOR
    }

    fn settings(&self) -> Settings {
        Settings {
            plugin: self.plugin.clone(),
            enabled: self.enabled,
            time_limit: self.time_limit,
            retries: self.retries,
            isolation: self.isolation,
            memory_limit: self.memory_limit,
            ..Settings::default()
        }
    }
}
