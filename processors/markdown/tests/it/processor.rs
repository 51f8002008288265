//! The processor as the host uses it.

use std::fs;
use std::io::{self, ErrorKind, Write};

use serde_json::json;
use veracity_markdown::{
    Annotations, Environment, MarkdownProcessor, Options, Settings, annotations, render,
};
use veracity_processor::{
    Capability, Message, Outcome, OutcomeStatus, Plugin, ProcessContext, ResultProcessor, Severity,
    State, Status, conformance, sample_report,
};

use crate::{Sink, context, report, result};

fn plugin() -> &'static Plugin {
    Plugin::linked()
        .find(|plugin| plugin.name() == "markdown")
        .unwrap()
}

#[test]
fn the_processor_keeps_to_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out/report.md");
    // The tests may run in GitHub Actions themselves.
    let config = json!({"path": path, "step_summary": "never", "annotations": "off"});
    assert_eq!(conformance::check(plugin(), &config), Vec::<String>::new());
    let written = fs::read_to_string(&path).unwrap();
    assert!(written.contains("assertion 9999"), "the last report stays");
}

#[test]
fn it_can_be_asked_for_by_a_path_alone() {
    let info = plugin().info();
    assert_eq!(info.capabilities, [Capability::Output]);
    assert_eq!(info.config_schema["properties"]["path"]["format"], "path");
    let defaults = json!({"step_summary": "auto", "annotations": "auto", "symbols": false});
    assert_eq!(info.default_config, defaults);
    assert!(plugin().build_processor(json!({"path": "x.md"})).is_ok());
}

#[test]
fn settings_that_cannot_be_used_are_refused() {
    for config in [
        json!({"path": 1}),
        json!({"step_summary": true}),
        json!({"annotations": "gitlab"}),
        json!({"pretty": true}),
        json!({"step_summary": "never", "annotations": "off"}),
    ] {
        assert!(
            plugin().build_processor(config.clone()).is_err(),
            "{config}"
        );
    }
}

#[tokio::test]
async fn outside_of_any_system_only_the_file_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.md");
    for symbols in [false, true] {
        let settings = Settings {
            path: Some(path.clone()),
            symbols,
            ..Settings::default()
        };
        let sink = Sink::default();
        let processor = MarkdownProcessor::new(settings, Environment::default(), sink.clone());
        let outcome = processor
            .process(&sample_report(), &context())
            .await
            .unwrap();
        assert_eq!((outcome, sink.text().as_str()), (Outcome::done(), ""));
        let options = Options {
            symbols,
            ..Options::default()
        };
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            render(&sample_report(), &options)
        );
    }
}

#[tokio::test]
async fn without_a_path_and_a_system_there_is_nothing_to_do() {
    let environment = Environment::default();
    let processor = MarkdownProcessor::new(Settings::default(), environment, io::sink());
    let outcome = processor
        .process(&sample_report(), &context())
        .await
        .unwrap();
    assert_eq!(outcome.status, OutcomeStatus::Skipped);
    assert!(outcome.reason.unwrap().contains("no `path`"));
}

#[tokio::test]
async fn annotations_speak_to_the_system_or_as_the_settings_say() {
    let none = Environment::default();
    let github = Environment {
        github_actions: true,
        ..none.clone()
    };
    let azure = Environment {
        azure_pipelines: true,
        ..none.clone()
    };
    let cases = [
        (Annotations::Auto, &none, ""),
        (Annotations::Auto, &github, "::error "),
        (Annotations::Auto, &azure, "##vso["),
        (Annotations::Github, &none, "::error "),
        (Annotations::Azure, &github, "##vso["),
        (Annotations::Off, &github, ""),
        (Annotations::Off, &azure, ""),
    ];
    for (annotations, environment, start) in cases {
        let settings = Settings {
            annotations,
            ..Settings::default()
        };
        let sink = Sink::default();
        let processor = MarkdownProcessor::new(settings, environment.clone(), sink.clone());
        processor
            .process(&sample_report(), &context())
            .await
            .unwrap();
        let text = sink.text();
        assert!(
            text.starts_with(start),
            "{annotations:?} {environment:?}: {text}"
        );
        assert_eq!(
            text.is_empty(),
            start.is_empty(),
            "{annotations:?} {environment:?}"
        );
        assert!(text.is_empty() || text.ends_with('\n'));
    }
}

/// A processor for GitHub, without a summary.
fn annotating(sink: impl Write + Send + 'static) -> MarkdownProcessor {
    let settings = Settings {
        annotations: Annotations::Github,
        ..Settings::default()
    };
    MarkdownProcessor::new(settings, Environment::default(), sink)
}

#[tokio::test]
async fn a_report_that_is_delivered_again_is_annotated_once() {
    let sink = Sink::default();
    let processor = annotating(sink.clone());
    let first = context();
    processor.process(&sample_report(), &first).await.unwrap();
    let (commands, _) = annotations(&sample_report(), veracity_markdown::Dialect::GitHub);
    let once = commands.join("\n") + "\n";
    assert_eq!(sink.text(), once);
    let mut again = context();
    again.state = State::new(first.state.values());
    processor.process(&sample_report(), &again).await.unwrap();
    assert_eq!(sink.text(), once);
    let mut other = ProcessContext::new("markdown", "another", first.remaining());
    other.state = State::new(first.state.values());
    processor.process(&sample_report(), &other).await.unwrap();
    assert_eq!(sink.text(), once.repeat(2));
}

#[tokio::test]
async fn findings_without_annotations_are_counted() {
    let failed = result(Status::Failed, Severity::P0);
    let processor = annotating(io::sink());
    let report = report(vec![failed; 25]);
    let outcome = processor.process(&report, &context()).await.unwrap();
    assert_eq!(outcome.note.unwrap(), "15 findings have no annotation");
}

#[tokio::test]
async fn a_closed_stream_is_noted_and_nothing_more() {
    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(ErrorKind::BrokenPipe.into())
        }
    }

    let outcome = annotating(Closed)
        .process(&sample_report(), &context())
        .await;
    let note = outcome.unwrap().note.unwrap();
    assert!(
        note.starts_with("annotations cannot be written: "),
        "{note}"
    );
}

#[tokio::test]
async fn a_file_that_cannot_be_written_keeps_nothing_else_back() {
    let folder = tempfile::tempdir().unwrap();
    let summary = folder.path().join("summary.md");
    let settings = Settings {
        path: Some(folder.path().to_owned()),
        ..Settings::default()
    };
    let environment = Environment {
        github_actions: true,
        step_summary: Some(summary.clone()),
        ..Environment::default()
    };
    let sink = Sink::default();
    let processor = MarkdownProcessor::new(settings, environment, sink.clone());
    let error = processor
        .process(&sample_report(), &context())
        .await
        .unwrap_err();
    assert!(error.message().contains("cannot be written"), "{error}");
    assert!(summary.exists());
    assert!(sink.text().starts_with("::error "));
}

#[tokio::test]
async fn a_message_does_not_replace_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.md");
    let settings = Settings {
        path: Some(path.clone()),
        ..Settings::default()
    };
    let processor = MarkdownProcessor::new(settings, Environment::default(), io::sink());
    let message = Message::new("hello", sample_report().run);
    let outcome = processor.notify(&message, &context()).await.unwrap();
    assert_eq!(outcome.status, OutcomeStatus::Skipped);
    assert!(!path.exists());
}
