//! What plugins ask the host to do: done with retries, recorded, never fatal.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use uuid::Uuid;
use veracity_host::Configuration;
use veracity_processor::DeliveryStatus::Delivered;
use veracity_processor::{ActionKind, ActionRecord, Upcoming};

use crate::ground::{Ground, assert_ended, deliver, named, of, report, started};
use crate::taps::Tap;
use crate::{Test, tests};

pub const TESTS: &[Test] = tests![
    what_processors_gates_and_hooks_ask_for_is_done_and_recorded,
    what_fails_is_tried_again_under_the_same_key,
    a_thousand_actions_and_no_more,
    what_cannot_be_read_is_told,
    lines_and_errors_show_no_secrets_and_no_commands,
    what_is_measured_is_seen_by_who_may_see_it,
    what_is_delivered_again_asks_under_the_same_key,
];

pub fn publish(channel: &str, message: impl Into<Value>) -> Value {
    json!({"type": "publish", "channel": channel, "message": message.into()})
}

fn log(message: &str) -> Value {
    json!({"type": "log", "message": message})
}

pub fn notify(to: &str, title: &str) -> Value {
    json!({"type": "notify", "to": to, "message": {"id": Uuid::from_u128(1), "title": title,
        "run": report().run}})
}

/// A stager called `p` that asks for `actions`, and `channels`.
pub fn asking(ground: &Ground, actions: &[Value], channels: &[(&str, Value)]) -> Configuration {
    let mut configuration =
        ground.configuration(&[("p", ground.stager(json!({"actions": actions})))]);
    configuration.channels = named(channels);
    configuration
}

pub fn done(kind: ActionKind, target: Option<&str>) -> ActionRecord {
    let mut record = ActionRecord::done(kind);
    record.target = target.map(str::to_owned);
    record
}

fn what_processors_gates_and_hooks_ask_for_is_done_and_recorded() {
    for isolation in ["thread", "process"] {
        let ground = Ground::new();
        let p = json!({"actions": [publish("c", json!({"a": 1})), log("from p"), notify("q", "hello"),
                {"type": "metric", "name": "m", "value": 2.5}],
            "gate_actions": [publish("c", "from the gate")], "isolation": isolation,
            "time_limit": "60s"});
        let hook = json!({"events": ["delivery.end"], "where": {"processor": "p"},
            "actions": [publish("c", "from the hook"), log("from the hook")]});
        let mut configuration = ground.configuration(&[
            ("p", ground.stager(p)),
            (
                "q",
                ground.stager(json!({"isolation": isolation, "time_limit": "60s"})),
            ),
        ]);
        configuration.hooks = named(&[("h", ground.watcher("heard", hook))]);
        let carrier = json!({"isolation": isolation, "time_limit": "60s"});
        configuration.channels = named(&[("c", ground.carrier(carrier))]);
        let host = started(configuration);
        let tap = Tap::on(&host);
        let report = report();
        let upcoming = Upcoming::of(&report);
        host.announce(&upcoming);
        let before = host.before_run(&upcoming);
        assert!(
            before.closed.is_none() && before.warnings.is_empty(),
            "{before:?}"
        );
        let delivered = deliver(&host, &report);
        assert_eq!(delivered.warnings, Vec::<String>::new());
        let mut of_p = of(&delivered, "p").actions.clone();
        of_p.sort_by_key(|record| record.kind);
        assert_eq!(
            of_p,
            [
                done(ActionKind::Publish, Some("c")),
                done(ActionKind::Log, None),
                done(ActionKind::Metric, None),
                done(ActionKind::Notify, Some("q")),
            ]
        );
        let mut others = delivered.actions.clone();
        others.sort_by_key(|(name, record)| (name.clone(), record.kind));
        assert_eq!(
            others,
            [
                ("h".to_owned(), done(ActionKind::Publish, Some("c"))),
                ("h".to_owned(), done(ActionKind::Log, None)),
                ("p".to_owned(), done(ActionKind::Publish, Some("c"))),
            ]
        );
        let lines: BTreeSet<(&str, &str)> = delivered
            .lines
            .iter()
            .map(|line| (line.from.as_str(), line.message.as_str()))
            .collect();
        assert_eq!(
            lines,
            BTreeSet::from([("h", "from the hook"), ("p", "from p")])
        );
        let carried = ground.lines("carried");
        let parcels: BTreeSet<String> = carried
            .iter()
            .map(|one| one["parcel"].to_string())
            .collect();
        let parcel = |message: Value, from: &str| {
            json!({"message": message, "from": from, "suite": "orders"}).to_string()
        };
        assert_eq!(
            parcels,
            BTreeSet::from([
                parcel(json!({"a": 1}), "p"),
                parcel("from the gate".into(), "p"),
                parcel("from the hook".into(), "h"),
            ])
        );
        let told = ground.calls("notify");
        assert_eq!((told.len(), &told[0]["title"]), (1, &json!("hello")));
        assert_eq!(told[0]["instance"], "q");
        let keys: BTreeSet<&str> = carried
            .iter()
            .chain(&told)
            .map(|one| one["key"].as_str().unwrap())
            .collect();
        assert_eq!(keys.len(), 4, "each its own: {keys:?}");
        host.shutdown();
        let mut events = tap.lines(
            "action.*",
            &["type", "target", "level", "message", "attempts"],
        );
        events.sort();
        assert_eq!(
            events,
            [
                "action.end h type=log level=info message=from the hook attempts=1",
                "action.end h type=publish target=c attempts=1",
                "action.end p type=log level=info message=from p attempts=1",
                "action.end p type=notify target=q attempts=1",
                "action.end p type=publish target=c attempts=1",
                "action.end p type=publish target=c attempts=1",
            ]
        );
    }
}

fn what_fails_is_tried_again_under_the_same_key() {
    let ground = Ground::new();
    let channels = [
        ("good", ground.carrier(json!({"until": 3}))),
        (
            "bad",
            ground.carrier(json!({"publish": "retryable", "retries": 2})),
        ),
        ("never", ground.carrier(json!({"publish": "permanent"}))),
        (
            "unready",
            ground.carrier(json!({"startup": "retryable", "retries": 1})),
        ),
    ];
    let names = ["good", "bad", "never", "unready"];
    let actions = names.map(|name| publish(name, name));
    let host = started(asking(&ground, &actions, &channels));
    let tap = Tap::on(&host);
    let delivered = deliver(&host, &report());
    assert_ended(of(&delivered, "p"), Delivered, "");
    let records = &of(&delivered, "p").actions;
    let expected = [
        ("good", 3, None),
        ("bad", 3, Some("busy")),
        ("never", 1, Some("refused")),
        ("unready", 2, Some("busy")),
    ];
    assert_eq!(records.len(), expected.len());
    for (name, attempts, error) in expected {
        let mut found = records.iter();
        let record = found
            .find(|record| record.target.as_deref() == Some(name))
            .unwrap();
        assert_eq!(
            (record.attempts, record.error.as_deref()),
            (attempts, error),
            "{name}"
        );
        if let Some(error) = error {
            let told =
                format!("`p` asked for an action, publish to `{name}`, which failed: {error}");
            assert!(
                delivered.warnings.contains(&told),
                "{:?}",
                delivered.warnings
            );
        }
        let mut carried = ground.lines("carried");
        carried.retain(|one| one["instance"] == name);
        let keys: BTreeSet<&str> = carried
            .iter()
            .map(|one| one["key"].as_str().unwrap())
            .collect();
        assert!(keys.len() == 1 || name == "unready", "{name}: {carried:?}");
        let numbers: Vec<u64> = carried
            .iter()
            .map(|one| one["attempt"].as_u64().unwrap())
            .collect();
        if name != "unready" {
            assert_eq!(numbers, (1..=u64::from(attempts)).collect::<Vec<u64>>());
        }
    }
    assert_eq!(delivered.warnings.len(), 3, "{:?}", delivered.warnings);
    assert!(delivered.is_complete());
    let mut retries = tap.lines("action.retry", &["target", "attempts"]);
    retries.sort();
    assert_eq!(
        retries,
        [
            "action.retry p target=bad attempts=1",
            "action.retry p target=bad attempts=2",
            "action.retry p target=good attempts=1",
            "action.retry p target=good attempts=2",
            "action.retry p target=unready attempts=1",
        ]
    );
    host.shutdown();
}

fn a_thousand_actions_and_no_more() {
    let ground = Ground::new();
    let many: Vec<Value> = (0..1_200).map(|number| log(&number.to_string())).collect();
    let mut configuration = asking(&ground, &many, &[("c", ground.carrier(json!({})))]);
    let few = ground.stager(json!({"actions": [publish("c", 1)]}));
    configuration.processors.push(("q".to_owned(), few));
    let host = started(configuration);
    for _ in 0..2 {
        let report = report();
        host.announce(&Upcoming::of(&report));
        let delivered = deliver(&host, &report);
        let records = &of(&delivered, "p").actions;
        assert_eq!(records.len(), 1_001);
        let failed: Vec<&ActionRecord> = records
            .iter()
            .filter(|record| record.error.is_some())
            .collect();
        assert_eq!(failed.len(), 1);
        assert_eq!(delivered.lines.len(), 1_000);
        assert_eq!(
            delivered.warnings,
            ["`p` asked for an action, log, which failed: it asked for more than 1000 actions"]
        );
        // In each run, and not at the cost of others.
        assert_eq!(
            of(&delivered, "q").actions,
            [done(ActionKind::Publish, Some("c"))]
        );
    }
}

/// An executable called `name` of `kind` that answers everything but start and stop with
/// `answer`, and writes what it was asked into `file`.
pub fn executable(ground: &Ground, kind: &str, name: &str, answer: &str) {
    let folder = ground.folder.join("plugins").join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let script = format!(
        r#"while read -r line; do case $line in *'"type":"start"'*) echo '{{"type":"ready"}}';; *'"type":"stop"'*) exit;; *) echo "$line" >> {}; echo '{answer}';; esac; done"#,
        ground.file(name)
    );
    let script = serde_json::to_string(&script).unwrap();
    let manifest = format!(
        "name: {name}\nkind: {kind}\nversion: 1.0.0\ndescription: x\ncommand: [sh, -c, {script}]\n"
    );
    std::fs::write(folder.join("plugin.yaml"), manifest).unwrap();
}

fn what_cannot_be_read_is_told() {
    let ground = Ground::new();
    let answer = r#"{"type":"outcome","status":"done","note":"n","actions":[{"type":"dance"},{"type":"log","message":"fine"},{"type":"publish"},7]}"#;
    executable(&ground, "processor", "odd", answer);
    let mut configuration = ground.configuration(&[("odd", json!({}))]);
    configuration.directories = vec!["plugins".into()];
    let host = started(configuration);
    let delivered = deliver(&host, &report());
    let delivery = of(&delivered, "odd");
    assert_ended(delivery, Delivered, "");
    let note = delivery.note.as_deref().unwrap();
    assert!(
        note.starts_with("n; an action it asked for cannot be read: unknown variant `dance`"),
        "{note}"
    );
    assert_eq!(
        note.matches("an action it asked for cannot be read")
            .count(),
        3,
        "{note}"
    );
    assert_eq!(delivery.actions, [done(ActionKind::Log, None)]);
    assert_eq!(delivered.lines[0].message, "fine");
}

fn lines_and_errors_show_no_secrets_and_no_commands() {
    let ground = Ground::new();
    let part = json!({"process": "log the password", "password": "hunter22"});
    let host = started(ground.configuration(&[("p", ground.stager(part))]));
    let tap = Tap::on(&host);
    let delivered = deliver(&host, &report());
    host.shutdown();
    let line = &delivered.lines[0];
    assert!(line.message.starts_with("it is ***"), "{line:?}");
    assert_eq!(
        Value::Object(line.fields.clone()),
        json!({"of": "***", "list": ["***"], "n": 1})
    );
    let records = &of(&delivered, "p").actions;
    assert_eq!(records.len(), 3);
    let events = json!(tap.events()).to_string();
    let shown = format!("{:?} {delivered:?} {events}", delivered.lines);
    assert!(!shown.contains("hunter22"), "{shown}");
    let texts = delivered.lines.iter().map(|line| line.message.as_str());
    let errors = records.iter().filter_map(|record| record.error.as_deref());
    let targets = records.iter().filter_map(|record| record.target.as_deref());
    for text in texts
        .chain(errors)
        .chain(targets)
        .chain(delivered.warnings.iter().map(|w| &**w))
    {
        assert!(!text.contains(['\n', '\r', '\u{1b}']), "{text:?}");
    }
    // A line of any length, with facts of any size, stays bearable.
    let ground = Ground::new();
    let long = json!({"type": "log", "message": "x".repeat(100_000), "fields": {"y": "y".repeat(100_000)}});
    let host = started(asking(&ground, &[long], &[]));
    let delivered = deliver(&host, &report());
    let line = &delivered.lines[0];
    assert!(line.message.len() < 5_000);
    let fields = Value::Object(line.fields.clone()).to_string();
    assert!(
        fields.contains("left out: ") && fields.len() < 200,
        "{fields}"
    );
}

fn what_is_measured_is_seen_by_who_may_see_it() {
    let ground = Ground::new();
    let metric = |name: &str, value: Value| {
        json!({"type": "metric", "name": name, "value": value,
        "labels": {"suite": "orders"}})
    };
    let first = json!({"actions": [metric("m_total", 1.into()), metric("m_total", 2.into()),
        metric("not a name", 1.into()), {"type": "metric", "name": "l", "value": 1,
            "labels": {"1x": "y"}}]});
    let mut configuration = ground.configuration(&[
        ("first", ground.stager(first)),
        (
            "second",
            ground.stager(json!({"use": "watchful", "priority": 200})),
        ),
        ("third", ground.stager(json!({"priority": 200}))),
    ]);
    // The hook states what it counted when somebody is about to read it.
    let hook = json!({"flush_actions": [metric("hook_total", 7.into())]});
    configuration.hooks = named(&[("h", ground.watcher("heard", hook))]);
    let host = started(configuration);
    let report = report();
    host.announce(&Upcoming::of(&report));
    let delivered = deliver(&host, &report);
    let metrics = |name: &str| {
        let calls = ground.calls("process");
        let call = calls.iter().rfind(|call| call["instance"] == name).unwrap();
        call["metrics"].clone()
    };
    assert_eq!(metrics("second"), json!(["hook_total=7", "m_total=2"]));
    assert_eq!(metrics("third"), json!([]));
    let errors: Vec<&str> = of(&delivered, "first")
        .actions
        .iter()
        .filter_map(|record| record.error.as_deref())
        .collect();
    assert_eq!(
        errors,
        [
            "`not a name` is no name of a metric",
            "`1x` is no name of a label"
        ]
    );
    // Those of an earlier run are not those of the next one.
    let next = Upcoming::of(&crate::ground::report());
    host.announce(&next);
    host.before_run(&next);
    let calls = ground.calls("before_run");
    let asked = calls
        .iter()
        .find(|call| call["instance"] == "second")
        .unwrap();
    assert_eq!(asked["metrics"], json!([]));
}

fn what_is_delivered_again_asks_under_the_same_key() {
    let ground = Ground::new();
    let actions = [publish("c", 1), publish("c", 2)];
    let mut configuration = asking(&ground, &actions, &[("c", ground.carrier(json!({})))]);
    configuration.processors[0].1["gate_actions"] = json!([publish("c", 0)]);
    let report = report();
    let upcoming = Upcoming::of(&report);
    let host = started(configuration.clone());
    host.announce(&upcoming);
    host.before_run(&upcoming);
    deliver(&host, &report);
    host.shutdown();
    // By another process, as if this one had been killed before it could say that it was done.
    let host = started(configuration);
    deliver(&host, &report);
    host.shutdown();
    let carried = ground.lines("carried");
    let carried = carried.iter();
    let keys: Vec<(String, String)> = carried
        .map(|one| (one["parcel"]["message"].to_string(), one["key"].to_string()))
        .collect();
    assert_eq!(keys.len(), 5, "{keys:?}");
    assert_eq!(keys[1..3], keys[3..5]);
    let different: BTreeSet<&String> = keys.iter().map(|(_, key)| key).collect();
    assert_eq!(different.len(), 3);
}
