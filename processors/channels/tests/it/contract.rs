//! What every channel keeps to.

use serde_json::{Value, json};
use veracity_processor::conformance;

use crate::{build, plugins, try_build};

/// Settings with which each channel can be built.
fn settings() -> [(&'static str, Value); 5] {
    [
        ("file", json!({"path": "messages.ndjson"})),
        (
            "nats",
            json!({"url": "nats://u:c4nary@h", "subject": "dq", "tls_ca_file": "ca.pem"}),
        ),
        (
            "postgres",
            json!({"url": "postgres://u:c4nary@h/d", "channel": "dq"}),
        ),
        ("spool", json!({"path": "outbox"})),
        (
            "webhook",
            json!({"url": "https://example.org/c4nary", "headers": {"X-Token": "c4nary"}}),
        ),
    ]
}

#[test]
fn there_is_a_plugin_for_each_channel_and_it_keeps_to_the_contract() {
    let mut names: Vec<&str> = plugins().map(|plugin| plugin.name()).collect();
    names.sort_unstable();
    assert_eq!(names, settings().map(|(name, _)| name));
    for (name, config) in settings() {
        let plugin = plugins().find(|plugin| plugin.name() == name).unwrap();
        assert_eq!(conformance::check(plugin, &config), Vec::<String>::new());
        build(name, config.clone());
        let mut odd = config;
        odd["no_such_setting"] = json!(true);
        for config in [odd, json!("a text"), json!(null)] {
            assert!(try_build(name, config).is_err(), "{name}");
        }
    }
}

/// The host reads from the schemas what to strike out, and which paths to complete.
#[test]
fn the_schemas_tell_secrets_paths_and_defaults() {
    let secret = json!(true);
    let cases = [
        ("file", "/properties/path/format", json!("path")),
        ("file", "/properties/max_bytes/default", json!(104_857_600)),
        ("spool", "/properties/path/format", json!("path")),
        ("spool", "/properties/max_files/default", json!(10_000)),
        ("webhook", "/properties/url/writeOnly", secret.clone()),
        (
            "webhook",
            "/properties/headers/additionalProperties/writeOnly",
            secret.clone(),
        ),
        ("webhook", "/properties/tls_ca_file/format", json!("path")),
        ("postgres", "/properties/url/writeOnly", secret.clone()),
        ("postgres", "/properties/url/format", json!("database-url")),
        ("postgres", "/properties/oversize/default", json!("refuse")),
        ("nats", "/properties/url/writeOnly", secret.clone()),
        ("nats", "/properties/token/writeOnly", secret),
        ("nats", "/properties/credentials/format", json!("path")),
        ("nats", "/properties/jetstream/default", json!(false)),
    ];
    for (name, pointer, expected) in cases {
        let plugin = plugins().find(|plugin| plugin.name() == name).unwrap();
        let schema = plugin.info().config_schema;
        let found = schema.pointer(pointer);
        assert_eq!(found, Some(&expected), "{name} {pointer} {schema:#}");
    }
}

#[test]
fn everything_wrong_with_the_settings_is_said_with_its_place() {
    let cases = [
        (
            "file",
            json!({"path": "", "max_bytes": 10}),
            "path: is empty; max_bytes: must be at least 4096",
        ),
        (
            "file",
            json!({"path": "a/"}),
            "path: is a folder, not a file",
        ),
        ("file", json!({"path": "a\0b"}), "path: cannot hold a NUL"),
        (
            "spool",
            json!({"path": "", "max_files": 0}),
            "path: is empty; max_files: must be at least 1",
        ),
        (
            "webhook",
            json!({"url": "ftp://c4nary@h", "headers": {
                "Idempotency-Key": "c4nary",
                "X Y/Z": "c4nary",
                "X-Token": "c4nary\r\nX-Other: 1",
            }}),
            "url: must begin with `https://` or `http://`; headers.Idempotency-Key: is set by \
             veracity; headers.X Y/Z: is no name of a header; headers.X-Token: its value must \
             be printable ASCII on one line",
        ),
        (
            "webhook",
            json!({"url": "http://127.0.0.1/c4nary"}),
            "url: `127.0.0.1` is 127.0.0.1, a loopback address; `allow_private: true` permits it",
        ),
    ];
    for (name, config, expected) in cases {
        assert_eq!(try_build(name, config).err().as_deref(), Some(expected));
    }
}
