//! Which alerts a report fires, and which it ends.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use veracity_processor::{AssertionResult, Finding, Report, Severity, Status};

use crate::alert::{Alert, Form, Labels, Times, fingerprint};
use crate::firing;

/// What the Alertmanagers are to be told of a report.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// All of it: what fires, the most severe first, then what is over.
    pub alerts: Vec<Alert>,
    /// Fingerprints of what fires.
    pub firing: Vec<String>,
    /// Fingerprints of what is over.
    pub over: Vec<String>,
    /// Whether something has no alert of its own.
    pub has_rest: bool,
}

/// What became of an assertion, with all its groups.
struct Subject<'r> {
    /// One of its results.
    result: &'r AssertionResult,
    findings: Vec<Finding<'r>>,
    has_passed: bool,
    was_skipped: bool,
}

impl Plan {
    /// That of `report`, when the alerts in `before` may fire, `skipped` assertions were
    /// skipped when the alert for the rest was sent, and at most `most` assertions are to
    /// have an alert of their own.
    pub fn of(
        report: &Report,
        before: &BTreeSet<String>,
        skipped: u64,
        most: usize,
        form: &Form,
        times: Times,
    ) -> Self {
        let subjects = subjects(report);
        let labelled = subjects.into_iter().map(|subject| {
            let labels = form.labels(report, subject.result);
            let fingerprint = fingerprint(&labels);
            (subject, labels, fingerprint)
        });
        let (mut failing, others): (Vec<_>, Vec<_>) =
            labelled.partition(|(subject, ..)| !subject.findings.is_empty());
        // An alert that fires gives way only to something more severe.
        failing.sort_by_key(|(subject, _, fingerprint)| {
            let severity = subject.findings[0].result.severity;
            (Reverse(severity), !before.contains(fingerprint))
        });

        let mut plan = Self::default();
        let mut over: BTreeMap<String, Labels> = BTreeMap::new();
        let mut rest = Vec::new();
        let mut room = firing::MOST.saturating_sub(before.len());
        for (subject, labels, fingerprint) in failing {
            let is_firing = before.contains(&fingerprint);
            if plan.firing.len() < most && (is_firing || room > 0) {
                room -= usize::from(!is_firing);
                let alert = form.firing(labels, &subject.findings, report, times);
                plan.alerts.push(alert);
                plan.firing.push(fingerprint);
                continue;
            }
            if is_firing {
                over.insert(fingerprint, labels);
            }
            rest.extend(subject.findings.first().copied());
        }
        for (subject, labels, fingerprint) in others {
            let is_over = subject.has_passed && !subject.was_skipped;
            if is_over && before.contains(&fingerprint) {
                over.insert(fingerprint, labels);
            }
        }
        if !rest.is_empty() {
            let alert = form.firing_rest(&rest, report, times);
            plan.firing.push(fingerprint(&alert.labels));
            plan.alerts.push(alert);
            plan.has_rest = true;
        }
        // Something may be left for the rest among what is skipped now and was not then.
        let is_known = report.run.interrupted.is_none() && report.summary.skipped <= skipped;
        if plan.has_rest || is_known {
            for severity in Severity::ALL {
                let labels = form.rest_labels(&report.run, severity);
                let fingerprint = fingerprint(&labels);
                if before.contains(&fingerprint) {
                    over.insert(fingerprint, labels);
                }
            }
        }
        // What fires is not over, whatever else has the same labels.
        for fingerprint in &plan.firing {
            over.remove(fingerprint);
        }
        for (fingerprint, labels) in over {
            plan.alerts.push(form.over(labels, &report.run, times));
            plan.over.push(fingerprint);
        }
        plan
    }
}

/// The assertions of `report`, those with the worst findings first.
fn subjects(report: &Report) -> Vec<Subject<'_>> {
    let mut subjects: Vec<Subject> = Vec::new();
    let mut places: BTreeMap<[&str; 3], usize> = BTreeMap::new();
    let findings = Finding::all(report).into_iter();
    let findings = findings.map(|finding| finding.result);
    let others = report.results.iter();
    let others = others.filter(|result| matches!(result.status, Status::Passed | Status::Skipped));
    for result in findings.chain(others) {
        let name = [&*result.dataset, &*result.check, &*result.assertion];
        let place = *places.entry(name).or_insert_with(|| {
            subjects.push(Subject {
                result,
                findings: Vec::new(),
                has_passed: false,
                was_skipped: false,
            });
            subjects.len() - 1
        });
        let subject = &mut subjects[place];
        match result.status {
            Status::Passed => subject.has_passed = true,
            Status::Skipped => subject.was_skipped = true,
            _ => subject.findings.push(Finding { result }),
        }
    }
    subjects
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use serde_json::json;
    use veracity_processor::{Summary, sample_report};

    use super::*;
    use crate::settings::SeverityMap;
    use Severity::{P0, P1, P2};
    use Status::{Error, Failed, NotEvaluated, Passed, Skipped};

    /// Name, `@` and its group where it has one; severity; status.
    type Row = (&'static str, Severity, Status);

    fn report(results: &[Row]) -> Report {
        let mut report = sample_report();
        let result = |&(name, severity, status): &Row| {
            let (name, group) = match name.split_once('@') {
                Some((name, group)) => (name, Some(json!({"g": group}))),
                None => (name, None),
            };
            let mut result = AssertionResult::new("c", name);
            (result.severity, result.status, result.group) = (severity, status, group);
            result
        };
        report.results = results.iter().map(result).collect();
        report.summary = Summary::of(&report.results);
        report
    }

    /// What fired after the runs so far.
    #[derive(Default)]
    struct Before {
        firing: BTreeSet<String>,
        skipped: u64,
    }

    /// `report` told: each alert as its assertion, `+` for the rest, `-` for what is over.
    fn told(report: &Report, before: &mut Before, most: usize) -> String {
        let form = Form {
            labels: Labels::new(),
            severities: SeverityMap::default(),
            link: None,
        };
        let now = UNIX_EPOCH + Duration::from_secs(2_000_000_000);
        let times = Times::new(now, Duration::from_secs(3600));
        let plan = Plan::of(report, &before.firing, before.skipped, most, &form, times);
        before.firing.extend(plan.firing.iter().cloned());
        for fingerprint in &plan.over {
            before.firing.remove(fingerprint);
        }
        if plan.has_rest {
            before.skipped = report.summary.skipped;
        }
        let shown = plan.alerts.iter().map(|alert| {
            let sign = if alert.ends_at > now { "" } else { "-" };
            match alert.labels.get("assertion") {
                Some(name) => format!("{sign}{name}"),
                None => format!("{sign}+{}", alert.labels["severity"]),
            }
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_passes_is_over_and_what_is_skipped_stays() {
        let mut before = Before::default();
        let begin = report(&[
            ("a", P1, Failed),
            ("b", P0, Error),
            ("c", P1, NotEvaluated),
            ("d", P1, Passed),
            ("e", P1, Skipped),
        ]);
        assert_eq!(told(&begin, &mut before, 9), "b a c");
        let skipped = report(&[("a", P1, Skipped), ("b", P0, Error), ("c", P1, Passed)]);
        assert_eq!(told(&skipped, &mut before, 9), "b -c");
        let passed = report(&[("a", P1, Passed), ("b", P0, Passed), ("c", P1, Passed)]);
        assert_eq!(told(&passed, &mut before, 9).split(' ').count(), 2);
        assert_eq!(told(&passed, &mut before, 9), "");
    }

    #[test]
    fn the_groups_of_an_assertion_are_one_alert() {
        let mut before = Before::default();
        let two = report(&[
            ("a@x", P1, Failed),
            ("a@y", P1, Failed),
            ("a@z", P1, Passed),
        ]);
        assert_eq!(told(&two, &mut before, 9), "a");
        let one = report(&[("a@x", P1, Passed), ("a@y", P1, Error), ("a@z", P1, Passed)]);
        assert_eq!(told(&one, &mut before, 9), "a");
        let some = report(&[("a@x", P1, Passed), ("a@y", P1, Skipped)]);
        assert_eq!(told(&some, &mut before, 9), "", "one of them is not known");
        let none = report(&[("a@x", P1, Passed), ("a@y", P1, Passed)]);
        assert_eq!(told(&none, &mut before, 9), "-a");
    }

    #[test]
    fn the_most_severe_have_alerts_of_their_own_and_the_rest_has_one() {
        let mut before = Before::default();
        let three = report(&[("a", P2, Failed), ("b", P1, Failed), ("c", P2, Failed)]);
        assert_eq!(told(&three, &mut before, 2), "b a +warning");
        let same = report(&[("x", P2, Failed), ("a", P2, Failed), ("b", P1, Failed)]);
        assert_eq!(
            told(&same, &mut before, 2),
            "b a +warning",
            "what fires stays"
        );
        let worse = report(&[("a", P2, Failed), ("b", P1, Failed), ("d", P0, Failed)]);
        assert_eq!(told(&worse, &mut before, 2), "d b +warning -a");
        let worst = report(&[("a", P1, Failed), ("b", P1, Failed), ("d", P0, Failed)]);
        assert_eq!(told(&worst, &mut before, 2), "d b +error -+warning");
        let two = report(&[("b", P1, Failed), ("d", P0, Failed), ("a", P1, Passed)]);
        assert_eq!(told(&two, &mut before, 2), "d b -+error");
    }

    #[test]
    fn the_alert_for_the_rest_stays_while_the_rest_is_skipped() {
        let mut before = Before::default();
        let all = report(&[("a", P1, Failed), ("b", P1, Failed), ("w", P1, Skipped)]);
        assert_eq!(told(&all, &mut before, 1), "a +error");
        let some = report(&[("a", P1, Passed), ("b", P1, Skipped), ("w", P1, Skipped)]);
        assert_eq!(told(&some, &mut before, 1), "-a");
        let mut ended = report(&[("a", P1, Passed)]);
        ended.run.interrupted = Some("interrupted".into());
        assert_eq!(told(&ended, &mut before, 1), "");
        let all = report(&[("a", P1, Passed), ("b", P1, Passed), ("w", P1, Skipped)]);
        assert_eq!(told(&all, &mut before, 1), "-+error");
    }
}
