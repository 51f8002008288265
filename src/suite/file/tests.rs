//! Suite files, right and wrong.

use super::super::{Condition, Format, Integrity, OnNull, Predicate, Severity, Source};
use serde_json::json;

use super::*;

fn environment(name: &str) -> Option<String> {
    match name {
        "SHARE" => Some("0.5".to_owned()),
        "ROOT" => Some("/data".to_owned()),
        "NOTHING" => Some("null".to_owned()),
        _ => None,
    }
}

fn read(text: &str) -> Result<SuiteFile> {
    parse(text, "t.yaml", &environment)
}

/// The first error's place and message.
fn refusal(text: &str) -> String {
    let first = read(text).unwrap_err().flatten().remove(0);
    match &first {
        Error::Configuration {
            location: Some(at), ..
        } => format!("{}:{} {first}", at.line, at.column),
        _ => first.to_string(),
    }
}

const FULL: &str = r#"# yaml-language-server: $schema=suite.json
version: 1
suite: nycflights
datasets:
  flights: data/flights.parquet
  planes: {path: "${ROOT}/planes.csv", format: csv, options: {null_values: ["", "NA"], delimiter: "\t", infer_rows: 5}}
  late: {sql: "select * from flights where dep_delay > 60"}
  orders: {path: "orders/date={date}/*.parquet", timezone: Europe/Amsterdam, sensitive: [email], integrity: full}
fail_on: P2
checks:
  - check: Flights are complete
    dataset: flights
    severity: P0
    tags: [daily, 2026]
    assertions:
      - row_count() between 300000 and 400000   # short form
      - expect: "completeness(tailnum) >= 0.99"
        name: tail numbers known
        severity: P3
        tags: [pii]
      - rows: dep_delay is null or dep_delay > -120
        mostly: ${SHARE}
        on_null: fail
      - |
        unmatched(tailnum, planes.tailnum) = 0
  - check: 2026
    dataset: late
    assertions: ["row_count() > ${LEAST:-10}"]
processors:
  json:
  email: {to: [a@example.org], priority: 7}
plugins: {directories: [plugins], disabled: [slack]}
store: sqlite://v.db
"#;

#[test]
fn a_suite_with_everything_is_read_as_it_is_written() {
    let suite = read(FULL).unwrap().suite;
    let processing = &suite.processing;
    assert_eq!(
        processing.processors,
        [
            ("json".to_owned(), json!(null)),
            (
                "email".to_owned(),
                json!({"to": ["a@example.org"], "priority": 7})
            ),
        ]
    );
    let place = processing.place("/email/to/0").unwrap();
    assert_eq!((place.line, place.column), (31, 16));
    assert_eq!(processing.place("/email/missing").unwrap().line, 31);
    assert_eq!(processing.disabled, ["slack"]);
    assert_eq!(
        (suite.name.as_str(), suite.fail_on),
        ("nycflights", Severity::P2)
    );
    let names: Vec<&str> = suite
        .datasets
        .iter()
        .map(|dataset| dataset.name.as_str())
        .collect();
    assert_eq!(names, ["flights", "planes", "late", "orders"]);
    let Source::Path {
        path,
        format,
        options,
    } = &suite.datasets[1].source
    else {
        panic!();
    };
    assert_eq!(
        (path.as_str(), *format),
        ("/data/planes.csv", Some(Format::Csv))
    );
    assert_eq!(options.delimiter, Some('\t'));
    assert_eq!(options.infer_rows, Some(5));
    assert_eq!(
        options.null_values,
        Some(vec![String::new(), "NA".to_owned()])
    );
    let orders = &suite.datasets[3];
    assert_eq!(orders.timezone.as_deref(), Some("Europe/Amsterdam"));
    assert_eq!(
        (orders.integrity, orders.sensitive.as_slice()),
        (Integrity::Full, &["email".to_owned()][..])
    );
    assert_eq!(orders.location, Some(yaml::location("t.yaml", 8, 3)));

    let check = &suite.checks[0];
    assert_eq!(check.severity, Severity::P0);
    assert_eq!(check.tags, ["daily", "2026"]);
    assert_eq!(check.location, Some(yaml::location("t.yaml", 11, 12)));
    let expected = [
        (
            "row_count() between 300000 and 400000",
            (16, 9),
            Some((16, 9)),
        ),
        ("completeness(tailnum) >= 0.99", (17, 17), Some((17, 18))),
        (
            "dep_delay is null or dep_delay > -120",
            (21, 15),
            Some((21, 15)),
        ),
        ("unmatched(tailnum, planes.tailnum) = 0", (25, 9), None),
    ];
    for (assertion, (sql, (line, column), first)) in check.assertions.iter().zip(expected) {
        let Predicate::Text { sql: found, start } = assertion.condition.predicate() else {
            panic!();
        };
        assert_eq!(found, sql);
        assert_eq!(
            assertion.location,
            Some(yaml::location("t.yaml", line, column)),
            "{sql}"
        );
        assert_eq!(
            *start,
            first.map(|(line, column)| yaml::location("t.yaml", line, column)),
            "{sql}"
        );
    }
    let named = &check.assertions[1];
    assert_eq!(named.name.as_deref(), Some("tail numbers known"));
    assert_eq!(
        (named.severity, named.tags.as_slice()),
        (Some(Severity::P3), &["pii".to_owned()][..])
    );
    assert!(matches!(
        check.assertions[2].condition,
        Condition::Rows {
            mostly: Some(0.5),
            on_null: OnNull::Fail,
            ..
        }
    ));
    assert_eq!(suite.checks[1].name, "2026");
    let Predicate::Text { sql, start } = suite.checks[1].assertions[0].condition.predicate() else {
        panic!();
    };
    assert_eq!((sql.as_str(), start), ("row_count() > 10", &None));
}

#[test]
fn the_smallest_suite_needs_no_dataset_in_its_checks() {
    let file = read(
        "version: 1\nsuite: s\ndatasets: {d: d.csv}\nchecks: [{check: c, assertions: [row_count() > 0]}]\n",
    );
    let suite = file.unwrap().suite;
    assert_eq!(suite.checks[0].dataset, None);
    assert_eq!(suite.fail_on, Severity::P1);
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_change_no_position() {
    let text = format!("\u{feff}{}", FULL.replace('\n', "\r\n"));
    let file = read(&text).unwrap();
    let assertion = &file.suite.checks[0].assertions[2];
    assert_eq!(assertion.location, Some(yaml::location("t.yaml", 21, 15)));
    assert!(file.text.starts_with('#'));
}

/// A suite with one dataset, one check and `rest` for its assertions.
fn asserting(rest: &str) -> String {
    format!(
        "version: 1\nsuite: s\ndatasets: {{d: d.csv}}\nchecks:\n  - check: c\n    assertions:\n{rest}"
    )
}

#[test]
fn every_mistake_is_named_where_it_stands() {
    let with = |datasets: &str| {
        format!(
            "version: 1\nsuite: s\ndatasets:\n{datasets}\nchecks: [{{check: c, dataset: d, assertions: [a]}}]\n"
        )
    };
    let cases = [
        ("empty file", String::new()),
        ("only comments", "# nothing\n---\n".to_owned()),
        ("not a mapping", "- a\n".to_owned()),
        ("only text", "hello\n".to_owned()),
        ("no version", "suite: s\n".to_owned()),
        ("other version", "version: 2\nnew: x\n".to_owned()),
        ("version as text", "version: '1'\n".to_owned()),
        ("version empty", "version:\n".to_owned()),
        ("nothing but a version", "version: 1\n".to_owned()),
        ("no name", with("  d: d").replace("suite: s", "suite: ''")),
        (
            "name is a list",
            with("  d: d").replace("suite: s", "suite: [s]"),
        ),
        ("no datasets", with("  {}").replace(", dataset: d", "")),
        ("datasets is a list", with("  - d: d")),
        ("no path", with("  d: {format: csv}")),
        ("path and sql", with("  d: {path: x, sql: y}")),
        ("empty path", with("  d: ''")),
        ("dataset is nothing", with("  d:")),
        (
            "options of a query",
            with("  d: {sql: y, options: {header: true}}"),
        ),
        (
            "unknown option",
            with("  d: {path: x, options: {seperator: ';', delimeter: ';'}}"),
        ),
        (
            "delimiter too long",
            with("  d: {path: x, options: {delimiter: ';;'}}"),
        ),
        (
            "boolean as yes",
            with("  d: {path: x, options: {header: yes}}"),
        ),
        (
            "rows below zero",
            with("  d: {path: x, options: {infer_rows: -1}}"),
        ),
        ("unknown format", with("  d: {path: x, format: parqet}")),
        (
            "unknown timezone",
            with("  d: {path: x, timezone: Europe/Amsterdm}"),
        ),
        (
            "offset as timezone is fine, but not this",
            with("  d: {path: x, timezone: '+99:00'}"),
        ),
        (
            "unknown dataset",
            with("  ddd: x").replace("dataset: d,", "dataset: ddx,"),
        ),
        ("unknown severity", with("  d: x\nfail_on: P9")),
        (
            "a processor twice",
            with("  d: x\nprocessors: {json: {path: x}, json: {path: y}}"),
        ),
        ("processors as a list", with("  d: x\nprocessors: [json]")),
        ("an unknown store", with("  d: x\nstore: oracle://x")),
        ("a secret in a path", with("  d: \"${secret:PATH}\"")),
        (
            "a secret nobody has",
            with("  d: x\nprocessors: {json: {path: \"${secret:NO_SUCH_SECRET}\"}}"),
        ),
        (
            "no checks",
            "version: 1\nsuite: s\ndatasets: {d: d}\nchecks: []\n".to_owned(),
        ),
        (
            "checks is nothing",
            "version: 1\nsuite: s\ndatasets: {d: d}\nchecks:\n".to_owned(),
        ),
        ("no assertions", asserting("      []\n")),
        ("empty assertion", asserting("      - ''\n")),
        ("assertion is nothing", asserting("      -\n")),
        (
            "expect and rows",
            asserting("      - {expect: a, rows: b}\n"),
        ),
        ("neither expect nor rows", asserting("      - name: a\n")),
        (
            "mostly with expect",
            asserting("      - {expect: a, mostly: 0.5}\n"),
        ),
        (
            "on_null with expect",
            asserting("      - {expect: a, on_null: skip}\n"),
        ),
        ("mostly 0", asserting("      - {rows: a, mostly: 0}\n")),
        (
            "mostly above 1",
            asserting("      - {rows: a, mostly: 99}\n"),
        ),
        ("mostly NaN", asserting("      - {rows: a, mostly: .nan}\n")),
        (
            "mostly quoted",
            asserting("      - {rows: a, mostly: '0.5'}\n"),
        ),
        (
            "mostly percent",
            asserting("      - {rows: a, mostly: 99%}\n"),
        ),
        (
            "mostly from nothing",
            asserting("      - rows: a\n        mostly: ${NOTHING}\n"),
        ),
        (
            "unknown on_null",
            asserting("      - {rows: a, on_null: ignore}\n"),
        ),
        (
            "misspelled key",
            asserting("      - {expect: a, serverity: P0}\n"),
        ),
        ("group_by", asserting("      - a\n    group_by: [x]\n")),
        ("colon in an assertion", asserting("      - regexp(a): 5\n")),
        (
            "comma in braces",
            asserting("      - {expect: corr(a, b) > 0}\n"),
        ),
        (
            "comment in a text",
            asserting("      - matches(a, 'x #1')\n"),
        ),
        (
            "same expression twice",
            asserting("      - a > 1\n      - a > 2\n      - a > 1\n"),
        ),
        (
            "same name twice",
            asserting("      - {expect: a > 1, name: n}\n      - {expect: a > 2, name: n}\n"),
        ),
        (
            "missing variable",
            asserting("      - {expect: 'a > ${MISSING}', name: n}\n"),
        ),
        (
            "long assertion",
            asserting(&format!("      - {}\n", "a".repeat(70_000))),
        ),
        (
            "tags as text",
            asserting("      - {expect: a, tags: pii}\n"),
        ),
    ];
    let mut shown = String::new();
    for (label, text) in cases {
        shown.push_str(&format!("{label}: {}\n", refusal(&text)));
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn many_mistakes_are_reported_at_once_in_the_order_of_the_file() {
    let text = "version: 1\nsuite: s\nsutie: t\ndatasets:\n  a: {path: x, formt: csv}\n  b: {path: y, timezone: Mars}\n\
                    checks:\n  - check: c\n    datset: a\n    severity: P7\n    assertions:\n\
                    \x20     - {rows: a, mostly: high}\n      - {rows: '${MISSING}'}\n";
    let errors = read(text).unwrap_err().flatten();
    let shown: Vec<String> = errors
        .iter()
        .map(|error| match error {
            Error::Configuration {
                location: Some(at), ..
            } => format!("{at}: {error}"),
            other => other.to_string(),
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn errors_are_bounded() {
    let keys: String = (0..100).map(|n| format!("x{n}: 1\n")).collect();
    let errors = read(&format!("version: 1\n{keys}")).unwrap_err().flatten();
    assert_eq!(errors.len(), MAX_ERRORS);
    let bad: String = (0..100).map(|n| format!("      - [x{n}]\n")).collect();
    let errors = read(&asserting(&bad)).unwrap_err().flatten();
    assert_eq!(errors.len(), MAX_ERRORS);
}

#[test]
fn as_many_assertions_as_allowed_are_read_and_one_more_is_refused() {
    let lines =
        |count: usize| -> String { (0..count).map(|n| format!("      - a > {n}\n")).collect() };
    let most = super::super::MAX_ASSERTIONS;
    let suite = read(&asserting(&lines(most))).unwrap().suite;
    assert_eq!(suite.checks[0].assertions.len(), most);
    let refused = refusal(&asserting(&lines(most + 1)));
    assert_eq!(
        refused,
        "2:8 the suite has 100001 assertions; it may have 100000"
    );
}

#[test]
fn a_variable_cannot_become_structure() {
    let injected = |_: &str| Some("x\n  evil: y, z: [1] # ".to_owned());
    let file = parse(&asserting("      - \"${V}\"\n"), "t.yaml", &injected).unwrap();
    let Predicate::Text { sql, .. } = file.suite.checks[0].assertions[0].condition.predicate()
    else {
        panic!();
    };
    assert_eq!(sql, "x\n  evil: y, z: [1] #");
}

#[test]
fn a_file_is_read_with_its_folder_and_its_troubles() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.yaml");
    std::fs::write(&path, FULL).unwrap();
    let file = load(&path, &environment).unwrap();
    assert_eq!(file.folder, folder.path());
    assert_eq!(file.file, path.display().to_string());

    std::fs::write(&path, b"version: 1\nsuite: \xc3\xa9 caf\xe9\n").unwrap();
    match load(&path, &environment) {
        Err(Error::Configuration {
            message,
            location: Some(at),
            ..
        }) => {
            assert_eq!(
                (message.as_str(), at.line, at.column),
                ("the file is not UTF-8 text", 2, 13)
            );
        }
        other => panic!("{other:?}"),
    }
    std::fs::write(&path, vec![b' '; yaml::MAX_TEXT_BYTES + 1]).unwrap();
    assert!(matches!(
        load(&path, &environment),
        Err(Error::Configuration { .. })
    ));
    assert!(matches!(
        load(folder.path(), &environment),
        Err(Error::File { .. })
    ));
    let missing = load(&folder.path().join("none.yaml"), &environment);
    assert!(matches!(missing, Err(Error::File { .. })), "{missing:?}");
}
