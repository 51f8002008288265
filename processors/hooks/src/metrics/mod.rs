//! Counts what happens during a run, and how long it takes.

mod series;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use veracity_processor::{
    Action, ConfigError, Event, EventHook, EventRun, Hook, Moment, Outcome, Plugin, ProcessContext,
    ProcessorError, Subject, Subscription, async_trait, register,
};

use self::series::{Series, Table};

register!(
    Plugin::hook::<Metrics>("metrics", env!("CARGO_PKG_VERSION"))
        .description("Counts events, outcomes and durations, for outputs of metrics")
        .author("the veracity authors")
        .subscribes(Subscription::default)
        .example("metrics: {}")
);

/// Settings of the `metrics` hook: it has none.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricsSettings {}

/// Counts events. When it is flushed it states what changed.
#[derive(Default)]
pub struct Metrics(Mutex<Option<Count>>);

/// What was counted of a run.
struct Count {
    run: Arc<EventRun>,
    table: Table,
}

impl Hook for Metrics {
    type Config = MetricsSettings;

    fn build(_: MetricsSettings) -> Result<Self, ConfigError> {
        Ok(Self::default())
    }
}

impl Metrics {
    fn count(&self) -> MutexGuard<'_, Option<Count>> {
        // Numbers are whole even if a thread panicked while it held the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl EventHook for Metrics {
    async fn handle(
        &self,
        events: &[Arc<Event>],
        _: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let mut count = self.count();
        for event in events {
            let of_run =
                |count: &Count| Arc::ptr_eq(&count.run, &event.run) || count.run.id == event.run.id;
            if !count.as_ref().is_some_and(of_run) {
                *count = None;
            }
            // Metrics are those of a run.
            let count = count.get_or_insert_with(|| Count {
                run: Arc::clone(&event.run),
                table: Table::default(),
            });
            add(event, &mut count.table);
        }
        Ok(Outcome::done())
    }

    async fn flush(&self, _: &ProcessContext) -> Result<Outcome, ProcessorError> {
        let mut outcome = Outcome::done();
        if let Some(count) = &mut *self.count() {
            let metrics = count.table.state(&count.run.suite);
            outcome.actions = metrics.into_iter().map(Action::Metric).collect();
        }
        Ok(outcome)
    }
}

/// Counts `event`.
fn add(event: &Event, table: &mut Table) {
    let (subject, moment) = (event.name.subject, event.name.moment);
    let text = |name: &str| event.metadata.get(name).and_then(Value::as_str);
    let outcome = || known(event.outcome.as_deref(), OUTCOMES, otherwise(moment));
    let seconds = || {
        let milliseconds = event.metadata.get("duration_ms").and_then(Value::as_f64);
        milliseconds.map(|milliseconds| milliseconds.max(0.0) / 1000.0)
    };
    let ended = matches!(moment, Moment::End | Moment::Error);
    let kind = known(text("type"), TYPES, "other");
    if subject == Subject::Action && kind == "metric" {
        // Among them those that this hook causes itself.
        return;
    }
    table.add(Series::Events(event.name), 1.0);
    if moment == Moment::Retry {
        table.add(Series::Retries(subject.name()), 1.0);
    }
    match subject {
        Subject::Suite if ended => {
            let seconds = seconds().unwrap_or(event.elapsed.as_secs_f64());
            table.add(Series::StageSeconds(subject.name()), seconds);
        }
        Subject::Dataset | Subject::Check if ended => {
            if let Some(seconds) = seconds() {
                table.add(Series::StageSeconds(subject.name()), seconds);
            }
        }
        Subject::Assertion if ended || moment == Moment::Skip => {
            let severity = known(text("severity"), SEVERITIES, "none");
            table.add(Series::Assertions(outcome(), severity), 1.0);
        }
        _ => {}
    }
    let Some(name) = &event.processor else { return };
    match (subject, moment) {
        (Subject::Delivery, Moment::Retry) => {
            table.add(Series::DeliveryAttempts(Arc::clone(name)), 1.0);
        }
        (Subject::Delivery, Moment::Skip) => {
            table.add(Series::Deliveries(Arc::clone(name), outcome()), 1.0);
        }
        (Subject::Delivery, Moment::End | Moment::Error) => {
            table.add(Series::Deliveries(Arc::clone(name), outcome()), 1.0);
            table.add(Series::DeliveryAttempts(Arc::clone(name)), 1.0);
            if let Some(seconds) = seconds() {
                table.add(Series::StageSeconds(subject.name()), seconds);
                table.add(Series::DeliverySeconds(Arc::clone(name)), seconds);
            }
        }
        (Subject::Delivery, Moment::Dead) => {
            table.add(Series::DeadDeliveries(Arc::clone(name)), 1.0);
        }
        (Subject::Action, Moment::End | Moment::Error) => {
            let outcome = otherwise(moment);
            table.add(Series::Actions(Arc::clone(name), kind, outcome), 1.0);
        }
        (Subject::Processor, Moment::Error) => {
            table.add(Series::PluginErrors(Arc::clone(name)), 1.0);
        }
        _ => {}
    }
}

const SEVERITIES: &[&str] = &["P0", "P1", "P2", "P3"];

const TYPES: &[&str] = &["publish", "webhook", "log", "metric", "notify"];

const OUTCOMES: &[&str] = &[
    "passed",
    "failed",
    "not_evaluated",
    "error",
    "skipped",
    "delivered",
    "deferred",
    "disabled",
    "skipped_dependency",
    "breaker_open",
    "dead",
    "hung",
    "panicked",
    "crashed",
];

/// The outcome of what says none.
fn otherwise(moment: Moment) -> &'static str {
    match moment {
        Moment::Error => "error",
        Moment::Skip => "skipped",
        _ => "done",
    }
}

/// `text`, if it is one of `words`; `other` if it is none of them. What comes from data must
/// not become a label.
fn known(text: Option<&str>, words: &[&'static str], none: &'static str) -> &'static str {
    match text {
        Some(text) => words
            .iter()
            .find(|&&word| word == text)
            .copied()
            .unwrap_or("other"),
        None => none,
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
