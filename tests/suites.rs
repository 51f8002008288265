//! Suites as text files: `tests/suites/*.case`, one story a file, each a test of its own.
//!
//! A case states its tables, its assertions and, under `----`, what must come of them.
//! `UPDATE_CASES=1` rewrites the part under `----`.
//!
//! ```text
//! # An empty text is a value; a null is not.
//! table orders as parquet 2 timezone Europe/Amsterdam
//! id:bigint,email
//! 1,a@x.org
//! 2,NULL
//! 3,""
//!
//! assert completeness(email) >= 0.9
//! rows mostly 0.5 on_null fail id > 1
//! ----
//! failed  completeness(email) >= 0.9  was 0.6667
//! passed  rows: id > 1 (mostly 0.5)  was 0.6667  1 violation
//! scans  orders 1
//! ```
//!
//! - `table NAME [as parquet [ROWS] | as csv | as batches [N]] [timezone ZONE]`, then the
//!   columns as `name:type` (text if no type is given) and the rows, up to an empty line.
//!   `NULL` is null, `""` the empty text, `[1 NULL 3]` a list. A number after `parquet` is
//!   the size of a row group. Without `as` the rows are one batch in memory.
//! - `sql NAME: select ..` is a dataset over the others.
//! - `assert EXPRESSION` and `rows [mostly M] [on_null X] PREDICATE` are about the first
//!   table; `on NAME` begins a check on another dataset, `check NAME SEVERITY` one of
//!   another severity.
//! - `now TIME` sets the clock, `fail_on SEVERITY` what fails the suite; `symbols`,
//!   `warnings`, `severities`, `verdict` and `plan` ask for more to be shown.

#![expect(
    clippy::unwrap_used,
    reason = "a test may panic, its helper functions too"
)]

#[path = "suites/table.rs"]
mod table;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use similar::TextDiff;
use tempfile::TempDir;
use veracity::prelude::*;
use veracity_processor::AssertionResult;

use table::Table;

fn main() {
    let arguments = Arguments::from_args();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suites");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "case")
        })
        .collect();
    files.sort();
    assert!(
        files.len() >= 60,
        "the case files have gone: {}",
        files.len()
    );
    let trials = files
        .into_iter()
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            Trial::test(name, move || verify(&path))
        })
        .collect();
    libtest_mimic::run(&arguments, trials).exit();
}

fn verify(path: &Path) -> Result<(), Failed> {
    let text = std::fs::read_to_string(path)?;
    let (given, expected) = text
        .split_once("----\n")
        .ok_or("the case has no line of four dashes")?;
    if !given.starts_with("# ") {
        return Err("the first line does not tell the story".into());
    }
    let found = Case::parse(given)?.run()?;
    if found == expected {
        return Ok(());
    }
    if std::env::var_os("UPDATE_CASES").is_some() {
        std::fs::write(path, format!("{given}----\n{found}"))?;
        return Ok(());
    }
    let diff = TextDiff::from_lines(expected, &found);
    let diff = diff.unified_diff().header("expected", "found").to_string();
    Err(format!("{}\n{diff}", path.display()).into())
}

/// A case file above its dashes.
#[derive(Default)]
struct Case {
    tables: Vec<Table>,
    queries: Vec<(String, String)>,
    checks: Vec<Check>,
    now: Option<DateTime<Utc>>,
    fail_on: Severity,
    show: Show,
}

/// What is shown beside results and scans.
#[derive(Default)]
struct Show {
    symbols: bool,
    warnings: bool,
    severities: bool,
    verdict: bool,
    plan: bool,
}

impl Case {
    fn parse(text: &str) -> Result<Self, String> {
        let mut case = Case::default();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "" | "#" => {}
                "table" => {
                    let block: Vec<&str> =
                        lines.by_ref().take_while(|line| !line.is_empty()).collect();
                    case.tables.push(Table::parse(rest, &block)?);
                }
                "sql" => {
                    let (name, sql) = rest.split_once(": ").ok_or("`sql` needs a name")?;
                    case.queries.push((name.to_owned(), sql.to_owned()));
                }
                "on" => case.check(rest, Severity::default(), rest),
                "check" => {
                    let (name, severity) =
                        rest.split_once(' ').ok_or("`check` needs a severity")?;
                    case.check(name, severity_named(severity)?, "");
                }
                // Named by the line: the same rule may be stated with other options.
                "assert" => case.assertion(Assertion::expect(rest).named(line)),
                "rows" => {
                    let assertion = rows(rest)?;
                    case.assertion(assertion.named(line));
                }
                "now" => case.now = Some(rest.parse().map_err(|error| format!("{rest}: {error}"))?),
                "fail_on" => case.fail_on = severity_named(rest)?,
                "symbols" => case.show.symbols = true,
                "warnings" => case.show.warnings = true,
                "severities" => case.show.severities = true,
                "verdict" => case.show.verdict = true,
                "plan" => case.show.plan = true,
                _ => return Err(format!("no such line in a case: {line}")),
            }
        }
        Ok(case)
    }

    fn check(&mut self, name: &str, severity: Severity, dataset: &str) {
        let dataset = if dataset.is_empty() {
            self.first_table()
        } else {
            dataset.to_owned()
        };
        let check = Check::new(name).dataset(dataset).severity(severity);
        self.checks.push(check);
    }

    fn assertion(&mut self, assertion: Assertion) {
        if self.checks.is_empty() {
            self.check("case", Severity::default(), "");
        }
        self.checks.last_mut().unwrap().assertions.push(assertion);
    }

    fn first_table(&self) -> String {
        self.tables
            .first()
            .map(|table| table.name.clone())
            .unwrap_or_default()
    }

    fn run(self) -> Result<String, Failed> {
        let folder = TempDir::new()?;
        let mut suite = VerificationSuite::builder("case").fail_on(self.fail_on);
        for table in &self.tables {
            suite = suite.dataset(table.dataset(folder.path())?);
        }
        for (name, sql) in &self.queries {
            suite = suite.dataset(Dataset::sql(name, sql));
        }
        for check in &self.checks {
            suite = suite.check(check.clone());
        }
        let suite = suite.build()?;
        let mut engine = Engine::builder().cores(2);
        if let Some(now) = self.now {
            engine = engine.now(now);
        }
        let engine = engine.build()?;
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let mut shown = self.show.report(&runtime.block_on(suite.run(&engine)));
        if self.show.plan {
            let plan = runtime.block_on(engine.plan(&suite))?;
            shown.push_str(&plan.tree());
        }
        let folder = folder.path().to_string_lossy().into_owned();
        Ok(shown.replace(&folder, "FOLDER"))
    }
}

fn severity_named(name: &str) -> Result<Severity, String> {
    serde_json::from_value(Value::String(name.to_owned()))
        .map_err(|error| format!("{name}: {error}"))
}

fn rows(mut text: &str) -> Result<Assertion, String> {
    let mut mostly = None;
    let mut on_null = OnNull::default();
    while let Some((key @ ("mostly" | "on_null"), rest)) = text.split_once(' ') {
        let (value, rest) = rest.split_once(' ').ok_or("`rows` needs a predicate")?;
        match (key, value) {
            ("mostly", share) => {
                mostly = Some(share.parse().map_err(|error| format!("{share}: {error}"))?);
            }
            (_, "skip") => on_null = OnNull::Skip,
            (_, "pass") => on_null = OnNull::Pass,
            (_, "fail") => on_null = OnNull::Fail,
            (_, other) => return Err(format!("on_null is skip, pass or fail, not {other}")),
        }
        text = rest;
    }
    let rows = Assertion::rows(text).on_null(on_null);
    Ok(match mostly {
        Some(share) => rows.mostly(share).into(),
        None => rows.into(),
    })
}

impl Show {
    fn report(&self, report: &Report) -> String {
        let mut out = String::new();
        for result in &report.results {
            out.push_str(&self.result(result));
            out.push('\n');
        }
        for dataset in &report.datasets {
            writeln!(out, "scans  {} {}", dataset.name, dataset.scans).unwrap();
        }
        if self.symbols {
            for symbol in &report.symbols {
                let value = match (&symbol.value, &symbol.error) {
                    (Some(value), _) => shown(value),
                    (None, error) => error.clone().unwrap_or_default(),
                };
                let exact = symbol.precision.as_deref().unwrap_or("exact");
                let parts = [
                    &symbol.name,
                    &symbol.dataset,
                    &symbol.metric,
                    &value,
                    symbol.r#type.as_deref().unwrap_or("no type"),
                    symbol.origin.as_deref().unwrap_or("no origin"),
                    exact,
                ];
                writeln!(out, "symbol  {}", parts.join("  ")).unwrap();
            }
        }
        if self.warnings {
            for warning in &report.warnings {
                writeln!(out, "warning  {warning}").unwrap();
            }
        }
        if self.verdict {
            writeln!(out, "verdict  {}", report.verdict).unwrap();
        }
        out
    }

    fn result(&self, result: &AssertionResult) -> String {
        let mut line = format!("{}  {}", result.status, result.expression);
        if self.severities {
            line = format!("{}  {line}", result.severity);
        }
        if let Some(actual) = &result.actual {
            let _ = write!(line, "  was {}", shown(actual));
        }
        match result.violations {
            None | Some(0) => {}
            Some(1) => line.push_str("  1 violation"),
            Some(n) => {
                let _ = write!(line, "  {n} violations");
            }
        }
        if let Some(reason) = &result.reason {
            let _ = write!(line, "  because {reason}");
        }
        line
    }
}

/// A value in few digits: whole numbers and decimals as they are, floats with four digits
/// behind the point, and at least one.
fn shown(value: &Value) -> String {
    match value {
        Value::Number(number) if number.is_f64() => {
            let float = number.as_f64().unwrap();
            if float != 0.0 && !(1e-3..1e15).contains(&float.abs()) {
                return format!("{float:e}");
            }
            let mut digits = format!("{float:.4}");
            while digits.ends_with('0') && !digits.ends_with(".0") {
                digits.pop();
            }
            digits
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
