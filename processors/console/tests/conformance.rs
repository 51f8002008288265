//! The processor keeps to the contract.

use veracity_console as _;
use veracity_processor::{Plugin, conformance, sample_report};

#[test]
fn the_processor_keeps_to_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out/report");
    let plugin = Plugin::linked()
        .find(|plugin| plugin.name() == "console")
        .unwrap();
    let config = serde_json::json!({"path": path});
    assert_eq!(conformance::check(plugin, &config), Vec::<String>::new());
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(
        !written.contains(&sample_report().run.suite),
        "the last report stays"
    );
    assert!(written.contains("assertion 9999"), "{}", written.len());
}
