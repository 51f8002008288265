//! What a processor does wrong is a record of its own; everybody else has the report.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use veracity_processor::DeliveryStatus::{self, Crashed, Dead, Delivered, Hung, Panicked, Skipped};

use crate::ground::{AMPLE, Ground, SLACK, assert_ended, deliver_within, of, report};
use crate::{Test, tests};

pub const TESTS: &[Test] = tests![
    a_panic_in_a_call_is_told_and_not_tried_again,
    a_panic_where_it_is_built_started_or_dropped_is_told,
    an_error_is_told,
    what_never_answers_is_cut_at_its_limit,
    a_thread_that_blocks_is_left_behind,
    a_thread_that_counts_is_left_behind,
    an_answer_after_the_limit_does_not_count,
    a_build_that_blocks_holds_nobody_up_for_ever,
    a_startup_that_never_ends_holds_nobody_up_for_ever,
    more_threads_than_eight_are_not_left_behind,
    enormous_texts_are_cut,
    commands_in_texts_are_shown_and_not_obeyed,
    more_memory_of_runs_than_allowed_is_not_kept,
    what_ends_a_process_ends_the_workers_alone,
    a_worker_that_eats_memory_is_stopped,
    a_worker_that_hangs_is_killed,
    a_worker_that_prints_without_end_delivers,
    faults_of_all_kinds_at_once_hurt_nobody,
];

/// Everybody who shares a wave with `part` has what they would have without it. Returns what
/// was warned of at the end.
#[track_caller]
fn others_deliver(part: Value, status: DeliveryStatus, text: &str, limit: Duration) -> Vec<String> {
    let (alone, together) = (Ground::new(), Ground::new());
    let report = report();
    let without = alone.host(&[
        ("a", alone.player(json!({}))),
        ("z", alone.player(json!({}))),
    ]);
    let delivered = deliver_within(&without, &report, AMPLE);
    assert!(delivered.is_complete(), "{delivered:?}");

    let mut faulty = together.player(json!({"required": true, "time_limit": "500ms"}));
    faulty
        .as_object_mut()
        .unwrap()
        .extend(part.as_object().unwrap().clone());
    let host = together.host(&[
        ("a", together.player(json!({}))),
        ("faulty", faulty),
        ("z", together.player(json!({}))),
    ]);
    let delivered = deliver_within(&host, &report, limit);
    assert_eq!(delivered.deliveries.len(), 3, "{delivered:?}");
    for good in ["a", "z"] {
        assert_ended(of(&delivered, good), Delivered, "");
    }
    assert_ended(of(&delivered, "faulty"), status, text);
    assert_eq!(delivered.is_complete(), status.is_settled(), "{part}");
    assert!(!delivered.store_failed);

    let seen = |ground: &Ground| -> BTreeSet<(String, String, String)> {
        let made = ground.recorded("done").into_iter();
        let good = made.filter(|made| made.instance != "faulty");
        good.map(|made| (made.instance, made.key, made.digest))
            .collect()
    };
    assert_eq!(seen(&together), seen(&alone), "{part}");
    let begun = Instant::now();
    let warnings = host.shutdown();
    assert!(begun.elapsed() < Duration::from_secs(30) + SLACK, "{part}");
    warnings
}

fn a_panic_in_a_call_is_told_and_not_tried_again() {
    let cases = [
        ("panic", "panicked: text at "),
        ("panic with a String", "panicked: text at "),
        (
            "panic with a value",
            "panicked: a value that is no text at ",
        ),
        (
            "panic with a value that panics when dropped",
            "panicked: a value that is no text at ",
        ),
    ];
    for isolation in ["thread", "process"] {
        for (process, text) in cases {
            let part = json!({
                "process": process, "isolation": isolation, "time_limit": "60s",
            });
            let warnings = others_deliver(part, Panicked, text, AMPLE);
            assert!(warnings.is_empty(), "{warnings:?}");
        }
    }
    let ground = Ground::new();
    let host = ground.host(&[(
        "p",
        ground.player(json!({"process": "panic", "retries": 5})),
    )]);
    let delivered = deliver_within(&host, &report(), AMPLE);
    assert_eq!(of(&delivered, "p").attempts, 1);
    assert!(
        of(&delivered, "p")
            .error
            .as_deref()
            .unwrap()
            .contains("player.rs:")
    );
}

fn a_panic_where_it_is_built_started_or_dropped_is_told() {
    for panic in ["panic", "panic with a value that panics when dropped"] {
        let built = json!({"build": panic});
        others_deliver(built, Dead, "cannot be built: panicked: ", AMPLE);
        others_deliver(json!({"startup": panic}), Panicked, "panicked: ", AMPLE);
        let warnings = others_deliver(json!({"shutdown": panic}), Delivered, "", AMPLE);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        let told = "processor `faulty` did not end well: panicked: ";
        assert!(warnings[0].starts_with(told), "{warnings:?}");
    }
    // The check of the configuration drops one too.
    others_deliver(json!({"drop": "panic"}), Dead, "panicked: text", AMPLE);
    let in_process = json!({"drop": "panic", "isolation": "process", "time_limit": "60s"});
    let warnings = others_deliver(in_process, Delivered, "", AMPLE);
    assert!(warnings[0].contains("panicked: text"), "{warnings:?}");
}

fn an_error_is_told() {
    let cases = [
        ("permanent", "refused", 1),
        ("retryable", "busy", 3),
        ("retry later", "slow down", 3),
    ];
    for (process, text, attempts) in cases {
        let ground = Ground::new();
        let part = json!({"process": process, "millis": 1, "retries": 2});
        others_deliver(part.clone(), Dead, text, AMPLE);
        let host = ground.host(&[("p", ground.player(part))]);
        let delivered = deliver_within(&host, &report(), AMPLE);
        assert_eq!(of(&delivered, "p").attempts, attempts, "{process}");
        let keys: BTreeSet<String> = ground
            .recorded("called")
            .into_iter()
            .map(|made| made.key)
            .collect();
        assert_eq!(keys.len(), 1, "{process}");
    }
    others_deliver(json!({"startup": "permanent"}), Dead, "refused", AMPLE);
    let warnings = others_deliver(json!({"shutdown": "permanent"}), Delivered, "", AMPLE);
    assert_eq!(warnings, ["processor `faulty` did not end well: refused"]);
    others_deliver(json!({"process": "skip"}), Skipped, "", AMPLE);
}

const HALF_A_SECOND: Duration = Duration::from_millis(500);

fn what_never_answers_is_cut_at_its_limit() {
    let part = json!({"process": "never be ready", "retries": 9});
    others_deliver(part, Hung, "no answer within 500ms", HALF_A_SECOND);
    let part = json!({"process": "be late", "millis": 600_000});
    others_deliver(part, Hung, "no answer within 500ms", HALF_A_SECOND);
    // Its future is dropped, so it can get the next report.
    let ground = Ground::new();
    let part = json!({"process": "never be ready", "time_limit": "200ms"});
    let host = ground.host(&[("p", ground.player(part))]);
    for _ in 0..3 {
        let delivered = deliver_within(&host, &report(), HALF_A_SECOND);
        assert_ended(of(&delivered, "p"), Hung, "no answer within");
    }
    assert_eq!(ground.recorded("called").len(), 3);
}

fn a_thread_that_blocks_is_left_behind() {
    let part = json!({"process": "block", "millis": 600_000, "retries": 9});
    let warnings = others_deliver(part, Hung, "no answer within 500ms", HALF_A_SECOND);
    assert!(
        warnings
            .iter()
            .any(|warning| warning.contains("blocked its thread")),
        "{warnings:?}"
    );
}

fn a_thread_that_counts_is_left_behind() {
    let part = json!({"process": "spin", "millis": 600_000});
    others_deliver(part, Hung, "no answer within 500ms", HALF_A_SECOND);
}

fn an_answer_after_the_limit_does_not_count() {
    let ground = Ground::new();
    let part = json!({"process": "block", "millis": 1_500, "time_limit": "100ms"});
    let host = ground.host(&[("p", ground.player(part))]);
    let first = report();
    let delivered = deliver_within(&host, &first, HALF_A_SECOND);
    assert_ended(of(&delivered, "p"), Hung, "no answer within 100ms");
    std::thread::sleep(Duration::from_secs(3));
    let delivered = deliver_within(&host, &report(), HALF_A_SECOND);
    assert_ended(of(&delivered, "p"), Dead, "quarantined");
    let done = ground.recorded("done");
    assert_eq!(done.len(), 1, "it came late");
    assert_eq!(done[0].run, first.run.id);
}

fn a_build_that_blocks_holds_nobody_up_for_ever() {
    let begun = Instant::now();
    let part = json!({"build": "block", "millis": 600_000});
    others_deliver(part, Dead, "cannot be built: no answer within", AMPLE);
    assert!(begun.elapsed() < Duration::from_secs(10) + 2 * SLACK);
}

fn a_startup_that_never_ends_holds_nobody_up_for_ever() {
    let part = json!({"startup": "never be ready"});
    let begun = Instant::now();
    others_deliver(part, Hung, "no answer within", Duration::from_secs(40));
    assert!(begun.elapsed() < Duration::from_secs(60) + SLACK);
}

fn more_threads_than_eight_are_not_left_behind() {
    let ground = Ground::new();
    let blocking = |number: i32| {
        let part = json!({"process": "block", "millis": 600_000, "time_limit": "100ms",
            "priority": number, "label": number.to_string()});
        (format!("p{number:02}"), ground.player(part))
    };
    let mut parts: Vec<(String, Value)> = (0..12).map(blocking).collect();
    parts.push(("z".to_owned(), ground.player(json!({"priority": -1}))));
    let parts: Vec<(&str, Value)> = parts.iter().map(|(n, p)| (n.as_str(), p.clone())).collect();
    // Without a start before, threads are started one after another.
    let host = veracity_host::Host::prepare(ground.configuration(&parts)).unwrap();
    let delivered = deliver_within(&host, &report(), AMPLE);
    assert_ended(of(&delivered, "z"), Delivered, "");
    assert_ended(of(&delivered, "p00"), Hung, "no answer");
    let refused = "threads of other processors are blocked";
    assert_ended(of(&delivered, "p11"), Dead, refused);
}

fn enormous_texts_are_cut() {
    for isolation in ["thread", "process"] {
        let ground = Ground::new();
        let parts = ["write a book", "fail with a book"].map(|process| {
            ground.player(json!({"process": process, "isolation": isolation, "retries": 0}))
        });
        let [note, error] = parts;
        let host = ground.host(&[
            ("note", note),
            ("error", error),
            ("z", ground.player(json!({}))),
        ]);
        let delivered = deliver_within(&host, &report(), AMPLE);
        assert_ended(of(&delivered, "z"), Delivered, "");
        let told = format!("{:?}", delivered.deliveries);
        assert!(told.len() < 40_000, "{isolation}: {} bytes", told.len());
        if isolation == "thread" {
            let note = of(&delivered, "note").note.as_deref().unwrap();
            assert!(note.ends_with("more bytes)"), "{note}");
            assert_ended(of(&delivered, "error"), Dead, "more bytes)");
        } else {
            // Answers have a limit, too.
            assert_ended(of(&delivered, "note"), Crashed, "");
        }
    }
}

fn commands_in_texts_are_shown_and_not_obeyed() {
    let ground = Ground::new();
    let part = ground.player(json!({"process": "send commands", "shutdown": "send commands"}));
    let host = ground.host(&[("p", part)]);
    let delivered = deliver_within(&host, &report(), AMPLE);
    let mut texts = vec![of(&delivered, "p").error.clone().unwrap()];
    texts.extend(host.shutdown());
    assert_eq!(texts.len(), 2);
    for text in texts {
        assert!(!text.contains(veracity_processor::is_deceptive), "{text:?}");
        assert!(!text.contains("##vso["), "{text}");
    }
}

fn more_memory_of_runs_than_allowed_is_not_kept() {
    let ground = Ground::new();
    let part = ground.player(json!({"process": "remember too much"}));
    let host = ground.stored(&[("p", part)]);
    let delivered = deliver_within(&host, &report(), AMPLE);
    let delivery = of(&delivered, "p");
    assert_ended(delivery, Delivered, "");
    let note = delivery.note.as_deref().unwrap_or_default();
    assert!(note.contains("its state was not kept"), "{note}");
}

fn what_ends_a_process_ends_the_workers_alone() {
    let cases = [
        ("abort", "SIGABRT"),
        ("exit", "exit status 0"),
        ("overflow the stack", "SIG"),
        ("panic while a panic unwinds", "SIGABRT"),
    ];
    for (process, text) in cases {
        let part = json!({
            "process": process, "isolation": "process", "retries": 0, "time_limit": "60s",
        });
        others_deliver(part, Crashed, text, AMPLE);
    }
    let ground = Ground::new();
    let part = json!({"process": "abort", "isolation": "process", "retries": 1,
        "time_limit": "60s", "once": ground.file("once")});
    let host = ground.host(&[("p", ground.player(part))]);
    let delivered = deliver_within(&host, &report(), AMPLE);
    assert_ended(of(&delivered, "p"), Delivered, "");
    assert_eq!(of(&delivered, "p").attempts, 2, "a new worker has it");
}

fn a_worker_that_eats_memory_is_stopped() {
    let part = json!({"process": "allocate 4 GiB", "isolation": "process", "retries": 0,
        "time_limit": "60s", "memory_limit": "256MiB"});
    others_deliver(part, Crashed, "", AMPLE);
}

fn a_worker_that_hangs_is_killed() {
    for process in ["block", "spin", "never be ready"] {
        let part = json!({"process": process, "millis": 600_000, "isolation": "process",
            "time_limit": "5s"});
        others_deliver(part, Hung, "no answer within", Duration::from_secs(5));
    }
}

fn a_worker_that_prints_without_end_delivers() {
    let part = json!({"process": "print 64 MiB", "isolation": "process", "time_limit": "60s"});
    others_deliver(part, Delivered, "", AMPLE);
}

fn faults_of_all_kinds_at_once_hurt_nobody() {
    let ground = Ground::new();
    let faults = [
        "panic",
        "panic with a value that panics when dropped",
        "retryable",
        "permanent",
        "never be ready",
        "block",
        "fail with a book",
        "skip",
    ];
    let mut parts: Vec<(String, Value)> = Vec::new();
    for (number, process) in faults.iter().enumerate() {
        for isolation in ["thread", "process"] {
            let part = json!({"process": process, "isolation": isolation, "retries": 0,
                "time_limit": "10s", "millis": 600_000, "label": number.to_string()});
            parts.push((format!("{isolation}{number}"), ground.player(part)));
            parts.push((
                format!("{isolation}{number}-good"),
                ground.player(json!({})),
            ));
        }
    }
    let parts: Vec<(&str, Value)> = parts.iter().map(|(n, p)| (n.as_str(), p.clone())).collect();
    let host = ground.host(&parts);
    let delivered = deliver_within(&host, &report(), Duration::from_secs(40));
    assert_eq!(delivered.deliveries.len(), parts.len());
    for delivery in &delivered.deliveries {
        if delivery.processor.ends_with("-good") {
            assert_ended(delivery, Delivered, "");
        } else {
            assert_ne!(delivery.status, Delivered, "{delivery:?}");
        }
    }
}
