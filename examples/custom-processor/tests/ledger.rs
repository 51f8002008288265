//! The ledger keeps to the contract, and its command has it beside everything else.

#![expect(
    clippy::unwrap_used,
    reason = "a test may panic, its helper functions too"
)]

use std::path::Path;
use std::process::{Command, Output};

use custom_processor as _;
use veracity_processor::{Plugin, conformance};

#[test]
fn the_ledger_keeps_to_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = Plugin::linked().find(|plugin| plugin.name() == "ledger");
    let config = serde_json::json!({"path": folder.path().join("runs.txt")});
    let faults = conformance::check(plugin.unwrap(), &config);
    assert_eq!(faults, Vec::<String>::new());
}

#[test]
fn the_command_has_the_ledger_and_everything_else() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("orders.csv"), "id\n1\n2\n").unwrap();
    std::fs::write(folder.path().join("suite.yaml"), SUITE).unwrap();
    let list = veracity(folder.path(), &["processors", "list", "--format", "json"]);
    let list: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
    let names = list["processors"].as_array().unwrap().iter();
    let names: Vec<&str> = names.map(|one| one["name"].as_str().unwrap()).collect();
    for name in ["console", "database", "email", "json", "ledger", "webhook"] {
        assert!(names.contains(&name), "{name} is not among {names:?}");
    }

    for _ in 0..2 {
        let run = veracity(
            folder.path(),
            &["run", "suite.yaml", "--date", "2026-11-20"],
        );
        assert_eq!(run.status.code(), Some(1), "{run:?}");
    }
    let ledger = std::fs::read_to_string(folder.path().join("runs.txt")).unwrap();
    let line = "2026-11-20 orders: failed, 1 of 2 failed\n";
    assert_eq!(
        ledger,
        line.repeat(2),
        "two processes: the store is on disk, each run has a key of its own"
    );

    // What is configured wrongly is told before anything runs.
    std::fs::write(
        folder.path().join("suite.yaml"),
        SUITE.replace("path: runs", "pth: runs"),
    )
    .unwrap();
    let wrong = veracity(folder.path(), &["run", "suite.yaml"]);
    let told = String::from_utf8(wrong.stderr).unwrap();
    assert_eq!(wrong.status.code(), Some(2), "{told}");
    assert!(
        told.contains("did you mean `path`?") && told.contains("suite.yaml:10:"),
        "{told}"
    );
}

const SUITE: &str = "\
version: 1
suite: orders
datasets: {orders: orders.csv}
checks:
  - check: Orders
    assertions:
      - row_count() > 0
      - uniqueness(id) < 1
processors:
  ledger: {path: runs.txt, isolation: process}
store: sqlite://veracity.db
";

fn veracity(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_veracity-with-ledger"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}
