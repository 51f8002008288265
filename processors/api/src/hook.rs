//! Plugins that watch a run, and plugins that carry what others publish.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::{Event, glob};
use crate::{ConfigError, Outcome, ProcessContext, ProcessorError, StartContext};

/// Watches runs.
///
/// Its calls are isolated like those of a processor: no panic, endless loop or error reaches
/// the run. `context.state` is what it remembers of the suite between runs.
#[async_trait]
pub trait EventHook: Send + Sync {
    /// Opens what it needs, once, before the first event. Does nothing by default.
    ///
    /// # Errors
    ///
    /// Any: the hook then gets no events in this run.
    async fn startup(&self, _context: &StartContext) -> Result<(), ProcessorError> {
        Ok(())
    }

    /// Takes events it subscribed to, in the order in which they happened, up to `batch` at
    /// once. If it is synchronous those of one moment: mostly one, but the engine tells of all
    /// results together. What happens at the same time may come in any order.
    ///
    /// # Errors
    ///
    /// Any: it is counted and recorded; events are not handed over twice.
    async fn handle(
        &self,
        events: &[Arc<Event>],
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError>;

    /// Nothing more is waiting for it: states metrics, sends what it gathered. Called before
    /// metrics are read and at the end of the run, so perhaps several times.
    ///
    /// # Errors
    ///
    /// Any: it is counted and recorded.
    async fn flush(&self, _context: &ProcessContext) -> Result<Outcome, ProcessorError> {
        Ok(Outcome::done())
    }

    /// Closes what `startup` opened, once, after the last event. Does nothing by default.
    ///
    /// # Errors
    ///
    /// Any: it is a warning in the report.
    async fn shutdown(&self) -> Result<(), ProcessorError> {
        Ok(())
    }
}

/// An [`EventHook`] that can be registered: it is built from a configuration.
pub trait Hook: EventHook + Sized + 'static {
    /// Its settings, as for a processor.
    type Config: DeserializeOwned + JsonSchema;

    /// Reads and checks the settings; opens nothing.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the settings.
    fn build(config: Self::Config) -> Result<Self, ConfigError>;
}

/// Which events a hook gets, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Subscription {
    /// Names of events; `*` stands for any text (`assertion.*`, `*.error`).
    pub events: Vec<String>,
    /// Only events whose fields are as said here.
    #[serde(rename = "where", skip_serializing_if = "BTreeMap::is_empty")]
    pub condition: BTreeMap<String, Test>,
    /// Hooks with lower numbers get an event first. Default: 100.
    pub priority: i64,
    /// `queued`: the run does not wait; `synchronous`: it waits for each event.
    pub mode: Mode,
}

impl Default for Subscription {
    /// Every event, queued.
    fn default() -> Self {
        Self {
            events: vec!["*".to_owned()],
            condition: BTreeMap::new(),
            priority: 100,
            mode: Mode::Queued,
        }
    }
}

impl Subscription {
    /// Whether it takes `event`.
    pub fn takes(&self, event: &Event) -> bool {
        self.events
            .iter()
            .any(|pattern| event.name.matches(pattern))
            && self.holds(event)
    }

    /// Whether the condition on its fields holds for `event`.
    pub fn holds(&self, event: &Event) -> bool {
        let mut tests = self.condition.iter();
        tests.all(|(name, test)| event.field(name).is_some_and(|value| test.holds(&value)))
    }
}

/// Whether the run waits for a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Events wait in a queue of bounded length.
    #[default]
    Queued,
    /// The run waits until the hook has handled an event, or its time limit is over.
    Synchronous,
}

/// What a field must be like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Test {
    /// Within these bounds, as a number.
    Range(Bounds),
    /// One of these.
    AnyOf(Vec<Value>),
    /// This; in a text, `*` stands for any text.
    Is(Value),
}

/// Bounds of a number, both included.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// The least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
}

impl Test {
    /// Whether `value` is like that.
    pub fn holds(&self, value: &Value) -> bool {
        let is = |wanted: &Value| match (wanted, value) {
            (Value::String(pattern), Value::String(text)) => glob(pattern, text),
            _ => wanted == value,
        };
        match self {
            Test::Is(wanted) => is(wanted),
            Test::AnyOf(all) => all.iter().any(is),
            Test::Range(Bounds { min, max }) => value.as_f64().is_some_and(|value| {
                min.is_none_or(|min| value >= min) && max.is_none_or(|max| value <= max)
            }),
        }
    }
}

/// Carries messages that plugins publish: to a file, a URL, a message broker.
#[async_trait]
pub trait Channel: Send + Sync {
    /// Opens what it needs, once. Does nothing by default.
    ///
    /// # Errors
    ///
    /// Any: nothing can be published then.
    async fn startup(&self, _context: &StartContext) -> Result<(), ProcessorError> {
        Ok(())
    }

    /// Publishes a message. `context.idempotency_key` is the same when it is tried again.
    ///
    /// # Errors
    ///
    /// [`ProcessorError::Retryable`] is tried again, [`ProcessorError::Permanent`] is not.
    async fn publish(
        &self,
        parcel: &Parcel,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError>;

    /// Closes what `startup` opened. Does nothing by default.
    ///
    /// # Errors
    ///
    /// Any: it is a warning in the report.
    async fn shutdown(&self) -> Result<(), ProcessorError> {
        Ok(())
    }
}

/// A [`Channel`] that can be registered: it is built from a configuration.
pub trait Publisher: Channel + Sized + 'static {
    /// Its settings, as for a processor.
    type Config: DeserializeOwned + JsonSchema;

    /// Reads and checks the settings; opens nothing.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the settings.
    fn build(config: Self::Config) -> Result<Self, ConfigError>;
}

/// A message on its way to a channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Parcel {
    /// What is published.
    pub message: Value,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Who publishes: the name a plugin is configured under.
    pub from: String,
    /// The suite whose run this is about.
    pub suite: String,
}

impl Parcel {
    /// `message`, from the plugin configured as `from`, in a run of `suite`.
    pub fn new(message: Value, from: impl Into<String>, suite: impl Into<String>) -> Self {
        Self {
            message,
            key: None,
            from: from.into(),
            suite: suite.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::RunKey;
    use crate::event::{EventRun, Moment, Subject};

    #[test]
    fn a_subscription_chooses_by_name_and_fields() {
        let run = EventRun::new(Uuid::nil(), "orders", RunKey::default());
        let event = Event::new(&Arc::new(run), Subject::Assertion, Moment::End)
            .outcome("failed")
            .with("severity", "P0")
            .with("duration_ms", 120);
        let cases = [
            (json!({}), true),
            (json!({"events": ["assertion.*"]}), true),
            (json!({"events": ["*.error"]}), false),
            (json!({"events": []}), false),
            (json!({"where": {"outcome": "failed"}}), true),
            (json!({"where": {"outcome": "fail*"}}), true),
            (json!({"where": {"outcome": ["passed", "error"]}}), false),
            (
                json!({"where": {"severity": ["P0", "P1"], "suite": "orders"}}),
                true,
            ),
            (json!({"where": {"duration_ms": {"min": 100}}}), true),
            (
                json!({"where": {"duration_ms": {"min": 100, "max": 110}}}),
                false,
            ),
            (json!({"where": {"duration_ms": 120}}), true),
            (json!({"where": {"rows": 1}}), false),
        ];
        for (subscription, expected) in cases {
            let read: Subscription = serde_json::from_value(subscription.clone()).unwrap();
            assert_eq!(read.takes(&event), expected, "{subscription}");
        }
    }
}
