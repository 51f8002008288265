//! The `markdown` processor, and what it writes.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod commands;
mod hostile;
mod pages;
mod parsed;
mod processor;
mod step_summary;

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use veracity_processor::{
    AssertionResult, Location, ProcessContext, Report, Severity, Status, Summary, sample_report,
};

const KEY: &str = "6f1c02d7-3b6e-5a4c-8d2e-000000000002";

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
    result.location = Some(Location {
        file: "./checks/orders.yaml".into(),
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
    report.datasets.clear();
    report
}

fn context() -> ProcessContext {
    ProcessContext::new("markdown", KEY, Duration::from_secs(30))
}

/// What was written, to be looked at later.
#[derive(Debug, Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
