//! Pages about ordinary reports.

use veracity_markdown::{Options, render};
use veracity_processor::{Severity, Status, Verdict, sample_report};

use crate::parsed::Parsed;
use crate::{STATUSES, report, result};

#[test]
fn the_sample_report() {
    let page = render(&sample_report(), &Options::default());
    let parsed = Parsed::read(&page);
    assert!(parsed.kinds.contains("table"), "{parsed:?}");
    insta::assert_snapshot!("sample_report", page);
}

#[test]
fn metrics_are_listed_if_they_are_asked_for() {
    let options = Options {
        symbols: true,
        ..Options::default()
    };
    let page = render(&sample_report(), &options);
    let without = render(&sample_report(), &Options::default());
    let metrics = page.strip_prefix(without.trim_end()).unwrap();
    insta::assert_snapshot!("metrics", metrics.trim());
}

#[test]
fn a_report_without_results() {
    let mut empty = report(Vec::new());
    empty.verdict = Verdict::NotEvaluated;
    insta::assert_snapshot!("empty", render(&empty, &Options::default()));
}

#[test]
fn a_run_that_ended_early_or_was_not_made() {
    let mut report = report(vec![result(Status::Skipped, Severity::P1)]);
    report.verdict = Verdict::NotEvaluated;
    report.run.interrupted = Some("time limit of 5s reached".into());
    insta::assert_snapshot!("interrupted", render(&report, &Options::default()));
    report.run.gate = Some("calendar".into());
    let page = render(&report, &Options::default());
    let line = "The run was not made, because of `calendar`: `time limit of 5s reached`";
    assert!(page.lines().any(|one| one == line), "{page}");
}

#[test]
fn everything_passed() {
    let mut report = report(vec![result(Status::Passed, Severity::P1); 2]);
    report.verdict = Verdict::Passed;
    insta::assert_snapshot!("passed", render(&report, &Options::default()));
}

#[test]
fn every_status_at_every_severity_has_its_row() {
    let kinds = STATUSES.into_iter();
    let kinds = kinds.flat_map(|status| Severity::ALL.map(|severity| (status, severity)));
    let kinds: Vec<(Status, Severity)> = kinds.collect();
    for first in &kinds {
        for second in &kinds {
            let results = [first, second].map(|(status, severity)| result(*status, *severity));
            let page = render(&report(results.to_vec()), &Options::default());
            let rows = Parsed::read(&page).rows;
            assert_eq!(rows, [4, 4], "{first:?} {second:?}: {page}");
        }
    }
    let all = kinds
        .iter()
        .map(|(status, severity)| result(*status, *severity));
    let page = render(&report(all.collect()), &Options::default());
    insta::assert_snapshot!("all", page);
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
    let options = Options {
        symbols: true,
        ..Options::default()
    };
    let page = render(&report, &options);
    assert!(!page.contains("3535"), "{page}");
}
