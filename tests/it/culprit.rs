//! One assertion fails the fused query while it runs; the others keep their results.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, Int64Array, StringArray};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::DataFusionError;
use datafusion::datasource::{MemTable, TableType};
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use serde_json::{Value, json};
use veracity::prelude::*;

use crate::{block_on, statuses};

type Sound = (&'static str, fn() -> Value);

const SOUND: &[Sound] = &[
    ("row_count() = 4", || json!(4)),
    ("sum(a) = 9223372036854775813", || {
        json!("9223372036854775813")
    }),
    ("completeness(t) = 0.75", || json!(0.75)),
    ("violations(a > 1) = 1", || json!(1)),
    ("distinct_count(b) = 3", || json!(3)),
    ("count(distinct t) = 3", || json!(3)),
    ("median(b) = 2", || json!(2.0)),
];

fn rows() -> RecordBatch {
    let a: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3, i64::MAX]));
    let b: ArrayRef = Arc::new(Int64Array::from(vec![Some(2), Some(0), None, Some(3)]));
    let t: ArrayRef = Arc::new(StringArray::from(vec![
        Some("1"),
        Some("x"),
        None,
        Some("3"),
    ]));
    RecordBatch::try_from_iter([("a", a), ("b", b), ("t", t)]).unwrap()
}

/// The report on the sound assertions with the culprits among them.
fn report(culprits: &[&str]) -> Report {
    let mut check = Check::new("all");
    for (n, (sound, _)) in SOUND.iter().enumerate() {
        check = check.assert(*sound);
        for culprit in culprits.iter().skip(n).step_by(SOUND.len()) {
            check = check.assert(*culprit);
        }
    }
    let rows = rows();
    let suite = VerificationSuite::builder("culprits")
        .dataset(Dataset::batches(
            "d",
            vec![rows.slice(0, 2), rows.slice(2, 2)],
        ))
        .check(check)
        .build()
        .unwrap();
    let engine = Engine::builder().cores(2).build().unwrap();
    block_on(suite.run(&engine))
}

fn assert_isolated(culprits: &[(&str, &str)]) {
    let names: Vec<&str> = culprits.iter().map(|(culprit, _)| *culprit).collect();
    let report = report(&names);
    assert_eq!(report.results.len(), SOUND.len() + culprits.len());
    for result in &report.results {
        let culprit = culprits
            .iter()
            .find(|(culprit, _)| *culprit == result.expression);
        match culprit {
            Some((_, why)) => {
                assert_eq!(result.status, Status::Error, "{}", result.expression);
                let reason = result.reason.as_deref().unwrap_or_default();
                assert!(reason.contains(why), "{}: {reason}", result.expression);
            }
            None => {
                assert_eq!(
                    result.status,
                    Status::Passed,
                    "{}: {:?}",
                    result.expression,
                    result.reason
                );
                let (_, expected) = SOUND
                    .iter()
                    .find(|(sound, _)| *sound == result.expression)
                    .unwrap();
                assert_eq!(result.actual, Some(expected()), "{}", result.expression);
            }
        }
    }
    assert_eq!(report.summary.error as usize, culprits.len());
    assert_eq!(report.verdict, Verdict::NotEvaluated);
}

#[test]
fn without_a_culprit_all_pass() {
    assert!(
        statuses(&report(&[]))
            .iter()
            .all(|status| *status == Status::Passed)
    );
}

#[test]
fn an_overflow_fails_only_who_asked() {
    assert_isolated(&[("max(a * b) > 0", "verflow")]);
}

#[test]
fn a_bad_cast_fails_only_who_asked() {
    assert_isolated(&[("max(cast(t as int)) > 0", "'x'")]);
}

#[test]
fn an_overflow_in_a_filter_fails_only_who_asked() {
    assert_isolated(&[("sum(b) filter (where a + 1 > 0) = 5", "verflow")]);
}

#[test]
fn an_overflow_in_the_keys_of_a_group_by_fails_only_who_asked() {
    assert_isolated(&[("distinct_count(a + b) = 3", "verflow")]);
}

#[test]
fn a_culprit_in_a_rule_about_rows_fails_only_who_asked() {
    assert_isolated(&[("violations(cast(t as int) > 0) = 0", "'x'")]);
}

#[test]
fn several_culprits_are_told_apart() {
    assert_isolated(&[
        ("max(a * b) > 0", "verflow"),
        ("max(cast(t as int)) > 0", "'x'"),
        ("min(a + 1) > 0", "verflow"),
        ("avg(cast(t as double)) > 0", "'x'"),
        ("sum(a * 2) > 0", "verflow"),
    ]);
}

#[test]
fn an_overflow_of_computed_values_needs_no_second_query() {
    let report = report(&["max(a) + 1 > 0"]);
    assert_eq!(report.summary.error, 1);
    assert_eq!(report.summary.passed as usize, SOUND.len());
}

/// A table whose scans panic.
#[derive(Debug)]
struct Panicking(MemTable);

#[async_trait]
impl TableProvider for Panicking {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        _: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        panic!("out of cheese")
    }
}

#[test]
fn a_panic_fails_only_who_asked() {
    let rows = rows();
    let table = MemTable::try_new(rows.schema(), vec![vec![rows.clone()]]).unwrap();
    let suite = VerificationSuite::builder("panic")
        .dataset(Dataset::batches("good", vec![rows]))
        .dataset(Dataset::table("bad", Arc::new(Panicking(table))))
        .check(
            Check::new("all")
                .dataset("good")
                .assert("row_count() = 4")
                .assert("max(bad.a) > 0")
                .assert("distinct_count(bad.b) > 0")
                .assert("unmatched(a, bad.a) = 0")
                .assert("distinct_count(b) = 3"),
        )
        .build()
        .unwrap();
    let engine = Engine::builder().cores(2).build().unwrap();
    let report = block_on(suite.run(&engine));
    use Status::{Error, Passed};
    assert_eq!(statuses(&report), [Passed, Error, Error, Error, Passed]);
    for result in &report.results[1..4] {
        let reason = result.reason.as_deref().unwrap_or_default();
        assert!(reason.contains("out of cheese"), "{reason}");
    }
}
