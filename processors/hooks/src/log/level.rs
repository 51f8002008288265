//! How much an event matters, and the lines that plugins asked for.

use serde_json::{Map, Value};
use veracity_processor::{Event, Level, Moment, Subject};

/// How much `event` matters.
pub(crate) fn level(event: &Event) -> Level {
    if let Some(asked) = Asked::of(event) {
        return asked.level;
    }
    let outcome = event.outcome.as_deref();
    match (event.name.subject, event.name.moment) {
        (_, Moment::Error | Moment::Dead) => Level::Error,
        (_, Moment::Retry) => Level::Warn,
        (Subject::Assertion, Moment::End) => match outcome {
            Some("failed") if is(event, "severity", "P0") => Level::Error,
            Some("failed" | "not_evaluated") => Level::Warn,
            _ => Level::Debug,
        },
        (Subject::Delivery, Moment::End) => match outcome {
            None | Some("delivered" | "skipped" | "disabled") => Level::Info,
            Some(_) => Level::Warn,
        },
        (Subject::Suite, _)
        | (Subject::Dataset | Subject::Delivery, Moment::End | Moment::Skip) => Level::Info,
        _ => Level::Debug,
    }
}

fn is(event: &Event, name: &str, text: &str) -> bool {
    event.metadata.get(name).and_then(Value::as_str) == Some(text)
}

/// A line that a plugin asked to be logged.
pub(crate) struct Asked<'e> {
    pub(crate) level: Level,
    pub(crate) message: &'e str,
    pub(crate) fields: Option<&'e Map<String, Value>>,
}

impl<'e> Asked<'e> {
    /// The line that `event` is, if it is one.
    pub(crate) fn of(event: &'e Event) -> Option<Self> {
        let ended = matches!(event.name.moment, Moment::End | Moment::Error);
        if event.name.subject != Subject::Action || !ended || !is(event, "type", "log") {
            return None;
        }
        let level = match event.metadata.get("level").and_then(Value::as_str) {
            Some("debug") => Level::Debug,
            Some("warn") => Level::Warn,
            Some("error") => Level::Error,
            _ => Level::Info,
        };
        Some(Self {
            level,
            message: event.metadata.get("message")?.as_str()?,
            fields: event.metadata.get("fields").and_then(Value::as_object),
        })
    }
}
