//! What happens during a run, as it happens.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::RunKey;

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Subject {
    /// The run of a suite.
    Suite,
    /// A dataset that is read.
    Dataset,
    /// A check whose assertions are evaluated.
    Check,
    /// An assertion.
    Assertion,
    /// A configured processor: its life in this run.
    Processor,
    /// A report on its way to a processor.
    Delivery,
    /// What a plugin asked the host to do.
    Action,
}

/// What happened to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Moment {
    /// It began. Exactly one `End` or `Error` of the same follows.
    Start,
    /// It came to its end, good or bad: `outcome` says how.
    End,
    /// It could not be brought to its end.
    Error,
    /// It was left out, without a start.
    Skip,
    /// An attempt failed and another follows.
    Retry,
    /// It was given up; follows the `Error` of the last attempt.
    Dead,
}

/// Every subject, in the order of a run.
pub const SUBJECTS: [Subject; 7] = [
    Subject::Suite,
    Subject::Dataset,
    Subject::Check,
    Subject::Assertion,
    Subject::Processor,
    Subject::Delivery,
    Subject::Action,
];

/// Every moment.
pub const MOMENTS: [Moment; 6] = [
    Moment::Start,
    Moment::End,
    Moment::Error,
    Moment::Skip,
    Moment::Retry,
    Moment::Dead,
];

impl Subject {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Subject::Suite => "suite",
            Subject::Dataset => "dataset",
            Subject::Check => "check",
            Subject::Assertion => "assertion",
            Subject::Processor => "processor",
            Subject::Delivery => "delivery",
            Subject::Action => "action",
        }
    }
}

impl Moment {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Moment::Start => "start",
            Moment::End => "end",
            Moment::Error => "error",
            Moment::Skip => "skip",
            Moment::Retry => "retry",
            Moment::Dead => "dead",
        }
    }
}

/// The name of an event: `assertion.end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventName {
    /// What it is about.
    pub subject: Subject,
    /// What happened to it.
    pub moment: Moment,
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.subject.name(), self.moment.name())
    }
}

impl FromStr for EventName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || format!("there is no event `{text}`");
        let (subject, moment) = text.split_once('.').ok_or_else(unknown)?;
        let subject = SUBJECTS.into_iter().find(|one| one.name() == subject);
        let moment = MOMENTS.into_iter().find(|one| one.name() == moment);
        let (subject, moment) = subject.zip(moment).ok_or_else(unknown)?;
        Ok(Self { subject, moment })
    }
}

impl EventName {
    /// Whether the glob `pattern` (`assertion.*`, `*.error`, `*`) takes it. A `*` stands
    /// for any text.
    pub fn matches(self, pattern: &str) -> bool {
        glob(pattern, &self.to_string())
    }

    /// All names there are.
    pub fn all() -> impl Iterator<Item = EventName> {
        SUBJECTS.into_iter().flat_map(|subject| {
            let moments = MOMENTS.into_iter();
            moments.map(move |moment| EventName { subject, moment })
        })
    }
}

/// Whether the whole of `text` fits `pattern`, in which `*` stands for any text.
pub fn glob(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match text.find(part) {
            Some(at) => text = &text[at + part.len()..],
            None => return false,
        }
    }
    text.ends_with(last)
}

/// A moment in UTC, to the microsecond; RFC 3339 as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(SystemTime);

impl Timestamp {
    /// Now, by the system's clock.
    pub fn now() -> Self {
        Self(SystemTime::now())
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        Self(time)
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        time.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_micros(self.0).fmt(f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = humantime::parse_rfc3339(&text).map_err(serde::de::Error::custom)?;
        Ok(Self(time))
    }
}

/// The run that events are about.
#[derive(Debug, Clone, PartialEq)]
pub struct EventRun {
    /// Its id.
    pub id: Uuid,
    /// Name of the suite.
    pub suite: String,
    /// What the run is about.
    pub key: RunKey,
    /// When it began.
    pub began: Instant,
}

impl EventRun {
    /// A run that begins now.
    pub fn new(id: Uuid, suite: impl Into<String>, key: RunKey) -> Self {
        Self {
            id,
            suite: suite.into(),
            key,
            began: Instant::now(),
        }
    }
}

/// Something that happened during a run.
///
/// Its JSON is one flat object: `event`, `time`, `elapsed_ms`, `run`, `suite`, `key`, the
/// names of what it is about, `outcome`, `metadata`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// What happened.
    pub name: EventName,
    /// When it happened.
    pub time: Timestamp,
    /// How long after the run began.
    pub elapsed: Duration,
    /// The run.
    pub run: Arc<EventRun>,
    /// The dataset it is about.
    pub dataset: Option<Arc<str>>,
    /// The check it is about.
    pub check: Option<Arc<str>>,
    /// The assertion it is about.
    pub assertion: Option<Arc<str>>,
    /// The configured processor it is about.
    pub processor: Option<Arc<str>>,
    /// How it ended, in the words of the report (`failed`, `delivered`); for a `skip` or an
    /// `error` the metadata hold a `reason`.
    pub outcome: Option<String>,
    /// More, by name: `severity`, `actual`, `rows`, `duration_ms`, `attempt`, `reason`.
    pub metadata: Map<String, Value>,
}

impl Event {
    /// That `moment` happened to the `subject` of `run`, now.
    pub fn new(run: &Arc<EventRun>, subject: Subject, moment: Moment) -> Self {
        Self {
            name: EventName { subject, moment },
            time: Timestamp::now(),
            elapsed: run.began.elapsed(),
            run: Arc::clone(run),
            dataset: None,
            check: None,
            assertion: None,
            processor: None,
            outcome: None,
            metadata: Map::new(),
        }
    }

    /// The dataset it is about.
    pub fn dataset(mut self, name: impl Into<Arc<str>>) -> Self {
        self.dataset = Some(name.into());
        self
    }

    /// The check it is about.
    pub fn check(mut self, name: impl Into<Arc<str>>) -> Self {
        self.check = Some(name.into());
        self
    }

    /// The assertion it is about.
    pub fn assertion(mut self, name: impl Into<Arc<str>>) -> Self {
        self.assertion = Some(name.into());
        self
    }

    /// The configured processor it is about.
    pub fn processor(mut self, name: impl Into<Arc<str>>) -> Self {
        self.processor = Some(name.into());
        self
    }

    /// How it ended.
    pub fn outcome(mut self, outcome: impl Into<String>) -> Self {
        self.outcome = Some(outcome.into());
        self
    }

    /// More about it.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.metadata.insert(name.to_owned(), value.into());
        self
    }

    /// Names of the fields that events of veracity have; `key.tags.<name>` comes on top.
    pub const FIELDS: &[&str] = &[
        "actual",
        "assertion",
        "assertions",
        "attempt",
        "attempts",
        "bytes_read",
        "check",
        "dataset",
        "declared",
        "duration_ms",
        "elapsed_ms",
        "error",
        "event",
        "expected",
        "failed",
        "fields",
        "gate",
        "group",
        "idempotency_key",
        "key.date",
        "level",
        "message",
        "not_evaluated",
        "outcome",
        "passed",
        "pending",
        "plugin",
        "processor",
        "reason",
        "rows",
        "scans",
        "severity",
        "skipped",
        "stage",
        "suite",
        "target",
        "type",
        "violations",
        "wait_ms",
    ];

    /// Whether an event may have a field called `name`.
    pub fn is_field(name: &str) -> bool {
        name.starts_with("key.tags.") || Self::FIELDS.contains(&name)
    }

    /// The field called `name` as JSON: `event`, `suite`, `dataset`, `check`, `assertion`,
    /// `processor`, `outcome`, `elapsed_ms`, `key.date`, `key.tags.<name>`, or one of the
    /// metadata. `None` if it has none of this name.
    pub fn field(&self, name: &str) -> Option<Value> {
        let text = |text: &Option<Arc<str>>| text.as_deref().map(Value::from);
        match name {
            "event" => Some(self.name.to_string().into()),
            "suite" => Some(self.run.suite.as_str().into()),
            "dataset" => text(&self.dataset),
            "check" => text(&self.check),
            "assertion" => text(&self.assertion),
            "processor" => text(&self.processor),
            "outcome" => self.outcome.as_deref().map(Value::from),
            "elapsed_ms" => Some(milliseconds(self.elapsed).into()),
            "key.date" => Some(self.run.key.date.as_str().into()),
            _ => match name.strip_prefix("key.tags.") {
                Some(tag) => self.run.key.tags.get(tag).map(|tag| tag.as_str().into()),
                None => self.metadata.get(name).cloned(),
            },
        }
    }
}

/// Milliseconds with three decimals.
fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

/// The JSON of an event.
#[derive(Serialize, Deserialize)]
struct Flat<'e> {
    event: String,
    time: Timestamp,
    elapsed_ms: f64,
    run: Uuid,
    suite: std::borrow::Cow<'e, str>,
    key: std::borrow::Cow<'e, RunKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dataset: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    check: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    assertion: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    processor: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outcome: Option<std::borrow::Cow<'e, str>>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    metadata: std::borrow::Cow<'e, Map<String, Value>>,
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use std::borrow::Cow::Borrowed;
        let text = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
        Flat {
            event: self.name.to_string(),
            time: self.time,
            elapsed_ms: milliseconds(self.elapsed),
            run: self.run.id,
            suite: Borrowed(&self.run.suite),
            key: Borrowed(&self.run.key),
            dataset: text(&self.dataset),
            check: text(&self.check),
            assertion: text(&self.assertion),
            processor: text(&self.processor),
            outcome: self.outcome.as_deref().map(Borrowed),
            metadata: Borrowed(&self.metadata),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let flat = Flat::deserialize(deserializer)?;
        let name = flat.event.parse().map_err(serde::de::Error::custom)?;
        let run = EventRun::new(flat.run, flat.suite, flat.key.into_owned());
        Ok(Self {
            name,
            time: flat.time,
            elapsed: Duration::try_from_secs_f64(flat.elapsed_ms / 1000.0).unwrap_or_default(),
            run: Arc::new(run),
            dataset: flat.dataset.map(Into::into),
            check: flat.check.map(Into::into),
            assertion: flat.assertion.map(Into::into),
            processor: flat.processor.map(Into::into),
            outcome: flat.outcome.map(std::borrow::Cow::into_owned),
            metadata: flat.metadata.into_owned(),
        })
    }
}

/// Takes events as they happen.
pub trait EventSink: Send + Sync {
    /// Whether anybody wants events of this name. Asked before an event is made, so that
    /// events nobody wants cost nothing.
    fn wants(&self, name: EventName) -> bool;

    /// Takes events, in the order in which they happened. It does not fail: what cannot be
    /// handed on is counted.
    fn emit(&self, events: Vec<Event>);

    /// The run that events are to be about, if it is known already: all events of a run
    /// count their time from the same moment.
    fn run(&self) -> Option<Arc<EventRun>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        let cases = [
            ("*", "assertion.end", true),
            ("assertion.*", "assertion.end", true),
            ("assertion.*", "check.end", false),
            ("*.error", "delivery.error", true),
            ("*.error", "delivery.end", false),
            ("a*t*.end", "assertion.end", true),
            ("a*x*.end", "assertion.end", false),
            ("assertion.end", "assertion.end", true),
            ("assertion", "assertion.end", false),
            ("*end*end", "assertion.end", false),
            ("", "assertion.end", false),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(glob(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn every_name_is_read_back() {
        assert_eq!(EventName::all().count(), 42);
        for name in EventName::all() {
            assert_eq!(name.to_string().parse(), Ok(name));
        }
        assert!("assertion.ended".parse::<EventName>().is_err());
        assert!("assertion".parse::<EventName>().is_err());
    }

    #[test]
    fn an_event_is_one_flat_object_and_is_read_back() {
        let key = RunKey::new("2026-11-20", [("env".into(), "prod".into())].into());
        let run = Arc::new(EventRun::new(Uuid::nil(), "orders", key));
        let mut event = Event::new(&run, Subject::Assertion, Moment::End)
            .dataset("orders")
            .check("keys")
            .assertion("uniqueness(id) = 1")
            .outcome("failed")
            .with("severity", "P0");
        event.time = Timestamp(SystemTime::UNIX_EPOCH + Duration::from_micros(1_500_000));
        event.elapsed = Duration::from_micros(2_500);
        let written = serde_json::to_value(&event).unwrap();
        assert_eq!(
            written,
            json!({
                "event": "assertion.end", "time": "1970-01-01T00:00:01.500000Z",
                "elapsed_ms": 2.5, "run": "00000000-0000-0000-0000-000000000000",
                "suite": "orders", "key": {"date": "2026-11-20", "tags": {"env": "prod"}},
                "dataset": "orders", "check": "keys", "assertion": "uniqueness(id) = 1",
                "outcome": "failed", "metadata": {"severity": "P0"},
            })
        );
        let read: Event = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), written);
        assert_eq!(event.field("severity"), Some(json!("P0")));
        assert_eq!(event.field("key.tags.env"), Some(json!("prod")));
        assert_eq!(event.field("processor"), None);
    }
}
