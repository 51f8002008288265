//! Hooks: what they get, and that nothing they do reaches a run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;
use veracity_host::{Configuration, HookRecord, Host};
use veracity_processor::{Event, EventRun, EventSink, Moment, RunKey, Subject};

use crate::ground::{Ground, deliver, named, of, report, started};
use crate::{Test, tests};

pub const TESTS: &[Test] = tests![
    a_hook_gets_what_it_subscribed_to,
    a_hook_wants_what_its_plugin_says_unless_the_suite_does,
    the_lower_number_hears_first,
    the_run_waits_for_synchronous_hooks_alone,
    events_come_in_batches,
    a_hook_remembers_from_run_to_run,
    threads_that_meet_at_a_synchronous_hook_lose_nothing_it_remembers,
    hooks_can_be_told_from_inside_a_runtime,
    a_hook_is_flushed_after_the_last_event_and_what_it_then_asks_for_is_done,
    executables_are_hooks_too,
    wrong_settings_of_hooks_are_told,
];

/// Somewhere to tell of `count` assertions, one by one.
pub fn tell(sink: &dyn EventSink, count: usize) {
    let run = Arc::new(EventRun::new(Uuid::now_v7(), "orders", RunKey::default()));
    for number in 0..count {
        let event = Event::new(&run, Subject::Assertion, Moment::End);
        sink.emit(vec![event.outcome("passed").with("rows", number)]);
    }
}

pub fn configured(ground: &Ground, hooks: &[(&str, Value)]) -> Configuration {
    let mut configuration = ground.configuration(&[("p", ground.player(json!({})))]);
    configuration.hooks = named(hooks);
    configuration
}

pub fn record(host: &Host, hook: &str) -> HookRecord {
    let mut records = host.hook_records().into_iter();
    records.find(|record| record.hook == hook).unwrap()
}

pub fn names(heard: &[Value]) -> Vec<&str> {
    let names = heard.iter().map(|event| event["event"].as_str().unwrap());
    names.collect()
}

fn a_hook_gets_what_it_subscribed_to() {
    let run = Arc::new(EventRun::new(
        Uuid::now_v7(),
        "orders",
        RunKey::new(
            "2026-11-20",
            BTreeMap::from([("env".into(), "prod".into())]),
        ),
    ));
    let event = |subject, moment| Event::new(&run, subject, moment);
    let assertion = |outcome: &str, severity: &str, took: u64| {
        event(Subject::Assertion, Moment::End)
            .check("keys")
            .outcome(outcome)
            .with("severity", severity)
            .with("duration_ms", took)
    };
    let events = [
        event(Subject::Suite, Moment::Start),
        event(Subject::Dataset, Moment::Start).dataset("orders"),
        event(Subject::Dataset, Moment::Error).dataset("orders"),
        assertion("passed", "P0", 5),
        assertion("failed", "P0", 50),
        assertion("failed", "P2", 500),
        event(Subject::Assertion, Moment::Skip).with("severity", "P1"),
        event(Subject::Suite, Moment::End).outcome("failed"),
    ];
    let cases: &[(Value, &[usize])] = &[
        (json!({"events": ["*"]}), &[0, 1, 2, 3, 4, 5, 6, 7]),
        (json!({"events": ["assertion.*"]}), &[3, 4, 5, 6]),
        (json!({"events": ["*.error", "suite.end"]}), &[2, 7]),
        (
            json!({"events": ["*.start", "*.start", "suite.*"]}),
            &[0, 1, 7],
        ),
        (
            json!({"events": ["*"], "where": {"outcome": "failed"}}),
            &[4, 5, 7],
        ),
        (
            json!({"events": ["*"], "where": {"outcome": "f*"}}),
            &[4, 5, 7],
        ),
        (
            json!({"events": ["assertion.*"], "where": {"severity": ["P0", "P1"]}}),
            &[3, 4, 6],
        ),
        (
            json!({"events": ["*"], "where": {"severity": "P0", "outcome": "failed"}}),
            &[4],
        ),
        (
            json!({"events": ["*"], "where": {"duration_ms": {"min": 50}}}),
            &[4, 5],
        ),
        (
            json!({"events": ["*"], "where": {"duration_ms": {"min": 6, "max": 50}}}),
            &[4],
        ),
        (
            json!({"events": ["*"], "where": {"duration_ms": 500}}),
            &[5],
        ),
        (
            json!({"events": ["*"], "where": {"dataset": "ord*"}}),
            &[1, 2],
        ),
        (
            json!({"events": ["suite.*"], "where": {"key.tags.env": "prod", "suite": "orders"}}),
            &[0, 7],
        ),
        (
            json!({"events": ["suite.*"], "where": {"key.tags.env": "test"}}),
            &[],
        ),
    ];
    let ground = Ground::new();
    let mut hooks = Vec::new();
    for (number, (settings, _)) in cases.iter().enumerate() {
        for mode in ["queued", "synchronous"] {
            let mut part = settings.clone();
            part["mode"] = mode.into();
            let name = format!("{mode}{number}");
            hooks.push((name.clone(), ground.watcher(&name, part)));
        }
    }
    let mut configuration = ground.configuration(&[]);
    configuration.hooks = hooks;
    let host = started(configuration);
    let sink = host.sink().unwrap();
    for event in &events {
        sink.emit(vec![event.clone()]);
    }
    assert_eq!(host.shutdown(), Vec::<String>::new());
    for (number, (settings, expected)) in cases.iter().enumerate() {
        let expected: Vec<Value> = expected.iter().map(|&at| json!(events[at])).collect();
        for mode in ["queued", "synchronous"] {
            let heard = ground.heard(&format!("{mode}{number}"));
            assert_eq!(heard, expected, "{mode}: {settings}");
        }
    }
}

fn a_hook_wants_what_its_plugin_says_unless_the_suite_does() {
    let ground = Ground::new();
    let with = |file: &str, mut part: Value| {
        part["use"] = "guard".into();
        part["heard"] = ground.file(file).into();
        part
    };
    let mut configuration = ground.configuration(&[]);
    configuration.hooks = named(&[
        ("own", with("own", json!({}))),
        (
            "all",
            with(
                "all",
                json!({"events": ["*.end"], "where": {}, "mode": "queued", "priority": 7}),
            ),
        ),
    ]);
    let host = started(configuration);
    let hooks: Vec<&str> = host.hooks().map(|hook| hook.name.as_str()).collect();
    assert_eq!(hooks, ["own", "all"], "by priority");
    let sink = host.sink().unwrap();
    let run = Arc::new(EventRun::new(Uuid::now_v7(), "orders", RunKey::default()));
    let event = |moment| Event::new(&run, Subject::Assertion, moment);
    sink.emit(vec![
        event(Moment::Error).with("severity", "P0"),
        event(Moment::Error).with("severity", "P1"),
        event(Moment::End),
    ]);
    assert_eq!(names(&ground.heard("own")), ["assertion.error"], "at once");
    host.shutdown();
    assert_eq!(names(&ground.heard("all")), ["assertion.end"]);
}

fn the_lower_number_hears_first() {
    let ground = Ground::new();
    let part = |priority: i64| {
        ground.watcher(
            "heard",
            json!({"priority": priority, "mode": "synchronous"}),
        )
    };
    let hooks = [
        ("a", part(30)),
        ("b", part(10)),
        ("c", part(-5)),
        ("d", part(10)),
    ];
    let mut configuration = ground.configuration(&[]);
    configuration.hooks = named(&hooks);
    let host = started(configuration);
    tell(&*host.sink().unwrap(), 2);
    let lines = ground.lines("heard");
    let order: Vec<&str> = lines
        .iter()
        .map(|line| line["hook"].as_str().unwrap())
        .collect();
    assert_eq!(order, ["c", "b", "d", "a", "c", "b", "d", "a"]);
}

fn the_run_waits_for_synchronous_hooks_alone() {
    let ground = Ground::new();
    let part = |mode: &str| {
        ground.watcher(
            mode,
            json!({"mode": mode, "handle": "be late", "millis": 1_500}),
        )
    };
    let host = started(configured(&ground, &[("queued", part("queued"))]));
    let begun = Instant::now();
    tell(&*host.sink().unwrap(), 1);
    assert!(
        begun.elapsed() < Duration::from_millis(1_000),
        "it is only queued"
    );
    host.shutdown();
    assert_eq!(
        ground
            .heard("queued")
            .iter()
            .filter(|one| one["event"] == "assertion.end")
            .count(),
        1
    );
    let host = started(configured(&ground, &[("synchronous", part("synchronous"))]));
    let begun = Instant::now();
    tell(&*host.sink().unwrap(), 1);
    assert!(begun.elapsed() >= Duration::from_millis(1_500));
    assert!(!ground.heard("synchronous").is_empty());
}

fn events_come_in_batches() {
    let ground = Ground::new();
    // While it is late with the first event the others gather.
    let late = json!({"batch": 7, "handle": "be late", "millis": 1_000, "times": 1});
    let mut configuration = ground.configuration(&[]);
    configuration.hooks = named(&[
        ("queued", ground.watcher("queued", late)),
        (
            "waits",
            ground.watcher("waits", json!({"batch": 7, "mode": "synchronous"})),
        ),
    ]);
    let host = started(configuration);
    let sink = host.sink().unwrap();
    tell(&*sink, 50);
    let run = Arc::new(EventRun::new(Uuid::now_v7(), "orders", RunKey::default()));
    let together = (0..17).map(|_| Event::new(&run, Subject::Check, Moment::End));
    sink.emit(together.collect());
    host.shutdown();
    let sizes = |file: &str| -> Vec<usize> {
        let lines = ground.lines(file).into_iter();
        let sizes = lines.filter_map(|line| Some(line["events"].as_array()?.len()));
        sizes.collect()
    };
    let queued = sizes("queued");
    assert_eq!(queued.iter().sum::<usize>(), 67);
    assert!(queued.iter().all(|&size| size <= 7), "{queued:?}");
    assert!(queued.contains(&7), "{queued:?}");
    let waits = sizes("waits");
    assert_eq!(waits[..50], [1; 50], "each is waited for");
    assert_eq!(
        waits[50..],
        [7, 7, 3],
        "what happens at once comes together"
    );
    let numbers: Vec<u64> = ground
        .heard("queued")
        .iter()
        .filter_map(|event| event["metadata"]["rows"].as_u64())
        .collect();
    assert_eq!(numbers, (0..50).collect::<Vec<u64>>(), "in order");
}

fn a_hook_remembers_from_run_to_run() {
    for (isolation, mode) in [
        ("thread", "queued"),
        ("thread", "synchronous"),
        ("process", "queued"),
        ("process", "synchronous"),
    ] {
        let ground = Ground::new();
        let part = json!({"isolation": isolation, "mode": mode, "counts": true,
            "events": ["assertion.*"], "time_limit": "60s", "batch": 3});
        let mut configuration = configured(&ground, &[("h", ground.watcher("heard", part))]);
        // A processor of the same name remembers other things.
        let player = ground.player(json!({"process": "count, and fail until 0"}));
        configuration.processors = named(&[("h", player)]);
        configuration.store = Some("sqlite:store.db".into());
        for run in 1..=3_u64 {
            let host = started(configuration.clone());
            tell(&*host.sink().unwrap(), 10);
            let delivered = deliver(&host, &report());
            assert_eq!(of(&delivered, "h").note, Some(format!("seen {run}")));
            let state = |name: &'static str| {
                let state = host.keep().with(|store, _| store.state("orders", name));
                state.unwrap().unwrap().1
            };
            assert_eq!(
                state("hook:h")["seen"],
                json!(run * 10),
                "{isolation}, {mode}"
            );
            assert_eq!(state("h")["seen"], json!(run));
            host.shutdown();
        }
    }
    // Without a store, as long as the host lives.
    let ground = Ground::new();
    let part = json!({"set": {"much": "x".repeat(70_000)}});
    let host = started(configured(&ground, &[("h", ground.watcher("heard", part))]));
    tell(&*host.sink().unwrap(), 1);
    let warnings = deliver(&host, &report()).warnings;
    assert!(
        warnings[0].starts_with("hook `h` failed: its state was not kept: it is 7"),
        "{warnings:?}"
    );
}

fn threads_that_meet_at_a_synchronous_hook_lose_nothing_it_remembers() {
    let ground = Ground::new();
    let part = json!({"use": "watcher", "mode": "synchronous", "counts": true,
        "events": ["assertion.*"], "time_limit": "60s"});
    let mut configuration = configured(&ground, &[("h", part)]);
    configuration.store = Some("sqlite:store.db".into());
    let host = started(configuration);
    let sink = host.sink().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| tell(&*sink, 250));
        }
    });
    host.shutdown();
    let host = ground.stored(&[]);
    let state = host.keep().with(|store, _| store.state("orders", "hook:h"));
    assert_eq!(state.unwrap().unwrap().1["seen"], json!(2_000));
}

/// Nothing on the way of an event may wait for a runtime: it would panic there.
fn hooks_can_be_told_from_inside_a_runtime() {
    let ask = json!([{"type": "log", "message": "m"}, {"type": "publish", "channel": "c",
        "message": 1}, {"type": "publish", "channel": "none", "message": 1},
        {"type": "metric", "name": "m", "value": 1}]);
    for isolation in ["thread", "process"] {
        for runtime in [
            tokio::runtime::Builder::new_current_thread(),
            tokio::runtime::Builder::new_multi_thread(),
        ] {
            let ground = Ground::new();
            let part = |mode: &str| {
                ground.watcher(
                    mode,
                    json!({"mode": mode, "isolation": isolation,
                    "counts": true, "actions": ask, "batch": 1, "time_limit": "60s", "events": ["assertion.*"]}),
                )
            };
            let mut configuration = ground.configuration(&[]);
            configuration.hooks = named(&[
                ("queued", part("queued")),
                ("synchronous", part("synchronous")),
            ]);
            configuration.channels = named(&[("c", ground.carrier(json!({})))]);
            configuration.store = Some("sqlite:store.db".into());
            let host = started(configuration);
            let sink = host.sink().unwrap();
            let mut runtime = runtime;
            let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                let told = tokio::spawn(async move { tell(&*sink, 20) });
                told.await.unwrap();
            });
            host.shutdown();
            for mode in ["queued", "synchronous"] {
                let record = record(&host, mode);
                assert_eq!((record.dropped, record.failed), (0, 0), "{record:?}");
            }
            assert_eq!(ground.lines("carried").len(), 40);
            // The last one who knows of a host may be a task of the engine.
            let sink = host.sink();
            runtime.block_on(async {
                drop(host);
                let dropped = tokio::spawn(async move { drop(sink) });
                dropped.await.unwrap();
            });
        }
    }
}

fn a_hook_is_flushed_after_the_last_event_and_what_it_then_asks_for_is_done() {
    for mode in ["queued", "synchronous"] {
        let ground = Ground::new();
        let notify = json!({"type": "notify", "to": "q", "message": {
            "id": Uuid::from_u128(7), "title": "digest", "run": report().run}});
        let part = json!({"mode": mode, "events": ["assertion.*"], "flush_actions":
            [{"type": "publish", "channel": "c", "message": "digest"}, notify]});
        let mut configuration = ground.configuration(&[("q", ground.stager(json!({})))]);
        configuration.hooks = named(&[("h", ground.watcher("heard", part))]);
        configuration.channels = named(&[("c", ground.carrier(json!({})))]);
        let host = started(configuration);
        let sink = host.sink().unwrap();
        tell(&*sink, 3);
        let delivered = deliver(&host, &report());
        assert_eq!(ground.lines("carried").len(), 1, "{mode}: {delivered:?}");
        assert_eq!(ground.calls("notify")[0]["title"], "digest");
        deliver(&host, &report());
        assert_eq!(ground.lines("carried").len(), 1, "nothing came since");
        // What comes as late as that is not forgotten.
        tell(&*sink, 3);
        assert_eq!(host.shutdown(), Vec::<String>::new(), "{mode}");
        assert_eq!(ground.lines("carried").len(), 2, "{mode}");
        assert_eq!(ground.calls("notify").len(), 2, "{mode}");
        let lines = ground.lines("heard");
        assert_eq!(lines.last().unwrap()["flush"], true);
        assert_eq!(record(&host, "h").handled, 6);
    }
}

fn executables_are_hooks_too() {
    let ground = Ground::new();
    let script = format!(
        r#"import json, sys
out = open({:?}, "a")
for line in sys.stdin:
    request = json.loads(line)
    kind = request["type"]
    if kind == "start":
        print(json.dumps({{"type": "ready"}}), flush=True)
    elif kind == "stop":
        break
    else:
        seen = request["context"]["state"].get("seen", 0) + len(request.get("events", []))
        names = [event["event"] for event in request.get("events", [])]
        out.write(json.dumps({{"type": kind, "names": names, "seen": seen}}) + "\n")
        out.flush()
        actions = [{{"type": "log", "message": kind}}, {{"type": "dance"}}] if kind == "flush" else []
        print(json.dumps({{"type": "outcome", "status": "done", "actions": actions,
            "state": {{"seen": seen}}}}), flush=True)
"#,
        ground.file("heard")
    );
    let folder = ground.folder.join("plugins/observer");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("observer.py"), script).unwrap();
    std::fs::write(
        folder.join("plugin.yaml"),
        "name: observer\nkind: hook\nversion: 1.0.0\ndescription: Observes\n\
         command: [python3, observer.py]\n\
         subscription: {events: [assertion.*], where: {rows: {min: 5}}}\n",
    )
    .unwrap();
    let mut configuration = configured(&ground, &[("observer", json!({"time_limit": "60s"}))]);
    configuration.directories = vec!["plugins".into()];
    configuration.store = Some("sqlite:store.db".into());
    for run in 1..=2_u64 {
        let host = started(configuration.clone());
        assert!(host.broken().is_empty(), "{:?}", host.broken());
        tell(&*host.sink().unwrap(), 10);
        let delivered = deliver(&host, &report());
        assert_eq!(delivered.lines[0].message, "flush");
        assert_eq!(delivered.lines[0].from, "observer");
        let warnings = delivered.warnings;
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(
            warnings[0].starts_with("hook `observer`: an action it asked for cannot be read: "),
            "{warnings:?}"
        );
        assert_eq!(host.shutdown(), Vec::<String>::new());
        let lines = ground.lines("heard");
        assert_eq!(
            lines.last().unwrap(),
            &json!({"type": "flush", "names": [], "seen": run * 5})
        );
        let record = record(&host, "observer");
        assert_eq!((record.handled, record.failed), (5, 0), "{record:?}");
    }
}

fn wrong_settings_of_hooks_are_told() {
    let ground = Ground::new();
    let hook = |part: Value| {
        let mut configuration = ground.configuration(&[]);
        configuration.hooks = named(&[("h", part)]);
        let error = Host::prepare(configuration).unwrap_err();
        let told: Vec<String> = error.0.iter().map(ToString::to_string).collect();
        told.join("\n")
    };
    let cases = [
        (
            json!({"use": "watchr"}),
            "hooks.h.use: unknown hook `watchr`, did you mean `watcher`?",
        ),
        (
            json!({"use": "watcher", "events": ["suite.end", "asertion.*"]}),
            "hooks.h.events[1]: no event is called `asertion.*`, did you mean `assertion.",
        ),
        (json!({"use": "watcher", "mode": "sync"}), "hooks.h.mode: "),
        (
            json!({"use": "watcher", "capacity": 0}),
            "hooks.h.capacity: ",
        ),
        (json!({"use": "watcher", "batch": 0}), "hooks.h.batch: "),
        (
            json!({"use": "watcher", "overflow": "drop"}),
            "hooks.h.overflow: ",
        ),
        (
            json!({"use": "watcher", "time_limit": "soon"}),
            "hooks.h.time_limit: `soon` is no time",
        ),
        (
            json!({"use": "watcher", "where": {"outcome": {"mni": 1}}}),
            "hooks.h.where.outcome: expected a value, a list of values, or bounds: `min`, `max`",
        ),
        (
            json!({"use": "watcher", "where": {"outcom": "failed"}}),
            "hooks.h.where.outcom: no event has such a field, did you mean `outcome`?",
        ),
        (
            json!({"use": "watcher", "where": {"duration_ms": {"min": 2, "max": 1}}}),
            "hooks.h.where.duration_ms: nothing is from 2 to 1",
        ),
        (
            json!({"use": "watcher", "retries": 3}),
            "hooks.h.retries: unknown key",
        ),
        (
            json!({"use": "watcher", "handel": "x"}),
            "hooks.h.handel: unknown key, did you mean `handle`?",
        ),
        (
            json!({"use": "player"}),
            "hooks.h.use: unknown hook `player`",
        ),
    ];
    for (part, expected) in cases {
        let told = hook(part.clone());
        assert!(told.starts_with(expected), "{part}: {told}");
    }
    // One that hears nothing is one.
    let mut configuration = ground.configuration(&[]);
    configuration.hooks = named(&[("h", json!({"use": "watcher", "events": []}))]);
    assert!(Host::prepare(configuration).is_ok());
}
