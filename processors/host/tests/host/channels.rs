//! Channels, and requests to URLs: known or not, good or bad.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use veracity_host::Host;
use veracity_processor::ActionKind;
use veracity_processor::DeliveryStatus::Delivered;

use crate::actions::{asking, done, executable, notify, publish};
use crate::ground::{
    Ground, SLACK, assert_ended, deliver, deliver_within, named, of, report, started,
};
use crate::taps::Tap;
use crate::{Test, tests};

pub const TESTS: &[Test] = tests![
    unknown_targets_say_what_there_is,
    channels_that_misbehave_harm_nobody,
    messages_to_a_channel_keep_their_order,
    a_request_goes_through_the_channel_webhook,
    requests_that_cannot_be_made_are_told_without_secrets,
    asked_to_end_nobody_waits_for_actions,
    executables_are_channels_too,
    wrong_settings_of_channels_are_told,
];

fn unknown_targets_say_what_there_is() {
    let cases: &[(Value, &[&str], &str)] = &[
        (
            publish("spol", 1),
            &["spool", "file"],
            "publish to `spol`, which failed: there is no channel `spol`, did you mean \
             `spool`?; there are `file`, `spool`",
        ),
        (
            publish("spool", 1),
            &[],
            "publish to `spool`, which failed: there is no channel `spool`; none is configured",
        ),
        (
            notify("oncal", "t"),
            &[],
            "notify to `oncal`, which failed: there is no processor `oncal`, did you mean \
             `oncall`?; there are `oncall`, `p`",
        ),
        (
            notify("player", "t"),
            &[],
            "notify to `player`, which failed: `player` takes reports, no messages",
        ),
        (
            notify("off", "t"),
            &[],
            "notify to `off`, which failed: `off` is switched off: `enabled` is false",
        ),
    ];
    for (action, channels, expected) in cases {
        let ground = Ground::new();
        let channels: Vec<(&str, Value)> = channels
            .iter()
            .map(|&name| (name, ground.carrier(json!({}))))
            .collect();
        let mut configuration = asking(&ground, std::slice::from_ref(action), &channels);
        configuration
            .processors
            .push(("oncall".to_owned(), ground.stager(json!({}))));
        if action["to"] == "player" {
            let player = ground.player(json!({}));
            configuration.processors.push(("player".to_owned(), player));
        }
        if action["to"] == "off" {
            let off = ground.stager(json!({"enabled": false}));
            configuration.processors.push(("off".to_owned(), off));
        }
        let host = started(configuration);
        let delivered = deliver(&host, &report());
        assert_ended(of(&delivered, "p"), Delivered, "");
        let expected = format!("`p` asked for an action, {expected}");
        assert_eq!(delivered.warnings, [expected]);
        assert_eq!(of(&delivered, "p").actions[0].attempts, 0);
    }
}

fn channels_that_misbehave_harm_nobody() {
    let acts = [
        ("publish", "panic", "thread"),
        ("publish", "never be ready", "thread"),
        ("publish", "block", "thread"),
        ("publish", "abort", "process"),
        ("publish", "never be ready", "process"),
        ("startup", "panic", "thread"),
        ("startup", "never be ready", "thread"),
        ("shutdown", "panic", "thread"),
        ("shutdown", "never be ready", "thread"),
    ];
    for (call, act, isolation) in acts {
        let ground = Ground::new();
        let limit = match (isolation, act) {
            ("process", "abort") => "10s",
            ("process", _) => "3s",
            _ => "1s",
        };
        let mut part = json!({"isolation": isolation, "time_limit": limit, "millis": 600_000,
            "retries": 1});
        part[call] = act.into();
        let channels = [
            ("bad", ground.carrier(part)),
            ("good", ground.carrier(json!({}))),
        ];
        let bad = (0..5).map(|number| publish("bad", number));
        let good = (0..5).map(|number| publish("good", number));
        let actions: Vec<Value> = bad.chain(good).collect();
        let host = started(asking(&ground, &actions, &channels));
        let delivered = deliver_within(&host, &report(), Duration::from_secs(60));
        let at = format!("{call}: {act}, {isolation}");
        assert_ended(of(&delivered, "p"), Delivered, "");
        let records = &of(&delivered, "p").actions;
        let failed = |name: &str| {
            let of = records
                .iter()
                .filter(|one| one.target.as_deref() == Some(name));
            of.filter(|one| one.error.is_some()).count()
        };
        assert_eq!(records.len(), 10, "{at}");
        assert_eq!(failed("good"), 0, "{at}: {records:?}");
        assert_eq!(
            failed("bad"),
            if call == "shutdown" { 0 } else { 5 },
            "{at}: {records:?}"
        );
        let begun = Instant::now();
        let warnings = host.shutdown();
        assert!(begun.elapsed() < Duration::from_secs(15) + SLACK, "{at}");
        if call == "shutdown" {
            let told = "channel `bad` did not end well: ";
            assert!(warnings[0].starts_with(told), "{at}: {warnings:?}");
        }
    }
}

fn messages_to_a_channel_keep_their_order() {
    let ground = Ground::new();
    let mut processors = Vec::new();
    for name in ["a", "b", "c", "d"] {
        let actions: Vec<Value> = (0..50)
            .map(|number| publish("c", json!([name, number])))
            .collect();
        processors.push((name, ground.stager(json!({"actions": actions}))));
    }
    let mut configuration = ground.configuration(&processors);
    configuration.channels = named(&[("c", ground.carrier(json!({})))]);
    let host = started(configuration);
    deliver(&host, &report());
    let carried = ground.lines("carried");
    assert_eq!(carried.len(), 200);
    for name in ["a", "b", "c", "d"] {
        let of_one = carried.iter().map(|one| &one["parcel"]["message"]);
        let of_one = of_one.filter(|message| message[0] == name);
        let numbers: Vec<u64> = of_one.map(|message| message[1].as_u64().unwrap()).collect();
        assert_eq!(numbers, (0..50).collect::<Vec<u64>>(), "{name}");
    }
}

fn request(url: &str) -> Value {
    json!({"type": "webhook", "url": url, "body": {"n": 1},
        "headers": {"authorization": "Bearer 0123456789abcdef"}})
}

fn a_request_goes_through_the_channel_webhook() {
    let ground = Ground::new();
    let url = "https://user:hunter22@hooks.example.org/services/T0/B0/secretsecret?token=0123456789abcdef";
    let mut configuration = asking(&ground, &[request(url), request(url)], &[]);
    configuration
        .webhooks
        .insert("carried".to_owned(), ground.file("carried").into());
    configuration.webhooks.insert("until".to_owned(), 2.into());
    let host = started(configuration);
    let delivered = deliver(&host, &report());
    let mut record = done(ActionKind::Webhook, Some("hooks.example.org"));
    record.attempts = 2;
    assert_eq!(of(&delivered, "p").actions, [record.clone(), record]);
    assert_eq!(delivered.warnings, Vec::<String>::new());
    let carried = ground.lines("carried");
    assert_eq!(carried.len(), 4);
    for one in &carried {
        assert_eq!(
            one["request"],
            json!({"url": url, "raw": true,
                "headers": {"authorization": "Bearer 0123456789abcdef"}})
        );
        assert_eq!(one["parcel"]["message"], json!({"n": 1}));
    }
    let keys: Vec<&Value> = carried.iter().map(|one| &one["key"]).collect();
    assert_eq!((keys[0], keys[2]), (keys[1], keys[3]));
    assert_ne!(keys[0], keys[2]);
    assert_eq!(host.shutdown(), Vec::<String>::new());
}

fn requests_that_cannot_be_made_are_told_without_secrets() {
    let secrets = [
        "hunter22",
        "secretsecret",
        "0123456789abcdef",
        "of the suite",
    ];
    let url = "https://user:hunter22@hooks.example.org/secretsecret?token=0123456789abcdef";
    let cases = [
        (
            request(url),
            json!({"until": 9, "retries": 0}),
            "not yet ***",
        ),
        (request(url), json!({"publish": "permanent"}), "refused"),
        (request("ftp://h/secretsecret"), json!({}), "url: not ***"),
        (request("secretsecret"), json!({}), "not ***"),
        (
            request(url),
            json!({"no_such_setting": 1}),
            "no_such_setting: unknown key",
        ),
    ];
    for (action, settings, expected) in cases {
        let ground = Ground::new();
        let mut configuration = asking(&ground, std::slice::from_ref(&action), &[]);
        configuration.secrets = vec!["of the suite".to_owned()];
        configuration.webhooks = settings.as_object().unwrap().clone();
        let host = started(configuration);
        let tap = Tap::on(&host);
        let delivered = deliver(&host, &report());
        let record = &of(&delivered, "p").actions[0];
        let error = record.error.as_deref().unwrap();
        assert!(error.contains(expected), "{action}: {error}");
        host.shutdown();
        let shown = format!("{delivered:?} {:?}", tap.events());
        for secret in secrets {
            assert!(!shown.contains(secret), "{secret}: {shown}");
        }
    }
}

fn asked_to_end_nobody_waits_for_actions() {
    for part in [
        json!({"publish": "never be ready", "time_limit": "10min"}),
        json!({"publish": "block", "millis": 600_000, "time_limit": "10min"}),
        json!({"publish": "retryable", "retries": 100}),
    ] {
        let ground = Ground::new();
        let actions: Vec<Value> = (0..20).map(|number| publish("c", number)).collect();
        let host = started(asking(
            &ground,
            &actions,
            &[("c", ground.carrier(part.clone()))],
        ));
        let stop = host.stop();
        let asks = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(1));
            stop.within(Duration::from_secs(1));
        });
        let begun = Instant::now();
        let delivered = deliver_within(&host, &report(), Duration::from_secs(5));
        asks.join().unwrap();
        assert_ended(of(&delivered, "p"), Delivered, "");
        let warnings = host.shutdown();
        assert!(begun.elapsed() < Duration::from_secs(8) + SLACK, "{part}");
        // What was not done is told, here or there.
        let text = format!("{:?} {warnings:?}", delivered.warnings);
        assert!(
            text.contains("which failed: ") || text.contains("took too long"),
            "{part}: {text}"
        );
    }
}

fn executables_are_channels_too() {
    let ground = Ground::new();
    executable(
        &ground,
        "channel",
        "fax",
        r#"{"type":"outcome","status":"done"}"#,
    );
    executable(
        &ground,
        "channel",
        "busy",
        r#"{"type":"error","message":"engaged","retryable":false}"#,
    );
    let channels = [
        ("fax", json!({"time_limit": "60s"})),
        ("line", json!({"use": "busy", "time_limit": "60s"})),
    ];
    let mut actions = vec![publish("fax", "hello"), publish("line", 1)];
    actions[0]["key"] = "k".into();
    let mut configuration = asking(&ground, &actions, &channels);
    configuration.directories = vec!["plugins".into()];
    let host = started(configuration);
    assert!(host.broken().is_empty(), "{:?}", host.broken());
    let delivered = deliver(&host, &report());
    assert_eq!(
        delivered.warnings,
        ["`p` asked for an action, publish to `line`, which failed: engaged"]
    );
    let asked = &ground.lines("fax")[0];
    assert_eq!(asked["type"], "publish");
    assert_eq!(
        asked["parcel"],
        json!({"message": "hello", "key": "k", "from": "p", "suite": "orders"})
    );
    assert_eq!(host.shutdown(), Vec::<String>::new());
}

fn wrong_settings_of_channels_are_told() {
    let ground = Ground::new();
    let cases = [
        (
            json!({"use": "carier"}),
            "channels.c.use: unknown channel `carier`, did you mean `carrier`?",
        ),
        (
            json!({"use": "carrier", "priority": 3}),
            "channels.c.priority: unknown key",
        ),
        (
            json!({"use": "carrier", "retries": 101}),
            "channels.c.retries: ",
        ),
        (
            json!({"use": "carrier", "publsh": "x"}),
            "channels.c.publsh: unknown key, did you mean `publish`?",
        ),
        (
            json!({"use": "watcher"}),
            "channels.c.use: unknown channel `watcher`",
        ),
        (
            json!({"use": "carrier", "memory_limit": "1GiB"}),
            "channels.c.memory_limit: needs `isolation: process`",
        ),
    ];
    for (part, expected) in cases {
        let mut configuration = ground.configuration(&[]);
        configuration.channels = named(&[("c", part.clone())]);
        let error = Host::prepare(configuration).unwrap_err();
        let told = error.0[0].to_string();
        assert!(told.starts_with(expected), "{part}: {told}");
    }
}
