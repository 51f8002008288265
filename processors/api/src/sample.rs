//! One report with one of everything.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    AssertionResult, DatasetReport, Delivery, DeliveryStatus, Engine, Location, Report, Run,
    RunKey, Severity, Status, Summary, Symbol, SymbolStatus, Verdict,
};

/// A report that shows everything a report can hold: every status and severity,
/// groups, row evidence, exact and approximate symbols, an unreadable dataset, a
/// warning, deliveries.
///
/// Always the same, so processors can test their output with it and send it when
/// somebody wants to see whether a message arrives.
pub fn sample_report() -> Report {
    let results = results();
    Report {
        verdict: Verdict::Failed,
        summary: Summary::of(&results),
        results,
        datasets: datasets(),
        symbols: symbols(),
        deliveries: deliveries(),
        warnings: vec![
            "column `TailNum` of `flights` matched `tailnum` only when case was ignored".into(),
        ],
        ..Report::new(run())
    }
}

fn run() -> Run {
    let tags = BTreeMap::from([("env".to_owned(), "prod".to_owned())]);
    Run {
        finished_at: "2026-11-20T06:00:00.412Z".into(),
        duration_ms: 412,
        engine: Engine::new("0.1.0", "local"),
        ..Run::new(
            Uuid::from_u128(0x019a_9f3b_5c00_7000_8000_0000_0000_002a),
            "nycflights",
            RunKey::new("2026-11-20", tags),
            "2026-11-20T06:00:00Z",
        )
    }
}

fn datasets() -> Vec<DatasetReport> {
    vec![
        DatasetReport {
            rows: Some(336_776),
            scans: 2,
            files: 12,
            files_reused: 11,
            bytes_read: Some(5_412_733),
            ..DatasetReport::new("flights")
        },
        DatasetReport {
            files: 1,
            error: Some("cannot read csv source `data/planes.csv`: no such file".into()),
            ..DatasetReport::new("planes")
        },
        DatasetReport {
            rows: Some(0),
            scans: 1,
            files: 1,
            bytes_read: Some(0),
            ..DatasetReport::new("weather")
        },
    ]
}

fn results() -> Vec<AssertionResult> {
    use Severity::{P0, P1, P2, P3};
    use Status::{Error, Failed, NotEvaluated, Passed, Skipped};

    let complete = |expression| result("Flights are complete", "flights", expression);
    let plausible = |expression| result("Delays are plausible", "flights", expression);
    let carriers = |expression| result("Carriers report their planes", "flights", expression);
    let weather = |expression| result("Weather is known", "weather", expression);
    let mut results = vec![
        AssertionResult {
            actual: Some(json!(336_776)),
            expected: Some("between 300000 and 400000".into()),
            symbols: names(&["x_1"]),
            ..of(
                complete("row_count() between 300000 and 400000"),
                P1,
                Passed,
            )
        },
        AssertionResult {
            assertion: "tail numbers known".into(),
            tags: names(&["daily", "fleet"]),
            actual: Some(json!(0.992_541_154_002_660_6)),
            expected: Some(">= 0.999".into()),
            symbols: names(&["x_2"]),
            ..of(complete("completeness(tailnum) >= 0.999"), P0, Failed)
        },
        AssertionResult {
            reason: Some("flights has no column `tailnm`, did you mean `tailnum`?".into()),
            ..of(complete("completeness(tailnm) >= 0.9"), P1, Error)
        },
        AssertionResult {
            reason: Some("cannot read csv source `data/planes.csv`: no such file".into()),
            symbols: names(&["x_3"]),
            ..of(
                complete("unmatched(tailnum, planes.tailnum) = 0"),
                P1,
                Error,
            )
        },
        AssertionResult {
            actual: Some(json!(4037)),
            expected: Some("> 4000".into()),
            symbols: names(&["x_4"]),
            ..of(
                complete("approx_distinct_count(tailnum) > 4000"),
                P3,
                Passed,
            )
        },
        AssertionResult {
            violations: Some(153),
            sample: vec![
                json!({"carrier": "HA", "flight": 51, "dep_delay": 1301.0}),
                json!({"carrier": "MQ", "flight": 3535, "dep_delay": 1137.0}),
            ],
            ..of(plausible("dep_delay < 600"), P2, Failed)
        },
        AssertionResult {
            violations: Some(0),
            ..of(plausible("dep_delay > -120"), P2, Passed)
        },
        AssertionResult {
            assertion: "delays at departure and arrival go together".into(),
            symbols: names(&["x_5", "x_6"]),
            ..of(
                plausible("avg(arr_delay) < avg(dep_delay) and avg(arr_delay) > 10"),
                P3,
                Failed,
            )
        },
        AssertionResult {
            actual: Some(json!("2264733.00")),
            expected: Some("> 0".into()),
            symbols: names(&["x_7"]),
            ..of(plausible("sum(dep_delay) > 0"), P3, Passed)
        },
    ];
    for (carrier, share) in [("AA", 0.997), ("MQ", 0.9534)] {
        let passed = share >= 0.99;
        results.push(AssertionResult {
            group: Some(json!({"carrier": carrier})),
            actual: Some(json!(share)),
            expected: Some(">= 0.99".into()),
            ..of(
                carriers("completeness(tailnum) >= 0.99"),
                P1,
                if passed { Passed } else { Failed },
            )
        });
    }
    results.extend([
        AssertionResult {
            reason: Some("`avg(temp)` is undefined: no rows in scope".into()),
            symbols: names(&["x_8"]),
            ..of(weather("avg(temp) between -30 and 45"), P1, NotEvaluated)
        },
        AssertionResult {
            reason: Some("tag `weekly` was not selected".into()),
            tags: names(&["weekly"]),
            ..of(weather("entropy(origin) > 1"), P2, Skipped)
        },
    ]);
    for (line, result) in (12..).step_by(2).zip(&mut results) {
        result.location = Some(Location {
            file: "nycflights.yaml".into(),
            line,
            column: 9,
        });
    }
    results
}

fn result(check: &str, dataset: &str, expression: &str) -> AssertionResult {
    AssertionResult {
        dataset: dataset.into(),
        expression: expression.into(),
        ..AssertionResult::new(check, expression)
    }
}

fn of(result: AssertionResult, severity: Severity, status: Status) -> AssertionResult {
    AssertionResult {
        severity,
        status,
        ..result
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn symbols() -> Vec<Symbol> {
    let on_flights = |name, metric| dated(Symbol::new(name, metric, "flights"));
    vec![
        valued(
            on_flights("x_1", "row_count()"),
            json!(336_776),
            "Int64",
            "metadata",
        ),
        valued(
            on_flights("x_2", "completeness(tailnum)"),
            json!(0.992_541_154_002_660_6),
            "Float64",
            "scan",
        ),
        Symbol {
            status: SymbolStatus::Error,
            error: Some("cannot read csv source `data/planes.csv`: no such file".into()),
            availability: 0.0,
            ..on_flights("x_3", "unmatched(tailnum, planes.tailnum)")
        },
        Symbol {
            exact: false,
            precision: Some("± 1.6 %".into()),
            availability: 0.9,
            ..valued(
                on_flights("x_4", "approx_distinct_count(tailnum)"),
                json!(4037),
                "UInt64",
                "scan",
            )
        },
        valued(
            on_flights("x_5", "avg(arr_delay)"),
            json!(6.895_376_75),
            "Float64",
            "scan",
        ),
        valued(
            on_flights("x_6", "avg(dep_delay)"),
            json!(12.639_070_25),
            "Float64",
            "scan",
        ),
        valued(
            on_flights("x_7", "sum(dep_delay)"),
            json!("2264733.00"),
            "Decimal128(38, 2)",
            "scan",
        ),
        Symbol {
            error: Some("no rows in scope".into()),
            ..dated(Symbol::new("x_8", "avg(temp)", "weather"))
        },
    ]
}

fn dated(symbol: Symbol) -> Symbol {
    Symbol {
        date: "2026-11-20".into(),
        ..symbol
    }
}

fn valued(symbol: Symbol, value: Value, kind: &str, origin: &str) -> Symbol {
    Symbol {
        value: Some(value),
        r#type: Some(kind.into()),
        status: SymbolStatus::Ok,
        origin: Some(origin.into()),
        ..symbol
    }
}

fn deliveries() -> Vec<Delivery> {
    let key = |last: u128| Uuid::from_u128(0x6f1c_02d7_3b6e_5a4c_8d2e_0000_0000_0000 + last);
    vec![
        Delivery {
            attempts: 1,
            duration_ms: 31,
            idempotency_key: Some(key(1).to_string()),
            ..Delivery::new("database", DeliveryStatus::Delivered)
        },
        Delivery {
            attempts: 3,
            duration_ms: 2_417,
            error: Some("connection to mail.example.org:465 refused".into()),
            pending: true,
            idempotency_key: Some(key(2).to_string()),
            ..Delivery::new("email", DeliveryStatus::Deferred)
        },
    ]
}
