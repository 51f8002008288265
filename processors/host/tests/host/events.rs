//! What those who watch are told of processors and deliveries.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};
use veracity_host::{Delivered, Host};
use veracity_processor::{Delivery, Event, Kind, Moment, Subject};

use crate::alone::note;
use crate::ground::{AMPLE, Ground, deliver, deliver_within, named, report, resumed, started};
use crate::taps::Tap;
use crate::{Test, tests};

pub const TESTS: &[Test] = tests![
    what_becomes_of_a_delivery_is_told,
    what_comes_after_one_that_was_given_up_is_told,
    the_life_of_a_processor_is_told,
    what_is_left_of_earlier_runs_is_told_of_their_runs,
    a_delivery_that_is_overdue_is_told_once,
    what_starts_ends_once_and_every_hook_hears_it_in_order,
];

const SHOWN: &[&str] = &[
    "outcome", "attempt", "attempts", "pending", "stage", "reason",
];

fn what_becomes_of_a_delivery_is_told() {
    let cases: &[(Value, &[&str])] = &[
        (
            json!({}),
            &[
                "start p attempt=1",
                "end p outcome=delivered attempts=1 pending=false",
            ],
        ),
        (
            json!({"process": "retryable", "retries": 2}),
            &[
                "start p attempt=1",
                "retry p outcome=deferred attempt=1 reason=busy",
                "retry p outcome=deferred attempt=2 reason=busy",
                "error p outcome=dead attempts=3 pending=false reason=busy",
                "dead p outcome=dead attempts=3 reason=busy",
            ],
        ),
        (
            json!({"process": "permanent"}),
            &[
                "start p attempt=1",
                "error p outcome=dead attempts=1 pending=false reason=refused",
                "dead p outcome=dead attempts=1 reason=refused",
            ],
        ),
        (
            json!({"process": "panic"}),
            &[
                "start p attempt=1",
                "error p outcome=panicked attempts=1 pending=false reason=panicked: text at ",
                "dead p outcome=panicked attempts=1 reason=panicked: text at ",
            ],
        ),
        (
            json!({"process": "never be ready", "time_limit": "100ms"}),
            &[
                "start p attempt=1",
                "error p outcome=hung attempts=1 pending=false reason=no answer within 100ms",
                "dead p outcome=hung attempts=1 reason=no answer within 100ms",
            ],
        ),
        (
            json!({"process": "skip"}),
            &[
                "start p attempt=1",
                "end p outcome=skipped attempts=1 pending=false",
            ],
        ),
        (
            json!({"enabled": false}),
            &["skip p outcome=disabled attempts=0 pending=false reason=`enabled` is false"],
        ),
        (
            json!({"datasets": ["none*"]}),
            &["skip p outcome=skipped attempts=0 pending=false reason=no result it asks for"],
        ),
    ];
    for (part, expected) in cases {
        let ground = Ground::new();
        let host = ground.host(&[("p", ground.player(part.clone()))]);
        let tap = Tap::on(&host);
        let report = report();
        deliver(&host, &report);
        let lines = tap.lines("delivery.*", SHOWN);
        assert_eq!(lines.len(), expected.len(), "{part}: {lines:#?}");
        for (line, expected) in lines.iter().zip(*expected) {
            let line = line.strip_prefix("delivery.").unwrap();
            assert!(line.starts_with(expected), "{part}: {line}\n{expected}");
        }
        let key = veracity_host::idempotency_key(report.run.id, "p");
        for event in tap.events() {
            if event.name.subject != Subject::Delivery {
                continue;
            }
            assert_eq!(event.run.id, report.run.id);
            assert_eq!(event.run.key, report.run.key);
            let has = |name: &str| event.metadata.contains_key(name);
            let ends = matches!(event.name.moment, Moment::End | Moment::Error);
            assert_eq!(has("duration_ms"), ends, "{event:?}");
            assert_eq!(has("wait_ms"), event.name.moment == Moment::Retry);
            let told = event.field("idempotency_key");
            match event.name.moment {
                Moment::Skip => assert_eq!(told, None),
                _ => assert_eq!(told, Some(json!(key))),
            }
        }
        host.shutdown();
    }
}

fn what_comes_after_one_that_was_given_up_is_told() {
    let ground = Ground::new();
    let host = ground.host(&[
        ("p", ground.player(json!({"process": "permanent"}))),
        ("q", ground.player(json!({"after": ["p"]}))),
        (
            "r",
            ground.player(json!({"process": "stop", "priority": 200})),
        ),
        ("s", ground.player(json!({"priority": 300}))),
    ]);
    let tap = Tap::on(&host);
    deliver(&host, &report());
    let lines = tap.lines("delivery.*", &["outcome", "reason"]);
    let expected = [
        "delivery.start p",
        "delivery.error p outcome=dead reason=refused",
        "delivery.dead p outcome=dead reason=refused",
        "delivery.skip q outcome=skipped_dependency reason=`p`, which it comes after, did not deliver",
        "delivery.dead q outcome=skipped_dependency reason=`p`, which it comes after, did not deliver",
        "delivery.start r",
        "delivery.end r outcome=delivered",
        "delivery.skip s outcome=skipped reason=`r` said stop: enough",
    ];
    assert_eq!(lines, expected);
}

fn the_life_of_a_processor_is_told() {
    let ground = Ground::new();
    let part = |part: Value| ground.player(part);
    let host = Host::prepare(ground.configuration(&[
        ("bad", part(json!({"startup": "permanent", "retries": 0}))),
        ("build", part(json!({"build": "panic"}))),
        (
            "end",
            part(json!({"shutdown": "permanent", "priority": 200})),
        ),
        ("good", part(json!({}))),
        (
            "late",
            part(json!({"startup": "be late", "millis": 300, "priority": 50})),
        ),
        ("off", part(json!({"enabled": false}))),
    ]))
    .unwrap();
    let tap = Tap::on(&host);
    host.start();
    deliver(&host, &report());
    host.shutdown();
    let of = |name: &str| {
        let mut lines = tap.lines("processor.*", &["plugin", "reason"]);
        lines.retain(|line| line.split(' ').nth(1) == Some(name));
        lines
    };
    assert_eq!(
        of("good"),
        [
            "processor.start good plugin=player",
            "processor.end good plugin=player"
        ]
    );
    assert_eq!(of("late").len(), 2);
    assert_eq!(
        of("end"),
        [
            "processor.start end plugin=player",
            "processor.error end plugin=player reason=refused"
        ]
    );
    assert_eq!(
        of("off"),
        ["processor.skip off plugin=player reason=`enabled` is false"]
    );
    // It was tried again when it was to get the report.
    let bad = [
        "processor.start bad plugin=player",
        "processor.error bad plugin=player reason=refused",
    ];
    assert_eq!(of("bad"), [bad, bad].concat());
    let build = of("build");
    assert_eq!(build.len(), 4, "{build:?}");
    assert!(
        build[1].contains("it cannot be built: panicked"),
        "{build:?}"
    );
    let ended = tap.events().into_iter();
    let ended = ended.filter(|event| event.name.to_string() == "processor.end");
    assert!(ended.clone().count() == 2, "{:?}", tap.events());
    for event in ended {
        assert!(
            event
                .field("duration_ms")
                .is_some_and(|time| time.as_f64() >= Some(0.0))
        );
    }
}

fn what_is_left_of_earlier_runs_is_told_of_their_runs() {
    let ground = Ground::new();
    let needs = json!({"needs": ground.file("up"), "retries": 0});
    let host = ground.stored(&[
        ("p", ground.player(needs.clone())),
        ("q", ground.player(json!({"after": ["p"]}))),
    ]);
    let first = report();
    let tap = Tap::on(&host);
    deliver(&host, &first);
    assert_eq!(
        tap.lines("delivery.*", &["outcome", "attempt", "attempts", "pending"]),
        [
            "delivery.start p attempt=1",
            "delivery.error p outcome=deferred attempts=1 pending=true",
            "delivery.skip q outcome=skipped_dependency attempts=0 pending=true",
        ]
    );
    host.shutdown();
    ground.make("up");
    let host = ground.stored(&[
        ("p", ground.player(needs)),
        ("q", ground.player(json!({"after": ["p"]}))),
    ]);
    let tap = Tap::on(&host);
    resumed(&host);
    let events = tap.events();
    let delivery = |event: &&Event| event.name.subject == Subject::Delivery;
    for event in events.iter().filter(delivery) {
        assert_eq!(event.run.id, first.run.id, "{event:?}");
        assert_eq!(event.run.suite, first.run.suite);
    }
    assert_eq!(
        tap.lines("delivery.*", &["outcome", "attempt", "attempts"])[..2],
        [
            "delivery.start p attempt=2",
            "delivery.end p outcome=delivered attempts=2",
        ]
    );
}

fn a_delivery_that_is_overdue_is_told_once() {
    let ground = Ground::new();
    let part = json!({"process": "block", "millis": 600_000, "time_limit": "10min"});
    let mut configuration = ground.configuration(&[("p", ground.player(part))]);
    // The thread that delivers is held up by who watches: it does not come back in time.
    let slow = json!({"handle": "block", "millis": 4_000, "mode": "synchronous",
        "events": ["delivery.start"], "time_limit": "30s"});
    configuration.hooks = named(&[("slow", ground.watcher("heard", slow))]);
    let host = started(configuration);
    let tap = Tap::on(&host);
    let stop = host.stop();
    let asks = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(500));
        stop.within(Duration::from_millis(500));
    });
    deliver_within(&host, &report(), Duration::from_secs(5));
    asks.join().unwrap();
    host.shutdown();
    // Long enough for the thread to come back.
    std::thread::sleep(Duration::from_secs(6));
    let lines = tap.lines("delivery.*", &["outcome", "reason"]);
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!(lines[0], "delivery.start p");
    assert!(
        lines[1].starts_with("delivery.error p outcome="),
        "{lines:?}"
    );
    assert!(
        lines[2].starts_with("delivery.dead p outcome="),
        "{lines:?}"
    );
}

/// How many suites are run with processors that behave as chance has it.
const ROUNDS: usize = 40;

fn what_starts_ends_once_and_every_hook_hears_it_in_order() {
    let seed = match std::env::var("EVENTS_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => fastrand::u64(..),
    };
    note(&format!("the seed of the events is {seed} (EVENTS_SEED)"));
    let mut random = Rng::with_seed(seed);
    for round in 0..ROUNDS {
        one_round(&mut random, &format!("seed {seed}, round {round}"));
    }
}

fn one_round(random: &mut Rng, at: &str) {
    let ground = Ground::new();
    let names = ["a", "b", "c", "d", "e", "f"];
    let count = random.usize(1..=names.len());
    let mut processors: Vec<(&str, Value)> = Vec::new();
    for (number, &name) in names[..count].iter().enumerate() {
        processors.push((name, behaviour(random, &ground, &names[..number])));
    }
    let mut configuration = ground.configuration(&processors);
    if random.bool() {
        configuration.store = Some("sqlite:store.db".into());
    }
    let patterns = [
        json!(["*"]),
        json!(["delivery.*"]),
        json!(["*.start", "*.end"]),
    ];
    let hooks = ["h", "i", "j"].map(|name| {
        let mode = ["queued", "synchronous"][random.usize(0..2)];
        let isolation = if random.u8(0..8) == 0 {
            "process"
        } else {
            "thread"
        };
        let part = json!({"mode": mode, "isolation": isolation, "time_limit": "60s",
            "events": patterns[random.usize(0..patterns.len())], "batch": random.u32(1..=9)});
        (name, ground.watcher(name, part))
    });
    configuration.hooks = named(&hooks);
    let host = Host::prepare(configuration);
    let mut host = host.unwrap_or_else(|error| panic!("{at}: {error}: {processors:#?}"));
    host.open_store();
    let tap = Tap::on(&host);
    host.start();
    let mut given_up = 0;
    for _ in 0..random.usize(1..=2) {
        let delivered = deliver_within(&host, &report(), AMPLE);
        given_up += deaths(&delivered);
    }
    if random.bool() {
        given_up += deaths(&host.resume());
    }
    host.shutdown();
    let events = tap.events();
    check_courses(&events, at);
    let dead = events
        .iter()
        .filter(|event| event.name.moment == Moment::Dead);
    assert_eq!(dead.count(), given_up, "{at}: {events:#?}");
    for record in host.hook_records() {
        assert_eq!((record.dropped, record.failed), (0, 0), "{at}: {record:?}");
        let hook = host.hooks().find(|hook| hook.name == record.hook).unwrap();
        assert_eq!(hook.kind, Kind::Hook);
        let (_, settings) = hooks.iter().find(|(name, _)| *name == record.hook).unwrap();
        let patterns: Vec<String> = serde_json::from_value(settings["events"].clone()).unwrap();
        let wanted = |event: &&Event| patterns.iter().any(|one| event.name.matches(one));
        let wanted = courses(events.iter().filter(wanted).map(|event| json!(event)));
        let heard = ground.heard(&record.hook);
        assert_eq!(record.handled, heard.len() as u64, "{at}: {record:?}");
        let heard = courses(heard.into_iter());
        assert_eq!(heard, wanted, "{at}: {record:?}");
    }
}

fn deaths(delivered: &Delivered) -> usize {
    let resumed = delivered.resumed.iter().map(|resumed| &resumed.delivery);
    let all = delivered.deliveries.iter().chain(resumed);
    let dead = |one: &&Delivery| !one.status.is_settled() && !one.pending;
    all.filter(dead).count()
}

/// A processor as chance has it, which may come after one of `others`.
fn behaviour(random: &mut Rng, ground: &Ground, others: &[&str]) -> Value {
    let mut part = json!({"time_limit": "20s", "retries": random.u32(0..3)});
    let one_of = |random: &mut Rng, all: &[&str]| all[random.usize(0..all.len())].to_owned();
    let often = [
        "",
        "",
        "",
        "permanent",
        "retryable",
        "panic",
        "skip",
        "stop",
        "hang",
    ];
    let process = one_of(random, &often);
    match process.as_str() {
        "hang" => {
            part["process"] = "never be ready".into();
            part["time_limit"] = "50ms".into();
        }
        _ => part["process"] = process.into(),
    }
    if random.u8(0..6) == 0 {
        let startup = ["permanent", "retryable", "panic"];
        part["startup"] = one_of(random, &startup).into();
    }
    if random.u8(0..6) == 0 {
        part["shutdown"] = one_of(random, &["permanent", "panic"]).into();
    }
    if random.u8(0..8) == 0 {
        part["enabled"] = false.into();
    }
    if random.u8(0..8) == 0 {
        part["severities"] = json!(["P3"]);
    }
    if random.u8(0..10) == 0 {
        part["isolation"] = "process".into();
        part["process"] = one_of(random, &["", "abort"]).into();
        part["time_limit"] = "20s".into();
    }
    if !others.is_empty() && random.bool() {
        part["after"] = json!([others[random.usize(0..others.len())]]);
        part["when"] = one_of(random, &["delivered", "always"]).into();
    }
    match random.u8(0..5) {
        0 => {
            // Another plugin that knows the same words but fewer of them.
            let stages = [
                json!(["after_run"]),
                json!(["on_error", "dead_letter"]),
                json!(["dead_letter"]),
                json!(["after_run", "dead_letter"]),
            ];
            let stages = &stages[random.usize(0..4)];
            let mut stager = json!({"use": "stager", "retries": part["retries"], "stages": stages});
            stager["dead_letter"] = one_of(random, &["", "", "permanent", "panic"]).into();
            stager["actions"] = json!([{"type": "log", "message": "m"},
                {"type": "publish", "channel": "none", "message": 1}]);
            if let Some(after) = part.get("after") {
                stager["after"] = after.clone();
                stager["when"] = part["when"].clone();
            }
            ground.stager(stager)
        }
        _ => ground.player(part),
    }
}

/// What is about the same, and what happened to it, one after the other.
fn courses(events: impl Iterator<Item = Value>) -> BTreeMap<String, Vec<String>> {
    let mut courses: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in events {
        let (subject, moment) = event["event"].as_str().unwrap().split_once('.').unwrap();
        let more = &event["metadata"];
        let about = format!(
            "{subject} {} {} {} {} {}",
            event["run"], event["processor"], more["idempotency_key"], more["type"], more["target"]
        );
        let course = courses.entry(about).or_default();
        course.push(moment.to_owned());
    }
    courses
}

/// Every start has one end or error after it, a skip stands alone, who is dead failed or
/// was skipped, and nothing is left open.
fn check_courses(events: &[Event], at: &str) {
    for (about, course) in courses(events.iter().map(|event| json!(event))) {
        let mut open = false;
        let mut before = "";
        for moment in &course {
            let fits = match moment.as_str() {
                "start" => !open && before != "dead",
                "retry" => open,
                "end" | "error" if about.starts_with("action") => true,
                "end" | "error" => open,
                "skip" => !open,
                "dead" => !open && matches!(before, "error" | "skip"),
                _ => false,
            };
            assert!(fits, "{at}: {about}: {course:?}");
            open = matches!(moment.as_str(), "start" | "retry") && !about.starts_with("action");
            before = moment;
        }
        assert!(!open, "{at}: {about} does not end: {course:?}");
    }
}
