//! The settings that every processor has.

use std::sync::LazyLock;
use std::time::Duration;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use veracity_processor::{FieldError, Severity, Status};

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

impl Settings {
    /// Their JSON Schema, without references.
    pub fn schema() -> &'static Value {
        static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
            let mut settings = SchemaSettings::draft2020_12();
            settings.inline_subschemas = true;
            let mut schema = settings
                .into_generator()
                .into_root_schema_for::<Settings>()
                .to_value();
            // The defaults are in the descriptions, as people write them.
            for (_, property) in schema["properties"].as_object_mut().into_iter().flatten() {
                if let Some(property) = property.as_object_mut() {
                    property.remove("default");
                }
            }
            schema
        });
        &SCHEMA
    }

    /// Their names.
    pub fn names() -> impl Iterator<Item = &'static str> {
        let properties = Self::schema()["properties"].as_object();
        properties
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
    }

    /// Takes the settings that every processor has out of `config`; the rest is its own.
    pub fn split(config: Map<String, Value>) -> (Map<String, Value>, Map<String, Value>) {
        let known = &Self::schema()["properties"];
        config
            .into_iter()
            .partition(|(name, _)| known.get(name).is_some())
    }

    /// Reads them; `fields` fits the schema.
    ///
    /// # Errors
    ///
    /// Every time limit and size that cannot be read.
    pub fn read(fields: &Map<String, Value>) -> Result<Self, Vec<FieldError>> {
        let whole = serde_json::from_value(Value::Object(fields.clone()));
        let error = match whole {
            Ok(settings) => return Ok(settings),
            Err(error) => error,
        };
        let mut errors = Vec::new();
        for (name, value) in fields {
            // One by one, because serde does not say where.
            let one = Value::Object(Map::from_iter([(name.clone(), value.clone())]));
            if let Err(error) = serde_json::from_value::<Self>(one) {
                errors.push(FieldError::new(format!("/{name}"), error.to_string()));
            }
        }
        if errors.is_empty() {
            errors.push(FieldError::new("", error.to_string()));
        }
        Err(errors)
    }
}

fn duration<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let limit = humantime::parse_duration(&text).map_err(|_| {
        serde::de::Error::custom(format!("`{text}` is no time, write `10s` or `2min`"))
    })?;
    if limit.is_zero() || limit > Duration::from_secs(24 * 3600) {
        let message = format!("`{text}` is not between 1ms and 1day");
        return Err(serde::de::Error::custom(message));
    }
    Ok(limit)
}

fn bytes<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong =
        || serde::de::Error::custom(format!("`{text}` is no size, write `512MiB` or `2GiB`"));
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor: u64 = match unit.trim() {
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(factor).map(Some).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
