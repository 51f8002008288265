//! What a plugin may ask the host to do for it.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Message;

/// Something the host does for a plugin, with retries, apart from everything else. That it
/// fails is recorded and nothing more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// Publishes a message to a channel of the suite.
    Publish {
        /// The name the channel is configured under.
        channel: String,
        /// What is published.
        message: Value,
        /// What the message is about: messages of one key keep their order where the
        /// channel knows keys.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
    },
    /// Posts JSON to a URL.
    Webhook(Webhook),
    /// Writes a line to the log.
    Log {
        /// How much it matters.
        #[serde(default)]
        level: Level,
        /// The line.
        message: String,
        /// Facts by name.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        fields: Map<String, Value>,
    },
    /// States the value of a metric.
    Metric(Metric),
    /// Tells people through a processor of the suite.
    Notify {
        /// The name the processor is configured under.
        to: String,
        /// What they are told.
        message: Box<Message>,
    },
}

impl Action {
    /// What kind it is.
    pub fn kind(&self) -> ActionKind {
        match self {
            Action::Publish { .. } => ActionKind::Publish,
            Action::Webhook(_) => ActionKind::Webhook,
            Action::Log { .. } => ActionKind::Log,
            Action::Metric(_) => ActionKind::Metric,
            Action::Notify { .. } => ActionKind::Notify,
        }
    }

    /// A line for the log.
    pub fn log(level: Level, message: impl Into<String>) -> Self {
        Action::Log {
            level,
            message: message.into(),
            fields: Map::new(),
        }
    }

    /// A message to the channel called `channel`.
    pub fn publish(channel: impl Into<String>, message: impl Into<Value>) -> Self {
        Action::Publish {
            channel: channel.into(),
            message: message.into(),
            key: None,
        }
    }
}

/// A kind of action.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ActionKind {
    /// A message to a channel.
    Publish,
    /// A request to a URL.
    Webhook,
    /// A line in the log.
    Log,
    /// The value of a metric.
    Metric,
    /// A message to people.
    Notify,
}

impl fmt::Display for ActionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ActionKind::Publish => "publish",
            ActionKind::Webhook => "webhook",
            ActionKind::Log => "log",
            ActionKind::Metric => "metric",
            ActionKind::Notify => "notify",
        })
    }
}

/// A request with a JSON body.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Webhook {
    /// Where to: `http` or `https`. It may hold a secret, so it is shown nowhere.
    pub url: String,
    /// What is posted.
    #[serde(default)]
    pub body: Value,
    /// Headers by name; shown nowhere.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
}

impl fmt::Debug for Webhook {
    /// Without URL and headers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").finish_non_exhaustive()
    }
}

/// How much a line of a log matters.
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
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Only for those who look for it.
    Debug,
    /// Worth knowing.
    #[default]
    Info,
    /// Not as it should be.
    Warn,
    /// Wrong.
    Error,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        })
    }
}

/// The value of a metric at this moment, for processors that show metrics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Its name in the words of Prometheus: `veracity_deliveries_total`.
    pub name: String,
    /// Its value; the last one stated of the same name and labels counts.
    pub value: f64,
    /// What it counts or measures.
    #[serde(default)]
    pub kind: MetricKind,
    /// What it says, in one line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub help: String,
    /// Its labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// What the value of a metric means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricKind {
    /// It goes up and down.
    #[default]
    Gauge,
    /// It only grows, within a run.
    Counter,
}

/// What became of an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ActionRecord {
    /// What kind it was.
    pub kind: ActionKind,
    /// The channel, the processor or the host it went to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it was not done; `null` if it was.
    pub error: Option<String>,
}

impl ActionRecord {
    /// An action of `kind` that was done at the first attempt.
    pub fn done(kind: ActionKind) -> Self {
        Self {
            kind,
            target: None,
            attempts: 1,
            error: None,
        }
    }
}
