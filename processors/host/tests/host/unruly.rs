//! Hooks that are slow, fail, hang, flood each other: a run does not notice, and people are
//! told.

use std::time::{Duration, Instant};

use serde_json::json;
use veracity_host::Host;
use veracity_host::isolation::Snapshot;
use veracity_processor::DeliveryStatus::Delivered;

use crate::alone::note;
use crate::ground::{Ground, SLACK, assert_ended, deliver, named, of, report, started};
use crate::hooks::{configured, names, record, tell};
use crate::taps::Tap;
use crate::{Test, tests};

pub const TESTS: &[Test] = tests![
    a_flood_stays_within_bounds_and_is_counted,
    a_hook_that_misbehaves_changes_nothing_and_holds_nobody_up,
    who_fails_ten_times_in_a_row_is_left_alone,
    what_waits_in_a_full_queue_for_a_hook_that_hangs_is_lost_at_once,
    a_hook_that_hangs_takes_no_time_from_processors,
    hooks_that_answer_each_other_come_to_an_end,
    what_is_lost_at_the_end_is_told,
    no_thread_of_a_hook_runs_on,
];

/// Two hundred thousand events for a queue of a hundred, whatever the hook does.
fn a_flood_stays_within_bounds_and_is_counted() {
    const FLOOD: usize = 200_000;
    let acts = [
        ("", "thread"),
        ("be late", "thread"),
        ("never be ready", "thread"),
        ("block", "thread"),
        ("panic", "thread"),
        ("retryable", "thread"),
        ("", "process"),
        ("abort", "process"),
        ("never be ready", "process"),
    ];
    for overflow in ["drop_oldest", "block"] {
        for (act, isolation) in acts {
            let ground = Ground::new();
            // Where the run waits for room, it is a question of patience how many there are.
            let flood = match (overflow, act, isolation) {
                ("block", "be late", _) => 3_000,
                ("block", _, "process") => 20_000,
                ("drop_oldest", ..) => FLOOD,
                _ => 60_000,
            };
            let millis = if act == "block" { 600_000 } else { 20 };
            // A process takes a while to begin.
            let limit = if isolation == "process" { "20s" } else { "2s" };
            let part = json!({"use": "watcher", "capacity": 100, "batch": 64, "handle": act,
                "millis": millis, "overflow": overflow, "isolation": isolation,
                "time_limit": limit, "events": ["assertion.*"]});
            let host = started(configured(&ground, &[("h", part)]));
            let sink = host.sink().unwrap();
            let begun = Instant::now();
            let threads = 4;
            std::thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(|| tell(&*sink, flood / threads));
                }
            });
            let told = begun.elapsed();
            let delivered = deliver(&host, &report());
            assert_ended(of(&delivered, "p"), Delivered, "");
            let mut warnings = delivered.warnings.clone();
            warnings.extend(host.shutdown());
            let record = record(&host, "h");
            let at = format!("{overflow}, {act}, {isolation}: {record:?}");
            let sum = record.handled + record.dropped + record.failed;
            assert_eq!(sum, flood as u64, "{at}");
            assert!(record.most <= 100, "{at}");
            let is_good = matches!(act, "" | "be late");
            assert_eq!(record.failed == 0, is_good, "{at}");
            assert_eq!(record.handled > 0, is_good, "{at}");
            if is_good && overflow == "block" {
                assert_eq!(record.dropped, 0, "{at}");
            }
            if !is_good {
                // One attempt, or ten, of what waited; then it is left alone.
                assert!(record.failed <= 10 * 64, "{at}");
                assert!(record.error.is_some(), "{at}");
            }
            let warning = warnings.iter().filter(|text| text.starts_with("hook `h`"));
            let told_of = record.dropped + record.failed > 0;
            assert_eq!(warning.count() >= 1, told_of, "{at}: {warnings:?}");
            if record.dropped > 0 {
                let lost = format!("hook `h` lost {} events", record.dropped);
                let last = warnings.iter().rfind(|text| text.starts_with("hook `h`"));
                assert!(last.unwrap().starts_with(&lost), "{at}: {warnings:?}");
            }
            // The hook's limit, and whatever 200,000 events take on a slow machine.
            let longest = Duration::from_secs(20) + 2 * SLACK;
            if overflow == "drop_oldest" || !is_good {
                assert!(told < longest, "{at}: {told:?}");
            }
        }
    }
}

fn a_hook_that_misbehaves_changes_nothing_and_holds_nobody_up() {
    let outcomes = |host: &Host| {
        let delivered = deliver(host, &report());
        let deliveries = delivered.deliveries.iter();
        let told = deliveries.map(|one| {
            (
                one.processor.clone(),
                one.status,
                one.attempts,
                one.error.clone(),
            )
        });
        told.collect::<Vec<_>>()
    };
    let processors = |ground: &Ground| {
        vec![
            ("good", ground.player(json!({}))),
            ("bad", ground.player(json!({"process": "permanent"}))),
            ("after", ground.player(json!({"after": ["bad"]}))),
        ]
    };
    let ground = Ground::new();
    let expected = outcomes(&ground.host(&processors(&ground)));
    let acts = [
        ("handle", "panic", "thread"),
        ("handle", "permanent", "thread"),
        ("handle", "never be ready", "thread"),
        ("handle", "block", "thread"),
        ("handle", "abort", "process"),
        ("startup", "panic", "thread"),
        ("startup", "permanent", "thread"),
        ("startup", "never be ready", "thread"),
        ("startup", "abort", "process"),
        ("flush", "panic", "thread"),
        ("flush", "never be ready", "thread"),
        ("shutdown", "panic", "thread"),
        ("shutdown", "never be ready", "thread"),
    ];
    for mode in ["queued", "synchronous"] {
        for (call, act, isolation) in acts {
            let ground = Ground::new();
            let mut part = json!({"mode": mode, "isolation": isolation, "millis": 600_000,
                "time_limit": "1s"});
            if isolation == "process" {
                part["time_limit"] = "20s".into();
            }
            part[call] = act.into();
            let mut configuration = ground.configuration(&processors(&ground));
            configuration.hooks = named(&[
                ("bad", ground.watcher("bad", part)),
                ("good", ground.watcher("good", json!({"mode": mode}))),
            ]);
            let at = format!("{mode}, {call}: {act}");
            let begun = Instant::now();
            let host = started(configuration);
            let tap = Tap::on(&host);
            let tapped = tap.events().len();
            assert_eq!(outcomes(&host), expected, "{at}");
            let warnings = host.shutdown();
            assert!(begun.elapsed() < Duration::from_secs(10) + SLACK, "{at}");
            let (bad, good) = (record(&host, "bad"), record(&host, "good"));
            assert_eq!((good.dropped, good.failed), (0, 0), "{at}: {good:?}");
            assert!(good.handled >= (tap.events().len() - tapped) as u64, "{at}");
            assert_eq!(
                bad.handled + bad.dropped + bad.failed,
                good.handled,
                "{at}: {bad:?}"
            );
            if call == "shutdown" {
                let text = warnings.join("\n");
                assert!(
                    text.contains("hook `bad` did not end well: "),
                    "{at}: {text}"
                );
            } else {
                assert!(bad.error.is_some(), "{at}: {bad:?}");
            }
        }
    }
}

fn who_fails_ten_times_in_a_row_is_left_alone() {
    for (times, handled, failed) in [(9, 11, 9), (0, 0, 10)] {
        let ground = Ground::new();
        let part = json!({"mode": "synchronous", "handle": "retryable", "times": times,
            "events": ["assertion.*"]});
        let host = started(configured(&ground, &[("h", ground.watcher("heard", part))]));
        tell(&*host.sink().unwrap(), 20);
        let record = record(&host, "h");
        assert_eq!(
            (record.handled, record.failed),
            (handled, failed),
            "{record:?}"
        );
        assert_eq!(record.dropped, 20 - handled - failed);
        let delivered = deliver(&host, &report());
        let warnings: Vec<&String> = delivered.warnings.iter().collect();
        let expected = match times {
            0 => "hook `h` lost 10 events and failed at 10: busy",
            _ => "hook `h` failed at 9 events: busy",
        };
        assert_eq!(warnings, [expected]);
        assert_eq!(
            deliver(&host, &report()).warnings,
            Vec::<String>::new(),
            "told once"
        );
    }
}

fn what_waits_in_a_full_queue_for_a_hook_that_hangs_is_lost_at_once() {
    let ground = Ground::new();
    let part = json!({"capacity": 5, "overflow": "block", "handle": "never be ready",
        "time_limit": "2s", "batch": 1, "events": ["assertion.*"]});
    let host = started(configured(&ground, &[("h", ground.watcher("heard", part))]));
    let begun = Instant::now();
    tell(&*host.sink().unwrap(), 500);
    let took = begun.elapsed();
    // Not for each of them.
    assert!(took < Duration::from_secs(4) + SLACK, "{took:?}");
    host.shutdown();
    let record = record(&host, "h");
    assert_eq!((record.failed, record.dropped), (1, 499), "{record:?}");
}

/// What the hook takes is not taken from the limit of a processor that starts meanwhile, or
/// of a gate that waits for that.
fn a_hook_that_hangs_takes_no_time_from_processors() {
    let ground = Ground::new();
    let gate = json!({"before_run": "stop: closed", "time_limit": "1s"});
    let mut configuration = ground.configuration(&[("gate", ground.stager(gate))]);
    let part = json!({"mode": "synchronous", "handle": "never be ready", "time_limit": "3s"});
    configuration.hooks = named(&[("h", ground.watcher("heard", part))]);
    let host = started(configuration);
    let upcoming = veracity_processor::Upcoming::of(&report());
    let before = host.before_run(&upcoming);
    assert_eq!(
        before.closed.map(|closed| closed.reason).as_deref(),
        Some("closed")
    );
    assert_eq!(before.warnings, Vec::<String>::new());
}

/// Each asks for something whenever it hears something, and hears of what others ask for.
fn hooks_that_answer_each_other_come_to_an_end() {
    for mode in ["synchronous", "queued"] {
        let ground = Ground::new();
        let part = json!({"use": "watcher", "mode": mode, "batch": 1, "time_limit": "60s",
            "capacity": 1_000_000, "actions": [{"type": "log", "message": "I heard it"}]});
        let mut configuration = ground.configuration(&[]);
        configuration.hooks = named(&[("a", part.clone()), ("b", part)]);
        let host = started(configuration);
        let sink = host.sink().unwrap();
        let begun = Instant::now();
        // A thread with as small a stack as those of an engine.
        let thread = std::thread::Builder::new().stack_size(512 * 1024);
        let told = thread.spawn(move || tell(&*sink, 1)).unwrap();
        told.join().unwrap();
        let is_done = |name| record(&host, name).handled >= 1_001;
        while !(is_done("a") && is_done("b")) && begun.elapsed() < 3 * SLACK {
            std::thread::sleep(Duration::from_millis(10));
        }
        let warnings = host.shutdown();
        note(&format!("{mode}: it took {:?}", begun.elapsed()));
        let text = warnings.join("\n");
        for name in ["a", "b"] {
            let told = format!(
                "`{name}` asked for an action, log, which failed: it asked for more than 1000 actions"
            );
            assert_eq!(text.matches(&told).count(), 1, "{mode}: {text}");
            let record = record(&host, name);
            assert_eq!(
                (record.dropped, record.failed),
                (0, 0),
                "{mode}: {record:?}"
            );
            // The first event, the others' thousand, and that there were too many.
            assert!(
                (1_001..=1_003).contains(&record.handled),
                "{mode}: {record:?}"
            );
        }
    }
    // Nobody hears of what it asked for itself.
    let ground = Ground::new();
    let part = json!({"mode": "synchronous", "actions": [{"type": "log", "message": "m"}]});
    let host = started(configured(&ground, &[("h", ground.watcher("heard", part))]));
    tell(&*host.sink().unwrap(), 3);
    let heard = ground.heard("heard");
    assert_eq!(
        names(&heard)
            .iter()
            .filter(|name| name.starts_with("assertion"))
            .count(),
        3
    );
    assert!(!names(&heard).contains(&"action.end"));
}

fn what_is_lost_at_the_end_is_told() {
    let ground = Ground::new();
    // It takes far longer than a flush may wait.
    let part = json!({"handle": "be late", "millis": 300, "batch": 1, "events": ["assertion.*"]});
    let host = started(configured(&ground, &[("h", ground.watcher("heard", part))]));
    tell(&*host.sink().unwrap(), 2_000);
    let begun = Instant::now();
    deliver(&host, &report());
    let warnings = host.shutdown();
    assert!(begun.elapsed() < Duration::from_secs(30) + SLACK);
    let record = record(&host, "h");
    assert_eq!(
        record.handled + record.dropped + record.failed,
        2_000,
        "{record:?}"
    );
    assert!(record.dropped > 1_000, "{record:?}");
    let told = format!("hook `h` lost {} events", record.dropped);
    assert!(
        warnings.iter().any(|text| text.starts_with(&told)),
        "{warnings:?}"
    );
}

fn no_thread_of_a_hook_runs_on() {
    let ask = json!([{"type": "publish", "channel": "c", "message": 1}]);
    // What is made once in a process is made.
    for (round, shut_down) in [(0, true), (1, true), (2, false), (3, true), (4, false)] {
        let ground = Ground::new();
        let before = Snapshot::take();
        let part = |mode: &str| ground.watcher(mode, json!({"mode": mode, "actions": ask}));
        let mut configuration = configured(
            &ground,
            &[
                ("queued", part("queued")),
                ("synchronous", part("synchronous")),
                ("idle", part("queued")),
            ],
        );
        configuration.channels = named(&[("c", ground.carrier(json!({})))]);
        configuration.store = Some("sqlite:store.db".into());
        let host = started(configuration);
        tell(&*host.sink().unwrap(), 50);
        if shut_down {
            deliver(&host, &report());
            assert_eq!(host.shutdown(), Vec::<String>::new(), "round {round}");
        }
        drop(host);
        let begun = Instant::now();
        let changes = loop {
            let changes = Snapshot::take().changes_since(&before);
            if changes.is_empty() || begun.elapsed() > SLACK {
                break changes;
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        assert!(
            round == 0 || changes.is_empty(),
            "round {round}: {changes:?}"
        );
    }
}
