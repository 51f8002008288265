//! Parquet files: what their statistics answer, what they prove, and what they must not.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties};
use datafusion::parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::json;
use tempfile::TempDir;
use veracity::prelude::*;
use veracity::suite::Integrity;

use crate::{block_on, statuses};

/// 100 sorted rows; `q` is 1 to 10 but for one 99 in row 57; `s` has a null in row 3.
fn rows() -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(1..=100));
    let q: ArrayRef = Arc::new(Int64Array::from_iter_values(
        (0..100).map(|n| if n == 57 { 99 } else { n % 10 + 1 }),
    ));
    let s: ArrayRef = Arc::new(StringArray::from_iter(
        (0..100).map(|n| (n != 3).then(|| format!("text {n:03}"))),
    ));
    let f: ArrayRef = Arc::new(Float64Array::from_iter_values(
        (0..100).map(|n| if n == 50 { f64::NAN } else { f64::from(n) }),
    ));
    RecordBatch::try_from_iter([("id", ids), ("q", q), ("s", s), ("f", f)]).unwrap()
}

fn properties(row_group: usize) -> WriterProperties {
    WriterProperties::builder()
        .set_max_row_group_row_count(Some(row_group))
        .build()
}

fn write(path: &Path, rows: &RecordBatch, properties: WriterProperties) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, rows.schema(), Some(properties)).unwrap();
    writer.write(rows).unwrap();
    writer.close().unwrap();
}

fn suite(path: &Path, integrity: Integrity, assertions: &[&str]) -> VerificationSuite {
    let check = assertions
        .iter()
        .fold(Check::new("c"), |check, assertion| check.assert(*assertion));
    let dataset = Dataset::path("d", path.to_string_lossy()).integrity(integrity);
    VerificationSuite::builder("metadata")
        .dataset(dataset)
        .check(check)
        .build()
        .unwrap()
}

fn engine() -> Engine {
    Engine::builder().cores(2).build().unwrap()
}

/// The report, after its scans were compared with the plan's.
fn run(path: &Path, integrity: Integrity, assertions: &[&str]) -> Report {
    let suite = suite(path, integrity, assertions);
    let engine = engine();
    let plan = block_on(engine.plan(&suite)).unwrap();
    let report = block_on(suite.run(&engine));
    assert_eq!(
        plan.datasets[0].scans,
        report.datasets[0].scans,
        "{}",
        plan.tree()
    );
    report
}

fn assert_passed(report: &Report) {
    for result in &report.results {
        assert_eq!(
            result.status,
            Status::Passed,
            "{} was {:?}: {:?}",
            result.expression,
            result.actual,
            result.reason
        );
    }
}

fn origins(report: &Report) -> Vec<&str> {
    let origins = report.symbols.iter().map(|symbol| symbol.origin.as_deref());
    origins.map(Option::unwrap_or_default).collect()
}

const COUNTS_AND_EXTREMES: &[&str] = &[
    "row_count() = 100",
    "count(s) = 99",
    "null_count(s) = 1",
    "completeness(s) = 0.99",
    "min(id) = 1",
    "max(q) = 99",
    "min(s) = 'text 000'",
    "max(s) = 'text 099'",
];

#[test]
fn counts_and_extremes_are_read_from_the_footer_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("d.parquet");
    write(&path, &rows(), properties(10));
    let report = run(&path, Integrity::Metadata, COUNTS_AND_EXTREMES);
    assert_passed(&report);
    assert!(origins(&report).iter().all(|origin| *origin == "metadata"));
    assert_eq!(report.datasets[0].scans, 0);
    assert_eq!(report.datasets[0].rows, Some(100));
    assert_eq!(report.datasets[0].files, 1);
}

#[test]
fn full_integrity_reads_the_data_for_the_same_values() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("d.parquet");
    write(&path, &rows(), properties(10));
    let report = run(&path, Integrity::Full, COUNTS_AND_EXTREMES);
    assert_passed(&report);
    assert!(origins(&report).iter().all(|origin| *origin == "scan"));
    assert_eq!(report.datasets[0].scans, 1);
}

#[test]
fn extremes_of_floats_and_whatever_has_a_filter_are_read() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("d.parquet");
    write(&path, &rows(), properties(10));
    let report = run(
        &path,
        Integrity::Metadata,
        &[
            "max(f) >= 0",
            "min(f) filter (where id < 10) = 0",
            "row_count() filter (where id <= 10) = 10",
            "max(id) filter (where id < 10) = 9",
            "sum(id) = 5050",
        ],
    );
    assert_eq!(
        report.results[0].status,
        Status::NotEvaluated,
        "a NaN is hidden in the data"
    );
    let rest: Vec<Status> = report.results[1..]
        .iter()
        .map(|result| result.status)
        .collect();
    assert_eq!(rest, [Status::Passed; 4]);
    assert!(origins(&report).iter().all(|origin| *origin == "scan"));
}

#[test]
fn a_rule_is_evaluated_only_where_statistics_do_not_prove_it() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("d.parquet");
    write(&path, &rows(), properties(10));
    let assertions = [
        "violations(q between 1 and 50) = 1",
        "violations(id >= 1) = 0",
        "violations(id > 15) = 15",
        "violations(id < 1) = 100",
        "violations(s is not null) = 1",
        "compliance(q <= 50) = 0.99",
    ];
    let report = run(&path, Integrity::Metadata, &assertions);
    assert_passed(&report);

    let one = ["violations(q between 1 and 50) = 1"];
    let report = run(&path, Integrity::Metadata, &one);
    assert_passed(&report);
    assert_eq!(report.results[0].actual, Some(json!(1)));
    let plan = block_on(engine().plan(&suite(&path, Integrity::Metadata, &one))).unwrap();
    let step = &plan.datasets[0].steps[0];
    assert_eq!(
        step.over.as_deref(),
        Some("1 rule in 1 of 10 row groups only, proved in the others")
    );

    let proved = ["violations(q between 1 and 99) = 0"];
    let report = run(&path, Integrity::Metadata, &proved);
    assert_passed(&report);
    assert_eq!(report.datasets[0].scans, 0);
    assert_eq!(origins(&report), ["metadata"]);
    let report = run(&path, Integrity::Full, &proved);
    assert_passed(&report);
    assert_eq!(report.datasets[0].scans, 1);
}

#[test]
fn a_rule_about_floats_is_not_proved_past_a_nan() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("d.parquet");
    write(&path, &rows(), properties(10));
    let report = run(&path, Integrity::Metadata, &["violations(f < 1000) = 1"]);
    assert_passed(&report);
}

#[test]
fn a_column_without_statistics_is_read() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("d.parquet");
    let none = WriterProperties::builder()
        .set_statistics_enabled(EnabledStatistics::None)
        .build();
    write(&path, &rows(), none);
    let report = run(
        &path,
        Integrity::Metadata,
        &[
            "max(id) = 100",
            "null_count(s) = 1",
            "violations(q < 50) = 1",
        ],
    );
    assert_passed(&report);
    assert!(origins(&report).iter().all(|origin| *origin == "scan"));
}

#[test]
fn statistics_of_long_texts_are_cut_and_not_believed() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("d.parquet");
    let long = |end: &str| "x".repeat(200) + end;
    let texts: ArrayRef = Arc::new(StringArray::from(vec![long("a"), long("b"), long("c")]));
    let rows = RecordBatch::try_from_iter([("s", texts)]).unwrap();
    write(&path, &rows, properties(10));
    let report = run(
        &path,
        Integrity::Metadata,
        &[
            &format!("min(s) = '{}'", long("a")),
            &format!("max(s) = '{}'", long("c")),
            &format!("violations(s <= '{}') = 1", long("b")),
        ],
    );
    assert_passed(&report);
}

#[test]
fn columns_of_nulls_only_have_no_extremes() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("d.parquet");
    let nulls: ArrayRef = Arc::new(Int64Array::from(vec![None, None, Some(7), None]));
    let all: ArrayRef = Arc::new(Int64Array::from(vec![None; 4]));
    let rows = RecordBatch::try_from_iter([("n", nulls), ("a", all)]).unwrap();
    // The first row group holds nulls only.
    write(&path, &rows, properties(2));
    let report = run(
        &path,
        Integrity::Metadata,
        &[
            "max(n) = 7",
            "min(n) = 7",
            "null_count(n) = 3",
            "null_count(a) = 4",
            "violations(n > 5) = 0",
            "violations(a > 5) = 0",
            "max(a) > 0",
        ],
    );
    assert_eq!(statuses(&report)[..6], [Status::Passed; 6]);
    assert_eq!(statuses(&report)[6], Status::NotEvaluated);
    assert_eq!(report.datasets[0].scans, 0);
}

#[test]
fn several_files_are_one_table() {
    let folder = TempDir::new().unwrap();
    let rows = rows();
    for (name, start, length) in [("a", 0, 30), ("b", 30, 50), ("c", 80, 20)] {
        let path = folder.path().join(name).with_extension("parquet");
        write(&path, &rows.slice(start, length), properties(10));
    }
    let report = run(folder.path(), Integrity::Metadata, COUNTS_AND_EXTREMES);
    assert_passed(&report);
    assert_eq!(report.datasets[0].scans, 0);
    assert_eq!(report.datasets[0].files, 3);
    let report = run(
        folder.path(),
        Integrity::Metadata,
        &[
            "violations(q between 1 and 50) = 1",
            "sum(id) = 5050",
            "uniqueness(id) = 1",
            "distinct_count(q) = 11",
        ],
    );
    assert_passed(&report);
}

#[test]
fn hive_partitions_are_columns() {
    let folder = TempDir::new().unwrap();
    let rows = rows();
    for (day, start) in [("2024-01-01", 0), ("2024-01-02", 50)] {
        let path = folder.path().join(format!("day={day}/part.parquet"));
        write(&path, &rows.slice(start, 50), properties(10));
    }
    let report = run(
        folder.path(),
        Integrity::Metadata,
        &[
            "row_count() = 100",
            "max(id) = 100",
            "has_column('day')",
            "distinct_count(day) = 2",
            "max(id) filter (where day = '2024-01-01') = 50",
            "violations(id <= 50) = 50",
            "violations(id <= 50) filter (where day = '2024-01-01') = 0",
            "null_count(day) = 0",
        ],
    );
    assert_passed(&report);
}

/// Turns over bits in the first data page of the column, far from the footer.
fn corrupt(path: &Path, column: usize) {
    let file = File::open(path).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    let chunk = reader.metadata().row_group(0).column(column).clone();
    let (start, length) = chunk.byte_range();
    let mut bytes = std::fs::read(path).unwrap();
    let (start, length) = (start as usize, length as usize);
    for byte in &mut bytes[start..start + length] {
        *byte = !*byte;
    }
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn corrupt_pages_fail_what_reads_them_and_all_of_full_integrity() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("d.parquet");
    write(&path, &rows(), properties(100));
    corrupt(&path, 1);
    let assertions = [
        "row_count() = 100",
        "max(id) = 100",
        "sum(id) = 5050",
        "sum(q) > 0",
    ];
    let report = block_on(suite(&path, Integrity::Metadata, &assertions).run(&engine()));
    assert_eq!(
        statuses(&report),
        [
            Status::Passed,
            Status::Passed,
            Status::Passed,
            Status::Error
        ],
        "{:?}",
        report.results
    );
    assert_eq!(origins(&report)[..2], ["metadata", "metadata"]);

    let report = block_on(suite(&path, Integrity::Full, &["sum(q) > 0"]).run(&engine()));
    assert_eq!(report.results[0].status, Status::Error);
    assert_ne!(report.verdict, Verdict::Passed);
}

#[test]
fn full_integrity_reads_a_column_to_count_rows() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("d.parquet");
    write(&path, &rows(), properties(100));
    let report = run(&path, Integrity::Full, &["row_count() = 100"]);
    assert_passed(&report);
    assert_eq!(report.datasets[0].scans, 1);
    for column in 0..4 {
        corrupt(&path, column);
    }
    let report = run(&path, Integrity::Metadata, &["row_count() = 100"]);
    assert_passed(&report);
    let report = block_on(suite(&path, Integrity::Full, &["row_count() = 100"]).run(&engine()));
    assert_eq!(
        report.results[0].status,
        Status::Error,
        "{:?}",
        report.results[0]
    );
    let reason = report.results[0].reason.clone().unwrap_or_default();
    assert!(reason.contains("d.parquet"), "{reason}");
}

#[test]
fn a_file_cut_in_half_fails_its_dataset_only() {
    let folder = TempDir::new().unwrap();
    let (good, bad) = (
        folder.path().join("good.parquet"),
        folder.path().join("bad.parquet"),
    );
    write(&good, &rows(), properties(10));
    let bytes = std::fs::read(&good).unwrap();
    std::fs::write(&bad, &bytes[..bytes.len() / 2]).unwrap();
    let suite = VerificationSuite::builder("two")
        .dataset(Dataset::path("good", good.to_string_lossy()))
        .dataset(Dataset::path("bad", bad.to_string_lossy()))
        .check(
            Check::new("a")
                .dataset("good")
                .assert("sum(id) = 5050")
                .assert("unmatched(id, bad.id) = 0"),
        )
        .check(Check::new("b").dataset("bad").assert("row_count() = 100"))
        .build()
        .unwrap();
    let report = block_on(suite.run(&engine()));
    assert_eq!(
        statuses(&report),
        [Status::Passed, Status::Error, Status::Error]
    );
    let bad = report
        .datasets
        .iter()
        .find(|dataset| dataset.name == "bad")
        .unwrap();
    assert!(bad.error.is_some());
}

#[test]
fn an_empty_file_has_no_rows_and_no_extremes() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("d.parquet");
    write(&path, &rows().slice(0, 0), properties(10));
    let report = run(
        &path,
        Integrity::Metadata,
        &[
            "row_count() = 0",
            "violations(id > 0) = 0",
            "distinct_count(id) = 0",
            "max(id) > 0",
        ],
    );
    assert_eq!(
        statuses(&report),
        [
            Status::Passed,
            Status::Passed,
            Status::Passed,
            Status::NotEvaluated
        ]
    );
}

#[test]
fn a_nan_beside_one_number_is_read() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("d.parquet");
    let numbers: ArrayRef = Arc::new(Float64Array::from(vec![0.1, f64::NAN, 0.1]));
    write(
        &path,
        &RecordBatch::try_from_iter([("f", numbers)]).unwrap(),
        properties(10),
    );
    let report = run(
        &path,
        Integrity::Metadata,
        &[
            "violations(f < 1) = 1",
            "distinct_count(f) = 2",
            "count_values(f, 0.1) = 2",
            "max(f) < 1",
        ],
    );
    assert_eq!(statuses(&report)[..3], [Status::Passed; 3]);
    assert_eq!(statuses(&report)[3], Status::NotEvaluated);
}

#[test]
fn full_integrity_reads_columns_that_are_constant_by_their_statistics() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("d.parquet");
    let sevens: ArrayRef = Arc::new(Int64Array::from(vec![7; 100]));
    write(
        &path,
        &RecordBatch::try_from_iter([("n", sevens)]).unwrap(),
        properties(100),
    );
    corrupt(&path, 0);
    for assertion in ["sum(n) = 700", "row_count() = 100", "distinct_count(n) = 1"] {
        let suite = suite(&path, Integrity::Full, &[assertion]);
        let report = block_on(suite.run(&engine()));
        assert_eq!(report.results[0].status, Status::Error, "{assertion}");
    }
}

#[test]
fn values_of_sensitive_columns_are_masked() {
    let yaml = "version: 1\nsuite: s\ndatasets:\n  people: {path: people.csv, sensitive: [email]}\nchecks:\n  - check: c\n    assertions:\n      - min(email) = 'q'\n      - completeness(email) = 1\n      - max(cast(email as int)) > 0\n      - max(id) = 2\n";
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("people.csv"),
        "id,email\n1,ada@secret.org\n2,bob@secret.org\n",
    )
    .unwrap();
    let suite = veracity::suite::file::parse(yaml, "s.yaml", &|_| None)
        .unwrap()
        .suite;
    let engine = Engine::builder().base(folder.path()).build().unwrap();
    let report = block_on(suite.run(&engine));
    assert_eq!(
        statuses(&report),
        [
            Status::Failed,
            Status::Passed,
            Status::Error,
            Status::Passed
        ]
    );
    let json = serde_json::to_string(&report).unwrap();
    assert!(!json.contains("secret"), "{json}");
    assert_eq!(report.results[0].actual, Some("***".into()));
    let misspelled = yaml.replace("[email]", "[emial]");
    let suite = veracity::suite::file::parse(&misspelled, "s.yaml", &|_| None)
        .unwrap()
        .suite;
    let report = block_on(suite.run(&engine));
    assert_eq!(report.summary.error, 4);
}
