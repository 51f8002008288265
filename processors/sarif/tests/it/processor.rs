//! The processor as the host uses it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use veracity_processor::{
    Capability, Message, Outcome, OutcomeStatus, Plugin, ProcessContext, ProcessorError,
    conformance, sample_report,
};
use veracity_sarif::{Options, render};

use crate::schema::faults;

fn plugin() -> &'static Plugin {
    Plugin::linked()
        .find(|plugin| plugin.name() == "sarif")
        .unwrap()
}

async fn deliver(config: Value) -> Result<Outcome, ProcessorError> {
    let processor = plugin().build_processor(config).unwrap();
    let context = ProcessContext::new("sarif", "key", Duration::from_secs(30));
    processor.process(&sample_report(), &context).await
}

#[test]
fn the_processor_keeps_to_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out/veracity.sarif");
    let config = json!({"path": path});
    assert_eq!(conformance::check(plugin(), &config), Vec::<String>::new());
    let written = fs::read(&path).unwrap();
    let log: Value = serde_json::from_slice(&written).unwrap();
    assert_eq!(faults(&log), Vec::<String>::new());
    let results = &log["runs"][0]["results"];
    assert_eq!(
        results.as_array().unwrap().len(),
        10_000,
        "the last report stays"
    );
}

#[test]
fn it_can_be_asked_for_by_a_path_alone() {
    let info = plugin().info();
    assert_eq!(info.capabilities, [Capability::Output]);
    let schema = &info.config_schema;
    assert_eq!(schema["properties"]["path"]["format"], "path");
    assert_eq!(schema["required"], json!(["path"]));
    assert_eq!(info.default_config, json!({"include_passed": false}));
}

#[tokio::test]
async fn the_settings_are_obeyed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("veracity.sarif");
    for include_passed in [false, true] {
        deliver(json!({"path": path, "include_passed": include_passed}))
            .await
            .unwrap();
        let expected = render(&sample_report(), &Options { include_passed });
        assert_eq!(fs::read(&path).unwrap(), expected);
    }
}

#[test]
fn settings_that_cannot_be_used_are_refused() {
    for config in [
        json!({}),
        json!({"path": "x", "include_passed": "yes"}),
        json!({"path": "x", "pretty": true}),
    ] {
        assert!(
            plugin().build_processor(config.clone()).is_err(),
            "{config}"
        );
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let error = deliver(json!({"path": folder.path()})).await.unwrap_err();
    assert!(!error.is_retryable(), "{error}");
    assert!(error.message().contains("cannot be written"), "{error}");
    if Path::new("/dev/full").exists() {
        let error = deliver(json!({"path": "/dev/full"})).await.unwrap_err();
        assert!(error.is_retryable(), "{error}");
    }
}

#[tokio::test]
async fn a_message_does_not_replace_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("veracity.sarif");
    deliver(json!({"path": path})).await.unwrap();
    let before = fs::read(&path).unwrap();
    let processor = plugin().build_processor(json!({"path": path})).unwrap();
    let context = ProcessContext::new("sarif", "key", Duration::from_secs(30));
    let message = Message::new("hello", sample_report().run);
    let outcome = processor.notify(&message, &context).await.unwrap();
    assert_eq!(outcome.status, OutcomeStatus::Skipped);
    assert_eq!(fs::read(&path).unwrap(), before);
}
