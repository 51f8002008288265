//! How often a dataset is read, counted by the dataset itself.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::{MemTable, TableType};
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use veracity::prelude::*;

use crate::{block_on, statuses};

/// A table in memory that remembers how it was read.
#[derive(Debug)]
struct CountingTable {
    rows: MemTable,
    /// The columns of each scan.
    scans: Mutex<Vec<BTreeSet<String>>>,
}

impl CountingTable {
    fn new() -> Arc<Self> {
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3, 3]));
        let amounts: ArrayRef =
            Arc::new(Float64Array::from(vec![Some(0.5), None, Some(2.5), None]));
        let emails: ArrayRef = Arc::new(StringArray::from(vec![
            Some("a"),
            Some("b"),
            None,
            Some(""),
        ]));
        let unused: ArrayRef = Arc::new(StringArray::from(vec!["x"; 4]));
        let rows = RecordBatch::try_from_iter([
            ("id", ids),
            ("amount", amounts),
            ("email", emails),
            ("unused", unused),
        ])
        .unwrap();
        let partitions = vec![vec![rows.slice(0, 1)], vec![rows.slice(1, 3)]];
        Arc::new(Self {
            rows: MemTable::try_new(rows.schema(), partitions).unwrap(),
            scans: Mutex::default(),
        })
    }

    fn scans(&self) -> Vec<BTreeSet<String>> {
        self.scans.lock().unwrap().clone()
    }
}

#[async_trait]
impl TableProvider for CountingTable {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = self.schema();
        let all: Vec<usize> = (0..schema.fields().len()).collect();
        let columns = projection.unwrap_or(&all);
        let names = columns
            .iter()
            .map(|&index| schema.field(index).name().clone());
        self.scans.lock().unwrap().push(names.collect());
        self.rows.scan(state, projection, filters, limit).await
    }
}

fn set(columns: &[&str]) -> BTreeSet<String> {
    columns.iter().map(|&column| column.to_owned()).collect()
}

/// Runs the assertions over tables `a` and `b` and returns how these were read; the plan's
/// and the report's numbers must be the same.
fn scans(assertions: &[String]) -> [Vec<BTreeSet<String>>; 2] {
    let tables = [CountingTable::new(), CountingTable::new()];
    let check = assertions
        .iter()
        .fold(Check::new("all").dataset("a"), |check, assertion| {
            check.assert(assertion.as_str())
        });
    let suite = VerificationSuite::builder("counted")
        .dataset(Dataset::table(
            "a",
            Arc::clone(&tables[0]) as Arc<dyn TableProvider>,
        ))
        .dataset(Dataset::table(
            "b",
            Arc::clone(&tables[1]) as Arc<dyn TableProvider>,
        ))
        .check(check)
        .build()
        .unwrap();
    let engine = Engine::builder().cores(2).build().unwrap();
    let plan = block_on(engine.plan(&suite)).unwrap();
    assert_eq!(plan.errors, []);
    for table in &tables {
        assert_eq!(
            table.scans(),
            Vec::<BTreeSet<String>>::new(),
            "planning reads nothing"
        );
    }
    let report = block_on(suite.run(&engine));
    for result in &report.results {
        assert_eq!(
            result.status,
            Status::Passed,
            "{}: {:?}",
            result.expression,
            result.reason
        );
    }
    for (name, table) in ["a", "b"].into_iter().zip(&tables) {
        let happened = table.scans().len() as u64;
        let planned = plan
            .datasets
            .iter()
            .find(|work| work.dataset == name)
            .unwrap();
        let reported = report.datasets.iter().find(|set| set.name == name).unwrap();
        assert_eq!(planned.scans, happened, "planned for {name}");
        assert_eq!(reported.scans, happened, "reported for {name}");
        let read: BTreeSet<String> = table.scans().into_iter().flatten().collect();
        let planned: BTreeSet<String> = planned.columns_read.iter().cloned().collect();
        assert_eq!(planned, read, "columns planned for {name}");
    }
    tables.map(|table| table.scans())
}

fn owned(assertions: &[&str]) -> Vec<String> {
    assertions
        .iter()
        .map(|&assertion| assertion.to_owned())
        .collect()
}

#[test]
fn five_assertions_are_one_scan_of_the_columns_they_use() {
    let [a, b] = scans(&owned(&[
        "row_count() = 4",
        "completeness(email) = 0.75",
        "sum(id) = 9",
        "max(amount) = 2.5",
        "violations(id > 0) = 0",
    ]));
    assert_eq!(a, [set(&["amount", "email", "id"])]);
    assert!(b.is_empty());
}

#[test]
fn five_hundred_assertions_are_one_scan() {
    let assertions: Vec<String> = (0..500)
        .map(|n| match n % 5 {
            0 => format!("sum(id) < {}", n + 10),
            1 => format!("violations(id > -{n}) = 0"),
            2 => format!("max(id) filter (where id < {}) < {n} + 4", n + 2),
            3 => format!("completeness(amount) <= {n}"),
            _ => format!("avg(id + {n}) > {n}"),
        })
        .collect();
    let [a, _] = scans(&assertions);
    assert_eq!(a, [set(&["amount", "id"])]);
}

#[test]
fn rows_are_counted_without_reading_a_column() {
    let [a, _] = scans(&owned(&["row_count() = 4"]));
    assert_eq!(a, [set(&[])]);
}

#[test]
fn each_set_of_keys_is_one_more_scan_however_many_metrics_ask() {
    let [a, _] = scans(&owned(&[
        "row_count() = 4",
        "distinct_count(email) = 3",
        "uniqueness(email) = 1",
        "entropy(email) > 1",
        "duplicate_count(email) = 0",
        "count(distinct email) = 3",
        "unique_value_ratio(id) < 1",
        "duplicate_row_count(id) = 2",
        "uniqueness(id, email) = 1",
        "distinctness(email, id) = 1",
    ]));
    let mut sets = a.clone();
    sets.sort_by_key(|columns| columns.iter().cloned().collect::<Vec<_>>().join(" "));
    assert_eq!(
        sets,
        [
            set(&["email"]),
            set(&["email", "id"]),
            set(&["email", "id"]),
            set(&["id"])
        ],
        "a group by for each of the three key sets and the fused scan"
    );
}

#[test]
fn a_filter_makes_another_set_of_keys() {
    let [a, _] = scans(&owned(&[
        "distinct_count(email) = 3",
        "distinct_count(email) filter (where id < 3) = 2",
        "distinct_count(email) filter (where id < 3) < 3",
    ]));
    assert_eq!(a.len(), 2);
}

#[test]
fn a_reference_reads_both_datasets_once() {
    let [a, b] = scans(&owned(&[
        "unmatched(id, b.id) = 0",
        "unmatched(id, b.id) < 1",
        "referential_integrity(email, b.email) = 1",
    ]));
    assert_eq!(
        a.len(),
        3,
        "two joins and the fused scan of the rows with a value"
    );
    assert_eq!(b, [set(&["id"]), set(&["email"])]);
}

#[test]
fn two_datasets_in_one_expression_are_read_once_each() {
    let [a, b] = scans(&owned(&[
        "sum(a.id) = sum(b.id)",
        "row_count() = row_count(b)",
        "completeness(b.amount) = completeness(amount)",
    ]));
    assert_eq!(a.len(), 1);
    assert_eq!(b.len(), 1);
}

#[test]
fn what_is_known_from_the_schema_reads_nothing() {
    let [a, _] = scans(&owned(&["column_count() = 4", "has_column('id')"]));
    assert!(a.is_empty());
}

#[test]
fn a_suite_of_errors_alone_reads_nothing() {
    let table = CountingTable::new();
    let suite = VerificationSuite::builder("errors")
        .dataset(Dataset::table(
            "a",
            Arc::clone(&table) as Arc<dyn TableProvider>,
        ))
        .check(
            Check::new("all")
                .assert("max(idd) = 1")
                .assert("sum(email) = 1"),
        )
        .build()
        .unwrap();
    let engine = Engine::builder().cores(2).build().unwrap();
    let report = block_on(suite.run(&engine));
    assert_eq!(statuses(&report), [Status::Error, Status::Error]);
    assert!(table.scans().is_empty());
    assert_eq!(report.datasets[0].scans, 0);
}
