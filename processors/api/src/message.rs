//! A few words to people that are no report.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{AssertionResult, Report, Run, Severity, Status, Summary, Verdict};

/// A few words to people: what a hook wants to be known, a delivery that was given up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Message {
    /// Stays the same however often it is sent.
    pub id: Uuid,
    /// One line that says it all.
    pub title: String,
    /// More, if there is more to say.
    #[serde(default)]
    pub text: String,
    /// How much it matters.
    #[serde(default)]
    pub severity: Severity,
    /// The run it is about.
    pub run: Run,
    /// Single things, the most important first.
    #[serde(default)]
    pub lines: Vec<String>,
    /// How many more lines there would be.
    #[serde(default)]
    pub more: u64,
    /// Facts by name.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
}

impl Message {
    /// `title`, about `run`. Its id is made of both.
    pub fn new(title: impl Into<String>, run: Run) -> Self {
        let title = title.into();
        Self {
            id: Uuid::new_v5(&run.id, title.as_bytes()),
            title,
            text: String::new(),
            severity: Severity::default(),
            run,
            lines: Vec::new(),
            more: 0,
            fields: BTreeMap::new(),
        }
    }

    /// The message as a report, for processors that know nothing else: its id is the run's,
    /// each line is a failed result.
    pub fn to_report(&self) -> Report {
        let mut run = self.run.clone();
        run.id = self.id;
        let mut report = Report::new(run);
        report.verdict = Verdict::Failed;
        let more = (self.more > 0).then(|| format!("(+{} more)", self.more));
        let first = (self.lines.is_empty() || !self.text.is_empty()).then(|| self.text.clone());
        let lines = first
            .into_iter()
            .chain(self.lines.iter().cloned())
            .chain(more);
        for line in lines {
            let mut result = AssertionResult::new("message", &self.title);
            result.severity = self.severity;
            result.status = Status::Failed;
            result.expression = self.title.clone();
            result.reason = (!line.is_empty()).then_some(line);
            report.results.push(result);
        }
        report.summary = Summary::of(&report.results);
        report
    }
}
