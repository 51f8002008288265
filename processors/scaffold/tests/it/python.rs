//! New programs in Python: they pass their own test, and the host takes them.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use veracity_host::isolation::{Call, Child, Isolated, Program, Task};
use veracity_host::{Registry, Source};
use veracity_processor::testing::{ReportBuilder, events};
use veracity_processor::{Action, HealthStatus, Outcome, OutcomeStatus};
use veracity_scaffold::{Contract, Created, Kind, Lang, new};

/// Ample for everything that does not hang.
const AMPLE: Duration = Duration::from_secs(120);

/// A plugin called `tally` in the plugin directory `plugins`.
fn created(plugins: &Path, kind: Kind) -> Created {
    let folder = plugins.join("tally");
    new("tally", Lang::Python, kind, &folder, &Contract::Published).unwrap()
}

fn passes_its_test(kind: Kind, tests: usize) {
    let plugins = tempfile::tempdir().unwrap();
    let created = created(plugins.path(), kind);
    let [_, test] = &created.next[..] else {
        panic!("{:?}", created.next);
    };
    let mut words = test.split(' ');
    let tested = Command::new(words.next().unwrap())
        .args(["-W", "error"])
        .args(words)
        .current_dir(&created.folder)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&tested.stderr);
    assert!(tested.status.success(), "{told}");
    assert!(told.contains(&format!("Ran {tests} tests")), "{told}");
}

#[test]
fn a_new_processor_passes_its_test() {
    passes_its_test(Kind::Processor, 4);
}

#[test]
fn a_new_hook_passes_its_test() {
    passes_its_test(Kind::Hook, 2);
}

/// The program that the host finds in `plugins`, with the defaults of its settings and
/// `config`.
fn found(plugins: &Path, kind: Kind, config: serde_json::Value) -> Child {
    created(plugins, kind);
    let registry = Registry::default();
    registry.add_directory(plugins);
    assert_eq!(registry.broken(), []);
    let all = registry.list_all();
    let [entry] = &all[..] else {
        panic!("{all:?}");
    };
    let info = entry.info().unwrap();
    assert_eq!(
        (&*info.name, info.kind.to_string()),
        ("tally", kind.to_string())
    );
    assert!(info.example_config.starts_with("tally: {"));
    if kind == Kind::Hook {
        assert_eq!(info.subscription.events, ["assertion.end"]);
    }
    let mut filled = info.default_config.clone();
    for (name, value) in config.as_object().unwrap() {
        filled[name] = value.clone();
    }
    let Source::Executable(manifest) = &entry.source else {
        panic!("{:?}", entry.source);
    };
    let program = Program::new(&manifest.command, &manifest.folder);
    Child::new("tally", program, filled, kind == Kind::Processor)
}

fn done(child: &Child, task: Task, call: Call) -> (Outcome, Option<serde_json::Value>) {
    let attempt = child.call(task, call, AMPLE);
    let state = attempt.state.map(|state| json!(state));
    (attempt.result.unwrap(), state)
}

#[test]
fn the_host_lists_a_new_processor_and_delivers_to_it() {
    let plugins = tempfile::tempdir().unwrap();
    let path = plugins.path().join("runs.txt");
    let child = found(plugins.path(), Kind::Processor, json!({"path": path}));
    let report = ReportBuilder::new("orders").failed("keys", "a = b").build();
    let call = Call {
        instance: "tally".to_owned(),
        idempotency_key: "k1".to_owned(),
        ..Call::default()
    };
    let (outcome, state) = done(&child, Task::Report(report.into()), call);
    assert_eq!(outcome.status, OutcomeStatus::Done);
    assert_eq!(state, Some(json!({"last": "k1"})));
    let line = std::fs::read_to_string(&path).unwrap();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (&line["suite"], &line["failed"]),
        (&json!("orders"), &json!(1))
    );
    assert_eq!(child.health(AMPLE).unwrap().status, HealthStatus::Healthy);
    assert_eq!(child.shutdown(AMPLE), Ok(()));
}

#[test]
fn the_host_lists_a_new_hook_and_hands_it_events() {
    let plugins = tempfile::tempdir().unwrap();
    let child = found(plugins.path(), Kind::Hook, json!({}));
    let report = ReportBuilder::new("orders")
        .failed("keys", "a = b")
        .passed("keys", "c = d")
        .build();
    let mut events = events(&report);
    events.retain(|event| event.name.to_string() == "assertion.end");
    let events = Task::Events(events.into());
    assert_eq!(done(&child, events, Call::default()).0, Outcome::done());
    let (outcome, _) = done(&child, Task::Flush, Call::default());
    let [Action::Metric(metric)] = &outcome.actions[..] else {
        panic!("{outcome:?}");
    };
    assert_eq!((&*metric.name, metric.value), ("failed_assertions", 1.0));
    assert_eq!(child.shutdown(AMPLE), Ok(()));
}
