//! What is wrong is told before anything runs: all of it, with its place.

use serde_json::{Value, json};
use veracity_host::{Configuration, Host, Registry};
use veracity_processor::DeliveryStatus::{Dead, Delivered};
use veracity_processor::{Kind, PLUGIN_API_VERSION, Plugin};

use crate::ground::{Ground, assert_ended, deliver, of, report};
use crate::player::Player;
use crate::{Test, tests};

pub const TESTS: &[Test] = tests![
    two_plugins_of_one_name_are_refused_with_both_origins,
    an_unknown_processor_comes_with_the_nearest_name,
    a_plugin_for_another_version_is_told_and_the_others_run,
    a_plugin_that_panics_when_asked_about_itself_is_told_and_the_others_run,
    who_cannot_be_used_is_known_before_anything_starts,
    who_waits_in_a_circle_is_told_the_circle,
    who_comes_after_nobody_is_told_so,
    everything_that_is_wrong_is_told_at_once_with_its_place,
    an_order_that_cannot_be_is_told_with_wrong_settings,
    a_memory_limit_that_would_do_nothing_is_refused,
    a_filter_that_could_never_match_is_refused,
    preparing_opens_and_starts_nothing,
];

static ONE: Plugin = Plugin::processor::<Player>("twin", "1.2.0").from_crate("one_crate");
static OTHER: Plugin = Plugin::processor::<Player>("twin", "7.0.1").from_crate("other_crate");

fn two_plugins_of_one_name_are_refused_with_both_origins() {
    let registry = Registry::default();
    registry.register(&ONE).unwrap();
    assert_eq!(
        registry.register(&OTHER).unwrap_err().to_string(),
        "two plugins are processor `twin`: 1.2.0 of `one_crate` and 7.0.1 of `other_crate`"
    );
    let entry = registry.get(Kind::Processor, "twin").unwrap();
    assert_eq!(entry.origin(), "one_crate", "the first stays");
}

/// What is wrong with `processors`, as `path: message`.
fn wrong(processors: &[(&str, Value)]) -> Vec<String> {
    wrong_with(Ground::new().configuration(processors))
}

fn wrong_with(configuration: Configuration) -> Vec<String> {
    let error = Host::prepare(configuration).unwrap_err();
    let told = error.0.into_iter();
    told.map(|error| format!("{}: {}", error.path, error.message))
        .collect()
}

#[track_caller]
fn assert_begin(told: &[String], expected: &[&str]) {
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.starts_with(expected), "no `{expected}`: {told}");
    }
}

fn an_unknown_processor_comes_with_the_nearest_name() {
    let told = wrong(&[("x", json!({"use": "plyer"})), ("folower", Value::Null)]);
    assert_begin(
        &told,
        &[
            "/x/use: unknown processor `plyer`, did you mean `player`?; there are ",
            "/folower: unknown processor `folower`, did you mean `follower`?; there are ",
        ],
    );
    assert!(told[0].contains("is not linked"), "{told:?}");
}

fn a_plugin_for_another_version_is_told_and_the_others_run() {
    let ground = Ground::new();
    let host = ground.host(&[
        (
            "future",
            json!({"use": "from-the-future", "required": true}),
        ),
        ("p", ground.player(json!({}))),
    ]);
    let delivered = deliver(&host, &report());
    let expected = format!(
        "`from-the-future` 3.2.1 needs version `2.0` of the plugin API; this program has \
         {PLUGIN_API_VERSION} and takes "
    );
    assert_ended(of(&delivered, "future"), Dead, &expected);
    assert_ended(of(&delivered, "p"), Delivered, "");
    assert!(!delivered.is_complete());
    assert_eq!(host.shutdown(), Vec::<String>::new());
}

fn a_plugin_that_panics_when_asked_about_itself_is_told_and_the_others_run() {
    let ground = Ground::new();
    let host = ground.host(&[("mute", Value::Null), ("p", ground.player(json!({})))]);
    let delivered = deliver(&host, &report());
    let told = "asked about itself, it gives no answer: panicked: text at ";
    assert_ended(of(&delivered, "mute"), Dead, told);
    assert_ended(of(&delivered, "p"), Delivered, "");
}

fn who_cannot_be_used_is_known_before_anything_starts() {
    let ground = Ground::new();
    let panics = json!({"build": "panic with the password", "password": "hunter2-and-more"});
    let configuration = ground.configuration(&[
        ("build", ground.player(panics)),
        ("future", json!({"use": "from-the-future"})),
        ("mute", Value::Null),
        ("p", ground.player(json!({}))),
        (
            "worker",
            ground.player(json!({"build": "panic", "isolation": "process"})),
        ),
    ]);
    let host = Host::prepare(configuration).unwrap();
    let told: Vec<(&str, Option<String>)> = host
        .instances()
        .map(|instance| (&*instance.name, instance.unusable()))
        .collect();
    let expected = [
        ("build", Some("it cannot be built: panicked: ***")),
        ("future", Some("needs version `2.0` of the plugin API")),
        ("mute", Some("is broken: asked about itself")),
        ("p", None),
        // Only its own process builds it.
        ("worker", None),
    ];
    assert_eq!(told.len(), expected.len());
    for ((name, told), (expected, text)) in told.iter().zip(expected) {
        assert_eq!(
            (*name, told.is_some()),
            (expected, text.is_some()),
            "{told:?}"
        );
        let told = told.as_deref().unwrap_or_default();
        assert!(told.contains(text.unwrap_or_default()), "{name}: {told}");
    }
}

fn who_waits_in_a_circle_is_told_the_circle() {
    let after = |names: &[&str]| json!({"use": "player", "after": names});
    let circle = [
        ("a", after(&["c", "free"])),
        ("b", after(&["a"])),
        ("c", after(&["b"])),
        ("free", after(&[])),
        ("victim", after(&["c"])),
    ];
    let told = wrong(&circle);
    let expected = "/a: processors wait for each other: `a` -> `c` -> `b` -> `a`";
    assert_eq!(told, [expected]);
    let itself = wrong(&[("a", after(&["a"]))]);
    assert_eq!(itself, ["/a: processors wait for each other: `a` -> `a`"]);
    let plugin = wrong(&[("me", json!({"use": "narcissus"}))]);
    assert_eq!(
        plugin,
        ["/me: processors wait for each other: `me` -> `me`"]
    );
    let both = [
        ("follower", json!({})),
        ("p", json!({"use": "player", "after": ["follower"]})),
    ];
    let expected = "/follower: processors wait for each other: `follower` -> `p` -> `follower`";
    assert_eq!(wrong(&both), [expected]);
}

fn who_comes_after_nobody_is_told_so() {
    let told = wrong(&[
        ("a", json!({"use": "player", "after": ["bb", "zzzz"]})),
        ("b", json!({"use": "player"})),
    ]);
    assert_begin(
        &told,
        &[
            "/a/after: processor `a` comes after `bb`, which is not configured, did you mean \
             `b`?; there are `a`, `b`",
            "/a/after: processor `a` comes after `zzzz`, which is not configured; there are",
        ],
    );
    let told = wrong(&[("follower", Value::Null)]);
    let expected =
        "/follower: processor `follower` needs processor `player`, which is not configured";
    assert_eq!(told, [expected]);
}

fn everything_that_is_wrong_is_told_at_once_with_its_place() {
    let mut told = wrong(&[
        (
            "a",
            json!({"use": "player", "proces": "x", "millis": "soon"}),
        ),
        (
            "b",
            json!({"use": "player", "retries": -1, "on": "failur", "severities": ["P9"]}),
        ),
        (
            "c",
            json!({"use": "player", "time_limit": "soon", "memory_limit": "9"}),
        ),
        ("d", json!({"use": "player", "build": "error"})),
        ("e", json!("a text")),
        ("good", json!({"use": "player"})),
        ("good", json!({"use": "player"})),
        ("x/y", json!({"use": "player", "enabled": "yes"})),
    ]);
    told.sort();
    assert_begin(
        &told,
        &[
            "/a/millis: expected a whole number, found text",
            "/a/proces: unknown key, did you mean `process`?; the keys here are ",
            "/b/on: expected one of `always`, `change`, `failure`, found `failur`, did you mean \
             `failure`?",
            "/b/retries: ",
            "/b/severities/0: expected one of `P0`, `P1`, `P2`, `P3`, found `P9`",
            "/c/memory_limit: `9` is no size, write `512MiB` or `2GiB`",
            "/c/time_limit: `soon` is no time, write `10s` or `2min`",
            "/d/build: it shall fail",
            "/e: expected a mapping of settings",
            "/good: `good` is configured twice",
            "/x~1y/enabled: expected `true` or `false`, found text",
        ],
    );
}

fn an_order_that_cannot_be_is_told_with_wrong_settings() {
    let after = |names: &[&str]| json!({"use": "player", "after": names});
    let told = wrong(&[
        ("a", after(&["b"])),
        ("b", after(&["a", "wrong"])),
        ("c", after(&["c", "gone"])),
        (
            "wrong",
            json!({"use": "player", "retries": -1, "after": ["nobody"]}),
        ),
        // The one it needs is configured, though not well.
        ("follower", Value::Null),
    ]);
    assert_begin(
        &told,
        &[
            "/wrong/retries: ",
            "/c/after: processor `c` comes after `gone`, which is not configured",
            "/wrong/after: processor `wrong` comes after `nobody`, which is not configured",
            "/a: processors wait for each other: `a` -> `b` -> `a`",
            "/c: processors wait for each other: `c` -> `c`",
        ],
    );
    let told = wrong(&[
        ("p", json!({"use": "player", "retries": -1})),
        ("follower", Value::Null),
    ]);
    assert_begin(&told, &["/p/retries: "]);
}

fn a_memory_limit_that_would_do_nothing_is_refused() {
    let told = wrong(&[
        ("a", json!({"use": "player", "memory_limit": "1GiB"})),
        (
            "b",
            json!({"use": "player", "memory_limit": "1GiB", "isolation": "thread", "proces": 1}),
        ),
        (
            "good",
            json!({"use": "player", "memory_limit": "1GiB", "isolation": "process"}),
        ),
    ]);
    assert_begin(
        &told,
        &[
            "/a/memory_limit: needs `isolation: process`",
            "/b/proces: unknown key",
            "/b/memory_limit: needs `isolation: process`",
        ],
    );
}

fn a_filter_that_could_never_match_is_refused() {
    let ground = Ground::new();
    let mut configuration = ground.configuration(&[
        (
            "a",
            json!({"use": "player", "checks": ["Orders", "Ordres"], "tags": ["daily"]}),
        ),
        (
            "b",
            json!({"use": "player", "checks": ["zzzz"], "retries": -1}),
        ),
    ]);
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    configuration.disabled = names(&["a", "player", "env", "playr"]);
    assert_begin(
        &wrong_with(configuration.clone()),
        &[
            "/b/retries: ",
            ": there is no plugin `env` to be disabled; there are `a`, `b`, ",
            ": there is no plugin `playr` to be disabled, did you mean `player`?; there are ",
        ],
    );
    configuration.disabled.clear();
    configuration.checks = Some(names(&["Orders", "Lines"]));
    configuration.tags = Some(Vec::new());
    assert_begin(
        &wrong_with(configuration.clone()),
        &[
            "/b/retries: ",
            "/a/checks/1: the suite has no check `Ordres`, did you mean `Orders`?; there are \
             `Lines`, `Orders`",
            "/a/tags/0: the suite has no tag `daily`; there are none",
            "/b/checks/0: the suite has no check `zzzz`; there are `Lines`, `Orders`",
        ],
    );
    configuration.processors.pop();
    configuration.checks = Some(names(&["Ordres", "Orders"]));
    configuration.tags = Some(names(&["daily"]));
    assert!(Host::prepare(configuration).is_ok());
}

fn preparing_opens_and_starts_nothing() {
    let ground = Ground::new();
    let mut configuration = ground.configuration(&[("p", ground.player(json!({})))]);
    configuration.store = Some("sqlite:store.db".into());
    let host = Host::prepare(configuration).unwrap();
    drop(host);
    assert_eq!(std::fs::read_dir(&ground.folder).unwrap().count(), 0);
}
