//! Runs that are about to begin, for tests.

use super::report::RunDraft;
use crate::Upcoming;

/// Builds an [`Upcoming`], for plugins that are asked before a run.
///
/// The one that a report would have had is [`Upcoming::of`] that report.
///
/// ```
/// use veracity_processor::testing::UpcomingBuilder;
///
/// let upcoming = UpcomingBuilder::new("orders").tag("daily").assertions(3).build();
/// assert_eq!(upcoming.run.suite, "orders");
/// assert_eq!(upcoming.datasets, ["orders"]);
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct UpcomingBuilder {
    run: RunDraft,
    datasets: Vec<String>,
    checks: Vec<String>,
    tags: Vec<String>,
    assertions: u64,
}

impl UpcomingBuilder {
    /// A run of the suite called `suite`. Its dataset is called the same, unless one is
    /// named.
    pub fn new(suite: impl Into<String>) -> Self {
        Self {
            run: RunDraft::new(suite.into()),
            datasets: Vec::new(),
            checks: Vec::new(),
            tags: Vec::new(),
            assertions: 0,
        }
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

    /// A dataset of the suite.
    pub fn dataset(mut self, name: impl Into<String>) -> Self {
        self.datasets.push(name.into());
        self
    }

    /// A check of the suite.
    pub fn check(mut self, name: impl Into<String>) -> Self {
        self.checks.push(name.into());
        self
    }

    /// A label of a check or an assertion of the suite.
    pub fn tag(mut self, name: impl Into<String>) -> Self {
        self.tags.push(name.into());
        self.tags.sort();
        self.tags.dedup();
        self
    }

    /// How many assertions are declared.
    pub fn assertions(mut self, count: u64) -> Self {
        self.assertions = count;
        self
    }

    /// The run.
    pub fn build(mut self) -> Upcoming {
        if self.datasets.is_empty() {
            self.datasets.push(self.run.suite.clone());
        }
        let mut upcoming = Upcoming::new(self.run.build());
        upcoming.datasets = self.datasets;
        upcoming.checks = self.checks;
        upcoming.tags = self.tags;
        upcoming.assertions = self.assertions;
        upcoming
    }
}
