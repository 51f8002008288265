//! Whether a run is better than the one before it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Report, State, Verdict};

/// The name under which the state keeps it.
const NAME: &str = "trend";

/// How a run compares with the one before it, as far as an instance of a processor was told.
///
/// It is remembered in the [`State`]; a report that is delivered again, or after a later
/// one, changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trend {
    known: Known,
    /// Whether it is to be remembered.
    news: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    /// Ids of runs sort by time.
    run: Uuid,
    passed: bool,
    passed_before: bool,
}

impl Trend {
    /// How the run of `report` compares with what `state` remembers.
    pub fn of(report: &Report, state: &State) -> Self {
        let known: Option<Known> = state
            .get(NAME)
            .and_then(|known| serde_json::from_value(known).ok());
        let run = report.run.id;
        // A run in which nothing was looked at says nothing about the data.
        let judged = report.summary.skipped < report.summary.declared;
        Self {
            known: Known {
                run,
                passed: report.verdict == Verdict::Passed,
                passed_before: match known {
                    Some(known) if known.run == run => known.passed_before,
                    Some(known) if known.run < run => known.passed,
                    _ => true,
                },
            },
            news: judged && known.is_none_or(|known| known.run <= run),
        }
    }

    /// Whether it is the first run that passed after one that did not.
    pub fn is_recovery(&self) -> bool {
        self.known.passed && !self.known.passed_before
    }

    /// Remembers it in `state`; to be called once people were told.
    pub fn remember(&self, state: &State) {
        if self.news
            && let Ok(known) = serde_json::to_value(self.known)
        {
            state.set(NAME, known);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Summary, sample_report};

    fn report(run: u128, verdict: Verdict) -> Report {
        let mut report = sample_report();
        report.run.id = Uuid::from_u128(run);
        report.verdict = verdict;
        report
    }

    #[test]
    fn the_first_run_that_passes_after_one_that_did_not_is_a_recovery() {
        use Verdict::{Failed, NotEvaluated, Passed};
        let cases = [
            ("the first of all", 10, Passed, false),
            ("it fails", 20, Failed, false),
            ("again", 21, Failed, false),
            ("it recovers", 30, Passed, true),
            ("delivered again", 30, Passed, true),
            ("it still passes", 40, Passed, false),
            ("an old report comes late", 25, Failed, false),
            ("and changes nothing", 50, Passed, false),
            ("an error", 60, NotEvaluated, false),
            ("is over", 70, Passed, true),
        ];
        let state = State::default();
        for (label, run, verdict, expected) in cases {
            let trend = Trend::of(&report(run, verdict), &state);
            assert_eq!(trend.is_recovery(), expected, "{label}");
            trend.remember(&state);
        }
    }

    #[test]
    fn a_run_in_which_nothing_was_looked_at_changes_nothing() {
        let state = State::default();
        Trend::of(&report(1, Verdict::Failed), &state).remember(&state);
        let mut gated = report(2, Verdict::NotEvaluated);
        gated.summary = Summary {
            declared: 3,
            skipped: 3,
            ..Summary::default()
        };
        Trend::of(&gated, &state).remember(&state);
        assert!(Trend::of(&report(3, Verdict::Passed), &state).is_recovery());
    }

    #[test]
    fn a_state_that_means_nothing_is_no_recovery() {
        let state = State::default();
        state.set(NAME, "2");
        assert!(!Trend::of(&report(3, Verdict::Passed), &state).is_recovery());
    }
}
