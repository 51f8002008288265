//! What channels say about a report, in the same words everywhere.

use std::cmp::Reverse;
use std::fmt;

use serde_json::Value;

use crate::{AssertionResult, Report, Severity, Status, Verdict};

/// A report in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headline {
    /// `failed`, `passed`, `not evaluated`.
    pub state: String,
    /// `1 of 3 assertions failed, 1 in error`.
    pub counts: String,
    /// The severity of the worst result that did not pass, if one did not.
    pub severity: Option<Severity>,
}

impl Headline {
    /// That of `report`. The counts are those of the whole run.
    pub fn of(report: &Report) -> Self {
        Self {
            state: report.verdict.to_string(),
            counts: counts(report),
            severity: Finding::all(report).first().map(|one| one.result.severity),
        }
    }
}

fn counts(report: &Report) -> String {
    let summary = report.summary;
    let declared = summary.declared;
    let mut parts = vec![
        (summary.failed, "failed"),
        (summary.error, "in error"),
        (summary.not_evaluated, "not evaluated"),
    ];
    if report.verdict == Verdict::Passed {
        parts.insert(0, (summary.passed, "passed"));
    }
    parts.retain(|(count, _)| *count > 0);
    let noun = if declared == 1 {
        "assertion"
    } else {
        "assertions"
    };
    let mut parts = parts.into_iter();
    let mut text = match parts.next() {
        Some((count, what)) => format!("{count} of {declared} {noun} {what}"),
        None if declared == 0 => "no assertions".to_owned(),
        None if summary.skipped == declared => format!("{declared} of {declared} {noun} skipped"),
        None => format!("{} of {declared} {noun} passed", summary.passed),
    };
    for (count, what) in parts {
        text.push_str(&format!(", {count} {what}"));
    }
    text
}

/// A result that did not pass, for people.
#[derive(Debug, Clone, Copy)]
pub struct Finding<'r> {
    /// The result.
    pub result: &'r AssertionResult,
}

impl<'r> Finding<'r> {
    /// Those of `report`, the most severe first; among equals those that failed before those
    /// that could not be evaluated, then in the order of the suite. What was skipped is no
    /// finding.
    pub fn all(report: &'r Report) -> Vec<Finding<'r>> {
        let results = report.results.iter();
        let open =
            results.filter(|result| !matches!(result.status, Status::Passed | Status::Skipped));
        let mut findings: Vec<Finding<'r>> = open.map(|result| Finding { result }).collect();
        findings.sort_by_key(|finding| {
            let rank = match finding.result.status {
                Status::Failed => 0,
                Status::Error => 1,
                _ => 2,
            };
            (Reverse(finding.result.severity), rank)
        });
        findings
    }

    /// Its name, with its check where that says more: `keys / uniqueness(id) = 1`; with its
    /// group where it has one.
    pub fn name(&self) -> String {
        let AssertionResult {
            check,
            assertion,
            group,
            ..
        } = self.result;
        let mut name = match check.is_empty() || check == assertion {
            true => assertion.clone(),
            false => format!("{check} / {assertion}"),
        };
        if let Some(group) = group {
            name.push_str(&format!(" [{}]", plain(group)));
        }
        name
    }

    /// Why it is one: `actual 2, expected = 0, 1 row violates it`; the reason where there is
    /// no value.
    pub fn detail(&self) -> String {
        let facts: Vec<String> = self.facts().iter().map(ToString::to_string).collect();
        facts.join(", ")
    }

    /// The single parts of [`detail`](Self::detail), at least one, for channels that can
    /// show what comes from data as code.
    pub fn facts(&self) -> Vec<Fact> {
        let AssertionResult {
            status,
            actual,
            expected,
            reason,
            violations,
            ..
        } = self.result;
        let said = |text: String| Fact { label: "", text };
        let mut facts = Vec::new();
        if *status != Status::Failed {
            facts.push(said(status.to_string()));
        }
        facts.extend(actual.as_ref().map(|actual| Fact {
            label: "actual",
            text: plain(actual),
        }));
        facts.extend(stated(expected).map(|expected| Fact {
            label: "expected",
            text: expected,
        }));
        facts.extend(violations.map(|rows| match rows {
            1 => said("1 row violates it".to_owned()),
            rows => said(format!("{rows} rows violate it")),
        }));
        facts.extend(stated(reason).map(said));
        if facts.is_empty() {
            facts.push(said(status.to_string()));
        }
        facts
    }
}

/// `text`, if it says anything.
fn stated(text: &Option<String>) -> Option<String> {
    text.clone().filter(|text| !text.is_empty())
}

/// One thing that is to be said about a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What `text` is: `actual`, `expected`; empty if `text` says it all.
    pub label: &'static str,
    /// The value, or the statement.
    pub text: String,
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.label {
            "" => f.write_str(&self.text),
            label => write!(f, "{label} {}", self.text),
        }
    }
}

/// A value without the quotes of JSON, unless there is nothing else.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) if !text.is_empty() => text.clone(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Summary, sample_report};

    fn result(status: Status, severity: Severity) -> AssertionResult {
        let mut result = AssertionResult::new("keys", format!("{status} {severity}"));
        (result.status, result.severity) = (status, severity);
        result
    }

    #[test]
    fn the_worst_comes_first() {
        let mut report = sample_report();
        report.results = vec![
            result(Status::Passed, Severity::P0),
            result(Status::Failed, Severity::P2),
            result(Status::NotEvaluated, Severity::P0),
            result(Status::Skipped, Severity::P0),
            result(Status::Error, Severity::P0),
            result(Status::Failed, Severity::P0),
        ];
        report.summary = Summary::of(&report.results);
        report.verdict = Verdict::Failed;
        let names: Vec<String> = Finding::all(&report).iter().map(Finding::name).collect();
        assert_eq!(
            names,
            [
                "keys / failed P0",
                "keys / error P0",
                "keys / not evaluated P0",
                "keys / failed P2"
            ]
        );
        let headline = Headline::of(&report);
        assert_eq!(
            (&*headline.state, &*headline.counts, headline.severity),
            (
                "failed",
                "2 of 6 assertions failed, 1 in error, 1 not evaluated",
                Some(Severity::P0)
            )
        );
    }

    #[test]
    fn counts_say_what_there_is() {
        let cases = [
            (vec![], Verdict::NotEvaluated, "no assertions"),
            (
                vec![Status::Passed],
                Verdict::Passed,
                "1 of 1 assertion passed",
            ),
            (
                vec![Status::Skipped; 2],
                Verdict::NotEvaluated,
                "2 of 2 assertions skipped",
            ),
            (
                vec![Status::Passed, Status::Failed],
                Verdict::Passed,
                "1 of 2 assertions passed, 1 failed",
            ),
        ];
        for (statuses, verdict, expected) in cases {
            let mut report = sample_report();
            let results = statuses.into_iter();
            report.results = results.map(|status| result(status, Severity::P1)).collect();
            report.summary = Summary::of(&report.results);
            report.verdict = verdict;
            assert_eq!(Headline::of(&report).counts, expected);
        }
    }

    #[test]
    fn a_finding_says_why() {
        let mut failed = result(Status::Failed, Severity::P1);
        failed.actual = Some(json!("0.50"));
        failed.expected = Some(">= 0.95".into());
        failed.violations = Some(1);
        failed.group = Some(json!({"country": "SE"}));
        let finding = Finding { result: &failed };
        assert_eq!(finding.name(), r#"keys / failed P1 [{"country":"SE"}]"#);
        assert_eq!(
            finding.detail(),
            "actual 0.50, expected >= 0.95, 1 row violates it"
        );
        let mut error = result(Status::Error, Severity::P1);
        error.reason = Some("no column `x`".into());
        assert_eq!(Finding { result: &error }.detail(), "error, no column `x`");
        let mut bare = result(Status::Failed, Severity::P1);
        bare.reason = Some(String::new());
        assert_eq!(Finding { result: &bare }.detail(), "failed");
        bare.actual = Some(json!(""));
        assert_eq!(Finding { result: &bare }.detail(), r#"actual """#);
    }
}
