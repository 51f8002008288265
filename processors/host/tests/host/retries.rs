//! Attempts within a run: how many, how long they wait, and when no more are made.

use std::time::{Duration, Instant};

use serde_json::json;
use veracity_processor::DeliveryStatus::{BreakerOpen, Dead, Deferred, Delivered};

use crate::ground::{AMPLE, Ground, assert_ended, deliver, deliver_within, of, report};
use crate::{Test, tests};

pub const TESTS: &[Test] = tests![
    attempts_are_repeated_as_often_as_configured,
    an_attempt_that_works_ends_the_attempts,
    the_other_side_says_how_long_to_wait,
    a_wait_that_is_too_long_is_not_waited_for,
    five_failures_open_the_breaker_and_a_refused_call_is_not_made,
    the_breaker_is_kept_in_the_store,
    instances_with_other_settings_have_another_breaker,
];

fn attempts_are_repeated_as_often_as_configured() {
    for retries in [0, 1, 3] {
        let ground = Ground::new();
        let part = json!({"process": "retryable", "retries": retries});
        let host = ground.host(&[("p", ground.player(part))]);
        let delivered = deliver(&host, &report());
        assert_ended(of(&delivered, "p"), Dead, "busy");
        assert_eq!(of(&delivered, "p").attempts, retries + 1);
        let attempts: Vec<u32> = ground
            .recorded("called")
            .into_iter()
            .map(|made| made.attempt)
            .collect();
        assert_eq!(attempts, Vec::from_iter(1..=retries + 1));
    }
}

fn an_attempt_that_works_ends_the_attempts() {
    for isolation in ["thread", "process"] {
        let ground = Ground::new();
        let part = json!({"process": "count, and fail until 3", "retries": 9,
            "isolation": isolation});
        let host = ground.host(&[("p", ground.player(part))]);
        let delivered = deliver(&host, &report());
        assert_ended(of(&delivered, "p"), Delivered, "");
        assert_eq!(of(&delivered, "p").attempts, 3, "{isolation}");
        assert_eq!(of(&delivered, "p").note.as_deref(), Some("seen 3"));
        assert_eq!(of(&delivered, "p").error, None);
    }
}

fn the_other_side_says_how_long_to_wait() {
    let ground = Ground::new();
    let part = json!({"process": "retry later", "millis": 1_000, "retries": 1});
    let host = ground.host(&[("p", ground.player(part))]);
    let begun = Instant::now();
    let delivered = deliver(&host, &report());
    assert_eq!(of(&delivered, "p").attempts, 2);
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

fn a_wait_that_is_too_long_is_not_waited_for() {
    let ground = Ground::new();
    let part = json!({"process": "retry later", "millis": 600_000, "retries": 3});
    let host = ground.stored(&[("p", ground.player(part))]);
    let delivered = deliver_within(&host, &report(), Duration::from_secs(5));
    let delivery = of(&delivered, "p");
    assert_ended(delivery, Deferred, "slow down");
    assert_eq!((delivery.attempts, delivery.pending), (1, true));
    let note = delivery.note.as_deref().unwrap_or_default();
    assert!(
        note.starts_with("the next attempt would be in 600 s"),
        "{note}"
    );
    let stored = crate::ground::pending(&host);
    assert!(
        stored[0].due.0 >= host.keep().now() + 500_000,
        "it is not due before"
    );
}

fn five_failures_open_the_breaker_and_a_refused_call_is_not_made() {
    let ground = Ground::new();
    let part = json!({"process": "retryable", "retries": 0});
    let host = ground.host(&[("p", ground.player(part)), ("z", ground.player(json!({})))]);
    for _ in 0..5 {
        assert_ended(of(&deliver(&host, &report()), "p"), Dead, "busy");
    }
    let delivered = deliver(&host, &report());
    assert_ended(of(&delivered, "p"), BreakerOpen, "failed too often");
    assert_eq!(of(&delivered, "p").attempts, 0);
    assert_ended(of(&delivered, "z"), Delivered, "");
    let called = ground.recorded("called").into_iter();
    assert_eq!(called.filter(|made| made.instance == "p").count(), 5);
}

fn the_breaker_is_kept_in_the_store() {
    let ground = Ground::new();
    let part = ground.player(json!({"process": "never be ready", "time_limit": "50ms"}));
    for _ in 0..5 {
        let host = ground.stored(&[("p", part.clone())]);
        // Earlier ones are not due yet, or are; each counts.
        deliver_within(&host, &report(), AMPLE);
        host.shutdown();
    }
    let host = ground.stored(&[("p", part)]);
    let delivered = deliver(&host, &report());
    assert_ended(of(&delivered, "p"), BreakerOpen, "failed too often");
    assert!(of(&delivered, "p").pending, "it is for later");
    assert!(!of(&delivered, "p").status.is_settled());
}

fn instances_with_other_settings_have_another_breaker() {
    let ground = Ground::new();
    let down = json!({"needs": ground.file("up"), "retries": 0, "label": "one"});
    let other = json!({"label": "two"});
    let host = ground.host(&[("p", ground.player(down)), ("q", ground.player(other))]);
    for _ in 0..7 {
        let delivered = deliver_within(&host, &report(), AMPLE);
        assert_ended(of(&delivered, "q"), Delivered, "");
    }
}
