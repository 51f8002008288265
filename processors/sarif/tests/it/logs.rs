//! Logs about ordinary reports.

use serde_json::{Value, json};
use veracity_processor::{Location, Severity, Status, Verdict, sample_report};

use crate::{log, report, result, run};

fn pretty(log: &Value) -> String {
    serde_json::to_string_pretty(log).unwrap()
}

#[test]
fn the_sample_report() {
    insta::assert_snapshot!("sample_report", pretty(&log(&sample_report(), false)));
}

#[test]
fn what_passed_is_there_if_it_is_asked_for() {
    let sample = sample_report();
    let log = log(&sample, true);
    let results = run(&log)["results"].as_array().unwrap();
    assert_eq!(results.len(), sample.results.len());
    let count = |kind: &str| results.iter().filter(|one| one["kind"] == kind).count();
    let counts = ["fail", "open", "pass", "notApplicable"].map(count);
    let summary = sample.summary;
    let expected = [
        summary.failed,
        summary.error + summary.not_evaluated,
        summary.passed,
        summary.skipped,
    ];
    assert_eq!(counts.map(|count| count as u64), expected);
}

#[test]
fn every_status_at_every_severity() {
    let cases = [
        (Status::Failed, "fail"),
        (Status::Error, "open"),
        (Status::NotEvaluated, "open"),
        (Status::Passed, "pass"),
        (Status::Skipped, "notApplicable"),
    ];
    let levels = ["error", "error", "warning", "note"];
    for (status, kind) in cases {
        for (severity, level) in Severity::ALL.into_iter().zip(levels) {
            for include_passed in [false, true] {
                let report = report(vec![result(status, severity)]);
                let log = log(&report, include_passed);
                let run = run(&log);
                let shown = include_passed || !matches!(kind, "pass" | "notApplicable");
                let results = run["results"].as_array().unwrap();
                assert_eq!(results.len(), usize::from(shown), "{status} {severity}");
                for result in results {
                    let level = if kind == "fail" { level } else { "none" };
                    assert_eq!(
                        (&result["kind"], &result["level"]),
                        (&json!(kind), &json!(level))
                    );
                }
                let notes = &run["invocations"][0]["toolExecutionNotifications"];
                let notes = notes.as_array().unwrap();
                assert_eq!(
                    notes.len(),
                    usize::from(kind == "open"),
                    "{status} {severity}"
                );
                for note in notes {
                    assert_eq!(note["level"], level);
                }
                let successful = &run["invocations"][0]["executionSuccessful"];
                assert_eq!(*successful, json!(status != Status::Error));
            }
        }
    }
}

#[test]
fn the_most_severe_come_first() {
    let severities = [Severity::P3, Severity::P0, Severity::P2, Severity::P1];
    let results = severities.map(|severity| result(Status::Failed, severity));
    let log = log(&report(results.into()), false);
    let results = run(&log)["results"].as_array().unwrap();
    let order = results
        .iter()
        .map(|one| one["properties"]["severity"].as_str().unwrap());
    assert_eq!(order.collect::<Vec<&str>>(), ["P0", "P1", "P2", "P3"]);
}

#[test]
fn identities_stay_when_values_and_lines_change() {
    let mut failed = result(Status::Failed, Severity::P1);
    failed.actual = Some(json!(0.5));
    failed.group = Some(json!({"country": "SE"}));
    let before = log(&report(vec![failed.clone()]), false);
    failed.actual = Some(json!(0.6));
    failed.violations = Some(7);
    failed.reason = Some("another".into());
    failed.location.as_mut().unwrap().line = 99;
    let after = log(
        &report(vec![result(Status::Failed, Severity::P0), failed.clone()]),
        false,
    );
    let (before, after) = (&run(&before)["results"][0], &run(&after)["results"][1]);
    assert_ne!(before["message"], after["message"]);
    for key in ["ruleId", "partialFingerprints"] {
        assert_eq!(before[key], after[key], "{key}");
    }
    failed.group = Some(json!({"country": "NL"}));
    let other = log(&report(vec![failed]), false);
    let other = &run(&other)["results"][0];
    assert_eq!(before["ruleId"], other["ruleId"]);
    assert_ne!(before["partialFingerprints"], other["partialFingerprints"]);
}

#[test]
fn groups_of_one_assertion_share_a_rule() {
    let countries = ["SE", "NL", "DE"].map(|country| {
        let mut failed = result(Status::Failed, Severity::P1);
        failed.group = Some(json!({"country": country}));
        failed
    });
    let log = log(&report(countries.into()), false);
    let run = run(&log);
    assert_eq!(run["tool"]["driver"]["rules"].as_array().unwrap().len(), 1);
    assert_eq!(run["results"].as_array().unwrap().len(), 3);
}

#[test]
fn a_result_is_at_its_line_or_at_the_first_of_its_file() {
    let place = |file: &str, line, column| {
        let file = file.to_owned();
        Some(Location { file, line, column })
    };
    let cases = [
        (place("a.yaml", 4, 9), Some(("a.yaml", 4, 9, true))),
        (place("./b/a.yaml", 0, 0), Some(("b/a.yaml", 1, 1, true))),
        (
            place("/srv/a.yaml", 4, 9),
            Some(("file:///srv/a.yaml", 4, 9, false)),
        ),
        (None, Some(("checks/orders.yaml", 1, 1, true))),
    ];
    for (location, expected) in cases {
        let mut failed = result(Status::Failed, Severity::P0);
        failed.location = location.clone();
        let report = report(vec![failed, result(Status::Passed, Severity::P3)]);
        let log = log(&report, false);
        let place = &run(&log)["results"][0]["locations"][0]["physicalLocation"];
        let (artifact, region) = (&place["artifactLocation"], &place["region"]);
        let (uri, line, column, relative) = expected.unwrap();
        assert_eq!(artifact["uri"], uri, "{location:?}");
        assert_eq!(artifact["uriBaseId"] == "SRCROOT", relative, "{location:?}");
        assert_eq!(
            (&region["startLine"], &region["startColumn"]),
            (&json!(line), &json!(column))
        );
    }
    let mut nowhere = result(Status::Failed, Severity::P0);
    nowhere.location = None;
    let log = log(&report(vec![nowhere]), false);
    let place = &run(&log)["results"][0]["locations"][0];
    assert!(place["physicalLocation"].is_null());
    assert_eq!(place["logicalLocations"][0]["name"], "orders");
}

#[test]
fn a_report_without_results() {
    let mut empty = report(Vec::new());
    empty.verdict = Verdict::NotEvaluated;
    insta::assert_snapshot!("empty", pretty(&log(&empty, false)));
}

#[test]
fn a_run_that_ended_early_says_so() {
    let mut report = report(vec![result(Status::Passed, Severity::P1)]);
    report.verdict = Verdict::Passed;
    report.warnings = (0..25).map(|number| format!("warning {number}")).collect();
    let whole = log(&report, false);
    assert_eq!(
        run(&whole)["invocations"][0]["executionSuccessful"],
        json!(true)
    );
    report.run.interrupted = Some("time limit of 5s reached".into());
    let log = log(&report, false);
    let invocation = &run(&log)["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], json!(false));
    let notes = invocation["toolExecutionNotifications"].as_array().unwrap();
    let texts: Vec<&str> = notes
        .iter()
        .map(|note| note["message"]["text"].as_str().unwrap())
        .collect();
    assert_eq!(texts[0], "the run ended early: time limit of 5s reached");
    assert_eq!(texts.last(), Some(&"+5 more warnings"));
    assert_eq!(texts.len(), 22);
}

#[test]
fn a_run_that_was_not_made_says_so() {
    let mut report = report(vec![result(Status::Skipped, Severity::P1)]);
    report.verdict = Verdict::NotEvaluated;
    report.run.interrupted = Some("closed on sundays".into());
    report.run.gate = Some("calendar".into());
    let log = log(&report, false);
    let note = &run(&log)["invocations"][0]["toolExecutionNotifications"][0];
    assert_eq!(note["level"], "note");
    assert_eq!(
        note["message"]["text"],
        "the run was not made: closed on sundays"
    );
}

#[test]
fn times_that_are_none_are_left_out() {
    let mut report = report(Vec::new());
    report.run.started_at = "yesterday".into();
    let log = log(&report, false);
    let invocation = &run(&log)["invocations"][0];
    assert!(invocation["startTimeUtc"].is_null());
    assert_eq!(invocation["endTimeUtc"], report.run.finished_at);
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
    let log = log(&report, true).to_string();
    assert!(!log.contains("3535"), "{log}");
}
