//! Annotations.

use veracity_markdown::{Dialect, PER_TYPE, annotations};
use veracity_processor::conformance::hostile;
use veracity_processor::{Severity, Status, is_deceptive, sample_report};

use crate::{report, result};

fn lines(commands: &[String]) -> String {
    commands.join("\n")
}

#[test]
fn the_sample_report_for_github() {
    let (commands, left_out) = annotations(&sample_report(), Dialect::GitHub);
    assert_eq!(left_out, 0);
    insta::assert_snapshot!("github", lines(&commands));
}

#[test]
fn the_sample_report_for_azure() {
    let (commands, left_out) = annotations(&sample_report(), Dialect::Azure);
    assert_eq!(left_out, 0);
    insta::assert_snapshot!("azure", lines(&commands));
}

#[test]
fn every_severity_has_its_type_and_what_passed_has_none() {
    let statuses = [
        (Status::Failed, true),
        (Status::Error, true),
        (Status::NotEvaluated, true),
        (Status::Passed, false),
        (Status::Skipped, false),
    ];
    let types = [
        ("error", "error"),
        ("error", "error"),
        ("warning", "warning"),
        ("notice", "warning"),
    ];
    for (status, shown) in statuses {
        for (severity, (github, azure)) in Severity::ALL.into_iter().zip(types) {
            let report = report(vec![result(status, severity)]);
            let cases = [
                (Dialect::GitHub, format!("::{github} ")),
                (Dialect::Azure, format!("##vso[task.logissue type={azure};")),
            ];
            for (dialect, start) in cases {
                let (commands, _) = annotations(&report, dialect);
                assert_eq!(commands.len(), usize::from(shown), "{status}");
                assert!(
                    commands.iter().all(|one| one.starts_with(&start)),
                    "{commands:?}"
                );
            }
        }
    }
}

#[test]
fn of_ten_thousand_the_most_severe_of_each_type_are_annotated() {
    let results = (0..10_000).map(|number| {
        let severity = Severity::ALL[3 - number % 4];
        let mut failed = result(Status::Failed, severity);
        failed.assertion = format!("{severity} {number}");
        failed
    });
    let report = report(results.collect());
    for (dialect, types) in [(Dialect::GitHub, 3), (Dialect::Azure, 2)] {
        let (commands, left_out) = annotations(&report, dialect);
        assert_eq!(commands.len(), types * PER_TYPE);
        assert_eq!(left_out, 10_000 - commands.len());
        assert!(commands.len() <= 50, "what GitHub shows of a job");
        let errors = commands.iter().take(PER_TYPE);
        for command in errors {
            assert!(command.contains("P0"), "{command}");
        }
    }
}

#[test]
fn hostile_names_are_no_commands() {
    let mut report = hostile();
    for result in &mut report.results {
        let file = format!("{}/x.yaml", result.check);
        result.location = Some(veracity_processor::Location {
            file,
            line: 0,
            column: 0,
        });
    }
    let findings = report.results.clone();
    for one in findings {
        report.results = vec![one];
        for (dialect, start) in [
            (Dialect::GitHub, "::error file="),
            (Dialect::Azure, "##vso[task.logissue type=error;sourcepath="),
        ] {
            let (commands, _) = annotations(&report, dialect);
            let command = &commands[0];
            assert!(command.starts_with(start), "{command}");
            assert_eq!(
                command.chars().find(|c| is_deceptive(*c)),
                None,
                "{command}"
            );
            assert_eq!(
                command.matches("##vso[").count(),
                start.matches("##vso[").count()
            );
            assert!(command.chars().count() < 3_000, "{}", command.len());
            // The properties end where they are meant to.
            let (properties, data) = match dialect {
                Dialect::GitHub => command[2..].split_once("::").unwrap(),
                Dialect::Azure => command.split_once(']').unwrap(),
            };
            let names = match dialect {
                Dialect::GitHub => ["file=", "line=", "col=", "title="],
                Dialect::Azure => ["type=", "sourcepath=", "linenumber=", "columnnumber="],
            };
            let between = if dialect == Dialect::GitHub { ',' } else { ';' };
            let properties = properties.split_once(' ').unwrap().1;
            let properties: Vec<&str> = properties.split(between).collect();
            assert_eq!(properties.len(), 4, "{command}");
            for (property, name) in properties.iter().zip(names) {
                assert!(property.starts_with(name), "{property} in {command}");
            }
            assert!(!data.is_empty(), "{command}");
        }
    }
}

#[test]
fn a_result_without_a_place_has_an_annotation_without_one() {
    let mut failed = result(Status::Failed, Severity::P0);
    failed.location = None;
    let report = report(vec![failed]);
    let (github, _) = annotations(&report, Dialect::GitHub);
    assert_eq!(github, ["::error title=keys / failed P0::failed"]);
    let (azure, _) = annotations(&report, Dialect::Azure);
    assert_eq!(
        azure,
        ["##vso[task.logissue type=error]keys / failed P0: failed"]
    );
}
