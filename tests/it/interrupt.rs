//! A run that takes too long, or is told to end, ends with a report.

use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::array::{ArrayRef, Int64Array};
use datafusion::arrow::record_batch::RecordBatch;
use veracity::engine::EngineBuilder;
use veracity::prelude::*;

use crate::{block_on, statuses};

/// Far more than any of these runs needs, far less than the cross join takes.
const SOON: Duration = Duration::from_secs(10);

fn suite() -> VerificationSuite {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..20_000));
    let rows = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
    VerificationSuite::builder("endless")
        .dataset(Dataset::batches("small", vec![rows]))
        .dataset(Dataset::sql(
            "endless",
            "select a.n * b.n % 7 + c.n as n from small a cross join small b cross join small c",
        ))
        .check(
            Check::new("soon known")
                .dataset("small")
                .assert("row_count() = 20000")
                .assert("max(n) = 0")
                .assert("max(m) = 0"),
        )
        .check(
            Check::new("never known")
                .dataset("endless")
                .assert("sum(n) > 0")
                .assert("max(n) - max(small.n) > 0"),
        )
        .build()
        .unwrap()
}

fn short() -> VerificationSuite {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let rows = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
    VerificationSuite::builder("short")
        .dataset(Dataset::batches("d", vec![rows]))
        .check(Check::new("c").assert("max(n) = 2"))
        .build()
        .unwrap()
}

fn assert_interrupted(report: &Report, reason: &str) {
    let interrupted = report.run.interrupted.as_deref().unwrap_or_default();
    assert!(interrupted.contains(reason), "{interrupted}");
    assert_eq!(
        statuses(report),
        [
            Status::Passed,
            Status::Failed,
            Status::Error,
            Status::Skipped,
            Status::Skipped
        ]
    );
    for result in &report.results[2..] {
        assert!(result.reason.is_some(), "{}", result.expression);
    }
    let summary = report.summary;
    assert_eq!(summary.declared, 5);
    assert_eq!(
        summary.declared,
        summary.passed + summary.failed + summary.not_evaluated + summary.error + summary.skipped
    );
    assert_ne!(report.verdict, Verdict::Passed);
}

fn run(engine: &Engine) -> Report {
    let started = Instant::now();
    let report = block_on(suite().run(engine));
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    report
}

fn builder() -> EngineBuilder {
    Engine::builder().cores(2)
}

#[test]
fn a_time_limit_ends_a_run_with_what_is_known() {
    let engine = builder()
        .time_limit(Duration::from_secs(2))
        .build()
        .unwrap();
    assert_interrupted(&run(&engine), "time limit");
}

#[test]
fn an_interrupt_ends_a_run_with_what_is_known() {
    let engine = builder().build().unwrap();
    let interrupt = engine.interrupt();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(2));
        interrupt.interrupt("Ctrl-C");
    });
    assert_interrupted(&run(&engine), "Ctrl-C");
}

#[test]
fn an_interrupt_before_the_run_skips_it() {
    let engine = builder().build().unwrap();
    engine.interrupt().interrupt("not today");
    let report = run(&engine);
    assert_eq!(report.run.interrupted.as_deref(), Some("not today"));
    assert_eq!(report.summary.declared, 5);
    assert_eq!(report.summary.passed, 0);
    assert_ne!(report.verdict, Verdict::Passed);
}

#[test]
fn a_run_that_was_ended_leaves_the_threads_to_the_next() {
    let engine = Engine::builder()
        .cores(1)
        .time_limit(Duration::from_secs(4))
        .build()
        .unwrap();
    assert!(run(&engine).run.interrupted.is_some());
    let report = block_on(short().run(&engine));
    assert!(report.passed(), "{:?}", report.run.interrupted);
}

#[test]
fn a_time_limit_that_is_not_reached_changes_nothing() {
    let engine = builder()
        .time_limit(Duration::from_secs(600))
        .build()
        .unwrap();
    let report = block_on(short().run(&engine));
    assert!(report.passed());
    assert_eq!(report.run.interrupted, None);
}
