//! What to verify, as plain data: a suite of checks over datasets.

pub mod diagnostic;
pub mod file;

mod assembly;
mod builder;
mod complaint;
mod dataset;
mod interpolate;
mod masked;
mod node;
mod processing;
mod reading;
mod scalar;
mod schema;
mod setting;
mod validate;
mod yaml;

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::logical_expr::Expr;
use datafusion::sql::sqlparser::ast::Expr as SqlExpr;
use datafusion::sql::unparser::expr_to_sql;
pub use veracity_processor::{Location, Severity};

pub use builder::{RowsAssertion, SuiteBuilder};
pub use dataset::FileDataset;
pub use interpolate::Environment;
pub use processing::Processing;
pub use validate::{MAX_ASSERTIONS, MAX_EXPRESSION_BYTES};

/// What must hold for some datasets.
#[derive(Debug, Clone)]
pub struct VerificationSuite {
    /// Its name, in reports and messages.
    pub name: String,
    /// The datasets its checks may speak of, in the order given; names are unique.
    pub datasets: Vec<Dataset>,
    /// The checks, in the order given.
    pub checks: Vec<Check>,
    /// The least severity whose failures fail the run.
    pub fail_on: Severity,
    /// What becomes of the report.
    pub processing: Processing,
}

/// A named table of rows.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// Its name in the assertions.
    pub name: String,
    /// Where its rows come from.
    pub source: Source,
    /// IANA name or offset of the zone that zone-less timestamps are in.
    pub timezone: Option<String>,
    /// How much of a file has to be read before it counts as verified.
    pub integrity: Integrity,
    /// Columns whose values are masked in every output.
    pub sensitive: Vec<String>,
    /// Where it is written.
    pub location: Option<Location>,
}

/// Where the rows of a dataset come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A file, a glob, or a folder of files.
    Path {
        /// Path or glob; `{date}` and other `{..}` templates are filled in by the run.
        path: String,
        /// How the files are written; from their extension if not given.
        format: Option<Format>,
        /// Reader options.
        options: FormatOptions,
    },
    /// A `select` over the other datasets.
    Sql(String),
    /// Rows in memory.
    Batches(Vec<RecordBatch>),
    /// Any DataFusion table.
    Table(Arc<dyn TableProvider>),
}

/// How files are written.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Apache Parquet.
    Parquet,
    /// Delimited text with or without a header.
    Csv,
    /// One JSON object a line.
    Json,
    /// Arrow IPC files (Feather 2).
    Arrow,
}

/// Options of the readers. Those a format does not know are refused.
#[derive(Debug, Clone, Default, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FormatOptions {
    /// CSV: whether the first line names the columns. Default: true.
    pub header: Option<bool>,
    /// CSV: what separates fields. Default: a comma, a tab for `.tsv` files.
    pub delimiter: Option<char>,
    /// CSV: what encloses fields. Default: `"`.
    pub quote: Option<char>,
    /// CSV: what escapes a quote, if not doubling it.
    pub escape: Option<char>,
    /// CSV: what begins a line to be ignored.
    pub comment: Option<char>,
    /// CSV: texts that mean NULL. Default: the empty text.
    pub null_values: Option<Vec<String>>,
    /// CSV: whether a quoted field may hold line breaks. Default: true.
    pub newlines_in_values: Option<bool>,
    /// CSV and JSON: rows looked at to find the columns' types. Default: 10000.
    pub infer_rows: Option<usize>,
    /// CSV and JSON: types of columns by name, instead of the inferred ones.
    pub types: Option<BTreeMap<String, String>>,
    /// CSV and JSON: `gzip`, `bzip2`, `xz`, `zstd` or `none`; from the extension if not given.
    pub compression: Option<String>,
    /// A file of zero bytes is an empty table instead of an error. Default: false.
    pub allow_empty_file: Option<bool>,
}

/// How much of a file has to be read before it counts as verified.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Integrity {
    /// Exact statistics of the files may answer metrics; the symbol then says so.
    #[default]
    Metadata,
    /// Data is read and page checksums are verified, also where statistics would do.
    Full,
}

/// A named group of assertions on one default dataset.
#[derive(Debug, Clone)]
pub struct Check {
    /// Its name; unique in the suite.
    pub name: String,
    /// The dataset that unqualified columns belong to. `None` is the suite's only one.
    pub dataset: Option<String>,
    /// The severity of its assertions, unless they say otherwise.
    pub severity: Severity,
    /// Labels of all its assertions.
    pub tags: Vec<String>,
    /// What must hold.
    pub assertions: Vec<Assertion>,
    /// Where it is written.
    pub location: Option<Location>,
}

/// One thing that must hold.
#[derive(Debug, Clone)]
pub struct Assertion {
    /// What must hold.
    pub condition: Condition,
    /// Its name; the expression if not given. Unique in its check.
    pub name: Option<String>,
    /// Its severity, if not that of the check.
    pub severity: Option<Severity>,
    /// Labels beside those of the check.
    pub tags: Vec<String>,
    /// Where it is written.
    pub location: Option<Location>,
}

/// An expression as SQL, without parentheses around the whole.
pub(crate) fn sql_of(expr: &Expr) -> String {
    match expr_to_sql(expr) {
        Ok(SqlExpr::Nested(inner)) => inner.to_string(),
        Ok(sql) => sql.to_string(),
        Err(_) => expr.to_string(),
    }
}

impl Assertion {
    /// What is asserted, as written.
    pub fn expression(&self) -> String {
        let predicate = match self.condition.predicate() {
            Predicate::Text { sql, .. } => sql.trim().to_owned(),
            Predicate::Expr(expr) => sql_of(expr),
        };
        let Condition::Rows {
            mostly, on_null, ..
        } = &self.condition
        else {
            return predicate;
        };
        let mut terms = Vec::new();
        terms.extend(mostly.map(|share| format!("mostly {share}")));
        terms.extend(match on_null {
            OnNull::Skip => None,
            OnNull::Pass => Some("on_null pass".to_owned()),
            OnNull::Fail => Some("on_null fail".to_owned()),
        });
        if terms.is_empty() {
            format!("rows: {predicate}")
        } else {
            format!("rows: {predicate} ({})", terms.join(", "))
        }
    }
}

/// A boolean expression that must be true, over the table or over each row.
#[derive(Debug, Clone)]
pub enum Condition {
    /// Over aggregates: `completeness(email) >= 0.95`.
    Expect(Predicate),
    /// Over each row: `ship_date <= receipt_date`.
    Rows {
        /// What must hold for a row.
        predicate: Predicate,
        /// The least share of rows that must hold it, in [0, 1]; all of them if not given.
        mostly: Option<f64>,
        /// What a row means for which the predicate is unknown.
        on_null: OnNull,
    },
}

impl Condition {
    /// The expression, whichever kind of condition it is.
    pub fn predicate(&self) -> &Predicate {
        match self {
            Condition::Expect(predicate) | Condition::Rows { predicate, .. } => predicate,
        }
    }
}

/// What a row means for which a `rows:` predicate is unknown (NULL).
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum OnNull {
    /// It is left out of the count.
    #[default]
    Skip,
    /// It counts as a row that holds.
    Pass,
    /// It counts as a violation.
    Fail,
}

/// A boolean expression, as text or as a DataFusion expression.
#[derive(Debug, Clone)]
pub enum Predicate {
    /// SQL text.
    Text {
        /// The expression.
        sql: String,
        /// Where its first character stands, if it stands in a file as it is.
        start: Option<Location>,
    },
    /// A DataFusion expression.
    Expr(Box<Expr>),
}
