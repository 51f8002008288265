//! What those who watch a run are told: complete and in order, whatever the suite.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use datafusion::arrow::array::{ArrayRef, Int64Array};
use datafusion::arrow::record_batch::RecordBatch;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;
use veracity::prelude::*;
use veracity_processor::{Event, EventName, EventSink, Moment, Subject};

use crate::block_on;

/// Remembers all that it is told.
#[derive(Default)]
struct Recorder(Mutex<Vec<Event>>);

impl EventSink for Recorder {
    fn wants(&self, _: EventName) -> bool {
        true
    }

    fn emit(&self, events: Vec<Event>) {
        self.0.lock().unwrap().extend(events);
    }
}

/// What a suite is made of: for each dataset whether it is there, for each check its dataset
/// and which of [`ASSERTIONS`] it has.
type Shape = (Vec<bool>, Vec<(usize, Vec<usize>)>);

const ASSERTIONS: [&str; 6] = [
    "row_count() = 3",
    "max(n) < 0",
    "avg(n) / 0 > 1",
    "max(no_such_column) = 1",
    "uniqueness(n) = 1",
    "n in (1, 2, 3)",
];

fn suite((datasets, checks): &Shape) -> VerificationSuite {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let rows = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
    let mut suite = VerificationSuite::builder("random");
    for (number, there) in datasets.iter().enumerate() {
        let name = format!("d{number}");
        suite = suite.dataset(match there {
            true => Dataset::batches(name, vec![rows.clone()]),
            false => Dataset::path(name, "no/such/file.parquet").into(),
        });
    }
    for (number, (dataset, assertions)) in checks.iter().enumerate() {
        let dataset = format!("d{}", dataset % datasets.len());
        let mut check = Check::new(format!("c{number}")).dataset(dataset);
        for &assertion in assertions {
            check = check.assert(ASSERTIONS[assertion]);
        }
        suite = suite.check(check);
    }
    suite.build().unwrap()
}

fn shapes() -> impl Strategy<Value = Shape> {
    let assertions =
        proptest::sample::subsequence((0..ASSERTIONS.len()).collect::<Vec<_>>(), 1..=4);
    (
        prop::collection::vec(prop::bool::weighted(0.8), 1..4),
        prop::collection::vec((0..4_usize, assertions), 1..5),
    )
}

fn watched(suite: &VerificationSuite, engine: &Engine) -> (Report, Vec<Event>) {
    let recorder = Arc::new(Recorder::default());
    let upcoming = engine.upcoming(suite);
    let sink = Arc::clone(&recorder) as Arc<dyn EventSink>;
    let report = block_on(engine.run_upcoming(suite, &upcoming, Some(sink)));
    let events = recorder.0.lock().unwrap().clone();
    (report, events)
}

/// What an event is about.
fn about(event: &Event) -> (Subject, Option<String>, Option<String>, Option<String>) {
    let text = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
    let dataset = match event.name.subject {
        Subject::Dataset => text(&event.dataset),
        _ => None,
    };
    (
        event.name.subject,
        dataset,
        text(&event.check),
        text(&event.assertion),
    )
}

/// Every start has exactly one end or error after it, and what was skipped has no other.
fn assert_complete(events: &[Event]) {
    let mut open = BTreeMap::new();
    let mut told = BTreeMap::new();
    for event in events {
        let about = about(event);
        let shown = format!("{} {about:?}", event.name);
        match event.name.moment {
            Moment::Start => {
                assert!(!told.contains_key(&about), "{shown} began twice");
                open.insert(about, ());
            }
            Moment::End | Moment::Error => {
                assert!(open.remove(&about).is_some(), "{shown} without a start");
                told.insert(about, ());
            }
            Moment::Skip => {
                assert!(!open.contains_key(&about), "{shown} after a start");
                assert!(
                    told.insert(about, ()).is_none(),
                    "{shown} was told of before"
                );
            }
            other => panic!("{shown}: {other:?} is not for a run"),
        }
    }
    assert!(open.is_empty(), "without an end: {open:?}");
    let elapsed: Vec<Duration> = events.iter().map(|event| event.elapsed).collect();
    assert!(elapsed.is_sorted(), "out of order: {elapsed:?}");
}

/// What the events say is what the report says.
fn assert_equal(events: &[Event], report: &Report) {
    let ended = |event: &&Event| {
        event.name.subject == Subject::Assertion && event.name.moment != Moment::Start
    };
    let ended: Vec<&Event> = events.iter().filter(ended).collect();
    assert_eq!(ended.len(), report.results.len());
    for (event, result) in ended.iter().zip(&report.results) {
        assert_eq!(event.assertion.as_deref(), Some(&*result.assertion));
        let status = serde_json::to_value(result.status).unwrap();
        assert_eq!(event.field("outcome"), Some(status), "{}", result.assertion);
        assert_eq!(event.field("actual"), result.actual, "{}", result.assertion);
        assert_eq!(event.run.id, report.run.id);
    }
    let (first, last) = (&events[0], &events[events.len() - 1]);
    assert_eq!(first.name.to_string(), "suite.start");
    assert_eq!(last.name.subject, Subject::Suite);
    let verdict = serde_json::to_value(report.verdict).unwrap();
    assert_eq!(last.field("outcome"), Some(verdict));
    assert_eq!(
        last.field("failed"),
        Some(Value::from(report.summary.failed))
    );
}

#[test]
fn every_start_has_its_end_whatever_the_suite() {
    let engine = Engine::builder().cores(2).build().unwrap();
    let mut runner = TestRunner::new(Config::with_cases(40));
    let property = |shape: Shape| {
        let (report, events) = watched(&suite(&shape), &engine);
        assert_complete(&events);
        assert_equal(&events, &report);
        let named = |name: &str| {
            let mut datasets = events
                .iter()
                .filter(|event| event.name.subject == Subject::Dataset);
            datasets.any(|event| event.dataset.as_deref() == Some(name))
        };
        for dataset in &report.datasets {
            assert!(named(&dataset.name), "nothing of {}", dataset.name);
        }
        Ok(())
    };
    runner.run(&shapes(), property).unwrap();
}

#[test]
fn every_start_has_its_end_also_when_the_run_is_interrupted() {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..20_000));
    let rows = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
    let suite = VerificationSuite::builder("endless")
        .dataset(Dataset::batches("small", vec![rows]))
        .dataset(Dataset::sql(
            "endless",
            "select a.n * b.n % 7 + c.n as n from small a cross join small b cross join small c",
        ))
        .check(Check::new("known").dataset("small").assert("max(n) > 0"))
        .check(
            Check::new("unknown")
                .dataset("endless")
                .assert("sum(n) > 0"),
        )
        .build()
        .unwrap();
    for limit in [1, 20, 200, 1000] {
        let limit = Duration::from_millis(limit);
        let engine = Engine::builder()
            .cores(2)
            .time_limit(limit)
            .build()
            .unwrap();
        let (report, events) = watched(&suite, &engine);
        assert!(report.run.interrupted.is_some());
        assert_complete(&events);
        assert_equal(&events, &report);
        let last = events.last().unwrap();
        assert_eq!(last.name.to_string(), "suite.error");
        assert_eq!(
            last.field("reason"),
            report.run.interrupted.clone().map(Value::from)
        );
    }
}

#[test]
fn a_run_that_may_not_begin_is_skipped_with_its_reason() {
    let suite = suite(&(vec![true, false], vec![(0, vec![0, 1]), (1, vec![2])]));
    let engine = Engine::new().unwrap();
    let upcoming = engine.upcoming(&suite);
    let recorder = Arc::new(Recorder::default());
    let sink = Arc::clone(&recorder) as Arc<dyn EventSink>;
    let report = engine.skip(
        &suite,
        &upcoming,
        ("calendar", "it is a holiday"),
        Some(sink),
    );
    assert_eq!(report.run.id, upcoming.run.id);
    assert_eq!((report.summary.declared, report.summary.skipped), (3, 3));
    assert_eq!(report.verdict, Verdict::NotEvaluated);
    for result in &report.results {
        assert_eq!(result.reason.as_deref(), Some("it is a holiday"));
    }
    let events = recorder.0.lock().unwrap().clone();
    assert_complete(&events);
    assert!(events.iter().all(|event| event.name.moment == Moment::Skip));
    assert_eq!(events.last().unwrap().name.to_string(), "suite.skip");
}
