//! Health, and how it all ends: in order, within limits, also when it is asked to.

use std::time::{Duration, Instant};

use serde_json::json;
use veracity_processor::DeliveryStatus::{Deferred, Delivered, Hung};
use veracity_processor::HealthStatus::{Degraded, Healthy, Unhealthy};

use crate::ground::{
    AMPLE, Ground, SLACK, assert_ended, deliver, deliver_within, of, pending, report,
};
use crate::{Test, tests};

pub const TESTS: &[Test] = tests![
    health_is_told_of_each_and_what_does_not_answer_is_unhealthy,
    processors_end_in_reverse_order_and_all_of_them,
    what_could_not_be_started_is_ended_all_the_same,
    startup_and_shutdown_take_no_longer_than_the_time_limit,
    asked_to_end_a_delivery_that_hangs_ends_early_and_stays_pending,
    asked_to_end_nothing_new_is_begun,
    asked_to_end_while_a_processor_starts_nobody_waits_for_it,
    asked_to_end_while_it_waits_to_try_again_it_does_not_wait,
];

fn health_is_told_of_each_and_what_does_not_answer_is_unhealthy() {
    let ground = Ground::new();
    let of_health = |health: &str| ground.player(json!({"health": health, "millis": 600_000}));
    let host = ground.host(&[
        ("good", ground.player(json!({}))),
        ("off", ground.player(json!({"enabled": false}))),
        ("odd", of_health("so so")),
        ("error", of_health("permanent")),
        (
            "panic",
            of_health("panic with a value that panics when dropped"),
        ),
        ("pending", of_health("never be ready")),
        ("block", of_health("block")),
        ("start", ground.player(json!({"startup": "permanent"}))),
        ("build", ground.player(json!({"build": "panic"}))),
        (
            "worker",
            ground.player(json!({"health": "abort", "isolation": "process"})),
        ),
    ]);
    let begun = Instant::now();
    let health = host.health();
    assert!(
        begun.elapsed() < Duration::from_secs(10) + SLACK,
        "at the same time"
    );
    let told: Vec<(&str, Option<_>, &str)> = health
        .iter()
        .map(|one| {
            let detail = one
                .health
                .as_ref()
                .and_then(|health| health.detail.as_deref());
            let status = one.health.as_ref().map(|health| health.status);
            (one.instance.as_str(), status, detail.unwrap_or_default())
        })
        .collect();
    let expected = [
        ("block", Some(Unhealthy), "no answer within 5s"),
        ("build", Some(Unhealthy), "cannot be built: panicked"),
        ("error", Some(Unhealthy), "refused"),
        ("good", Some(Healthy), ""),
        ("odd", Some(Degraded), "so so"),
        ("off", None, ""),
        ("panic", Some(Unhealthy), "panicked"),
        ("pending", Some(Unhealthy), "no answer within 5s"),
        ("start", Some(Unhealthy), "refused"),
        ("worker", Some(Unhealthy), "SIGABRT"),
    ];
    assert_eq!(told.len(), expected.len());
    for (told, expected) in told.iter().zip(expected) {
        assert_eq!((told.0, told.1), (expected.0, expected.1), "{told:?}");
        assert!(told.2.contains(expected.2), "{told:?}");
    }
}

fn processors_end_in_reverse_order_and_all_of_them() {
    let ground = Ground::new();
    let part = |label: &str, after: &[&str], shutdown: &str| {
        ground.player(json!({"label": label, "after": after, "shutdown": shutdown,
            "millis": 600_000, "process": "permanent", "when": "always"}))
    };
    let host = ground.host(&[
        ("a", part("a", &[], "")),
        ("b", part("b", &["a"], "panic")),
        ("c", part("c", &["b"], "permanent")),
        ("d", part("d", &["c"], "never be ready")),
    ]);
    deliver(&host, &report());
    host.stop().within(Duration::from_secs(3));
    let begun = Instant::now();
    let warnings = host.shutdown();
    assert!(begun.elapsed() < Duration::from_secs(10) + SLACK);
    let record = ground.record();
    let of_word = |word: &str| -> Vec<String> {
        let lines = record.iter().filter(|line| line[0] == word);
        lines.map(|line| line[1].clone()).collect()
    };
    assert_eq!(of_word("startup"), ["a", "b", "c", "d"]);
    let ended = of_word("shutdown");
    assert_eq!(ended[0], "d", "{ended:?}: {warnings:?}");
    let mut sorted = ended.clone();
    sorted.sort_by(|a, b| b.cmp(a));
    assert_eq!(ended, sorted);
    let text = warnings.join("\n");
    assert!(
        text.contains("`d` did not end well: no answer within"),
        "{text}"
    );
    assert_eq!(host.shutdown(), Vec::<String>::new(), "once is enough");
}

fn what_could_not_be_started_is_ended_all_the_same() {
    for isolation in ["thread", "process"] {
        let ground = Ground::new();
        let part = |startup: &str| {
            ground.player(
                json!({"startup": startup, "isolation": isolation, "retries": 0,
                "time_limit": "60s"}),
            )
        };
        let host = ground.host(&[
            ("error", part("permanent")),
            ("panic", part("panic")),
            (
                "build",
                ground.player(json!({"build": "panic", "retries": 0})),
            ),
        ]);
        deliver(&host, &report());
        assert_eq!(host.shutdown(), Vec::<String>::new(), "{isolation}");
    }
}

fn startup_and_shutdown_take_no_longer_than_the_time_limit() {
    let ground = Ground::new();
    let part = |more: serde_json::Value| {
        let mut part = ground.player(json!({"millis": 600_000, "retries": 0,
            "time_limit": "2s"}));
        for (name, value) in more.as_object().unwrap() {
            part[name] = value.clone();
        }
        part
    };
    let host = ground.host(&[
        ("start", part(json!({"startup": "never be ready"}))),
        ("block", part(json!({"startup": "block"}))),
        ("end", part(json!({"shutdown": "never be ready"}))),
        (
            "tiny",
            part(json!({"shutdown": "never be ready", "time_limit": "1ms", "label": "tiny"})),
        ),
    ]);
    let delivered = deliver(&host, &report());
    assert_ended(of(&delivered, "start"), Hung, "no answer within");
    assert_ended(of(&delivered, "end"), Delivered, "");
    let warnings = host.shutdown().join("\n");
    for told in [
        "`end` did not end well: no answer within 2s",
        "`tiny` did not end well: no answer within 1s",
        "left 1 thread running",
    ] {
        assert!(warnings.contains(told), "no `{told}`: {warnings}");
    }
    let ended = ground.record();
    assert!(
        ended.iter().any(|line| line == &["shutdown", "tiny"]),
        "{ended:?}"
    );
}

fn asked_to_end_a_delivery_that_hangs_ends_early_and_stays_pending() {
    for process in ["never be ready", "block"] {
        let ground = Ground::new();
        let part = json!({"process": process, "millis": 600_000, "time_limit": "10min",
            "required": true});
        let host = ground.stored(&[("p", ground.player(part)), ("z", ground.player(json!({})))]);
        let stop = host.stop();
        let asks = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(1));
            stop.within(Duration::from_secs(1));
        });
        let delivered = deliver_within(&host, &report(), Duration::from_secs(5));
        asks.join().unwrap();
        assert_ended(of(&delivered, "z"), Delivered, "");
        assert_ended(of(&delivered, "p"), Hung, "asked to end");
        assert!(of(&delivered, "p").pending && !delivered.is_complete());
        let begun = Instant::now();
        host.shutdown();
        assert!(begun.elapsed() < Duration::from_secs(5) + SLACK);
        let pending = pending(&ground.stored(&[]));
        assert_eq!(pending.len(), 1, "{pending:?}");
        assert_eq!(pending[0].processor, "p");
    }
}

fn asked_to_end_nothing_new_is_begun() {
    let ground = Ground::new();
    let host = ground.stored(&[
        ("a", ground.player(json!({}))),
        ("b", ground.player(json!({"after": ["a"]}))),
    ]);
    host.stop().within(Duration::ZERO);
    let delivered = deliver_within(&host, &report(), Duration::from_secs(5));
    assert!(ground.recorded("called").is_empty());
    for name in ["a", "b"] {
        let delivery = of(&delivered, name);
        assert!(
            delivery.pending && !delivery.status.is_settled(),
            "{delivery:?}"
        );
    }
    assert_eq!(pending(&host).len(), 2);
}

fn asked_to_end_while_a_processor_starts_nobody_waits_for_it() {
    for startup in ["never be ready", "block"] {
        let ground = Ground::new();
        let part = json!({"startup": startup, "millis": 600_000});
        let host = ground.stored(&[("p", ground.player(part))]);
        std::thread::sleep(Duration::from_millis(300));
        host.stop().within(Duration::from_secs(1));
        let begun = Instant::now();
        let delivered = host.deliver(&report());
        host.shutdown();
        let taken = begun.elapsed();
        assert!(taken < Duration::from_secs(10), "{startup}: {taken:?}");
        assert!(of(&delivered, "p").pending, "{delivered:?}");
    }
}

fn asked_to_end_while_it_waits_to_try_again_it_does_not_wait() {
    let ground = Ground::new();
    let part = json!({"process": "retry later", "millis": 40_000, "retries": 1});
    let host = ground.stored(&[("p", ground.player(part))]);
    let stop = host.stop();
    let asks = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(1));
        stop.within(Duration::from_secs(1));
    });
    let begun = Instant::now();
    let delivered = deliver_within(&host, &report(), AMPLE);
    asks.join().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert_ended(of(&delivered, "p"), Deferred, "slow down");
    assert!(of(&delivered, "p").pending);
}
