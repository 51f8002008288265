//! The contract of processors, and what the plugin says about itself.

use serde_json::json;
use veracity_processor::conformance;

use crate::plugin;
use crate::smtp::Server;

#[test]
fn the_processor_keeps_to_the_contract() {
    let server = Server::plain();
    let config = json!({
        "smtp": server.url(),
        "from": "dq@example.org",
        "to": ["ops@example.org", {"address": "oncall@example.org", "severities": ["P0"]}],
    });
    assert_eq!(conformance::check(plugin(), &config), Vec::<String>::new());
}

#[test]
fn the_schema_of_the_settings_is_the_documented_one() {
    let info = plugin().info();
    let schema = serde_json::to_string_pretty(&info.config_schema).unwrap();
    insta::assert_snapshot!("schema", schema);
    assert_eq!(info.default_config, json!({"max_results": 50}));
}
