//! Events that people have not been told of yet.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use veracity_processor::{Event, Moment, ProcessContext, Severity, Subject, Timestamp};

use crate::words::{clipped, plain};

/// The most characters of a line.
const MOST_OF_LINE: usize = 300;
/// The most characters of a name in a line.
const MOST_OF_NAME: usize = 120;

/// Events that people have not been told of yet: all are counted, the first are lines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Gathered {
    /// When the first of them happened.
    pub(crate) since: Timestamp,
    /// How many they are, by name.
    pub(crate) events: BTreeMap<String, u64>,
    /// Some of them for people, the most severe first, and of those the first.
    lines: Vec<(Severity, String)>,
    /// The worst of them.
    pub(crate) severity: Severity,
}

impl Gathered {
    /// Nothing, from the time of `event` on.
    pub(crate) fn since(event: &Event) -> Self {
        Self {
            since: event.time,
            events: BTreeMap::new(),
            lines: Vec::new(),
            severity: Severity::P3,
        }
    }

    /// Adds `event`; it is a line unless there are `most` already that matter as much.
    pub(crate) fn add(&mut self, event: &Event, most: usize) {
        *self.events.entry(event.name.to_string()).or_default() += 1;
        let severity = severity(event);
        self.severity = self.severity.max(severity);
        let at = self.lines.partition_point(|(other, _)| *other >= severity);
        if at < most {
            self.lines.truncate(most - 1);
            self.lines.insert(at, (severity, line(event)));
        }
    }

    /// Adds what `other` gathered; of all lines the first `most` stay.
    pub(crate) fn join(&mut self, other: Self, most: usize) {
        self.since = self.since.min(other.since);
        for (name, count) in other.events {
            let sum = self.events.entry(name).or_default();
            *sum = sum.saturating_add(count);
        }
        self.severity = self.severity.max(other.severity);
        self.lines.extend(other.lines);
        self.lines.sort_by_key(|(severity, _)| Reverse(*severity));
        self.lines.truncate(most);
    }

    /// The lines, the most important first.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.iter().map(|(_, line)| line.clone()).collect()
    }

    /// How many they are.
    pub(crate) fn count(&self) -> u64 {
        let sum = |sum: u64, count: &u64| sum.saturating_add(*count);
        self.events.values().fold(0, sum)
    }

    /// `2 delivery.dead, 1 dataset.error`: the most frequent first.
    pub(crate) fn summary(&self) -> String {
        let mut events: Vec<_> = self.events.iter().collect();
        events.sort_by_key(|(name, count)| (Reverse(**count), *name));
        let events = events.iter().map(|(name, count)| format!("{count} {name}"));
        events.collect::<Vec<_>>().join(", ")
    }
}

/// How much `event` matters to people.
fn severity(event: &Event) -> Severity {
    let said = event.metadata.get("severity").and_then(Value::as_str);
    let said: Option<Severity> = said.and_then(|said| said.parse().ok());
    match (event.name.subject, event.name.moment) {
        (_, Moment::Dead) => Severity::P0,
        (_, Moment::Error) => said.unwrap_or(Severity::P1),
        (Subject::Assertion, Moment::End) if event.outcome.as_deref() == Some("failed") => {
            said.unwrap_or(Severity::P1)
        }
        (_, Moment::Retry) => Severity::P2,
        _ => Severity::P3,
    }
}

/// `event` for people: `assertion.error orders / keys / completeness(mail): no column`.
fn line(event: &Event) -> String {
    let text = |name: &str| event.metadata.get(name).and_then(Value::as_str);
    let asked = |name: &str| match event.name.subject {
        Subject::Action => text(name),
        _ => None,
    };
    let names = [
        event.dataset.as_deref(),
        event.check.as_deref(),
        event.assertion.as_deref(),
        event.processor.as_deref(),
        asked("type"),
        asked("target"),
    ];
    let names = names.into_iter().flatten().map(|name| {
        let name = clipped(name, MOST_OF_NAME);
        match name.is_empty() {
            true => "``".into(),
            false => name,
        }
    });
    let mut line = event.name.to_string();
    let names = names.collect::<Vec<_>>().join(" / ");
    if !names.is_empty() {
        line = format!("{line} {names}");
    }
    let reason = event.metadata.get("reason").map(plain);
    let parts = [event.outcome.as_deref(), reason.as_deref()];
    let parts: Vec<_> = parts
        .into_iter()
        .flatten()
        // That an error ended with `error` says nothing new.
        .filter(|part| !part.is_empty() && *part != event.name.moment.name())
        .collect();
    if !parts.is_empty() {
        line = format!("{line}: {}", parts.join(", "));
    }
    clipped(&line, MOST_OF_LINE).into_owned()
}

/// Whether `event` is about a message of this hook itself, which goes to the processor
/// called `to`: telling people of it would go on for ever.
pub(crate) fn is_own(event: &Event, to: &str, context: &ProcessContext) -> bool {
    let about = event.processor.as_deref();
    match event.name.subject {
        Subject::Delivery => about == Some(to),
        // A processor that failed cannot tell that it did.
        Subject::Processor => about == Some(to) || about == Some(&context.instance),
        Subject::Action => {
            let text = |name: &str| event.metadata.get(name).and_then(Value::as_str);
            text("type") == Some("notify") && text("target") == Some(to)
        }
        _ => false,
    }
}

/// What is kept between runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Memory {
    version: u32,
    /// When the last message was sent.
    pub(crate) sent: Option<Timestamp>,
    /// How many were sent before it, and it.
    pub(crate) count: u64,
    /// The run in which it was.
    pub(crate) run: Option<String>,
    /// What was held back since then.
    pub(crate) held: Option<Gathered>,
}

/// The name of it in the state.
const MEMORY: &str = "notify";
const VERSION: u32 = 1;

impl Memory {
    /// What `context` remembers; nothing, if another version wrote it.
    pub(crate) fn of(context: &ProcessContext) -> Self {
        let kept = context.state.get(MEMORY);
        let kept: Option<Self> = kept.and_then(|kept| serde_json::from_value(kept).ok());
        kept.filter(|kept| kept.version == VERSION)
            .unwrap_or_default()
    }

    /// Has `context` remember it.
    pub(crate) fn keep(mut self, context: &ProcessContext) {
        self.version = VERSION;
        // Texts and numbers only.
        if let Ok(value) = serde_json::to_value(self) {
            context.state.set(MEMORY, value);
        }
    }

    /// Whether at `now` the last message was sent less than `every` ago. If it was sent
    /// after `now`, a clock was wrong, and nothing is held back for that.
    pub(crate) fn is_early(&self, now: SystemTime, every: std::time::Duration) -> bool {
        let since = |sent: Timestamp| now.duration_since(sent.into()).ok();
        self.sent.and_then(since).is_some_and(|since| since < every)
    }
}
