//! What processors leave behind in the process is told.

use serde_json::json;
use veracity_host::Host;
use veracity_processor::DeliveryStatus::{Delivered, Panicked};

use crate::ground::{Ground, assert_ended, deliver, of, report};
use crate::{Test, tests};

pub const TESTS: &[Test] = tests![
    what_a_processor_leaves_behind_is_told,
    a_changed_folder_harms_nobody_else,
    a_replaced_panic_hook_harms_nobody_else,
    a_worker_leaves_nothing_behind,
    of_who_leaves_nothing_nothing_is_told,
];

const ACTS: [(&str, &str); 5] = [
    ("leave threads", "left 2 threads running"),
    ("leave files", "more files open than before"),
    (
        "change the environment",
        "the environment changed: `SURPRISE`",
    ),
    ("replace the panic hook", "the panic hook was replaced"),
    ("change the folder", "the current folder changed"),
];

fn what_a_processor_leaves_behind_is_told() {
    // The folder is made what it was when the report is delivered, so it is not told here.
    for (act, text) in &ACTS[..4] {
        let ground = Ground::new();
        let part = ground.player(json!({"process": act, "millis": 600_000, "record": ""}));
        // What the one before left is still there, under its name.
        let name = act.rsplit(' ').next().unwrap();
        let host = ground.host(&[(name, part)]);
        assert_ended(of(&deliver(&host, &report()), name), Delivered, "");
        let warnings = host.shutdown();
        assert_eq!(warnings.len(), 1, "{act}: {warnings:?}");
        assert!(warnings[0].contains(text), "{warnings:?}");
        assert!(!warnings[0].contains("private"), "{warnings:?}");
    }
}

fn a_changed_folder_harms_nobody_else() {
    let ground = Ground::new();
    let folder = std::env::current_dir().unwrap();
    let host = ground.host(&[
        ("p", ground.player(json!({"process": "change the folder"}))),
        ("z", ground.player(json!({"priority": 101}))),
    ]);
    let delivered = deliver(&host, &report());
    assert!(delivered.is_complete(), "{delivered:?}");
    assert_eq!(std::env::current_dir().unwrap(), folder);
    host.shutdown();
    assert_eq!(std::env::current_dir().unwrap(), folder);
}

fn a_replaced_panic_hook_harms_nobody_else() {
    let ground = Ground::new();
    let host = ground.host(&[
        (
            "p",
            ground.player(json!({"process": "replace the panic hook"})),
        ),
        (
            "z",
            ground.player(json!({"process": "panic", "priority": 101})),
        ),
    ]);
    let delivered = deliver(&host, &report());
    assert_ended(of(&delivered, "z"), Panicked, "panicked: text at ");
}

fn a_worker_leaves_nothing_behind() {
    let ground = Ground::new();
    let parts = ACTS.map(|(act, _)| {
        let part = json!({"process": act, "millis": 600_000, "isolation": "process"});
        (act, ground.player(part))
    });
    let host = ground.host(&parts);
    let delivered = deliver(&host, &report());
    assert!(delivered.is_complete(), "{delivered:?}");
    assert_eq!(host.shutdown(), Vec::<String>::new());
}

fn of_who_leaves_nothing_nothing_is_told() {
    for round in 0..60 {
        let ground = Ground::new();
        let parts = ["a", "b", "c", "d", "e"].map(|name| (name, ground.player(json!({}))));
        // Some are started with their first report.
        let mut configuration = ground.configuration(&parts);
        if round % 3 == 0 {
            configuration.store = Some("sqlite:store.db".into());
        }
        let mut host = Host::prepare(configuration).unwrap();
        host.open_store();
        if round % 2 == 0 {
            host.start();
        }
        deliver(&host, &report());
        assert_eq!(host.shutdown(), Vec::<String>::new(), "round {round}");
    }
}
