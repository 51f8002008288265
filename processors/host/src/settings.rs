//! The settings that every processor has.

use std::sync::LazyLock;
use std::time::Duration;

use jsonschema::Validator;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use veracity_processor::{Severity, Stage, Status, Verdict};

use crate::shared::{Shared, bytes, duration, schema_of, validator_of};

/// The settings that every processor has, beside its own.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
#[non_exhaustive]
pub struct Settings {
    /// The processor's name, where the name it is configured under is another.
    #[serde(rename = "use")]
    pub plugin: Option<String>,
    /// Whether it gets reports. Default: true.
    pub enabled: bool,
    /// Among processors that do not depend on each other, lower numbers come first; equal
    /// ones run at the same time. Default: 100.
    pub priority: i64,
    /// Names of configured processors that come before it. It gets no report if one of
    /// them did not deliver, except with `when: always`.
    pub after: Vec<String>,
    /// Whether it gets a report although a processor it comes after did not deliver:
    /// `delivered` for no, `always` for yes. Default: delivered.
    pub when: When,
    /// When it gets a report: `always`; on a `failure` among the results it asked for; on
    /// a `change` of them since the suite's last run. Default: always.
    pub on: On,
    /// The stages of a run at which it is called, of those its plugin can serve
    /// (`before_run`, `after_run`, `on_error`, `dead_letter`). Default: the plugin's own
    /// choice.
    pub stages: Vec<Stage>,
    /// Only runs of suites with one of these names; `*` stands for any text. Default: all.
    pub suites: Vec<String>,
    /// Only runs with one of these verdicts. Default: all.
    pub verdicts: Vec<Verdict>,
    /// Only results of these datasets; `*` stands for any text. Default: all.
    pub datasets: Vec<String>,
    /// Only results of these severities. Default: all.
    pub severities: Vec<Severity>,
    /// Only results with these statuses. Default: all.
    pub statuses: Vec<Status>,
    /// Only results with one of these tags. Default: all.
    pub tags: Vec<String>,
    /// Only results of these checks. Default: all.
    pub checks: Vec<String>,
    /// The longest that one attempt may take. Default: 30s.
    #[schemars(with = "String")]
    #[serde(deserialize_with = "duration")]
    pub time_limit: Duration,
    /// How often a failed attempt is repeated within a run. Default: 3.
    #[schemars(range(max = 100))]
    pub retries: u32,
    /// With a store: attempts over all runs, after which a delivery is given up. Default: 20.
    #[schemars(range(min = 1, max = 10000))]
    pub max_attempts: u32,
    /// Whether a report that was not delivered makes the run end with code 4. Default: false.
    pub required: bool,
    /// `thread`: in a thread of its own; `process`: in a process of its own, which also
    /// survives crashes and memory exhaustion of the processor. Default: thread.
    pub isolation: Isolation,
    /// The most memory it may have, for `isolation: process` and plugins that are programs
    /// of their own. Default: 1GiB, and none for such plugins: it counts address space, of
    /// which Node.js, Go and Java reserve a lot in advance.
    #[schemars(with = "String")]
    #[serde(deserialize_with = "bytes")]
    pub memory_limit: Option<u64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            plugin: None,
            enabled: true,
            priority: 100,
            after: Vec::new(),
            when: When::Delivered,
            on: On::Always,
            stages: Vec::new(),
            suites: Vec::new(),
            verdicts: Vec::new(),
            datasets: Vec::new(),
            severities: Vec::new(),
            statuses: Vec::new(),
            tags: Vec::new(),
            checks: Vec::new(),
            time_limit: Duration::from_secs(30),
            retries: 3,
            max_attempts: 20,
            required: false,
            isolation: Isolation::Thread,
            memory_limit: None,
        }
    }
}

/// When a processor gets a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum On {
    /// If one of the results it asked for failed or could not be evaluated.
    Failure,
    /// Each time.
    #[default]
    Always,
    /// If one of the results it asked for changed its status since the last run.
    Change,
}

/// Whether a processor depends on the success of those it comes after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// Only if they delivered.
    #[default]
    Delivered,
    /// Whatever became of them.
    Always,
}

/// How a processor is kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// In a thread of its own.
    #[default]
    Thread,
    /// In a process of its own.
    Process,
}

impl Shared for Settings {
    fn schema() -> &'static Value {
        static SCHEMA: LazyLock<Value> = LazyLock::new(schema_of::<Settings>);
        &SCHEMA
    }

    fn validator() -> &'static Validator {
        static VALIDATOR: LazyLock<Validator> = LazyLock::new(validator_of::<Settings>);
        &VALIDATOR
    }

    fn settings(&self) -> Settings {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use veracity_processor::FieldError;

    use super::*;

    fn read(value: Value) -> Result<Settings, Vec<FieldError>> {
        let Value::Object(fields) = value else {
            panic!("an object")
        };
        Settings::read(&fields)
    }

    #[test]
    fn settings_are_read_with_their_units() {
        let settings = read(json!({
            "use": "email", "severities": ["P0"], "on": "failure", "time_limit": "1min 30s",
            "isolation": "process", "memory_limit": "512MiB",
        }))
        .unwrap();
        assert_eq!(settings.time_limit, Duration::from_secs(90));
        assert_eq!(settings.memory_limit, Some(512 << 20));
        assert_eq!((settings.on, settings.retries), (On::Failure, 3));
    }

    #[test]
    fn what_cannot_be_read_says_which_and_how_it_is_written() {
        let errors = read(json!({"time_limit": "soon", "memory_limit": "9"})).unwrap_err();
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let mut texts = texts;
        texts.sort();
        assert_eq!(
            texts,
            [
                "memory_limit: `9` is no size, write `512MiB` or `2GiB`",
                "time_limit: `soon` is no time, write `10s` or `2min`",
            ]
        );
    }

    #[test]
    fn every_setting_is_described() {
        let schema = Settings::schema();
        for (name, property) in schema["properties"].as_object().unwrap() {
            assert!(property["description"].is_string(), "{name}");
        }
    }
}
