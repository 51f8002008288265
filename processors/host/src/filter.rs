//! Which part of a report a processor gets, and whether it gets it at all.

use std::collections::{BTreeMap, BTreeSet};

use veracity_processor::event::glob;
use veracity_processor::{AssertionResult, Capability, Report, Status};

use crate::settings::{On, Settings};

/// What a processor gets of a report.
#[derive(Debug, Clone, PartialEq)]
pub enum View {
    /// The report, with the results it asked for.
    Given(Box<Report>),
    /// Nothing, and why.
    Nothing(String),
}

/// What a processor with `settings` and `capabilities` gets of `report`.
///
/// Results it did not ask for are left out, and symbols that only they use. Verdict and
/// summary stay those of the run. Sample rows are left out unless it may see them.
/// `previous` is the suite's report before this one; without it everything has changed.
pub fn view(
    report: &Report,
    previous: Option<&Report>,
    settings: &Settings,
    capabilities: &[Capability],
) -> View {
    let wanted = |result: &&AssertionResult| asks_for(settings, result);
    let results: Vec<&AssertionResult> = report.results.iter().filter(wanted).collect();
    let filtered = results.len() < report.results.len();
    if results.is_empty() && filtered {
        return View::Nothing("no result it asks for".to_owned());
    }
    let counts = |result: &&AssertionResult| {
        matches!(
            result.status,
            Status::Failed | Status::NotEvaluated | Status::Error
        )
    };
    match settings.on {
        On::Always => {}
        On::Failure if results.iter().any(counts) || nothing_at_all(report) => {}
        On::Failure => return View::Nothing("nothing it asks for failed".to_owned()),
        On::Change if report.run.gate.is_some() => {
            return View::Nothing("the run did not begin".to_owned());
        }
        On::Change => {
            let before = previous.map(|previous| {
                let results = previous.results.iter().filter(wanted);
                (previous.verdict, statuses(results))
            });
            let now = (report.verdict, statuses(results.iter().copied()));
            if before == Some(now) {
                return View::Nothing("nothing it asks for changed".to_owned());
            }
        }
    }
    let mut given = report.clone();
    given.results = results.into_iter().cloned().collect();
    if filtered {
        let used: BTreeSet<&String> = given.results.iter().flat_map(|r| &r.symbols).collect();
        given.symbols.retain(|symbol| used.contains(&symbol.name));
    }
    if !capabilities.contains(&Capability::RawRows) {
        for result in &mut given.results {
            result.sample.clear();
        }
    }
    given.deliveries.clear();
    View::Given(Box::new(given))
}

/// A run in which nothing was evaluated is a failure of its own, unless it was not to be.
fn nothing_at_all(report: &Report) -> bool {
    report.summary.passed + report.summary.failed == 0 && report.run.gate.is_none()
}

fn asks_for(settings: &Settings, result: &AssertionResult) -> bool {
    fn any<T: PartialEq>(wanted: &[T], found: &[T]) -> bool {
        wanted.is_empty() || found.iter().any(|one| wanted.contains(one))
    }
    any(&settings.severities, &[result.severity])
        && any(&settings.statuses, &[result.status])
        && any(&settings.tags, &result.tags)
        && any(&settings.checks, std::slice::from_ref(&result.check))
        && (settings.datasets.is_empty()
            || settings
                .datasets
                .iter()
                .any(|pattern| glob(pattern, &result.dataset)))
}

/// The status of each assertion; per group where it was evaluated per group.
fn statuses<'r>(
    results: impl Iterator<Item = &'r AssertionResult>,
) -> BTreeMap<(&'r str, &'r str, String), Status> {
    let of = |result: &'r AssertionResult| {
        let group = result.group.as_ref().map(ToString::to_string);
        let key = (
            &*result.check,
            &*result.assertion,
            group.unwrap_or_default(),
        );
        (key, result.status)
    };
    results.map(of).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};
    use veracity_processor::{Verdict, sample_report};

    use super::*;
    use crate::shared::Shared;

    fn settings(value: Value) -> Settings {
        let Value::Object(fields) = value else {
            Map::<String, Value>::new();
            panic!("an object")
        };
        Settings::read(&fields).unwrap()
    }

    /// How many results are given, or why nothing is.
    fn given(report: &Report, previous: Option<&Report>, value: Value) -> String {
        match view(report, previous, &settings(value), &[]) {
            View::Given(report) => report.results.len().to_string(),
            View::Nothing(reason) => reason,
        }
    }

    fn count(report: &Report, wanted: impl Fn(&AssertionResult) -> bool) -> String {
        let count = report.results.iter().filter(|r| wanted(r)).count();
        assert!(
            count > 0 && count < report.results.len(),
            "the sample has some"
        );
        count.to_string()
    }

    #[test]
    fn results_are_chosen_by_severity_status_tag_and_check() {
        let report = sample_report();
        let all = report.results.len().to_string();
        let first = &report.results[0];
        let p0 = count(&report, |r| r.severity == first.severity);
        let failed = count(&report, |r| r.status == Status::Failed);
        let check = count(&report, |r| r.check == first.check);
        let both = count(&report, |r| {
            r.check == first.check && r.status == Status::Failed
        });
        let cases = [
            (json!({}), all.clone()),
            (json!({"severities": [first.severity]}), p0),
            (json!({"statuses": ["failed"]}), failed),
            (json!({"checks": [first.check]}), check),
            (
                json!({"checks": [first.check], "statuses": ["failed"]}),
                both,
            ),
            (
                json!({"tags": ["no such"]}),
                "no result it asks for".to_owned(),
            ),
        ];
        for (value, expected) in cases {
            assert_eq!(given(&report, None, value.clone()), expected, "{value}");
        }
    }

    #[test]
    fn a_failure_is_one_among_the_results_it_asks_for() {
        let mut report = sample_report();
        let passed = json!({"on": "failure", "statuses": ["passed"]});
        assert_eq!(given(&report, None, passed), "nothing it asks for failed");
        assert_eq!(
            given(&report, None, json!({"on": "failure"})),
            report.results.len().to_string()
        );
        report
            .results
            .retain(|result| result.status == Status::Passed);
        assert_eq!(
            given(&report, None, json!({"on": "failure"})),
            "nothing it asks for failed"
        );
        report.results.clear();
        report.summary = Default::default();
        assert_eq!(
            given(&report, None, json!({"on": "failure"})),
            "0",
            "nothing was evaluated"
        );
    }

    #[test]
    fn a_change_is_one_among_the_results_it_asks_for() {
        let before = sample_report();
        let change = || json!({"on": "change"});
        let all = before.results.len().to_string();
        assert_eq!(given(&before, None, change()), all, "the first run");
        assert_eq!(
            given(&before, Some(&before), change()),
            "nothing it asks for changed"
        );
        let mut now = before.clone();
        now.verdict = Verdict::Passed;
        assert_eq!(given(&now, Some(&before), change()), all);
        now.verdict = before.verdict;
        let mut gated = now.clone();
        gated.run.gate = Some("calendar".to_owned());
        assert_eq!(
            given(&gated, Some(&before), change()),
            "the run did not begin"
        );
        now.results.reverse();
        assert_eq!(
            given(&now, Some(&before), change()),
            "nothing it asks for changed"
        );
        now.results[0].status = match now.results[0].status {
            Status::Skipped => Status::Failed,
            _ => Status::Skipped,
        };
        assert_eq!(given(&now, Some(&before), change()), all);
    }

    #[test]
    fn sample_rows_are_only_for_those_who_may_see_them() {
        let mut report = sample_report();
        report.results[0].sample = vec![json!({"email": "a@example.org"})];
        let samples = |capabilities: &[Capability]| {
            let View::Given(given) = view(&report, None, &Settings::default(), capabilities) else {
                panic!("it is given");
            };
            given
                .results
                .iter()
                .map(|result| result.sample.len())
                .sum::<usize>()
        };
        assert_eq!(samples(&[]), 0);
        assert!(samples(&[Capability::RawRows]) > 0);
    }

    #[test]
    fn verdict_and_summary_stay_and_unused_symbols_go() {
        let report = sample_report();
        let View::Given(given) = view(
            &report,
            None,
            &settings(json!({"statuses": ["passed"]})),
            &[],
        ) else {
            panic!("it is given");
        };
        assert_eq!(
            (given.verdict, given.summary),
            (report.verdict, report.summary)
        );
        assert!(given.symbols.len() < report.symbols.len());
    }
}
