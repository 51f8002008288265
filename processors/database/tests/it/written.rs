//! What is in the tables after a report was delivered.

use std::fmt::Write;
use std::thread;

use serde_json::json;
use veracity_processor::conformance::{self, HOSTILE};
use veracity_processor::{Report, sample_report};
use veracity_sql::Dialect;

use crate::place::{Place, block_on, build, deliver, everywhere, numbered, plugin, process, start};

/// Columns in order; those after a `@` are moments, after a `#` dates, after a `%` numbers.
const RUNS: &str = "run_id suite #date tags @started_at @finished_at %duration_ms verdict \
                    %declared %passed %failed %not_evaluated %error %skipped engine_version \
                    compute interrupted warnings datasets";
const RESULTS: &str = "run_id %position check_name assertion dataset severity tags status \
                       expression actual expected reason symbols group_key %violations file \
                       %line_number %column_number";
const SYMBOLS: &str = "run_id %position name metric dataset value_text type status error #date \
                       %exact stated_error origin";

/// A table as text, the same whatever the database.
fn dump(place: &Place, table: &str, columns: &str) -> String {
    let names: Vec<&str> = columns.split_whitespace().collect();
    let selected: Vec<String> = names
        .iter()
        .map(|name| {
            let (mark, name) = name.split_at(usize::from(name.starts_with(['@', '#', '%'])));
            let column = place.dialect.quote(name);
            match (mark, place.dialect) {
                ("@", Dialect::Postgres) => {
                    format!("to_char({column} at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')")
                }
                ("@", Dialect::MySql) => format!("date_format({column}, '%Y-%m-%d %T.%f')"),
                ("", _) | (_, Dialect::Sqlite) => format!("cast({column} as text)"),
                (_, Dialect::Postgres) => format!("cast({column} as text)"),
                (_, Dialect::MySql) => format!("cast({column} as char)"),
            }
        })
        .map(|column| match place.dialect {
            Dialect::MySql => column.replace(" as text)", " as char)"),
            Dialect::Postgres | Dialect::Sqlite => column,
        })
        .collect();
    let order = if table == "runs" {
        "t.run_id"
    } else {
        "t.run_id, t.position"
    };
    let sql = format!(
        "select {} from veracity_{table} t order by {order}",
        selected.join(", ")
    );
    let mut text = format!("== {table}\n");
    for row in place.texts(&sql) {
        for (name, value) in names.iter().zip(row) {
            let name = name.trim_start_matches(['@', '#', '%']);
            match value {
                Some(value) => writeln!(text, "{name}: {value}").unwrap(),
                None => writeln!(text, "{name} is null").unwrap(),
            }
        }
        text.push('\n');
    }
    text
}

#[test]
fn every_field_of_the_sample_report_is_in_a_column() {
    for place in everywhere() {
        deliver(&*place.processor(), &sample_report()).unwrap();
        let tables = [("runs", RUNS), ("results", RESULTS), ("symbols", SYMBOLS)];
        let text: String = tables
            .iter()
            .map(|(table, columns)| dump(&place, table, columns))
            .collect();
        insta::assert_snapshot!("sample_report", text);
    }
}

#[test]
fn numbers_are_numbers_to_the_last_bit() {
    for place in everywhere() {
        deliver(&*place.processor(), &sample_report()).unwrap();
        let exact = "select name from veracity_symbols where \
                     (name = 'x_2' and value_number = 0.9925411540026606e0 and availability = 1e0) \
                     or (name = 'x_7' and value_number = 2264733e0) \
                     or (name = 'x_8' and value_number is null) order by name";
        let names: Vec<_> = place.texts(exact).into_iter().flatten().flatten().collect();
        assert_eq!(names, ["x_2", "x_7", "x_8"], "{}", place.dialect);
    }
}

#[test]
fn hostile_texts_are_stored_as_they_are() {
    let report = conformance::hostile();
    for place in everywhere() {
        deliver(&*place.processor(), &report).unwrap();
        let written = place.texts(
            "select check_name, assertion, dataset, expression, actual, expected, reason \
             from veracity_results order by position",
        );
        for (row, result) in written.iter().zip(&report.results) {
            let expected = result.check.replace('\0', "\\u{0}");
            for value in row {
                assert_eq!(value.as_ref().unwrap(), &expected, "{}", place.dialect);
            }
        }
        let tags = place.texts("select tags from veracity_runs");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(tags[0][0].as_ref().unwrap()).unwrap(),
            json!(report.run.key.tags)
        );
        let warnings = place.texts("select warnings from veracity_runs");
        let warnings: Vec<String> = serde_json::from_str(warnings[0][0].as_ref().unwrap()).unwrap();
        assert_eq!(warnings, HOSTILE);
        let results = i64::try_from(report.results.len()).unwrap();
        let symbols = i64::try_from(report.symbols.len()).unwrap();
        assert_eq!(place.counts(), [1, results, symbols], "{}", place.dialect);
    }
}

#[test]
fn a_report_delivered_again_changes_nothing() {
    for place in everywhere() {
        let processor = place.processor();
        let mut changed = sample_report();
        changed.results.pop();
        block_on(async {
            start(&*processor).await.unwrap();
            for report in [sample_report(), sample_report(), changed] {
                process(&*processor, &report).await.unwrap();
            }
        });
        deliver(&*place.processor(), &sample_report()).unwrap();
        assert_eq!(place.counts(), [1, 13, 8], "{}", place.dialect);
    }
}

#[test]
fn processes_that_write_the_same_runs_at_once_write_each_once() {
    for place in everywhere() {
        // They also create the tables at once.
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let processor = place.processor();
                    block_on(async {
                        start(&*processor).await.unwrap();
                        for number in 0..10 {
                            let report = numbered(number);
                            process(&*processor, &report).await.unwrap();
                        }
                    });
                });
            }
        });
        assert_eq!(place.counts(), [10, 130, 80], "{}", place.dialect);
    }
}

#[test]
fn it_keeps_to_the_contract_everywhere() {
    for place in everywhere() {
        let faults = conformance::check(plugin(), &json!({"url": place.url}));
        assert_eq!(faults, Vec::<String>::new(), "{}", place.dialect);
        // Five reports, each delivered twice; one has ten thousand results.
        assert_eq!(place.counts()[0], 5, "{}", place.dialect);
        assert!(place.counts()[1] > 10_000, "{}", place.dialect);
    }
}

#[test]
fn values_that_do_not_fit_are_cut_and_the_run_is_stored() {
    let huge = "數".repeat(4_000_000);
    let mut report: Report = sample_report();
    report.run.suite.clone_from(&huge);
    report.run.started_at = "not a time".into();
    report.run.key.date = "2026-02-30".into();
    report.warnings = vec![huge.clone(); 3];
    report.results.truncate(2);
    for result in &mut report.results {
        result.check.clone_from(&huge);
        result.reason = Some(huge.clone());
        result.actual = Some(json!([huge]));
        result.group = Some(json!({"key": huge}));
        result.violations = Some(u64::MAX);
        result.tags = vec![huge.clone()];
    }
    for symbol in &mut report.symbols {
        symbol.value = Some(json!("\0".repeat(100_000)));
        symbol.availability = f64::NAN;
    }
    for place in everywhere() {
        deliver(&*place.processor(), &report).unwrap();
        assert_eq!(place.counts(), [1, 2, 8], "{}", place.dialect);
        let row = &place.texts("select check_name, reason from veracity_results")[0];
        for text in row.iter().flatten() {
            assert!(text.ends_with("數 … (truncated, 12000000 bytes)"));
        }
        let nulls = "select run_id from veracity_runs where date is null and started_at is null \
                     and finished_at is not null";
        assert_eq!(place.texts(nulls).len(), 1, "{}", place.dialect);
        let kept = "select run_id from veracity_results where violations = 9223372036854775807";
        assert_eq!(place.texts(kept).len(), 2, "{}", place.dialect);
    }
}

#[test]
fn health_names_the_server_and_where_it_is() {
    for place in everywhere() {
        let processor = place.processor();
        let health = block_on(async {
            start(&*processor).await.unwrap();
            processor.health().await.unwrap()
        });
        let text = health.detail.unwrap();
        assert!(text.starts_with(&place.dialect.to_string()), "{text}");
        assert!(!text.contains("veracity:"), "no user, no password: {text}");
        assert_eq!(health.status, veracity_processor::HealthStatus::Healthy);
    }
}

#[test]
fn old_runs_are_deleted_with_their_rows() {
    for place in everywhere() {
        let processor = place.processor();
        block_on(async {
            start(&*processor).await.unwrap();
            for number in 0..2 {
                process(&*processor, &numbered(number)).await.unwrap();
            }
        });
        let id = numbered(0).run.id;
        place.execute(&format!("delete from veracity_runs where run_id = '{id}'"));
        assert_eq!(place.counts(), [1, 13, 8], "{}", place.dialect);
    }
}

#[test]
fn settings_that_are_wrong_are_refused_without_showing_them() {
    let error = build(json!({"url": "oracle://dq:hunter2@h/d"}))
        .err()
        .unwrap();
    assert!(
        error.starts_with("url: unknown kind of database `oracle`"),
        "{error}"
    );
    assert!(!error.contains("hunter2"), "{error}");
}
