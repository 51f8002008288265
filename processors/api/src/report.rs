//! The outcome of a run, as processors, files and other programs see it.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Delivery, Run, Severity};

/// The version of the Report's JSON. It grows when a field changes its meaning or
/// leaves; new fields alone do not change it.
pub const SCHEMA_VERSION: u32 = 1;

/// Everything a finished (or interrupted) run of a suite has to say.
///
/// Its JSON is the machine interface of veracity: `--format json`, processors and
/// stores all carry this one type. Readers should ignore fields they do not know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Report {
    /// Version of this JSON. It grows when a field changes its meaning or leaves.
    pub schema_version: u32,
    /// Which run this was.
    pub run: Run,
    /// The one-word outcome, by the suite's `fail_on`.
    pub verdict: Verdict,
    /// How many assertions ended in which status.
    pub summary: Summary,
    /// The datasets of the suite, sorted by name.
    pub datasets: Vec<DatasetReport>,
    /// One result per declared assertion, in the order of the suite.
    pub results: Vec<AssertionResult>,
    /// Every distinct metric value, in the order of first appearance in the suite.
    pub symbols: Vec<Symbol>,
    /// What became of the report at each result processor.
    #[serde(default)]
    pub deliveries: Vec<Delivery>,
    /// Things worth knowing that change no result, such as a column name that
    /// matched only when case was ignored.
    #[serde(default)]
    pub warnings: Vec<String>,
}

impl Report {
    /// A report of `run` without any result yet.
    pub fn new(run: Run) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            run,
            verdict: Verdict::NotEvaluated,
            summary: Summary::default(),
            datasets: Vec::new(),
            results: Vec::new(),
            symbols: Vec::new(),
            deliveries: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The symbol called `name` (`x_1`).
    pub fn symbol(&self, name: &str) -> Option<&Symbol> {
        self.symbols.iter().find(|symbol| symbol.name == name)
    }

    /// True if the run reached its verdict and the verdict is good.
    pub fn passed(&self) -> bool {
        self.verdict == Verdict::Passed
    }
}

/// The outcome of a run in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// Everything that counts was evaluated and holds.
    Passed,
    /// An assertion at or above `fail_on` does not hold.
    Failed,
    /// Something that counts could not be evaluated, or nothing was.
    NotEvaluated,
}

impl Verdict {
    /// Its word in JSON: `not_evaluated`.
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::Passed => "passed",
            Verdict::Failed => "failed",
            Verdict::NotEvaluated => "not_evaluated",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Passed => "passed",
            Verdict::Failed => "failed",
            Verdict::NotEvaluated => "not evaluated",
        })
    }
}

/// How many assertions ended in which status.
///
/// `declared` is always the sum of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Summary {
    /// Assertions of the suite, one per group where a check is evaluated per group.
    pub declared: u64,
    /// Those that hold.
    pub passed: u64,
    /// Those that do not hold.
    pub failed: u64,
    /// Those that need a value which is undefined on this data.
    pub not_evaluated: u64,
    /// Those that need repair: a missing column, an unreadable source, an overflow.
    pub error: u64,
    /// Those left out by choice.
    pub skipped: u64,
}

impl Summary {
    /// Counts the statuses of `results`.
    pub fn of(results: &[AssertionResult]) -> Self {
        let mut summary = Summary {
            declared: results.len() as u64,
            ..Summary::default()
        };
        for result in results {
            match result.status {
                Status::Passed => summary.passed += 1,
                Status::Failed => summary.failed += 1,
                Status::NotEvaluated => summary.not_evaluated += 1,
                Status::Error => summary.error += 1,
                Status::Skipped => summary.skipped += 1,
            }
        }
        summary
    }
}

/// What one dataset cost and how large it was.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct DatasetReport {
    /// Name in the suite.
    pub name: String,
    /// Rows, where they were counted or known.
    pub rows: Option<u64>,
    /// How often the dataset's data was read: the fused scan, group-bys, joins. 0
    /// when metadata answered everything.
    pub scans: u64,
    /// Files the dataset consists of; 0 for tables that are no files.
    pub files: u64,
    /// Files whose earlier partial states were used instead of reading them.
    pub files_reused: u64,
    /// Bytes read from storage, where that is known.
    pub bytes_read: Option<u64>,
    /// Why the dataset could not be opened or read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl DatasetReport {
    /// A dataset called `name` of which nothing is known yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }
}

/// How an assertion ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// It holds.
    Passed,
    /// It does not hold.
    Failed,
    /// A value it needs is undefined; the reason says why.
    #[default]
    NotEvaluated,
    /// Something needs repair: a missing column, an unreadable source, an overflow.
    Error,
    /// Left out by choice.
    Skipped,
}

impl Status {
    /// Its word in JSON: `not_evaluated`.
    pub const fn name(self) -> &'static str {
        match self {
            Status::Passed => "passed",
            Status::Failed => "failed",
            Status::NotEvaluated => "not_evaluated",
            Status::Error => "error",
            Status::Skipped => "skipped",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Status::Passed => "passed",
            Status::Failed => "failed",
            Status::NotEvaluated => "not evaluated",
            Status::Error => "error",
            Status::Skipped => "skipped",
        })
    }
}

/// What became of one assertion.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct AssertionResult {
    /// Name of the check it belongs to.
    pub check: String,
    /// Its name; unique in its check. The expression, unless the suite gives one.
    pub assertion: String,
    /// The dataset its unqualified columns belong to.
    pub dataset: String,
    /// How much it matters.
    pub severity: Severity,
    /// Labels of the check and the assertion, sorted.
    pub tags: Vec<String>,
    /// How it ended.
    pub status: Status,
    /// What was asserted, as written.
    pub expression: String,
    /// The value compared, where one symbol expression is compared with a bound.
    /// Decimals and integers beyond 2^53 are strings.
    pub actual: Option<Value>,
    /// The bound it was compared with (`>= 0.95`).
    pub expected: Option<String>,
    /// Why it was not evaluated, is in error, or was skipped.
    pub reason: Option<String>,
    /// Names of the symbols it uses.
    pub symbols: Vec<String>,
    /// The group it was evaluated for, if it was evaluated per group.
    pub group: Option<Value>,
    /// For assertions about rows: how many rows violate it.
    pub violations: Option<u64>,
    /// Some of the violating rows; empty unless asked for.
    #[serde(default)]
    pub sample: Vec<Value>,
    /// Where it is written.
    pub location: Option<Location>,
}

impl AssertionResult {
    /// The result of `assertion` in `check`, not evaluated yet.
    pub fn new(check: impl Into<String>, assertion: impl Into<String>) -> Self {
        Self {
            check: check.into(),
            assertion: assertion.into(),
            ..Self::default()
        }
    }
}

/// A place in a suite file; lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
pub struct Location {
    /// The file, as it was named to veracity.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Whether a symbol has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SymbolStatus {
    /// It has a value.
    Ok,
    /// It is undefined on this data (no rows, NaN, division by zero); `error` says why.
    #[default]
    Undefined,
    /// It could not be computed; `error` says why.
    Error,
}

/// One distinct metric call on one dataset, with its value.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Symbol {
    /// `x_1`, `x_2`, .. in the order of first appearance in the suite.
    pub name: String,
    /// The metric call, as written.
    pub metric: String,
    /// The dataset it was computed on.
    pub dataset: String,
    /// Its value; null when undefined or in error. Decimals and integers beyond 2^53
    /// are strings, dates and timestamps are ISO 8601.
    pub value: Option<Value>,
    /// The value's type, in DataFusion's words (`Int64`, `Decimal128(15, 2)`).
    pub r#type: Option<String>,
    /// Whether there is a value.
    pub status: SymbolStatus,
    /// Why there is none.
    pub error: Option<String>,
    /// The date of the data, `YYYY-MM-DD`.
    pub date: String,
    /// False for sketches; `precision` then says how inexact.
    pub exact: bool,
    /// Stated error of an inexact value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<String>,
    /// Where the value comes from: `scan`, `metadata` (file statistics, no data read),
    /// `schema`, `group by`, `join`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Share of the data that was available for it, in [0, 1].
    pub availability: f64,
}

impl Symbol {
    /// The symbol `name` for `metric`, without a value yet.
    pub fn new(
        name: impl Into<String>,
        metric: impl Into<String>,
        dataset: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            metric: metric.into(),
            dataset: dataset.into(),
            exact: true,
            availability: 1.0,
            ..Self::default()
        }
    }
}
