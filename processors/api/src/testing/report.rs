//! Reports for tests.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use uuid::Uuid;

use crate::{
    AssertionResult, DatasetReport, Engine, Report, Run, RunKey, Severity, Status, Summary, Symbol,
    SymbolStatus, Timestamp, Verdict,
};

/// When the first run of every suite begins.
const BEGINNING: &str = "2026-11-20T06:00:00Z";
/// How long after a run the next one begins.
const BETWEEN: Duration = Duration::from_secs(60);
/// How long a run takes.
const TAKES: Duration = Duration::from_millis(100);

/// Builds a [`Report`]: the same calls give the same report, to the last byte.
///
/// `passed`, `failed`, `not_evaluated`, `error` and `skipped` add a result; `severity`,
/// `tag`, `actual` and the like are about the result before them.
///
/// ```
/// use veracity_processor::testing::ReportBuilder;
/// use veracity_processor::{Severity, Verdict};
///
/// let report = ReportBuilder::new("orders")
///     .failed("keys", "uniqueness(id) = 1")
///     .severity(Severity::P0)
///     .actual(0.98)
///     .expected("= 1")
///     .tag("daily")
///     .symbol("uniqueness(id)", 0.98)
///     .passed("keys", "row_count() > 0")
///     .dataset("customers")
///     .error("contact", "completeness(mail) > 0.9", "no column `mail`")
///     .skipped("contact", "row_count() > 0", "filtered out")
///     .build();
///
/// assert_eq!(report.verdict, Verdict::Failed);
/// assert_eq!((report.summary.declared, report.summary.failed), (4, 1));
/// assert_eq!(report.results[0].symbols, ["x_1"]);
/// assert_eq!(report.results[2].dataset, "customers");
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct ReportBuilder {
    run: RunDraft,
    dataset: String,
    results: Vec<AssertionResult>,
    symbols: Vec<Symbol>,
    warnings: Vec<String>,
    interrupted: Option<String>,
    verdict: Option<Verdict>,
}

impl ReportBuilder {
    /// A report of the suite called `suite`, without results. Its dataset is called the
    /// same.
    pub fn new(suite: impl Into<String>) -> Self {
        let suite = suite.into();
        Self {
            dataset: suite.clone(),
            run: RunDraft::new(suite),
            results: Vec::new(),
            symbols: Vec::new(),
            warnings: Vec::new(),
            interrupted: None,
            verdict: None,
        }
    }

    /// Makes it the run number `number` of its suite: each has an id of its own and begins a
    /// minute after the one before. 1 otherwise.
    pub fn run(mut self, number: u32) -> Self {
        self.run.number = number;
        self
    }

    /// The date of the data, `YYYY-MM-DD`. 2026-11-20 otherwise.
    pub fn date(mut self, date: impl Into<String>) -> Self {
        self.run.date = date.into();
        self
    }

    /// A label of the run, such as `env: prod`.
    pub fn run_tag(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.run.tags.insert(name.into(), value.into());
        self
    }

    /// The dataset of the results and symbols that follow.
    pub fn dataset(mut self, name: impl Into<String>) -> Self {
        self.dataset = name.into();
        self
    }

    /// An assertion of `check` that holds.
    pub fn passed(self, check: impl Into<String>, expression: impl Into<String>) -> Self {
        self.add(Status::Passed, check, expression, None)
    }

    /// An assertion of `check` that does not hold.
    pub fn failed(self, check: impl Into<String>, expression: impl Into<String>) -> Self {
        self.add(Status::Failed, check, expression, None)
    }

    /// An assertion of `check` that could not be evaluated on this data.
    pub fn not_evaluated(
        self,
        check: impl Into<String>,
        expression: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        self.add(Status::NotEvaluated, check, expression, Some(reason.into()))
    }

    /// An assertion of `check` that needs repair.
    pub fn error(
        self,
        check: impl Into<String>,
        expression: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        self.add(Status::Error, check, expression, Some(reason.into()))
    }

    /// An assertion of `check` that was left out.
    pub fn skipped(
        self,
        check: impl Into<String>,
        expression: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        self.add(Status::Skipped, check, expression, Some(reason.into()))
    }

    fn add(
        self,
        status: Status,
        check: impl Into<String>,
        expression: impl Into<String>,
        reason: Option<String>,
    ) -> Self {
        let expression = expression.into();
        let dataset = self.dataset.clone();
        self.result(AssertionResult {
            dataset,
            status,
            reason,
            expression: expression.clone(),
            ..AssertionResult::new(check, expression)
        })
    }

    /// Any result.
    pub fn result(mut self, result: AssertionResult) -> Self {
        self.results.push(result);
        self
    }

    /// How much the result before it matters. P1 otherwise.
    ///
    /// # Panics
    ///
    /// If there is no result yet; so do all that are about a result.
    #[track_caller]
    pub fn severity(mut self, severity: Severity) -> Self {
        self.last("severity").severity = severity;
        self
    }

    /// A label of the result before it.
    #[track_caller]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        let tags = &mut self.last("tag").tags;
        tags.push(tag.into());
        tags.sort();
        tags.dedup();
        self
    }

    /// The value that was compared.
    #[track_caller]
    pub fn actual(mut self, value: impl Into<Value>) -> Self {
        self.last("actual").actual = Some(value.into());
        self
    }

    /// The bound it was compared with (`>= 0.95`).
    #[track_caller]
    pub fn expected(mut self, bound: impl Into<String>) -> Self {
        self.last("expected").expected = Some(bound.into());
        self
    }

    /// Rows that violate the result before it: how many, and some of them.
    #[track_caller]
    pub fn violations(mut self, count: u64, sample: impl IntoIterator<Item = Value>) -> Self {
        let last = self.last("violations");
        last.violations = Some(count);
        last.sample = sample.into_iter().collect();
        self
    }

    #[track_caller]
    fn last(&mut self, what: &str) -> &mut AssertionResult {
        match self.results.last_mut() {
            Some(result) => result,
            None => panic!(
                "`{what}` is about the result before it, and there is none; call `failed` first"
            ),
        }
    }

    /// A metric's value; the result before it, if there is one, uses it.
    pub fn symbol(mut self, metric: impl Into<String>, value: impl Into<Value>) -> Self {
        let name = format!("x_{}", self.symbols.len() + 1);
        if let Some(result) = self.results.last_mut() {
            result.symbols.push(name.clone());
        }
        let mut symbol = Symbol::new(name, metric, &self.dataset);
        symbol.value = Some(value.into());
        symbol.status = SymbolStatus::Ok;
        self.symbols.push(symbol);
        self
    }

    /// Something worth knowing that changes no result.
    pub fn warning(mut self, text: impl Into<String>) -> Self {
        self.warnings.push(text.into());
        self
    }

    /// The run did not reach its end.
    pub fn interrupted(mut self, reason: impl Into<String>) -> Self {
        self.interrupted = Some(reason.into());
        self
    }

    /// Another verdict than the one that follows from the results.
    pub fn verdict(mut self, verdict: Verdict) -> Self {
        self.verdict = Some(verdict);
        self
    }

    /// The report.
    pub fn build(self) -> Report {
        let summary = Summary::of(&self.results);
        let is_whole = self.interrupted.is_none() && summary.error + summary.not_evaluated == 0;
        let verdict = self.verdict.unwrap_or(match summary {
            Summary { failed: 1.., .. } => Verdict::Failed,
            Summary { passed: 1.., .. } if is_whole => Verdict::Passed,
            _ => Verdict::NotEvaluated,
        });
        let end = self.run.start() + TAKES;
        let mut report = Report::new(self.run.build());
        report.run.finished_at = Timestamp::from(end).to_string();
        report.run.duration_ms = u64::try_from(TAKES.as_millis()).unwrap_or(u64::MAX);
        let mut datasets: Vec<&str> = self.results.iter().map(|one| &*one.dataset).collect();
        datasets.extend(self.symbols.iter().map(|symbol| &*symbol.dataset));
        datasets.sort_unstable();
        datasets.dedup();
        report.datasets = datasets.into_iter().map(DatasetReport::new).collect();
        report.symbols = self.symbols;
        for symbol in &mut report.symbols {
            symbol.date.clone_from(&report.run.key.date);
        }
        report.run.interrupted = self.interrupted;
        report.results = self.results;
        report.warnings = self.warnings;
        (report.summary, report.verdict) = (summary, verdict);
        report
    }
}

/// What a [`Run`] is made of.
#[derive(Debug, Clone)]
pub(super) struct RunDraft {
    pub(super) suite: String,
    pub(super) number: u32,
    pub(super) date: String,
    pub(super) tags: BTreeMap<String, String>,
}

impl RunDraft {
    pub(super) fn new(suite: String) -> Self {
        Self {
            suite,
            number: 1,
            date: BEGINNING[..10].to_owned(),
            tags: BTreeMap::new(),
        }
    }

    fn start(&self) -> SystemTime {
        let beginning = humantime::parse_rfc3339(BEGINNING).expect("it is a time");
        beginning + BETWEEN * self.number.saturating_sub(1)
    }

    /// The run, which has not taken any time yet.
    pub(super) fn build(self) -> Run {
        let start = self.start();
        let since = start.duration_since(SystemTime::UNIX_EPOCH);
        let milliseconds = since.unwrap_or_default().as_millis();
        let digest = Uuid::new_v5(&Uuid::NAMESPACE_OID, self.suite.as_bytes());
        let mut random = [0; 10];
        random.copy_from_slice(&digest.as_bytes()[..10]);
        let id = uuid::Builder::from_unix_timestamp_millis(
            u64::try_from(milliseconds).unwrap_or(u64::MAX),
            &random,
        );
        let key = RunKey::new(self.date, self.tags);
        let started = Timestamp::from(start).to_string();
        let mut run = Run::new(id.into_uuid(), self.suite, key, started);
        run.engine = Engine::new("0.1.0", "local");
        run
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_follows_from_the_results() {
        let suite = || ReportBuilder::new("orders");
        let passed = || suite().passed("keys", "row_count() > 0");
        let cases = [
            ("nothing", suite(), Verdict::NotEvaluated),
            ("passed", passed(), Verdict::Passed),
            ("one failed", passed().failed("a", "b"), Verdict::Failed),
            (
                "one in error",
                passed().error("a", "b", "c"),
                Verdict::NotEvaluated,
            ),
            (
                "one undefined",
                passed().not_evaluated("a", "b", "no rows"),
                Verdict::NotEvaluated,
            ),
            (
                "one skipped",
                passed().skipped("a", "b", "filtered out"),
                Verdict::Passed,
            ),
            (
                "interrupted",
                passed().interrupted("time limit of 5s reached"),
                Verdict::NotEvaluated,
            ),
            (
                "failed and interrupted",
                suite().failed("a", "b").interrupted("interrupted"),
                Verdict::Failed,
            ),
            (
                "as said",
                suite().failed("a", "b").verdict(Verdict::Passed),
                Verdict::Passed,
            ),
        ];
        for (label, builder, verdict) in cases {
            assert_eq!(builder.build().verdict, verdict, "{label}");
        }
    }

    #[test]
    fn runs_of_one_suite_differ_and_each_is_always_the_same() {
        let run = |number| ReportBuilder::new("orders").run(number).build().run;
        assert_eq!(run(1), run(1));
        assert_eq!(run(1).started_at, "2026-11-20T06:00:00.000000Z");
        assert_eq!(run(2).started_at, "2026-11-20T06:01:00.000000Z");
        assert!(run(1).id < run(2).id, "ids sort by time");
        assert_eq!(run(1).id.get_version_num(), 7);
        assert_ne!(run(1).id, ReportBuilder::new("flights").build().run.id);
    }

    #[test]
    fn a_report_holds_everything_that_was_said() {
        let report = ReportBuilder::new("orders")
            .run_tag("env", "prod")
            .date("2027-01-01")
            .failed("keys", "id > 0")
            .violations(2, [serde_json::json!({"id": -1})])
            .tag("weekly")
            .tag("daily")
            .symbol("min(id)", -1)
            .warning("odd")
            .build();
        let result = &report.results[0];
        assert_eq!(result.tags, ["daily", "weekly"]);
        assert_eq!((result.violations, result.sample.len()), (Some(2), 1));
        assert_eq!(report.symbol("x_1").unwrap().date, "2027-01-01");
        assert_eq!(report.run.key.tags["env"], "prod");
        assert_eq!(report.datasets[0].name, "orders");
        assert_eq!(report.warnings, ["odd"]);
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(serde_json::from_value::<Report>(json).unwrap(), report);
    }

    #[test]
    #[should_panic(expected = "`severity` is about the result before it, and there is none")]
    fn what_is_about_no_result_is_told() {
        let _ = ReportBuilder::new("orders").severity(Severity::P0);
    }
}
