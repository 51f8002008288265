//! A report as rows.

use veracity_processor::{AssertionResult, Report, Symbol};

use crate::value::{date, finite, int, json, key, list, moment, number, shown, text, word};

/// The value of one column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Text(Option<String>),
    Int(Option<i64>),
    Float(Option<f64>),
}

impl Cell {
    /// About how many bytes it takes in a statement.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Cell::Text(text) => 8 + text.as_ref().map_or(0, String::len),
            Cell::Int(_) | Cell::Float(_) => 16,
        }
    }
}

fn given(text: impl Into<String>) -> Cell {
    Cell::Text(Some(text.into()))
}

fn count(number: u64) -> Cell {
    Cell::Int(Some(int(number)))
}

fn maybe(value: Option<&String>) -> Cell {
    Cell::Text(value.map(|value| text(value)))
}

/// The row of the run, in the order of [`RUNS`](crate::tables::RUNS).
pub(crate) fn run(report: &Report) -> Vec<Cell> {
    let (run, summary) = (&report.run, &report.summary);
    vec![
        given(run.id.to_string()),
        given(key(&run.suite)),
        Cell::Text(date(&run.key.date)),
        given(json(&run.key.tags)),
        Cell::Text(moment(&run.started_at)),
        Cell::Text(moment(&run.finished_at)),
        count(run.duration_ms),
        given(word(&report.verdict)),
        count(summary.declared),
        count(summary.passed),
        count(summary.failed),
        count(summary.not_evaluated),
        count(summary.error),
        count(summary.skipped),
        given(key(&run.engine.version)),
        given(key(&run.engine.compute)),
        maybe(run.interrupted.as_ref()),
        given(list(&report.warnings)),
        given(list(&report.datasets)),
    ]
}

/// The row of a result, in the order of [`RESULTS`](crate::tables::RESULTS).
pub(crate) fn result(run_id: &str, position: usize, result: &AssertionResult) -> Vec<Cell> {
    let location = result.location.as_ref();
    vec![
        given(run_id),
        count(position as u64),
        given(text(&result.check)),
        given(text(&result.assertion)),
        given(text(&result.dataset)),
        given(word(&result.severity)),
        given(list(&result.tags)),
        given(word(&result.status)),
        given(text(&result.expression)),
        Cell::Text(result.actual.as_ref().map(shown)),
        maybe(result.expected.as_ref()),
        maybe(result.reason.as_ref()),
        given(list(&result.symbols)),
        Cell::Text(result.group.as_ref().map(json)),
        Cell::Int(result.violations.map(int)),
        maybe(location.map(|location| &location.file)),
        Cell::Int(location.map(|location| location.line.into())),
        Cell::Int(location.map(|location| location.column.into())),
    ]
}

/// The row of a symbol, in the order of [`SYMBOLS`](crate::tables::SYMBOLS).
pub(crate) fn symbol(run_id: &str, position: usize, symbol: &Symbol) -> Vec<Cell> {
    let kind = symbol.r#type.as_deref();
    vec![
        given(run_id),
        count(position as u64),
        given(key(&symbol.name)),
        given(text(&symbol.metric)),
        given(text(&symbol.dataset)),
        Cell::Text(symbol.value.as_ref().map(shown)),
        Cell::Float(number(symbol.value.as_ref(), kind)),
        Cell::Text(kind.map(key)),
        given(word(&symbol.status)),
        maybe(symbol.error.as_ref()),
        Cell::Text(date(&symbol.date)),
        Cell::Int(Some(symbol.exact.into())),
        maybe(symbol.precision.as_ref()),
        Cell::Text(symbol.origin.as_deref().map(key)),
        Cell::Float(finite(symbol.availability)),
    ]
}
