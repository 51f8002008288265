//! The metrics of a run.

use veracity_processor::{Argument, Metric, MetricKind, Report, Symbol, SymbolStatus};

use crate::history::History;
use crate::series::{Collection, Refused};

/// Everything that is shown of the run of `report`: at most `max_series` series, the most
/// important first. `stated` is what hooks and plugins measured; `group` are labels that a
/// gateway puts to all of it.
pub fn of(
    report: &Report,
    history: &History,
    stated: &[Metric],
    group: &[(String, String)],
    max_series: usize,
) -> Collection {
    // Two say how it ends.
    let mut all = Collection::new(max_series.saturating_sub(2));
    let suite = report.run.suite.as_str();
    run(report, history, &mut all);
    for dataset in &report.datasets {
        let labels = [("suite", suite), ("dataset", &dataset.name)];
        if let Some(rows) = dataset.rows {
            add(&mut all, DATASET_ROWS, &labels, rows as f64);
        }
        add(&mut all, DATASET_SCANS, &labels, dataset.scans as f64);
    }
    for metric in stated {
        state(metric, suite, group, &mut all);
    }
    for symbol in &report.symbols {
        show(symbol, suite, &mut all);
    }
    let dropped = all.dropped as f64;
    all.add_last(DROPPED, &[("suite", suite)], dropped);
    // With the suite: files of two suites must not hold the same series.
    let build = [("suite", suite), ("version", env!("CARGO_PKG_VERSION"))];
    all.add_last(BUILD_INFO, &build, 1.0);
    all
}

/// The metrics that nobody else may state.
const OURS: [About; 9] = [
    LAST_SUCCESS,
    LAST_COMPLETION,
    DURATION,
    ASSERTIONS,
    DATASET_ROWS,
    DATASET_SCANS,
    SYMBOL_VALUE,
    DROPPED,
    BUILD_INFO,
];

type About = (&'static str, MetricKind, &'static str);

const LAST_SUCCESS: About = (
    "veracity_run_last_success_timestamp_seconds",
    MetricKind::Gauge,
    "Unix time at which the suite last completed with the verdict passed.",
);
const LAST_COMPLETION: About = (
    "veracity_run_last_completion_timestamp_seconds",
    MetricKind::Gauge,
    "Unix time at which the suite last completed, passed or not.",
);
const DURATION: About = (
    "veracity_run_duration_seconds",
    MetricKind::Gauge,
    "Wall time of the last run.",
);
const ASSERTIONS: About = (
    "veracity_assertions",
    MetricKind::Gauge,
    "Number of assertions in the last run by result.",
);
const DATASET_ROWS: About = (
    "veracity_dataset_rows",
    MetricKind::Gauge,
    "Rows of a dataset in the last run.",
);
const DATASET_SCANS: About = (
    "veracity_dataset_scans",
    MetricKind::Gauge,
    "How often the data of a dataset was read in the last run.",
);
const SYMBOL_VALUE: About = (
    "veracity_symbol_value",
    MetricKind::Gauge,
    "Last value of a symbol; NaN if it is undefined.",
);
const DROPPED: About = (
    "veracity_metrics_dropped",
    MetricKind::Gauge,
    "Series that were left out of this, because there were too many or they were not fit to be shown.",
);
const BUILD_INFO: About = (
    "veracity_build_info",
    MetricKind::Gauge,
    "Always 1; the version is a label.",
);

/// Adds a series of which there is one; a name that comes twice says the same twice.
fn add(all: &mut Collection, about: About, labels: &[(&str, &str)], value: f64) {
    let _ = all.add(about, labels, value);
}

fn run(report: &Report, history: &History, all: &mut Collection) {
    let suite = ("suite", report.run.suite.as_str());
    if let Some(time) = history.success {
        add(all, LAST_SUCCESS, &[suite], time);
    }
    if let Some(time) = history.completion {
        add(all, LAST_COMPLETION, &[suite], time);
    }
    add(
        all,
        DURATION,
        &[suite],
        report.run.duration_ms as f64 / 1000.0,
    );
    let summary = &report.summary;
    let counts = [
        ("passed", summary.passed),
        ("failed", summary.failed),
        ("not_evaluated", summary.not_evaluated),
        ("error", summary.error),
        ("skipped", summary.skipped),
    ];
    for (result, count) in counts {
        add(all, ASSERTIONS, &[suite, ("result", result)], count as f64);
    }
}

/// Adds `metric`, with the suite among its labels. Labels that something on the way puts
/// there are called `exported_..`, as Prometheus does it.
fn state(metric: &Metric, suite: &str, group: &[(String, String)], all: &mut Collection) {
    let given = |name: &str| match name {
        "suite" => Some(suite),
        "job" | "instance" => Some(""),
        name => {
            let mut group = group.iter();
            group
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.as_str())
        }
    };
    let renamed = metric.labels.iter().map(|(name, value)| match given(name) {
        Some(given) if given != value => (format!("exported_{name}"), value.as_str()),
        _ => (name.clone(), value.as_str()),
    });
    let renamed: Vec<(String, &str)> = renamed.collect();
    let labels = renamed.iter().map(|(name, value)| (name.as_str(), *value));
    let labels: Vec<(&str, &str)> = labels.chain([("suite", suite)]).collect();
    if OURS.iter().any(|(name, ..)| *name == metric.name) {
        all.dropped += 1;
        return;
    }
    let help = match metric.help.is_empty() {
        true => "Stated by a plugin.",
        false => &metric.help,
    };
    // The last value stated counts.
    all.set((&metric.name, metric.kind, help), &labels, metric.value);
}

/// Adds the value of `symbol`. Its labels are its metric and column where it is a simple
/// call: `x_7` is another symbol as soon as the suite changes. Anything else would put
/// SQL into labels, so it is `x_7` there.
fn show(symbol: &Symbol, suite: &str, all: &mut Collection) {
    let value = match (symbol.status, symbol.number()) {
        (_, Some(value)) => value,
        (SymbolStatus::Ok, None) => return,
        // What is undefined and no number would have been no number either.
        _ if symbol.r#type.is_some() && !symbol.is_numeric() => return,
        _ => f64::NAN,
    };
    let known = Known::of(symbol);
    let mut labels = vec![("suite", suite), ("dataset", &*known.dataset)];
    if let Some(metric) = &known.metric {
        labels.push(("metric", metric));
    }
    if let Some(column) = &known.column {
        labels.push(("column", column));
    }
    let name = known.name.as_deref().unwrap_or(&symbol.name);
    let named: Vec<_> = labels.iter().copied().chain([("symbol", name)]).collect();
    if let Err(Refused::Known(_)) = all.add(SYMBOL_VALUE, &named, value) {
        labels.push(("symbol", &symbol.name));
        if let Err(Refused::Known(_)) = all.add(SYMBOL_VALUE, &labels, value) {
            all.dropped += 1;
        }
    }
}

/// What of a symbol may be shown.
struct Known {
    dataset: String,
    metric: Option<String>,
    column: Option<String>,
    name: Option<String>,
}

impl Known {
    fn of(symbol: &Symbol) -> Self {
        let mut known = Self {
            dataset: symbol.dataset.clone(),
            metric: None,
            column: None,
            name: None,
        };
        let Some(call) = symbol.call() else {
            known.metric = called(&symbol.metric);
            return known;
        };
        known.name = match &*call.arguments {
            [] => Some(call.name.clone()),
            [
                Argument::Column {
                    dataset: None,
                    name,
                },
            ] if call.name == "row_count" => {
                known.dataset.clone_from(name);
                Some(call.name.clone())
            }
            [Argument::Column { name, .. }] => {
                known.column = Some(name.clone());
                Some(format!("{name}_{}", call.name))
            }
            [Argument::Column { name, .. }, Argument::Number(number)]
                if call.name.ends_with("quantile") =>
            {
                known.column = Some(name.clone());
                let number = number.parse::<f64>().unwrap_or(f64::NAN);
                Some(format!("{name}_{}_{number}", call.name))
            }
            _ => None,
        };
        known.metric = Some(call.name);
        known
    }
}

/// The name of the metric that `text` calls with something that is not shown.
fn called(text: &str) -> Option<String> {
    let name = text.split('(').next()?.trim().to_ascii_lowercase();
    let is_plain = name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    (is_plain && text.contains('(')).then_some(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn labels(metric: &str) -> String {
        let mut symbol = Symbol::new("x_7", metric, "orders");
        symbol.value = Some(json!(1));
        symbol.status = SymbolStatus::Ok;
        let mut all = Collection::new(9);
        show(&symbol, "s", &mut all);
        let labels = &all.families()[0].samples[0].0;
        let labels = labels.iter().filter(|(name, _)| *name != "suite");
        labels
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn symbols_are_called_by_metric_and_column_and_never_by_sql() {
        let cases = [
            (
                "row_count()",
                "dataset=orders metric=row_count symbol=row_count",
            ),
            (
                "row_count(staging)",
                "dataset=staging metric=row_count symbol=row_count",
            ),
            (
                "MAX(\"Two Words\")",
                "column=Two Words dataset=orders metric=max symbol=Two Words_max",
            ),
            (
                "quantile(x, 0.50)",
                "column=x dataset=orders metric=quantile symbol=x_quantile_0.5",
            ),
            (
                "count_values(x, 1)",
                "dataset=orders metric=count_values symbol=x_7",
            ),
            (
                "count_values(x, 'anna')",
                "dataset=orders metric=count_values symbol=x_7",
            ),
            (
                "uniqueness(a, b)",
                "dataset=orders metric=uniqueness symbol=x_7",
            ),
            (
                "violations(name = 'anna')",
                "dataset=orders metric=violations symbol=x_7",
            ),
            (
                "max(x) FILTER (WHERE name = 'anna')",
                "dataset=orders metric=max symbol=x_7",
            ),
            ("'anna' || (x)", "dataset=orders symbol=x_7"),
            ("anna", "dataset=orders symbol=x_7"),
        ];
        for (metric, expected) in cases {
            assert_eq!(labels(metric), expected, "{metric}");
        }
    }

    #[test]
    fn symbols_that_would_look_alike_keep_their_numbers() {
        let mut all = Collection::new(9);
        for (name, metric) in [("x_1", "max(a)"), ("x_2", "MAX( a )"), ("x_2", "MAX(a)")] {
            let mut symbol = Symbol::new(name, metric, "t");
            (symbol.value, symbol.status) = (Some(json!(1)), SymbolStatus::Ok);
            show(&symbol, "s", &mut all);
        }
        let samples = &all.families()[0].samples;
        let names: Vec<&str> = samples
            .iter()
            .map(|(labels, _)| &*labels["symbol"])
            .collect();
        assert_eq!((names, all.dropped), (vec!["a_max", "x_2"], 1));
    }

    #[test]
    fn only_numbers_are_values() {
        let value = |status, value, kind: Option<&str>| {
            let mut symbol = Symbol::new("x_1", "max(a)", "t");
            (symbol.status, symbol.value, symbol.r#type) = (status, value, kind.map(str::to_owned));
            let mut all = Collection::new(9);
            show(&symbol, "s", &mut all);
            let family = all.families().first()?;
            Some(family.samples[0].1.to_string())
        };
        use SymbolStatus::{Error, Ok, Undefined};
        let cases = [
            (
                "a decimal",
                Ok,
                Some(json!("1.50")),
                Some("Decimal128(9, 2)"),
                Some("1.5"),
            ),
            (
                "an infinity",
                Ok,
                Some(json!("inf")),
                Some("Float64"),
                Some("inf"),
            ),
            (
                "a text like a number",
                Ok,
                Some(json!("123")),
                Some("Utf8"),
                None,
            ),
            (
                "a date",
                Ok,
                Some(json!("2026-11-20")),
                Some("Date32"),
                None,
            ),
            (
                "a truth value",
                Ok,
                Some(json!(true)),
                Some("Boolean"),
                None,
            ),
            ("undefined", Undefined, None, None, Some("NaN")),
            ("in error", Error, None, Some("Int64"), Some("NaN")),
            ("an undefined text", Undefined, None, Some("Utf8"), None),
        ];
        for (label, status, text, kind, expected) in cases {
            assert_eq!(value(status, text, kind).as_deref(), expected, "{label}");
        }
    }

    fn metric(name: &str, labels: &[(&str, &str)]) -> Metric {
        Metric {
            name: name.to_owned(),
            value: 1.0,
            kind: MetricKind::Counter,
            help: String::new(),
            labels: labels
                .iter()
                .map(|&(name, value)| (name.into(), value.into()))
                .collect(),
        }
    }

    #[test]
    fn what_plugins_state_cannot_take_the_place_of_other_labels_or_metrics() {
        let mut all = Collection::new(9);
        let group = [("env".to_owned(), "prod".to_owned())];
        for metric in [
            metric("a_total", &[("job", "x"), ("instance", "y")]),
            metric("a_total", &[("suite", "s"), ("k", "1")]),
            metric("a_total", &[("suite", "other"), ("env", "prod")]),
            metric("a_total", &[("suite", "s"), ("env", "test")]),
            metric("veracity_assertions", &[]),
        ] {
            state(&metric, "s", &group, &mut all);
        }
        let samples = &all.families()[0].samples;
        let found: Vec<String> = samples
            .iter()
            .map(|(labels, _)| format!("{labels:?}"))
            .collect();
        let expected = [
            r#"{"exported_instance": "y", "exported_job": "x", "suite": "s"}"#,
            r#"{"k": "1", "suite": "s"}"#,
            r#"{"env": "prod", "exported_suite": "other", "suite": "s"}"#,
            r#"{"exported_env": "test", "suite": "s"}"#,
        ];
        assert_eq!(
            (found.as_slice(), all.dropped),
            (expected.map(str::to_owned).as_slice(), 1)
        );
    }
}
