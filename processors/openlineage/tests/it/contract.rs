//! The contract of processors.

use serde_json::json;
use veracity_http::testing::{Answer, Server};
use veracity_processor::{Stage, conformance};

use crate::plugin;

#[test]
fn it_keeps_to_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lineage.jsonl");
    let faults = conformance::check(plugin(), &json!({ "path": path }));
    assert_eq!(faults, Vec::<String>::new());
    let server = Server::start(vec![Answer::new(201, "", "")]);
    let config = json!({"url": server.at(""), "allow_private": true, "timeout": 30});
    assert_eq!(conformance::check(plugin(), &config), Vec::<String>::new());
}

#[test]
fn it_is_called_before_and_after_a_run() {
    assert_eq!(plugin().info().stages, [Stage::AfterRun, Stage::BeforeRun]);
}

#[test]
fn the_schema_tells_secrets_paths_and_defaults() {
    let info = plugin().info();
    let at = |pointer: &str| {
        info.config_schema
            .pointer(pointer)
            .cloned()
            .unwrap_or_default()
    };
    for secret in ["url", "api_key"] {
        let property = at(&format!("/properties/{secret}"));
        assert!(
            property.to_string().contains("\"writeOnly\":true"),
            "{property}"
        );
    }
    for path in ["path", "tls_ca_file"] {
        assert_eq!(
            at(&format!("/properties/{path}/format")),
            json!("path"),
            "{path}"
        );
    }
    assert_eq!(info.default_config["timeout"], json!(5.0));
    assert_eq!(info.default_config["max_bytes"], json!(1_048_576));
    assert_eq!(
        info.default_config["dataset_namespace"],
        json!("inmemory://")
    );
}
