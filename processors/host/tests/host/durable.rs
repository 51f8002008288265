//! With a store: what could not be delivered is delivered later, once.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;
use veracity_host::store::{DeliveryState, NewDelivery, Time};
use veracity_host::{Host, idempotency_key};
use veracity_processor::DeliveryStatus::{Dead, Deferred, Delivered, Disabled, Hung};

use crate::alone::program;
use crate::ground::{
    AMPLE, Ground, assert_ended, deliver, deliver_within, listed, of, pending, report, resumed,
};
use crate::{Test, tests};

pub const TESTS: &[Test] = tests![
    what_is_stored_is_the_report_as_it_was,
    a_state_survives_the_process,
    what_was_deferred_is_delivered_by_the_next_run,
    what_was_deferred_is_delivered_when_asked_to_resume,
    other_suites_are_left_alone,
    what_failed_too_often_is_dead_until_somebody_retries_it,
    a_permanent_error_is_dead_at_once,
    what_comes_after_one_that_failed_is_delivered_later,
    disabled_in_the_store_is_disabled_in_every_run,
    a_backlog_does_not_hold_up_the_report_of_this_run,
    a_backlog_that_takes_longer_than_a_lease_is_delivered_once,
    what_is_left_of_a_process_that_aborted_is_delivered,
    two_processes_deliver_everything_once,
];

pub const PROGRAMS: &[Test] = tests![a_host_that_aborts, a_host_that_delivers_and_resumes];

const FOLDER: &str = "HOST_TEST_FOLDER";

fn what_is_stored_is_the_report_as_it_was() {
    let ground = Ground::new();
    let bad = ground.player(json!({"process": "panic"}));
    let host = ground.stored(&[("bad", bad), ("good", ground.player(json!({})))]);
    let report = report();
    deliver(&host, &report);
    let stored = host.keep().with(|store, _| store.report(report.run.id));
    let stored = stored.unwrap().unwrap().expect("it is there");
    let bytes = |report| serde_json::to_vec(report).unwrap();
    assert!(bytes(&stored) == bytes(&report));
    let states: BTreeMap<String, DeliveryState> = listed(&host, &[])
        .into_iter()
        .map(|one| (one.processor, one.state))
        .collect();
    assert_eq!(states["bad"], DeliveryState::Dead);
    assert_eq!(states["good"], DeliveryState::Delivered);
}

fn a_state_survives_the_process() {
    let ground = Ground::new();
    for isolation in ["thread", "process"] {
        let part = json!({"process": "count, and fail until 0", "isolation": isolation});
        for run in 1..=3 {
            let host = ground.stored(&[(isolation, ground.player(part.clone()))]);
            let delivered = deliver(&host, &report());
            let note = of(&delivered, isolation).note.clone();
            assert_eq!(note, Some(format!("seen {run}")), "{isolation}");
            host.shutdown();
        }
    }
    // Also what was remembered in an attempt that failed.
    let part = json!({"process": "count, and fail until 2", "retries": 0});
    let host = ground.stored(&[("p", ground.player(part.clone()))]);
    assert_ended(of(&deliver(&host, &report()), "p"), Deferred, "seen 1");
    drop(host);
    let host = ground.stored(&[("p", ground.player(part))]);
    assert_eq!(
        resumed(&host).resumed[0].delivery.note.as_deref(),
        Some("seen 2")
    );
}

fn needy(ground: &Ground) -> Value {
    ground.player(json!({"needs": ground.file("up"), "retries": 0}))
}

fn what_was_deferred_is_delivered_by_the_next_run() {
    let ground = Ground::new();
    let first = report();
    let host = ground.stored(&[("p", needy(&ground)), ("z", ground.player(json!({})))]);
    let delivered = deliver(&host, &first);
    let delivery = of(&delivered, "p");
    assert_ended(delivery, Deferred, "the other side is down");
    assert!(delivery.pending && delivered.is_complete());
    let key = idempotency_key(first.run.id, "p");
    assert_eq!(delivery.idempotency_key.as_deref(), Some(&*key));
    host.shutdown();
    drop(host);

    ground.make("up");
    // The first wait is half a second at most.
    std::thread::sleep(Duration::from_millis(700));
    let second = report();
    let host = ground.stored(&[("p", needy(&ground)), ("z", ground.player(json!({})))]);
    let delivered = deliver(&host, &second);
    assert_ended(of(&delivered, "p"), Delivered, "");
    assert_eq!(delivered.resumed.len(), 1, "{delivered:?}");
    let earlier = &delivered.resumed[0];
    assert_eq!(earlier.run, first.run.id);
    assert_ended(&earlier.delivery, Delivered, "");
    assert_eq!(earlier.delivery.attempts, 2, "over all runs");
    assert_eq!(earlier.delivery.idempotency_key, Some(key.clone()));
    let done = ground.recorded("done").into_iter();
    let done: Vec<(Uuid, String)> = done
        .filter(|made| made.instance == "p")
        .map(|made| (made.run, made.key))
        .collect();
    let key_now = idempotency_key(second.run.id, "p");
    let expected = [(first.run.id, key), (second.run.id, key_now)];
    assert_eq!(done, expected, "the earlier one first");
    assert_eq!(pending(&host), []);
}

fn what_was_deferred_is_delivered_when_asked_to_resume() {
    let ground = Ground::new();
    let host = ground.stored(&[("p", needy(&ground))]);
    let report = report();
    deliver(&host, &report);
    ground.make("up");
    let delivered = resumed(&host);
    assert_eq!(delivered.resumed[0].run, report.run.id);
    assert_ended(&delivered.resumed[0].delivery, Delivered, "");
    assert!(delivered.is_complete() && delivered.deliveries.is_empty());
    let again = host.resume();
    assert!(
        again.resumed.is_empty() && again.warnings.is_empty(),
        "{again:?}"
    );
    let digests: Vec<String> = ground
        .recorded("called")
        .into_iter()
        .map(|made| made.digest)
        .collect();
    assert!(
        digests.windows(2).all(|two| two[0] == two[1]),
        "the same report"
    );
}

fn other_suites_are_left_alone() {
    let ground = Ground::new();
    let host = ground.stored(&[("p", needy(&ground))]);
    deliver(&host, &report());
    ground.make("up");
    std::thread::sleep(Duration::from_millis(700));
    let mut configuration = ground.configuration(&[("p", needy(&ground))]);
    configuration.suite = "flights".to_owned();
    configuration.store = Some("sqlite:store.db".into());
    let mut other = Host::prepare(configuration).unwrap();
    other.open_store();
    assert!(other.resume().resumed.is_empty());
    assert_eq!(pending(&host).len(), 1);
}

fn what_failed_too_often_is_dead_until_somebody_retries_it() {
    let ground = Ground::new();
    let part = json!({"needs": ground.file("up"), "retries": 0, "max_attempts": 3});
    let host = ground.stored(&[("p", ground.player(part))]);
    let delivered = deliver(&host, &report());
    assert_ended(of(&delivered, "p"), Deferred, "down");
    assert_ended(&resumed(&host).resumed[0].delivery, Deferred, "down");
    let last = resumed(&host);
    assert_ended(&last.resumed[0].delivery, Dead, "down");
    assert_eq!(last.resumed[0].delivery.attempts, 3);
    assert!(!last.resumed[0].delivery.pending);
    assert_eq!(pending(&host), []);
    let dead = listed(&host, &[DeliveryState::Dead]);
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].error.as_deref(), Some("the other side is down"));
    assert!(host.resume().resumed.is_empty(), "dead is dead");

    ground.make("up");
    let id = &dead[0].idempotency_key;
    let retried = host.keep().with(|store, now| store.retry(id, now));
    retried.unwrap().unwrap();
    let again = resumed(&host);
    assert_ended(&again.resumed[0].delivery, Delivered, "");
    assert_eq!(again.resumed[0].delivery.idempotency_key.as_ref(), Some(id));
    let retried = host.keep().with(|store, now| store.retry(id, now));
    let error = retried.unwrap().unwrap_err().to_string();
    assert!(error.contains("is delivered"), "{error}");
}

fn a_permanent_error_is_dead_at_once() {
    for (process, isolation) in [
        ("permanent", "thread"),
        ("permanent", "process"),
        ("panic", "thread"),
    ] {
        let ground = Ground::new();
        let part = json!({"process": process, "isolation": isolation});
        let host = ground.stored(&[("p", ground.player(part))]);
        let delivered = deliver(&host, &report());
        let delivery = of(&delivered, "p");
        assert!(
            !delivery.pending && !delivery.status.is_settled(),
            "{delivery:?}"
        );
        assert_eq!(delivery.attempts, 1);
        assert_eq!(listed(&host, &[DeliveryState::Dead]).len(), 1);
    }
}

fn what_comes_after_one_that_failed_is_delivered_later() {
    let ground = Ground::new();
    let processors = [
        ("p", needy(&ground)),
        ("q", ground.player(json!({"after": ["p"]}))),
    ];
    let host = ground.stored(&processors);
    let delivered = deliver(&host, &report());
    assert!(of(&delivered, "q").pending, "{delivered:?}");
    ground.make("up");
    for one in pending(&host) {
        let retried = host
            .keep()
            .with(|store, now| store.retry(&one.idempotency_key, now));
        retried.unwrap().unwrap();
    }
    assert_eq!(resumed(&host).resumed.len(), 2);
    assert_eq!(ground.done(), ["p", "q"]);
}

fn disabled_in_the_store_is_disabled_in_every_run() {
    let ground = Ground::new();
    let processors = [
        ("p", ground.player(json!({"required": true}))),
        ("follower", json!({"record": ground.file("record")})),
    ];
    let host = ground.stored(&processors);
    for name in ["player", "follower"] {
        let told = host
            .keep()
            .with(|store, now| store.set_enabled(name, false, now));
        told.unwrap().unwrap();
    }
    drop(host);
    let host = ground.stored(&processors);
    let delivered = deliver(&host, &report());
    for (name, note) in [
        ("p", "`player` was disabled by a command"),
        ("follower", "`follower` was disabled by a command"),
    ] {
        assert_ended(of(&delivered, name), Disabled, "");
        assert_eq!(of(&delivered, name).note.as_deref(), Some(note));
    }
    assert!(delivered.is_complete() && ground.recorded("called").is_empty());
    assert_eq!(listed(&host, &[]), [], "nothing is to be delivered");
    for name in ["player", "follower"] {
        let told = host
            .keep()
            .with(|store, now| store.set_enabled(name, true, now));
        told.unwrap().unwrap();
    }
    drop(host);
    let host = ground.stored(&processors);
    assert_ended(of(&deliver(&host, &report()), "p"), Delivered, "");
}

/// Stores `count` reports of earlier runs for `p`, due now.
fn backlog(host: &Host, count: usize) {
    for _ in 0..count {
        let report = report();
        let new = NewDelivery {
            processor: "p".to_owned(),
            plugin: "player".to_owned(),
            idempotency_key: idempotency_key(report.run.id, "p"),
            due: Time(0),
            max_attempts: 20,
        };
        let recorded = host
            .keep()
            .with(|store, now| store.record(&report, "", std::slice::from_ref(&new), now));
        recorded.unwrap().unwrap();
    }
}

fn a_backlog_does_not_hold_up_the_report_of_this_run() {
    let ground = Ground::new();
    let host = ground.stored(&[("p", ground.player(json!({"required": true})))]);
    backlog(&host, 250);
    let delivered = deliver(&host, &report());
    assert_ended(of(&delivered, "p"), Delivered, "");
    assert!(
        delivered.resumed.len() >= 100,
        "{}",
        delivered.resumed.len()
    );
    while !pending(&host).is_empty() {
        assert!(!host.resume().resumed.is_empty());
    }
    let done = ground.recorded("done");
    assert_eq!(done.len(), 251, "each once");
}

fn a_backlog_that_takes_longer_than_a_lease_is_delivered_once() {
    let ground = Ground::new();
    // Twenty of them take forty seconds; a lease for one of them ends after eight.
    let part = json!({"process": "be late", "millis": 2_000, "time_limit": "3s", "retries": 0});
    let hosts = [(); 2].map(|()| ground.stored(&[("p", ground.player(part.clone()))]));
    backlog(&hosts[0], 20);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| hosts[0].resume());
        std::thread::sleep(Duration::from_millis(500));
        while !first.is_finished() || !pending(&hosts[1]).is_empty() {
            hosts[1].resume();
            std::thread::sleep(Duration::from_millis(500));
        }
    });
    let done = ground.recorded("done");
    let mut keys: Vec<&str> = done.iter().map(|made| made.key.as_str()).collect();
    let made = keys.len();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!((keys.len(), made), (20, 20), "each once");
}

fn what_is_left_of_a_process_that_aborted_is_delivered() {
    let ground = Ground::new();
    let output = program("a_host_that_aborts")
        .env(FOLDER, &ground.folder)
        .output()
        .unwrap();
    assert!(!output.status.success(), "{output:?}");
    assert_eq!(ground.recorded("called").len(), 1);
    assert!(ground.recorded("done").is_empty());
    let host = ground.stored(&[
        ("p", aborting(&ground)),
        ("z", ground.player(json!({"after": ["p"]}))),
    ]);
    let left = pending(&host);
    assert_eq!(left.len(), 2, "{left:?}");
    // Nobody waits for the leases of a process that is gone.
    for one in &left {
        let retried = host
            .keep()
            .with(|store, now| store.retry(&one.idempotency_key, now));
        retried.unwrap().unwrap();
    }
    assert_eq!(resumed(&host).resumed.len(), 2);
    assert_eq!(ground.done(), ["p", "z"]);
    let keys: Vec<String> = ground
        .recorded("called")
        .into_iter()
        .filter(|made| made.instance == "p")
        .map(|made| made.key)
        .collect();
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0], keys[1]);
}

fn aborting(ground: &Ground) -> Value {
    let part = json!({"process": "panic while a panic unwinds", "once": ground.file("once")});
    ground.player(part)
}

fn a_host_that_aborts() {
    let ground = Ground::at(std::env::var_os(FOLDER).unwrap());
    let host = ground.stored(&[
        ("p", aborting(&ground)),
        ("z", ground.player(json!({"after": ["p"]}))),
    ]);
    deliver(&host, &report());
}

fn two_processes_deliver_everything_once() {
    let ground = Ground::new();
    let processors = [("p", needy(&ground)), ("q", needy(&ground))];
    let host = ground.stored(&processors);
    // The breaker would open in between.
    for _ in 0..2 {
        deliver(&host, &report());
    }
    backlog(&host, 40);
    ground.make("up");
    let start = || {
        program("a_host_that_delivers_and_resumes")
            .env(FOLDER, &ground.folder)
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap()
    };
    for child in [start(), start(), start()] {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
    }
    assert_eq!(pending(&host), []);
    let mut keys = BTreeMap::new();
    for made in ground.recorded("done") {
        let expected = idempotency_key(made.run, &made.instance);
        assert_eq!(made.key, expected);
        *keys.entry(made.key).or_insert(0) += 1;
    }
    assert_eq!(keys.len(), 2 * 2 + 40 + 3 * 10 * 2);
    assert!(keys.values().all(|&times| times == 1), "{keys:?}");
}

fn a_host_that_delivers_and_resumes() {
    let ground = Ground::at(std::env::var_os(FOLDER).unwrap());
    let host = ground.stored(&[("p", needy(&ground)), ("q", needy(&ground))]);
    for _ in 0..10 {
        let delivered = deliver_within(&host, &report(), AMPLE);
        assert!(!delivered.store_failed, "{delivered:?}");
        for delivery in &delivered.deliveries {
            assert!(
                delivery.pending || delivery.status == Delivered,
                "{delivery:?}"
            );
            assert_ne!(delivery.status, Hung);
        }
    }
    let begun = std::time::Instant::now();
    while !pending(&host).is_empty() {
        host.resume();
        assert!(begun.elapsed() < AMPLE, "{:?}", pending(&host));
        std::thread::sleep(Duration::from_millis(50));
    }
    host.shutdown();
}
