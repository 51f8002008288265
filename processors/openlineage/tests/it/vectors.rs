//! The vectors, replayed: an equal report gives the same event.

use serde_json::{Value, json};
use veracity_processor::{
    AssertionResult, DatasetReport, Report, Severity, Status, Summary, Symbol, SymbolStatus,
    Verdict, sample_report,
};

use crate::Place;

fn vector(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The report that the vectors are about.
fn orders() -> Report {
    let mut report = sample_report();
    report.run.id = "0197a2f0-7c3e-7a51-9d3e-3b1f0a9c1e55".parse().unwrap();
    report.run.suite = "orders.daily".into();
    report.run.started_at = "2026-11-20T06:00:00Z".into();
    report.run.finished_at = "2026-11-20T06:00:04.210Z".into();
    let mut orders = DatasetReport::new("orders");
    orders.rows = Some(4);
    report.datasets = vec![orders];
    let symbols = [
        ("duplicate_count(id)", json!(2)),
        ("row_count()", json!(4)),
        ("null_count(id)", json!(1)),
        ("distinct_count(id)", json!(2)),
        ("count(id)", json!(3)),
        ("min(id)", json!(1)),
        ("max(id)", json!(2)),
        ("sum(id)", json!(5)),
        ("median(id)", json!(2)),
    ];
    report.symbols = Vec::new();
    for (number, (metric, value)) in (1..).zip(symbols) {
        let mut symbol = Symbol::new(format!("x_{number}"), metric, "orders");
        (symbol.value, symbol.status) = (Some(value), SymbolStatus::Ok);
        report.symbols.push(symbol);
    }
    let result = |name: &str, expression: &str, status: Status, severity: Severity| {
        let mut result = AssertionResult::new(name, name);
        result.dataset = "orders".into();
        result.expression = expression.into();
        (result.status, result.severity) = (status, severity);
        result
    };
    let mut unique = result(
        "orders.id is unique",
        "duplicate_count(id) = 0",
        Status::Failed,
        Severity::P0,
    );
    unique.symbols = vec!["x_1".into()];
    (unique.expected, unique.actual) = (Some("= 0".into()), Some(json!(2)));
    let mut rows = result(
        "orders row count",
        "row_count() > 0",
        Status::Passed,
        Severity::P1,
    );
    rows.symbols = vec!["x_2".into()];
    let fresh = result(
        "orders freshness",
        "freshness(at) < 60",
        Status::Skipped,
        Severity::P2,
    );
    report.results = vec![unique, rows, fresh];
    report.summary = Summary::of(&report.results);
    report.verdict = Verdict::Failed;
    report
}

/// What of `expected` is not in `found`, which may say more.
fn missing(expected: &Value, found: &Value, at: &str, faults: &mut Vec<String>) {
    match (expected, found) {
        (Value::Object(expected), Value::Object(_)) => {
            for (name, value) in expected {
                missing(value, &found[name], &format!("{at}/{name}"), faults);
            }
        }
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
            for (place, (expected, found)) in expected.iter().zip(found).enumerate() {
                missing(expected, found, &format!("{at}/{place}"), faults);
            }
        }
        _ if expected == found => {}
        _ => faults.push(format!("{at}: {expected} is {found}")),
    }
}

async fn replayed(report: &Report) -> Vec<Value> {
    let orders = json!({"namespace": "file", "name": "/data/orders.parquet"});
    let mut place = Place::file().with("dataset_names", json!({ "orders": orders }));
    place.begin(report).await.unwrap();
    place.end(report).await.unwrap();
    place.events()
}

/// `event` as the vectors have it: their producer and the fraction in the time.
fn aligned(mut event: Value) -> Value {
    let text = event.to_string().replace(
        concat!(
            "https://github.com/veracity-dq/veracity/tree/v",
            env!("CARGO_PKG_VERSION")
        ),
        "https://github.com/example/veracity/tree/v0.1.0",
    );
    event = serde_json::from_str(&text).unwrap();
    if event["eventTime"] == "2026-11-20T06:00:00Z" {
        event["eventTime"] = json!("2026-11-20T06:00:00.000Z");
    }
    event
}

fn differences(expected: &str, found: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    missing(&vector(expected), &aligned(found.clone()), "", &mut faults);
    faults
}

#[tokio::test]
async fn a_run_that_found_something_is_complete() {
    let events = replayed(&orders()).await;
    let start = include_str!("../vectors/openlineage-start.json");
    assert_eq!(differences(start, &events[0]), Vec::<String>::new());
    let complete = include_str!("../vectors/openlineage-complete.json");
    let assertion = "/inputs/0/inputFacets/dataQualityAssertions/assertions/0";
    // An assertion is an expression, not a query, and the bound says how it is compared.
    let expected = [
        "/run/facets/test/tests/0/expected: \"0\" is \"= 0\"".to_owned(),
        format!("{assertion}/expected: \"0\" is \"= 0\""),
        format!("{assertion}/content: \"SELECT count(*) ...\" is \"duplicate_count(id) = 0\""),
        format!("{assertion}/contentType: \"sql\" is \"expression\""),
    ];
    assert_eq!(differences(complete, &events[1]), expected);
}

#[tokio::test]
async fn a_run_that_could_read_nothing_failed() {
    let mut report = orders();
    report.run.finished_at = "2026-11-20T06:00:01.000Z".into();
    let reason = "Parquet error: EOF: file size 12 is less than footer";
    report.datasets[0].error = Some(reason.into());
    for result in &mut report.results {
        (result.status, result.reason) = (Status::Error, Some(reason.into()));
    }
    report.summary = Summary::of(&report.results);
    report.verdict = Verdict::NotEvaluated;
    let events = replayed(&report).await;
    let fail = include_str!("../vectors/openlineage-fail.json");
    assert_eq!(differences(fail, &events[1]), Vec::<String>::new());
}

#[tokio::test]
async fn the_events_of_the_sample_report_read_well() {
    let mut place = Place::file().with("namespace", json!("prod"));
    place.end(&sample_report()).await.unwrap();
    let events = place.events();
    for (name, event) in ["sample_start", "sample_complete"].into_iter().zip(&events) {
        let text = serde_json::to_string_pretty(event).unwrap();
        // A release must not change what this is about.
        let text = text.replace(env!("CARGO_PKG_VERSION"), "0.1.0");
        insta::assert_snapshot!(name, text);
    }
}
