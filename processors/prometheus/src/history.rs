//! What is known of earlier runs, as the state of the instance remembers it.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use veracity_processor::{Report, State, Timestamp, Verdict};

/// Times of earlier runs, in Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    /// When the last run ended that passed.
    pub success: Option<f64>,
    /// When the last run ended that came to its end.
    pub completion: Option<f64>,
    /// When the run ended that is shown.
    shown: Option<f64>,
}

impl History {
    const NAME: &str = "times";

    /// What `state` remembers; what cannot be read is forgotten.
    pub fn load(state: &State) -> Self {
        let known = state.get(Self::NAME);
        known
            .and_then(|known| serde_json::from_value(known).ok())
            .unwrap_or_default()
    }

    /// Lets `state` remember it.
    pub fn save(&self, state: &State) {
        if let Ok(value) = serde_json::to_value(self) {
            state.set(Self::NAME, value);
        }
    }

    /// What is known after the run of `report`; `None` if a later run is shown already.
    pub fn after(mut self, report: &Report) -> Option<Self> {
        let Some(end) = seconds(&report.run.finished_at) else {
            return Some(self);
        };
        if self.shown.is_some_and(|shown| shown > end) {
            return None;
        }
        self.shown = Some(end);
        if report.run.interrupted.is_none() {
            self.completion = Some(end);
            if report.verdict == Verdict::Passed {
                self.success = Some(end);
            }
        }
        Some(self)
    }
}

/// The time `text` (RFC 3339, UTC) in Unix seconds.
fn seconds(text: &str) -> Option<f64> {
    let time: Timestamp = serde_json::from_value(Value::from(text)).ok()?;
    let since = SystemTime::from(time).duration_since(UNIX_EPOCH).ok()?;
    // As exact as the report is.
    Some(since.as_millis() as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use veracity_processor::sample_report;

    use super::*;

    #[test]
    fn the_last_success_outlives_failures_and_interruptions() {
        let report = |second: u8, verdict, interrupted: bool| {
            let mut report = sample_report();
            report.run.finished_at = format!("2026-11-20T06:00:{second:02}.500Z");
            report.run.interrupted = interrupted.then(|| "interrupted".into());
            report.verdict = verdict;
            report
        };
        let start = 1_795_154_400.5;
        let at = |second: f64| Some(start + second);
        let state = State::default();
        let cases = [
            (
                "interrupted",
                report(0, Verdict::NotEvaluated, true),
                Some((None, None)),
            ),
            (
                "failed",
                report(1, Verdict::Failed, false),
                Some((None, at(1.0))),
            ),
            (
                "passed",
                report(2, Verdict::Passed, false),
                Some((at(2.0), at(2.0))),
            ),
            (
                "failed again",
                report(3, Verdict::Failed, false),
                Some((at(2.0), at(3.0))),
            ),
            (
                "passed so far",
                report(4, Verdict::Passed, true),
                Some((at(2.0), at(3.0))),
            ),
            ("an old one late", report(3, Verdict::Passed, false), None),
            (
                "the same again",
                report(4, Verdict::Passed, true),
                Some((at(2.0), at(3.0))),
            ),
        ];
        for (label, report, expected) in cases {
            let after = History::load(&state).after(&report);
            let found = after.map(|history| (history.success, history.completion));
            assert_eq!(found, expected, "{label}");
            if let Some(history) = after {
                history.save(&state);
            }
        }
    }

    #[test]
    fn a_time_that_cannot_be_read_changes_nothing() {
        let mut report = sample_report();
        report.run.finished_at = "soon".into();
        let history = History {
            success: Some(1.0),
            ..History::default()
        };
        assert_eq!(history.after(&report), Some(history));
    }
}
