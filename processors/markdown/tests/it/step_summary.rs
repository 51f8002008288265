//! The step summary of GitHub Actions.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use veracity_markdown::{
    Annotations, Environment, MAX_BYTES, MarkdownProcessor, Options, Settings, StepSummary, render,
};
use veracity_processor::{
    Outcome, OutcomeStatus, ProcessContext, ProcessorError, Report, ResultProcessor, Severity,
    Status, sample_report,
};

use crate::{context, report, result};

fn github(summary: Option<PathBuf>) -> Environment {
    Environment {
        github_actions: true,
        step_summary: summary,
        ..Environment::default()
    }
}

async fn deliver_as(
    settings: Settings,
    environment: Environment,
    report: &Report,
    context: &ProcessContext,
) -> Result<Outcome, ProcessorError> {
    let settings = Settings {
        annotations: Annotations::Off,
        ..settings
    };
    let processor = MarkdownProcessor::new(settings, environment, io::sink());
    processor.process(report, context).await
}

async fn deliver(summary: &Path, report: &Report) -> Result<Outcome, ProcessorError> {
    let environment = github(Some(summary.to_owned()));
    deliver_as(Settings::default(), environment, report, &context()).await
}

fn failures(count: usize) -> Report {
    let results = (0..count).map(|number| {
        let mut failed = result(Status::Failed, Severity::P1);
        failed.assertion = format!("{number} {}", "x".repeat(140));
        failed
    });
    report(results.collect())
}

#[tokio::test]
async fn a_report_is_appended_and_what_was_there_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("summary.md");
    let befores = ["", "## Build\n", "no line break", "## Build\n\n"];
    let starts = ["", "## Build\n\n", "no line break\n\n", "## Build\n\n"];
    for (before, start) in befores.into_iter().zip(starts) {
        fs::write(&path, before).unwrap();
        assert_eq!(
            deliver(&path, &sample_report()).await.unwrap(),
            Outcome::done()
        );
        let page = render(&sample_report(), &Options::default());
        let mark = "<!-- veracity 6f1c02d73b6e5a4c8d2e000000000002 -->";
        let expected = format!("{start}{page}\n{mark}\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), expected, "{before:?}");
    }
}

#[tokio::test]
async fn a_summary_that_is_not_there_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("summary.md");
    deliver(&path, &sample_report()).await.unwrap();
    assert!(
        fs::read_to_string(&path)
            .unwrap()
            .starts_with("## `nycflights`: failed\n")
    );
}

#[tokio::test]
async fn a_report_that_is_delivered_again_stands_there_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("summary.md");
    deliver(&path, &sample_report()).await.unwrap();
    let once = fs::read(&path).unwrap();
    deliver(&path, &sample_report()).await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), once);
    let mut other = context();
    other.idempotency_key = "another".into();
    let environment = github(Some(path.clone()));
    let settings = Settings::default();
    deliver_as(settings, environment, &sample_report(), &other)
        .await
        .unwrap();
    let twice = fs::read_to_string(&path).unwrap();
    assert_eq!(twice.matches("## `nycflights`").count(), 2);
}

#[tokio::test]
async fn the_whole_file_stays_below_its_limit_whatever_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("summary.md");
    let report = failures(10_000);
    for before in [
        0,
        100_000,
        MAX_BYTES / 2,
        MAX_BYTES - 100_000,
        MAX_BYTES - 8_500,
    ] {
        fs::write(&path, "x".repeat(before)).unwrap();
        assert_eq!(deliver(&path, &report).await.unwrap(), Outcome::done());
        let after = fs::read_to_string(&path).unwrap();
        assert!(after.len() < MAX_BYTES, "{before}: {}", after.len());
        assert!(after.len() > before + 4_000, "{before}: {}", after.len());
        assert!(after.contains(" more\n"), "what is left out is counted");
    }
    for before in [MAX_BYTES - 4_000, MAX_BYTES, 2 * MAX_BYTES] {
        fs::write(&path, "x".repeat(before)).unwrap();
        let outcome = deliver(&path, &report).await.unwrap();
        let note = outcome.note.unwrap();
        assert_eq!(
            note,
            "the step summary is full (1 MiB), nothing was added to it"
        );
        assert_eq!(fs::metadata(&path).unwrap().len(), before as u64);
    }
}

#[tokio::test]
async fn many_reports_share_the_room() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("summary.md");
    for number in 0..4 {
        let mut context = context();
        context.idempotency_key = format!("run {number}");
        let environment = github(Some(path.clone()));
        deliver_as(Settings::default(), environment, &failures(4_000), &context)
            .await
            .unwrap();
    }
    assert!(fs::metadata(&path).unwrap().len() < MAX_BYTES as u64);
}

#[tokio::test]
async fn whether_there_is_a_summary_follows_the_settings_and_the_system() {
    use StepSummary::{Always, Auto, Never};
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = |summary: &Path| Environment {
        github_actions: false,
        ..github(Some(summary.to_owned()))
    };
    let cases = [
        ("auto, GitHub", Auto, true, true),
        ("auto, elsewhere", Auto, false, false),
        ("always, GitHub", Always, true, true),
        ("always, elsewhere", Always, false, true),
        ("never, GitHub", Never, true, false),
        ("never, elsewhere", Never, false, false),
    ];
    for (label, step_summary, on_github, expected) in cases {
        let path = folder.path().join(label);
        let environment = match on_github {
            true => github(Some(path.clone())),
            false => elsewhere(&path),
        };
        let settings = Settings {
            step_summary,
            ..Settings::default()
        };
        let outcome = deliver_as(settings, environment, &sample_report(), &context()).await;
        assert_eq!(path.exists(), expected, "{label}");
        let status = match expected {
            true => OutcomeStatus::Done,
            false => OutcomeStatus::Skipped,
        };
        assert_eq!(outcome.unwrap().status, status, "{label}");
    }
}

#[tokio::test]
async fn a_summary_that_must_be_and_is_not_is_an_error_and_the_file_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.md");
    let settings = Settings {
        path: Some(path.clone()),
        step_summary: StepSummary::Always,
        ..Settings::default()
    };
    let error = deliver_as(settings, github(None), &sample_report(), &context())
        .await
        .unwrap_err();
    assert!(!error.is_retryable(), "{error}");
    assert!(
        error.message().contains("`GITHUB_STEP_SUMMARY` is not set"),
        "{error}"
    );
    let written = fs::read_to_string(&path).unwrap();
    assert_eq!(written, render(&sample_report(), &Options::default()));
}

#[tokio::test]
async fn a_summary_that_cannot_be_written_is_an_error_and_the_file_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let cases = [
        (folder.path().to_owned(), "no regular file"),
        (file.join("below a file"), "cannot be written"),
        (
            folder.path().join("no/such/folder/summary"),
            "cannot be written",
        ),
        (PathBuf::from("/dev/null"), "no regular file"),
    ];
    for (number, (summary, reason)) in cases.into_iter().enumerate() {
        let path = folder.path().join(format!("report {number}.md"));
        let settings = Settings {
            path: Some(path.clone()),
            ..Settings::default()
        };
        let environment = github(Some(summary.clone()));
        let error = deliver_as(settings, environment, &sample_report(), &context())
            .await
            .unwrap_err();
        assert!(!error.is_retryable(), "{error}");
        let start = format!("the step summary `{}` cannot be written", summary.display());
        assert!(error.message().starts_with(&start), "{error}");
        assert!(error.message().contains(reason), "{error}");
        let written = fs::read_to_string(&path).unwrap();
        assert_eq!(written, render(&sample_report(), &Options::default()));
    }
}
