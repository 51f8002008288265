//! Documents about ordinary reports.

use veracity_junit::{Options, render};
use veracity_processor::{Severity, Status, Verdict, sample_report};

use crate::format::faults;
use crate::xml::Element;
use crate::{STATUSES, report, result};

#[test]
fn the_sample_report() {
    let document = render(&sample_report(), &Options::default());
    assert_eq!(faults(&document, false), Vec::<String>::new());
    insta::assert_snapshot!("sample_report", document);
}

#[test]
fn the_strict_form_has_no_lines_and_no_properties_of_cases() {
    let options = Options {
        strict: true,
        ..Options::default()
    };
    let document = render(&sample_report(), &options);
    assert_eq!(faults(&document, true), Vec::<String>::new());
    insta::assert_snapshot!("strict", document);
}

#[test]
fn a_report_without_results() {
    let mut empty = report(Vec::new());
    empty.verdict = Verdict::NotEvaluated;
    let document = render(&empty, &Options::default());
    assert_eq!(faults(&document, false), Vec::<String>::new());
    insta::assert_snapshot!("empty", document);
}

#[test]
fn a_run_that_ended_early() {
    let mut report = report(vec![
        result(Status::Passed, Severity::P1),
        result(Status::NotEvaluated, Severity::P1),
    ]);
    report.results[1].reason = Some("interrupted".into());
    report.verdict = Verdict::NotEvaluated;
    report.run.interrupted = Some("time limit of 5s reached".into());
    report.warnings = (0..25).map(|number| format!("warning {number}")).collect();
    let document = render(&report, &Options::default());
    assert_eq!(faults(&document, false), Vec::<String>::new());
    insta::assert_snapshot!("interrupted", document);
    report.run.gate = Some("calendar".into());
    let document = render(&report, &Options::default());
    let line = "the run was not made, because of calendar: time limit of 5s reached";
    assert!(document.contains(line), "{document}");
}

#[test]
fn every_status_at_every_severity() {
    let warnings = [vec![], vec![Severity::P3], Severity::ALL.to_vec()];
    for warn_severities in warnings {
        for (status, severity) in kinds() {
            let options = Options {
                warn_severities: warn_severities.clone(),
                ..Options::default()
            };
            let document = render(&report(vec![result(status, severity)]), &options);
            let root = Element::read(&document).unwrap();
            let case = &root.children[0].all("testcase").next().unwrap();
            let children = case.children.iter();
            let children: Vec<&str> = children.map(|child| child.name.as_str()).collect();
            let expected: &[&str] = match status {
                Status::Passed => &[],
                Status::Failed if warn_severities.contains(&severity) => {
                    &["properties", "system-out"]
                }
                Status::Failed => &["failure"],
                Status::Skipped => &["skipped"],
                _ => &["error"],
            };
            assert_eq!(
                children, expected,
                "{status} {severity} {warn_severities:?}"
            );
            if children == ["failure"] {
                assert_eq!(case.children[0].get("type"), severity.to_string());
            }
            assert_eq!(case.get("classname"), "nycflights.orders.keys");
        }
    }
}

#[test]
fn counts_are_those_of_the_cases_whatever_the_results() {
    for first in kinds() {
        for second in kinds() {
            let results =
                [first, second, second].map(|(status, severity)| result(status, severity));
            for strict in [false, true] {
                let options = Options {
                    strict,
                    ..Options::default()
                };
                let document = render(&report(results.to_vec()), &options);
                let label = format!("{first:?}, {second:?}");
                assert_eq!(faults(&document, strict), Vec::<String>::new(), "{label}");
            }
        }
    }
}

#[test]
fn no_row_of_the_data_is_written() {
    let report = sample_report();
    assert!(
        report
            .results
            .iter()
            .any(|result| !result.sample.is_empty())
    );
    let document = render(&report, &Options::default());
    assert!(!document.contains("3535"), "{document}");
}

fn kinds() -> impl Iterator<Item = (Status, Severity)> {
    let severities = |status| Severity::ALL.map(|severity| (status, severity));
    STATUSES.into_iter().flat_map(severities)
}
