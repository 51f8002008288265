//! The stages of a run at which a plugin may be called, and under which conditions.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::glob;
use crate::{Delivery, Message, Report, Run, Severity, Verdict};

/// A stage of a run.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stage {
    /// Before anything is read: a plugin may end the run.
    BeforeRun,
    /// There is a report.
    AfterRun,
    /// There is a report of a run that did not reach its end, or in which something could
    /// not be evaluated.
    OnError,
    /// A report could not be delivered to another processor and was given up.
    DeadLetter,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::BeforeRun => "before_run",
            Stage::AfterRun => "after_run",
            Stage::OnError => "on_error",
            Stage::DeadLetter => "dead_letter",
        })
    }
}

/// Under which conditions a plugin is called; what is empty is no condition.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Conditions {
    /// Only suites with one of these names; `*` stands for any text.
    pub suites: Vec<String>,
    /// Only if the suite has one of these datasets; `*` stands for any text.
    pub datasets: Vec<String>,
    /// Only if a check or assertion of the suite has one of these tags.
    pub tags: Vec<String>,
    /// Only after runs with one of these verdicts. Nothing before a run has a verdict.
    pub verdicts: Vec<Verdict>,
}

impl Conditions {
    /// The first condition that `run` does not fulfil, in words; `None` if it fulfils all.
    pub fn unmet(&self, run: &Upcoming, verdict: Option<Verdict>) -> Option<String> {
        let fits = |patterns: &[String], names: &[String]| {
            patterns.is_empty()
                || names
                    .iter()
                    .any(|name| patterns.iter().any(|pattern| glob(pattern, name)))
        };
        if !fits(&self.suites, std::slice::from_ref(&run.run.suite)) {
            return Some("it is not for this suite".to_owned());
        }
        if !fits(&self.datasets, &run.datasets) {
            return Some("the suite has none of its datasets".to_owned());
        }
        if !fits(&self.tags, &run.tags) {
            return Some("the suite has none of its tags".to_owned());
        }
        match verdict {
            Some(verdict) if !self.verdicts.is_empty() && !self.verdicts.contains(&verdict) => {
                Some(format!("it is not for the verdict `{verdict}`"))
            }
            _ => None,
        }
    }
}

/// A run that is about to begin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Upcoming {
    /// The run; the report will carry the same.
    pub run: Run,
    /// Names of the suite's datasets.
    pub datasets: Vec<String>,
    /// Names of the suite's checks.
    pub checks: Vec<String>,
    /// Tags of the suite's checks and assertions, each once, sorted.
    pub tags: Vec<String>,
    /// How many assertions are declared.
    pub assertions: u64,
}

impl Upcoming {
    /// `run`, of a suite of which nothing more is known.
    pub fn new(run: Run) -> Self {
        Self {
            run,
            datasets: Vec::new(),
            checks: Vec::new(),
            tags: Vec::new(),
            assertions: 0,
        }
    }

    /// What could have been said before the run of `report`.
    pub fn of(report: &Report) -> Self {
        let mut upcoming = Self::new(report.run.clone());
        let names = report.datasets.iter().map(|dataset| dataset.name.clone());
        upcoming.datasets = names.collect();
        for result in &report.results {
            if !upcoming.checks.contains(&result.check) {
                upcoming.checks.push(result.check.clone());
            }
            upcoming.tags.extend(result.tags.iter().cloned());
        }
        upcoming.tags.sort();
        upcoming.tags.dedup();
        upcoming.assertions = report.summary.declared;
        upcoming
    }
}

/// A report that was given up at another processor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DeadLetter {
    /// What could not be delivered, and why.
    pub delivery: Delivery,
    /// The report.
    pub report: Report,
}

impl DeadLetter {
    /// `report`, which was given up as `delivery` says.
    pub fn new(delivery: Delivery, report: Report) -> Self {
        Self { delivery, report }
    }

    /// What people are told about it.
    pub fn message(&self) -> Message {
        let (delivery, run) = (&self.delivery, &self.report.run);
        let name = &delivery.processor;
        let mut message = Message::new(
            format!(
                "{}: the report could not be delivered to `{name}`",
                run.suite
            ),
            run.clone(),
        );
        message.severity = Severity::P0;
        message.text = delivery
            .error
            .clone()
            .unwrap_or_else(|| "no reason was given".to_owned());
        message.fields = BTreeMap::from([
            ("processor".to_owned(), name.clone()),
            ("attempts".to_owned(), delivery.attempts.to_string()),
            ("status".to_owned(), delivery.status.to_string()),
            ("verdict".to_owned(), self.report.verdict.to_string()),
        ]);
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample_report;

    #[test]
    fn what_is_empty_is_no_condition() {
        let report = sample_report();
        let mut upcoming = Upcoming::of(&report);
        upcoming.run.suite = "orders.daily".into();
        upcoming.datasets = vec!["orders".into()];
        upcoming.tags = vec!["daily".into()];
        let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let of = |change: fn(&mut Conditions)| {
            let mut conditions = Conditions::default();
            change(&mut conditions);
            conditions
        };
        let suites = |names: &[&str]| Conditions {
            suites: list(names),
            ..Conditions::default()
        };
        let cases = [
            (Conditions::default(), true),
            (suites(&["orders.*"]), true),
            (suites(&["x", "*daily"]), true),
            (suites(&["x"]), false),
            (of(|c| c.datasets = vec!["o*".into()]), true),
            (of(|c| c.datasets = vec!["customers".into()]), false),
            (of(|c| c.tags = vec!["daily".into()]), true),
            (of(|c| c.tags = vec!["weekly".into()]), false),
            (of(|c| c.verdicts = vec![Verdict::Failed]), true),
            (of(|c| c.verdicts = vec![Verdict::Passed]), false),
        ];
        for (conditions, met) in cases {
            let unmet = conditions.unmet(&upcoming, Some(Verdict::Failed));
            assert_eq!(unmet.is_none(), met, "{conditions:?}: {unmet:?}");
        }
        let before = of(|c| c.verdicts = vec![Verdict::Passed]);
        assert_eq!(before.unmet(&upcoming, None), None);
    }
}
