//! Which alerts a report triggers, and which it resolves.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use veracity_processor::{Finding, Report, Status};

use crate::key::{self, Key};
use crate::open;

/// What PagerDuty is to be told of a report.
#[derive(Debug)]
pub(crate) struct Plan<'r> {
    /// What has an alert of its own, the most severe first.
    pub alerts: Vec<(Key, Finding<'r>)>,
    /// What has one together, the most severe first.
    pub rest: Vec<Finding<'r>>,
    /// Dedup keys of alerts that are over.
    pub over: Vec<String>,
}

impl<'r> Plan<'r> {
    /// That of `report`, when the alerts `open` may be open and at most `most` are to have
    /// one of their own.
    ///
    /// The note of an open alert is the digest of its assertion; that of the alert for the
    /// rest is how many assertions were skipped when it was triggered.
    pub fn of(report: &'r Report, open: &BTreeMap<String, String>, most: usize) -> Self {
        let suite = &report.run.suite;
        let more = key::more(suite);
        let mut failing = BTreeSet::new();
        let mut findings = Vec::new();
        for finding in Finding::all(report) {
            let key = Key::of(suite, finding.result);
            if failing.insert(key.text.clone()) {
                findings.push((key, finding));
            }
        }
        let known = Known::of(report);
        let singles = open.iter().filter(|(key, _)| **key != more);
        let others = singles.clone().filter(|(key, _)| !failing.contains(*key));
        let (over, kept): (Vec<_>, Vec<_>) =
            others.partition(|(key, note)| known.is_over(key, note));
        let mut plan = Self {
            alerts: Vec::new(),
            rest: Vec::new(),
            over: over.into_iter().map(|(key, _)| key.clone()).collect(),
        };

        // An alert that is open gives way only to something more severe.
        findings.sort_by_key(|(key, finding)| {
            let severity = finding.result.severity;
            (Reverse(severity), !open.contains_key(&key.text))
        });
        let places = most.saturating_sub(kept.len());
        let mut room = open::MOST.saturating_sub(singles.count());
        for (key, finding) in findings {
            let is_open = open.contains_key(&key.text);
            if plan.alerts.len() < places && (is_open || room > 0) {
                room -= usize::from(!is_open);
                plan.alerts.push((key, finding));
                continue;
            }
            if is_open {
                plan.over.push(key.text);
            }
            plan.rest.push(finding);
        }
        if let (Some(note), true) = (open.get(&more), plan.rest.is_empty())
            && known.rest_is_over(note)
        {
            plan.over.push(more);
        }
        plan
    }
}

/// What a report says about alerts beside those it triggers.
struct Known {
    /// Keys of what passed.
    passed: BTreeSet<String>,
    /// Digests of assertions of which something was not evaluated.
    unsure: BTreeSet<String>,
    /// Whether all assertions of the suite are in the report.
    is_whole: bool,
    /// Whether the run came to its end.
    is_complete: bool,
    /// How many assertions were skipped in the run.
    skipped: u64,
}

impl Known {
    fn of(report: &Report) -> Self {
        let suite = &report.run.suite;
        let is_complete = report.run.interrupted.is_none();
        let mut known = Self {
            passed: BTreeSet::new(),
            unsure: BTreeSet::new(),
            is_whole: is_complete && report.results.len() as u64 == report.summary.declared,
            is_complete,
            skipped: report.summary.skipped,
        };
        for result in &report.results {
            match result.status {
                Status::Passed => known.passed.insert(Key::of(suite, result).text),
                Status::Failed => continue,
                _ => known.unsure.insert(Key::of(suite, result).assertion),
            };
        }
        known
    }

    /// Whether the alert `key` of the assertion `note`, of which nothing in the report is a
    /// finding, is over: it passed, or assertion or group are gone.
    fn is_over(&self, key: &str, note: &str) -> bool {
        self.passed.contains(key) || (self.is_whole && !self.unsure.contains(note))
    }

    /// Whether the alert for the rest is over when nothing is left for it. Something may be,
    /// among what is skipped now and was not skipped then.
    fn rest_is_over(&self, skipped_then: &str) -> bool {
        let then = skipped_then.parse().unwrap_or(0);
        self.is_complete && self.skipped <= then
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use veracity_processor::{AssertionResult, Severity, Summary, sample_report};

    use super::*;
    use Severity::{P0, P1, P2};
    use Status::{Error, Failed, NotEvaluated, Passed, Skipped};

    /// Name, `@` and its group where it has one; severity; status.
    type Row = (&'static str, Severity, Status);

    fn result(name: &str, severity: Severity, status: Status) -> AssertionResult {
        let (name, group) = match name.split_once('@') {
            Some((name, group)) => (name, Some(json!({"g": group}))),
            None => (name, None),
        };
        let mut result = AssertionResult::new("c", name);
        (result.severity, result.status, result.group) = (severity, status, group);
        result
    }

    fn report(results: &[(&str, Severity, Status)]) -> Report {
        let mut report = sample_report();
        report.run.suite = "s".into();
        let results = results.iter();
        report.results = results
            .map(|&(name, severity, status)| result(name, severity, status))
            .collect();
        report.summary = Summary::of(&report.results);
        report
    }

    /// `report` told, beginning with `open`: what is triggered, how many are left for the
    /// rest, what is over; and what is open then.
    fn told(report: &Report, open: &mut BTreeMap<String, String>, most: usize) -> String {
        let plan = Plan::of(report, open, most);
        let short = |key: &str| {
            key.trim_start_matches("veracity/s/")
                .trim_start_matches("c/")
                .to_owned()
        };
        let alerts: Vec<String> = plan
            .alerts
            .iter()
            .map(|(key, _)| short(&key.text))
            .collect();
        let over: Vec<String> = plan.over.iter().map(|key| short(key)).collect();
        for (key, _) in &plan.alerts {
            open.insert(key.text.clone(), key.assertion.clone());
        }
        for key in &plan.over {
            open.remove(key);
        }
        if !plan.rest.is_empty() {
            open.insert(key::more("s"), report.summary.skipped.to_string());
        }
        format!(
            "{} +{} -{}",
            alerts.join(" "),
            plan.rest.len(),
            over.join(" ")
        )
    }

    #[test]
    fn what_passes_is_over_and_what_is_skipped_stays() {
        let mut open = BTreeMap::new();
        let begin = report(&[
            ("a", P1, Failed),
            ("b", P0, Error),
            ("c", P1, NotEvaluated),
            ("d", P1, Passed),
            ("e", P1, Skipped),
        ]);
        assert_eq!(told(&begin, &mut open, 9), "b a c +0 -");
        let skipped = report(&[("a", P1, Skipped), ("b", P0, Error), ("c", P1, Passed)]);
        assert_eq!(told(&skipped, &mut open, 9), "b +0 -c");
        let passed = report(&[("a", P1, Passed), ("b", P0, Passed), ("c", P1, Passed)]);
        assert_eq!(told(&passed, &mut open, 9), " +0 -a b");
        assert_eq!(told(&passed, &mut open, 9), " +0 -");
    }

    #[test]
    fn what_is_gone_is_over_and_what_was_filtered_out_is_not() {
        let failed = report(&[("a@x", P1, Failed), ("a@y", P1, Failed), ("b", P1, Failed)]);
        let cases: &[(&str, &[Row], u64, &str)] = &[
            (
                "a group and an assertion are gone",
                &[("a@x", P1, Failed)],
                0,
                "a[g=x] +0 -a[g=y] b",
            ),
            (
                "they may be filtered out",
                &[("a@x", P1, Failed)],
                1,
                "a[g=x] +0 -",
            ),
            (
                "the groups are not known",
                &[("a", P1, Error), ("b", P1, Passed)],
                0,
                "a +0 -b",
            ),
            (
                "they are skipped",
                &[("a", P1, Skipped), ("b", P1, Skipped)],
                0,
                " +0 -",
            ),
        ];
        for (label, results, filtered, expected) in cases {
            let mut open = BTreeMap::new();
            told(&failed, &mut open, 9);
            let mut report = report(results);
            report.summary.declared += filtered;
            assert_eq!(told(&report, &mut open, 9), *expected, "{label}");
        }
        let mut open = BTreeMap::new();
        told(&failed, &mut open, 9);
        let mut ended = report(&[]);
        ended.run.interrupted = Some("interrupted".into());
        assert_eq!(told(&ended, &mut open, 9), " +0 -", "nobody knows");
    }

    #[test]
    fn the_most_severe_have_alerts_of_their_own_and_the_rest_has_one() {
        let mut open = BTreeMap::new();
        let three = report(&[("a", P2, Failed), ("b", P1, Failed), ("c", P2, Failed)]);
        assert_eq!(told(&three, &mut open, 2), "b a +1 -");
        let same = report(&[("x", P2, Failed), ("a", P2, Failed), ("b", P1, Failed)]);
        assert_eq!(told(&same, &mut open, 2), "b a +1 -", "what is open stays");
        let worse = report(&[("a", P2, Failed), ("b", P1, Failed), ("d", P0, Failed)]);
        assert_eq!(
            told(&worse, &mut open, 2),
            "d b +1 -a",
            "it gives way to what is worse"
        );
        let two = report(&[("a", P2, Failed), ("b", P1, Failed), ("d", P0, Passed)]);
        assert_eq!(told(&two, &mut open, 2), "b a +0 -d more");
        // Two that nobody looked at take their places.
        let skipped = report(&[("a", P2, Skipped), ("b", P1, Skipped), ("d", P0, Failed)]);
        assert_eq!(told(&skipped, &mut open, 2), " +1 -");
    }

    #[test]
    fn the_alert_for_the_rest_stays_while_the_rest_is_skipped() {
        let mut open = BTreeMap::new();
        let all = report(&[("a", P1, Failed), ("b", P1, Failed), ("w", P1, Skipped)]);
        assert_eq!(told(&all, &mut open, 1), "a +1 -");
        let some = report(&[("a", P1, Passed), ("b", P1, Skipped), ("w", P1, Skipped)]);
        assert_eq!(told(&some, &mut open, 1), " +0 -a");
        let all = report(&[("a", P1, Passed), ("b", P1, Passed), ("w", P1, Skipped)]);
        assert_eq!(told(&all, &mut open, 1), " +0 -more");
    }

    #[test]
    fn an_assertion_that_stands_there_twice_has_one_alert() {
        let mut open = BTreeMap::new();
        let twice = report(&[("a", P2, Passed), ("a", P0, Failed), ("a", P1, Failed)]);
        assert_eq!(told(&twice, &mut open, 9), "a +0 -");
        assert_eq!(told(&twice, &mut open, 9), "a +0 -");
    }

    /// Alerts that cannot be resolved must not pile up.
    #[test]
    fn no_more_are_opened_than_can_be_remembered() {
        let mut open = BTreeMap::new();
        for round in 0..5 {
            let names: Vec<String> = (0..300).map(|n| format!("{round}.{n}")).collect();
            let results: Vec<_> = names.iter().map(|name| (&**name, P1, Failed)).collect();
            let report = report(&results);
            let plan = Plan::of(&report, &open, 100);
            // The resolves fail.
            open.extend(
                plan.alerts
                    .into_iter()
                    .map(|(key, _)| (key.text, key.assertion)),
            );
            assert!(open.len() <= open::MOST, "{}", open.len());
            assert!(plan.rest.len() >= 200, "{}", plan.rest.len());
        }
    }
}
