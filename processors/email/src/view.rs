//! What a template can show: texts of bounded length, safe to print.

use serde::Serialize;
use serde_json::Value;
use veracity_processor::{AssertionResult, Report, Status, Summary, Verdict, printable};

use crate::recipients::Group;

/// Characters of a name, and of a longer text.
const NAME: usize = 120;
const TEXT: usize = 400;
/// Entries of lists other than that of the results.
const ENTRIES: usize = 10;

/// A report as a mail shows it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct View {
    #[serde(flatten)]
    pub(crate) about: About,
    /// Whether the recipients get only a choice of the results.
    chosen: bool,
    results: Vec<Outcome>,
    /// How many more did not pass.
    more: usize,
    /// Datasets that could not be read.
    datasets: Vec<Unreadable>,
    warnings: Vec<String>,
    more_warnings: usize,
}

/// What can stand in a subject: nothing that comes from data.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct About {
    /// `FAILED`.
    state: String,
    /// `failed`.
    pub(crate) status: &'static str,
    pub(crate) suite: String,
    date: String,
    tags: Vec<Tag>,
    /// `1 of 3 failed`.
    counts: String,
    summary: Summary,
    run: String,
    finished_at: String,
    duration: String,
    interrupted: Option<String>,
    /// The severity of the worst result that failed.
    severity: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
struct Tag {
    name: String,
    value: String,
}

/// A result that did not pass.
#[derive(Debug, Clone, Serialize)]
struct Outcome {
    status: String,
    severity: String,
    check: String,
    assertion: String,
    dataset: String,
    tags: Vec<String>,
    /// If it says more than the name.
    expression: Option<String>,
    actual: Option<String>,
    expected: Option<String>,
    violations: Option<u64>,
    group: Option<String>,
    reason: Option<String>,
    symbols: Vec<Measured>,
    location: Option<String>,
}

/// A metric and its value.
#[derive(Debug, Clone, Serialize)]
struct Measured {
    metric: String,
    value: String,
}

#[derive(Debug, Clone, Serialize)]
struct Unreadable {
    name: String,
    error: String,
}

impl View {
    /// What `group` is shown of `report`: at most `max_results` results, the most severe
    /// first.
    pub(crate) fn of(report: &Report, group: &Group<'_>, max_results: usize) -> Self {
        let mut results = group.results.clone();
        results.sort_by_key(|result| (std::cmp::Reverse(result.severity), rank(result.status)));
        let severity = results
            .iter()
            .find(|result| result.status == Status::Failed);
        let severity = severity.map(|result| result.severity.to_string());
        let unreadable = report.datasets.iter().filter_map(|dataset| {
            Some(Unreadable {
                name: clip(&dataset.name, NAME),
                error: clip(dataset.error.as_deref()?, TEXT),
            })
        });
        let shown = results.iter().take(max_results);
        let warnings = report.warnings.iter().take(ENTRIES);
        Self {
            about: About::of(report, severity),
            chosen: group.chosen,
            results: shown.map(|result| Outcome::of(result, report)).collect(),
            more: results.len().saturating_sub(max_results),
            datasets: unreadable.take(ENTRIES).collect(),
            warnings: warnings.map(|warning| clip(warning, TEXT)).collect(),
            more_warnings: report.warnings.len().saturating_sub(ENTRIES),
        }
    }

    /// Shows half of the results; `false` if none was left.
    pub(crate) fn halve(&mut self) -> bool {
        let shown = self.results.len();
        self.results.truncate(shown / 2);
        self.more += shown - shown / 2;
        shown > 0
    }
}

impl About {
    fn of(report: &Report, severity: Option<String>) -> Self {
        let run = &report.run;
        let tags = run.key.tags.iter().take(ENTRIES);
        Self {
            state: report.verdict.to_string().to_uppercase(),
            status: match report.verdict {
                Verdict::Passed => "passed",
                Verdict::Failed => "failed",
                _ => "not_evaluated",
            },
            suite: clip(&run.suite, NAME),
            date: clip(&run.key.date, NAME),
            tags: tags
                .map(|(name, value)| Tag {
                    name: clip(name, NAME),
                    value: clip(value, NAME),
                })
                .collect(),
            counts: counts(report),
            summary: report.summary,
            run: run.id.to_string(),
            finished_at: clip(&run.finished_at, NAME),
            duration: duration(run.duration_ms),
            interrupted: run.interrupted.as_deref().map(|reason| clip(reason, TEXT)),
            severity,
        }
    }
}

impl Outcome {
    fn of(result: &AssertionResult, report: &Report) -> Self {
        let expression = (result.expression != result.assertion).then_some(&result.expression);
        // Without a value of its own, those it was computed from explain it.
        let symbols = match (&result.actual, result.status) {
            (None, Status::Failed) => result.symbols.as_slice(),
            _ => &[],
        };
        let symbols = symbols.iter().filter_map(|name| report.symbol(name));
        let measured = symbols.map(|symbol| Measured {
            metric: clip(&symbol.metric, NAME),
            value: symbol.value.as_ref().map_or("undefined".to_owned(), value),
        });
        let tags = result.tags.iter().take(ENTRIES);
        Self {
            status: result.status.to_string(),
            severity: result.severity.to_string(),
            check: clip(&result.check, NAME),
            assertion: clip(&result.assertion, TEXT),
            dataset: clip(&result.dataset, NAME),
            tags: tags.map(|tag| clip(tag, NAME)).collect(),
            expression: expression.map(|text| clip(text, TEXT)),
            actual: result.actual.as_ref().map(value),
            expected: result.expected.as_deref().map(|text| clip(text, NAME)),
            violations: result.violations,
            group: result.group.as_ref().map(value),
            reason: result.reason.as_deref().map(|text| clip(text, TEXT)),
            symbols: measured.take(5).collect(),
            location: result
                .location
                .as_ref()
                .map(|at| clip(&at.to_string(), NAME)),
        }
    }
}

/// Failures first, then what needs repair, then what is unknown.
fn rank(status: Status) -> u8 {
    match status {
        Status::Failed => 0,
        Status::Error => 1,
        _ => 2,
    }
}

/// `1 of 3 failed, 1 in error`.
fn counts(report: &Report) -> String {
    let Summary {
        declared,
        passed,
        failed,
        not_evaluated,
        error,
        ..
    } = report.summary;
    let mut parts = vec![
        (failed, "failed"),
        (error, "in error"),
        (not_evaluated, "not evaluated"),
    ];
    if report.verdict == Verdict::Passed {
        parts.insert(0, (passed, "passed"));
    }
    parts.retain(|(count, _)| *count > 0);
    let mut text = match parts.first() {
        Some((count, what)) => format!("{count} of {declared} {what}"),
        None if declared == 0 => "no assertions".to_owned(),
        None => format!("{passed} of {declared} passed"),
    };
    for (count, what) in parts.iter().skip(1) {
        text.push_str(&format!(", {count} {what}"));
    }
    if report.run.interrupted.is_some() {
        text.push_str(", interrupted");
    }
    text
}

/// `412 ms`, `4.1 s`, `3 min 5 s`.
fn duration(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{:.1} s", ms as f64 / 1000.0),
        _ => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1000),
    }
}

/// A value, or the fields of a group: `carrier = AA`.
fn value(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| match value {
                Value::String(text) => format!("{name} = {text}"),
                value => format!("{name} = {value}"),
            });
            fields.collect::<Vec<_>>().join(", ")
        }
        value => value.to_string(),
    };
    clip(&text, NAME)
}

/// `text`, safe to print, of at most `length` characters.
fn clip(text: &str, length: usize) -> String {
    // Printing never makes a text shorter, so no more than this can be shown.
    let start: String = text.chars().take(length + 1).collect();
    let shown = printable(&start);
    if shown.chars().count() <= length {
        return shown.into_owned();
    }
    shown.chars().take(length - 1).chain(['…']).collect()
}
