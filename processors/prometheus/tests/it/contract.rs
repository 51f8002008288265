//! The contract of processors.

use serde_json::json;
use veracity_http::testing::{Answer, Server};
use veracity_processor::{
    Capability, Message, OutcomeStatus, ProcessContext, conformance, sample_report,
};

use crate::{KEY, LIMIT, plugin};

#[test]
fn it_keeps_to_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(vec![Answer::new(202, "", "")]);
    let config = json!({
        "path": folder.path().join("x.prom"),
        "pushgateway": {"url": server.at(""), "allow_private": true, "timeout": 30}
    });
    assert_eq!(conformance::check(plugin(), &config), Vec::<String>::new());
}

#[test]
fn it_sees_metrics_and_can_be_asked_for_as_an_output() {
    let capabilities = plugin().info().capabilities;
    assert_eq!(capabilities, [Capability::Metrics, Capability::Output]);
}

#[test]
fn settings_without_a_destination_are_refused() {
    let cases = [
        (json!({}), "`path` or `pushgateway` says where metrics go"),
        (
            json!({"path": "x.prom", "max_series": 19}),
            "max_series: must be at least 20",
        ),
        (
            json!({"pushgateway": {"url": "http://10.0.0.1"}}),
            "pushgateway.url: `10.0.0.1` is 10.0.0.1, a private address; `allow_private: true` \
             permits it",
        ),
    ];
    for (config, expected) in cases {
        let error = plugin().build_processor(config).err().unwrap();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn the_schema_tells_secrets_paths_and_defaults() {
    let info = plugin().info();
    let schema = info.config_schema.to_string();
    assert_eq!(schema.matches("\"writeOnly\":true").count(), 2, "{schema}");
    assert_eq!(schema.matches("\"format\":\"path\"").count(), 2, "{schema}");
    assert_eq!(info.default_config, json!({"max_series": 5_000}));
    let gateway = info
        .config_schema
        .pointer("/$defs/Gateway/properties")
        .unwrap();
    assert_eq!(gateway["timeout"]["default"], json!(5.0));
    assert_eq!(gateway["job"]["default"], json!("veracity"));
    assert_eq!(gateway["method"]["default"], json!("put"));
}

#[tokio::test]
async fn messages_are_no_metrics() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.prom");
    let processor = plugin().build_processor(json!({ "path": path })).unwrap();
    let message = Message::new("disk full", sample_report().run);
    let context = ProcessContext::new("prometheus", KEY, LIMIT);
    let outcome = processor.notify(&message, &context).await.unwrap();
    assert_eq!(outcome.status, OutcomeStatus::Skipped);
    assert!(!path.exists());
}
