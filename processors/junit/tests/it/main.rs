//! The `junit` processor, and what it writes.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod documents;
mod format;
mod hostile;
mod processor;
mod xml;

use veracity_processor::{AssertionResult, Report, Severity, Status, Summary, sample_report};

/// Every status.
const STATUSES: [Status; 5] = [
    Status::Passed,
    Status::Failed,
    Status::NotEvaluated,
    Status::Error,
    Status::Skipped,
];

/// A result of `status` and `severity`.
fn result(status: Status, severity: Severity) -> AssertionResult {
    let mut result = AssertionResult::new("keys", format!("{status} {severity}"));
    result.dataset = "orders".into();
    result.expression = "uniqueness(id) = 1".into();
    (result.status, result.severity) = (status, severity);
    result
}

/// The sample run with `results`.
fn report(results: Vec<AssertionResult>) -> Report {
    let mut report = sample_report();
    report.summary = Summary::of(&results);
    report.results = results;
    report.symbols.clear();
    report.warnings.clear();
    report
}
