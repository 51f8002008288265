//! What plugins remember, when several hosts change it, and when they are killed.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use veracity_host::Host;
use veracity_processor::DeliveryStatus::Delivered;

use crate::alone::program;
use crate::ground::{AMPLE, Ground, assert_ended, deliver, named, of, report, started};
use crate::{Test, tests};

pub const TESTS: &[Test] = tests![
    two_hosts_that_change_different_values_keep_both,
    of_two_hosts_that_change_one_value_the_second_is_refused,
    two_processes_that_change_different_values_keep_both,
    two_hosts_whose_hooks_change_one_value_keep_the_first,
    a_state_survives_a_kill_and_counts_its_versions,
    a_state_belongs_to_one_instance_and_suite,
];

pub const PROGRAMS: &[Test] = tests![a_host_that_remembers];

const FOLDER: &str = "HOST_TEST_FOLDER";
const PART: &str = "HOST_TEST_PART";

fn state(
    host: &Host,
    suite: &'static str,
    instance: &'static str,
) -> (i64, BTreeMap<String, Value>) {
    let state = host.keep().with(|store, _| store.state(suite, instance));
    state.expect("there is a store").unwrap()
}

/// Waits until so many stagers were called.
fn wait_for_calls(ground: &Ground, count: usize) {
    let begun = Instant::now();
    while ground.calls("process").len() < count {
        assert!(
            begun.elapsed() < AMPLE,
            "never: {:?}",
            ground.lines("calls")
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Has two hosts deliver at the same time, each to a `p` that sets what stands here; the
/// second one returns when the first one has.
fn both(ground: &Ground, first: Value, second: Value) -> [Option<String>; 2] {
    let part = |set: &Value, file: &str| {
        ground.stager(json!({"set": set, "awaits": ground.file(file), "time_limit": "120s"}))
    };
    let one = ground.stored(&[("p", part(&first, "go1"))]);
    let two = ground.stored(&[("p", part(&second, "go2"))]);
    let (one, two) = (&one, &two);
    std::thread::scope(|scope| {
        let deliver = |host: &Host| {
            let delivered = deliver(host, &report());
            assert_ended(of(&delivered, "p"), Delivered, "");
            of(&delivered, "p").note.clone()
        };
        // One after the other, so that none takes the other's report.
        let first = scope.spawn(move || deliver(one));
        wait_for_calls(ground, 1);
        let second = scope.spawn(move || deliver(two));
        wait_for_calls(ground, 2);
        // Both have read what there is.
        ground.make("go1");
        let first = first.join().unwrap();
        ground.make("go2");
        [first, second.join().unwrap()]
    })
}

fn two_hosts_that_change_different_values_keep_both() {
    let ground = Ground::new();
    let notes = both(&ground, json!({"a": 1}), json!({"b": 2}));
    assert_eq!(notes, [None, None]);
    let host = ground.stored(&[]);
    let expected = BTreeMap::from([("a".to_owned(), json!(1)), ("b".to_owned(), json!(2))]);
    assert_eq!(state(&host, "orders", "p").1, expected);
}

fn of_two_hosts_that_change_one_value_the_second_is_refused() {
    let ground = Ground::new();
    let notes = both(
        &ground,
        json!({"a": 1, "c": 3}),
        json!({"a": 2, "b": 2, "c": 3}),
    );
    let refused = "its state `a` was not kept: somebody else changed it meanwhile";
    assert_eq!(notes, [None, Some(refused.to_owned())]);
    let host = ground.stored(&[]);
    let (version, values) = state(&host, "orders", "p");
    assert_eq!(
        json!(values),
        json!({"a": 1, "b": 2, "c": 3}),
        "and the rest is kept"
    );
    assert_eq!(version, 2, "each of them wrote once");
}

fn two_processes_that_change_different_values_keep_both() {
    let ground = Ground::new();
    let start = |part: Value| {
        program("a_host_that_remembers")
            .env(FOLDER, &ground.folder)
            .env(PART, part.to_string())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let mut children = Vec::new();
    for number in 0..4 {
        let set = json!({format!("v{number}"): number});
        let go = ground.file("go");
        children.push(start(
            json!({"set": set, "awaits": go, "time_limit": "120s"}),
        ));
        // One after the other, so that none takes another's report.
        wait_for_calls(&ground, number + 1);
    }
    ground.make("go");
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let host = ground.stored(&[]);
    let (version, values) = state(&host, "orders", "p");
    assert_eq!(json!(values), json!({"v0": 0, "v1": 1, "v2": 2, "v3": 3}));
    assert_eq!(version, 4);
}

fn a_host_that_remembers() {
    let ground = Ground::at(std::env::var_os(FOLDER).unwrap());
    let part: Value = serde_json::from_str(&std::env::var(PART).unwrap()).unwrap();
    let host = ground.stored(&[("p", ground.stager(part))]);
    let delivered = deliver(&host, &report());
    assert_ended(of(&delivered, "p"), Delivered, "");
    assert_eq!(of(&delivered, "p").note, None);
    host.shutdown();
}

fn two_hosts_whose_hooks_change_one_value_keep_the_first() {
    let ground = Ground::new();
    let host = |set: Value| {
        let mut configuration = ground.configuration(&[("q", ground.player(json!({})))]);
        configuration.store = Some("sqlite:store.db".into());
        let part = json!({"set": set, "mode": "synchronous", "events": ["delivery.end"]});
        configuration.hooks = named(&[("h", ground.watcher("heard", part))]);
        started(configuration)
    };
    let (one, two) = (host(json!({"a": 1})), host(json!({"a": 2, "b": 2})));
    assert_eq!(deliver(&one, &report()).warnings, Vec::<String>::new());
    let refused = "hook `h`: its state `a` was not kept: somebody else changed it meanwhile";
    assert_eq!(deliver(&two, &report()).warnings, [refused]);
    assert_eq!(
        json!(state(&one, "orders", "hook:h").1),
        json!({"a": 1, "b": 2})
    );
    // It knows by now, and what it sets from now on is kept.
    assert_eq!(deliver(&two, &report()).warnings, Vec::<String>::new());
    assert_eq!(
        json!(state(&one, "orders", "hook:h").1),
        json!({"a": 2, "b": 2})
    );
    one.shutdown();
    two.shutdown();
}

fn a_state_survives_a_kill_and_counts_its_versions() {
    let ground = Ground::new();
    for round in 1..=5_i64 {
        // The second processor keeps it from ending.
        let mut child = program("a_host_that_remembers")
            .env(FOLDER, &ground.folder)
            .env(
                PART,
                json!({"set": {"round": round}, "time_limit": "120s"}).to_string(),
            )
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        let host = ground.stored(&[]);
        loop {
            let (version, values) = state(&host, "orders", "p");
            if version == round {
                assert_eq!(values["round"], round);
                break;
            }
            assert!(
                version < round && begun.elapsed() < AMPLE,
                "{version}, {values:?}"
            );
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(state(&host, "orders", "p").0, round);
        host.shutdown();
    }
    let calls = ground.calls("process");
    let before: Vec<&Value> = calls.iter().map(|call| &call["state"]).collect();
    let expected = [
        json!({}),
        json!({"round": 1}),
        json!({"round": 2}),
        json!({"round": 3}),
        json!({"round": 4}),
    ];
    // What was killed before it could say that it was done may have been called once more.
    for state in &expected {
        assert!(before.contains(&state), "{before:?}");
    }
}

fn a_state_belongs_to_one_instance_and_suite() {
    let ground = Ground::new();
    let part = |number: u64| ground.stager(json!({"set": {"n": number}}));
    let mut configuration = ground.configuration(&[("p", part(1)), ("q", part(2))]);
    configuration.store = Some("sqlite:store.db".into());
    let host = started(configuration.clone());
    deliver(&host, &report());
    configuration.suite = "flights".to_owned();
    configuration.processors = named(&[("p", part(3))]);
    let other = started(configuration);
    let mut report = report();
    report.run.suite = "flights".to_owned();
    deliver(&other, &report);
    for (suite, instance, expected) in [("orders", "p", 1), ("orders", "q", 2), ("flights", "p", 3)]
    {
        assert_eq!(
            json!(state(&host, suite, instance).1),
            json!({"n": expected})
        );
    }
    assert_eq!(state(&host, "flights", "q").1, BTreeMap::new());
}
