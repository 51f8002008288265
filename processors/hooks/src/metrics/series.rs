//! The values that are kept, by what they are about.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use veracity_processor::{EventName, Metric, MetricKind};

/// The most series of a run.
pub(crate) const MOST_SERIES: usize = 2_000;

/// What a value is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Series {
    /// Events of a name.
    Events(EventName),
    /// Assertions by outcome and severity.
    Assertions(&'static str, &'static str),
    /// Seconds spent in a stage.
    StageSeconds(&'static str),
    /// Deliveries to a processor, by outcome.
    Deliveries(Arc<str>, &'static str),
    /// Seconds spent with deliveries to a processor.
    DeliverySeconds(Arc<str>),
    /// Attempts to deliver to a processor.
    DeliveryAttempts(Arc<str>),
    /// Deliveries to a processor that were given up.
    DeadDeliveries(Arc<str>),
    /// Attempts that were followed by another one, by what was attempted.
    Retries(&'static str),
    /// Actions by type and outcome, and who asked for them.
    Actions(Arc<str>, &'static str, &'static str),
    /// Errors in the life of a processor.
    PluginErrors(Arc<str>),
}

impl Series {
    /// Name, kind and help.
    fn family(&self) -> (&'static str, MetricKind, &'static str) {
        use MetricKind::{Counter, Gauge};
        match self {
            Self::Events(_) => (
                "veracity_events_total",
                Counter,
                "Events of the run by name.",
            ),
            Self::Assertions(..) => (
                "veracity_assertions_total",
                Counter,
                "Assertions of the run by outcome and severity.",
            ),
            Self::StageSeconds(_) => (
                "veracity_stage_seconds",
                Gauge,
                "Time the run spent in a stage, all of its parts together.",
            ),
            Self::Deliveries(..) => (
                "veracity_deliveries_total",
                Counter,
                "Deliveries of the run by processor and outcome.",
            ),
            Self::DeliverySeconds(_) => (
                "veracity_delivery_seconds",
                Gauge,
                "Time the run spent with deliveries to a processor.",
            ),
            Self::DeliveryAttempts(_) => (
                "veracity_delivery_attempts_total",
                Counter,
                "Attempts of the run to deliver to a processor.",
            ),
            Self::DeadDeliveries(_) => (
                "veracity_deliveries_dead_total",
                Counter,
                "Deliveries to a processor that the run gave up.",
            ),
            Self::Retries(_) => (
                "veracity_retries_total",
                Counter,
                "Attempts of the run that failed and were followed by another one.",
            ),
            Self::Actions(..) => (
                "veracity_actions_total",
                Counter,
                "What plugins asked for in the run, by plugin, type and outcome.",
            ),
            Self::PluginErrors(_) => (
                "veracity_plugin_errors_total",
                Counter,
                "Errors of a processor in the run, apart from deliveries.",
            ),
        }
    }

    fn labels(&self) -> Vec<(&'static str, String)> {
        let named = |name: &'static str, value: &str| (name, value.to_owned());
        match self {
            Self::Events(name) => vec![("event", name.to_string())],
            Self::Assertions(outcome, severity) => {
                vec![named("outcome", outcome), named("severity", severity)]
            }
            Self::StageSeconds(stage) | Self::Retries(stage) => vec![named("stage", stage)],
            Self::Deliveries(processor, outcome) => {
                vec![named("processor", processor), named("outcome", outcome)]
            }
            Self::DeliverySeconds(processor)
            | Self::DeliveryAttempts(processor)
            | Self::DeadDeliveries(processor)
            | Self::PluginErrors(processor) => vec![named("processor", processor)],
            Self::Actions(plugin, kind, outcome) => vec![
                named("plugin", plugin),
                named("type", kind),
                named("outcome", outcome),
            ],
        }
    }
}

/// The values of one run.
#[derive(Debug, Default)]
pub(crate) struct Table {
    values: HashMap<Series, Value>,
    /// Values that found no place.
    dropped: u64,
    stated: Option<u64>,
}

#[derive(Debug, Default)]
struct Value {
    value: f64,
    /// It grew since it was stated.
    fresh: bool,
}

impl Table {
    /// Adds `amount` to the value of `series`.
    pub(crate) fn add(&mut self, series: Series, amount: f64) {
        if let Some(value) = self.values.get_mut(&series) {
            value.value += amount;
            value.fresh = true;
        } else if self.values.len() < MOST_SERIES {
            let fresh = true;
            self.values.insert(
                series,
                Value {
                    value: amount,
                    fresh,
                },
            );
        } else {
            self.dropped += 1;
        }
    }

    /// The values that changed since they were stated last, for the suite called `suite`,
    /// by name and labels.
    pub(crate) fn state(&mut self, suite: &str) -> Vec<Metric> {
        let mut metrics = Vec::new();
        let mut push = |family: (&str, MetricKind, &str), labels, value| {
            let (name, kind, help) = family;
            let mut labels: BTreeMap<String, String> = labels;
            labels.insert("suite".to_owned(), suite.to_owned());
            metrics.push(Metric {
                name: name.to_owned(),
                value,
                kind,
                help: help.to_owned(),
                labels,
            });
        };
        for (series, value) in self.values.iter_mut().filter(|(_, value)| value.fresh) {
            value.fresh = false;
            let labels = series.labels().into_iter();
            let labels = labels.map(|(name, value)| (name.to_owned(), value));
            push(series.family(), labels.collect(), value.value);
        }
        if self.stated != Some(self.dropped) {
            self.stated = Some(self.dropped);
            let help = "Values of the run that were left out because there are too many series.";
            let family = ("veracity_hook_metrics_dropped", MetricKind::Gauge, help);
            push(family, BTreeMap::new(), self.dropped as f64);
        }
        metrics.sort_by(|a, b| (&a.name, &a.labels).cmp(&(&b.name, &b.labels)));
        metrics
    }
}
