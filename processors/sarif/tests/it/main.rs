//! The `sarif` processor, and what it writes.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod hostile;
mod logs;
mod processor;
mod schema;

use serde_json::Value;
use veracity_processor::{
    AssertionResult, Location, Report, Severity, Status, Summary, sample_report,
};
use veracity_sarif::{Options, render};

/// A result of `status` and `severity`.
fn result(status: Status, severity: Severity) -> AssertionResult {
    let mut result = AssertionResult::new("keys", format!("{status} {severity}"));
    result.dataset = "orders".into();
    result.expression = "uniqueness(id) = 1".into();
    result.location = Some(Location {
        file: "checks/orders.yaml".into(),
        line: 12,
        column: 7,
    });
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

/// The log about `report`, which fits the schema of SARIF.
fn log(report: &Report, include_passed: bool) -> Value {
    let bytes = render(report, &Options { include_passed });
    let log = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(schema::faults(&log), Vec::<String>::new());
    log
}

/// The only run of `log`.
fn run(log: &Value) -> &Value {
    assert_eq!(log["runs"].as_array().unwrap().len(), 1);
    &log["runs"][0]
}
