//! Letters about what was given up: one for each reader, whatever happens.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;
use veracity_host::Host;
use veracity_host::store::DeliveryState;
use veracity_processor::DeliveryStatus::{Dead, Deferred, Delivered};

use crate::alone::{note, program};
use crate::ground::{Ground, assert_ended, deliver, listed, pending, report, resumed, started};
use crate::player::write;
use crate::taps::Tap;
use crate::{Test, tests};

pub const TESTS: &[Test] = tests![
    each_that_is_given_up_gives_each_reader_one_letter,
    letters_go_through_a_store_in_sqlite,
    letters_go_through_a_store_in_postgres,
    letters_go_through_a_store_in_mariadb,
    a_reader_that_fails_gets_its_letter_later,
    what_fails_too_often_gives_a_letter_when_it_is_given_up,
    what_comes_after_the_dead_is_dead_and_gives_a_letter,
    a_letter_shows_rows_to_whom_may_see_them,
    readers_have_conditions,
    where_the_store_is_away_letters_are_sent_at_once,
    long_names_have_letters_too,
    kills_lose_no_letter,
];

pub const PROGRAMS: &[Test] = tests![a_host_whose_deliveries_die];

fn reader(ground: &Ground, mut part: Value) -> Value {
    part["use"] = "undertaker".into();
    ground.stager(part)
}

/// Who got letters about whom, sorted.
fn letters(ground: &Ground) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let calls = ground.calls("dead_letter");
    let mut letters: Vec<(String, String)> = calls
        .iter()
        .map(|call| (text(&call["instance"]), text(&call["dead"])))
        .collect();
    letters.sort();
    letters
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
    pairs.iter().map(own).collect()
}

/// Two that die, one that lives, a reader that is but that, and one that dies itself.
fn cast(ground: &Ground) -> Vec<(&'static str, Value)> {
    vec![
        ("good", ground.player(json!({}))),
        ("bad", ground.player(json!({"process": "permanent"}))),
        ("worse", ground.player(json!({"process": "panic"}))),
        ("reader", reader(ground, json!({}))),
        (
            "both",
            ground.stager(json!({"process": "permanent",
            "stages": ["after_run", "dead_letter"]})),
        ),
    ]
}

/// Nobody reads about itself, and nothing about letters.
const EXPECTED: &[(&str, &str)] = &[
    ("both", "bad"),
    ("both", "worse"),
    ("reader", "bad"),
    ("reader", "both"),
    ("reader", "worse"),
];

fn each_that_is_given_up_gives_each_reader_one_letter() {
    let ground = Ground::new();
    let host = ground.host(&cast(&ground));
    let tap = Tap::on(&host);
    let report = report();
    let delivered = deliver(&host, &report);
    assert_eq!(letters(&ground), pairs(EXPECTED));
    let call = &ground.calls("dead_letter")[0];
    assert_eq!(call["stage"], "dead_letter");
    assert_eq!(call["run"], json!(report.run.id));
    for call in ground.calls("dead_letter") {
        let (error, attempts) = (call["error"].as_str().unwrap(), &call["attempts"]);
        let expected = if call["dead"] == "worse" {
            "panicked: text"
        } else {
            "refused"
        };
        assert!(error.starts_with(expected), "{call}");
        assert_eq!(attempts, 1);
    }
    let made = delivered.deliveries.iter().filter(|one| one.note.is_some());
    let notes: BTreeSet<&str> = made.filter_map(|one| one.note.as_deref()).collect();
    let told = "a letter about `bad`, which was given up";
    assert!(notes.contains(told), "{notes:?}");
    assert_eq!(
        tap.lines("delivery.*", &["stage", "outcome"])
            .iter()
            .filter(|line| line.contains("stage=dead_letter"))
            .count(),
        2 * EXPECTED.len()
    );
    deliver(&host, &crate::ground::report());
    assert_eq!(letters(&ground).len(), 2 * EXPECTED.len());
}

fn through(url: &str) {
    let ground = Ground::new();
    let host = ground.stored_at(url, &cast(&ground));
    let first = report();
    let delivered = deliver(&host, &first);
    assert!(!delivered.store_failed, "{delivered:?}");
    assert_eq!(letters(&ground), pairs(EXPECTED), "{delivered:?}");
    let keys: BTreeSet<String> = ground
        .calls("dead_letter")
        .iter()
        .map(|call| call["key"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(keys.len(), EXPECTED.len());
    // Nothing is left, and nothing comes twice.
    assert_eq!(pending(&host), []);
    host.resume();
    deliver(&host, &report());
    assert_eq!(letters(&ground).len(), 2 * EXPECTED.len());
    let stored = listed(&host, &[DeliveryState::Delivered]);
    let of_letters = stored
        .iter()
        .filter(|one| keys.contains(&one.idempotency_key));
    assert_eq!(of_letters.count(), EXPECTED.len());
    host.shutdown();
}

fn letters_go_through_a_store_in_sqlite() {
    through("sqlite:store.db");
}

fn letters_go_through_a_store_in_postgres() {
    let server = veracity_servers::postgres().unwrap();
    through(&server.fresh_database().unwrap());
}

fn letters_go_through_a_store_in_mariadb() {
    let server = veracity_servers::mariadb().unwrap();
    through(&server.fresh_database().unwrap());
}

fn a_reader_that_fails_gets_its_letter_later() {
    for how in ["resume", "another run"] {
        let ground = Ground::new();
        let part = json!({"needs": ground.file("up"), "retries": 0});
        let processors = [
            ("bad", ground.player(json!({"process": "permanent"}))),
            ("reader", reader(&ground, part)),
            ("other", reader(&ground, json!({}))),
        ];
        let host = ground.stored(&processors);
        let first = report();
        let delivered = deliver(&host, &first);
        let failed = delivered
            .deliveries
            .iter()
            .find(|one| one.processor == "reader")
            .unwrap();
        assert_ended(failed, Deferred, "the other side is down");
        assert!(failed.pending);
        assert_eq!(
            letters(&ground),
            pairs(&[("other", "bad"), ("reader", "bad")])
        );
        assert_eq!(pending(&host).len(), 1);
        host.shutdown();
        drop(host);
        ground.make("up");
        let host = ground.stored(&processors);
        std::thread::sleep(Duration::from_millis(700));
        let delivered = match how {
            "resume" => resumed(&host),
            _ => deliver(&host, &report()),
        };
        let of_reader: Vec<_> = delivered
            .resumed
            .iter()
            .filter(|one| one.delivery.processor == "reader")
            .collect();
        assert_eq!(of_reader.len(), 1, "{how}: {delivered:?}");
        assert_eq!(of_reader[0].run, first.run.id);
        assert_ended(&of_reader[0].delivery, Delivered, "");
        assert_eq!(of_reader[0].delivery.attempts, 2);
        assert_eq!(pending(&host), [], "{how}");
        let calls = ground.calls("dead_letter");
        let of_first = calls
            .iter()
            .filter(|call| call["instance"] == "reader" && call["run"] == json!(first.run.id));
        let keys: BTreeSet<String> = of_first
            .clone()
            .map(|call| call["key"].to_string())
            .collect();
        assert_eq!(
            (of_first.count(), keys.len()),
            (2, 1),
            "tried again under one key"
        );
        host.shutdown();
    }
}

fn what_fails_too_often_gives_a_letter_when_it_is_given_up() {
    let ground = Ground::new();
    let part = json!({"needs": ground.file("never"), "retries": 0, "max_attempts": 2});
    let host = ground.stored(&[
        ("p", ground.player(part)),
        ("reader", reader(&ground, json!({}))),
    ]);
    deliver(&host, &report());
    assert_eq!(letters(&ground), [], "it may still be delivered");
    let last = resumed(&host);
    assert_ended(&last.resumed[0].delivery, Dead, "down");
    assert_eq!(letters(&ground), pairs(&[("reader", "p")]), "{last:?}");
    let call = &ground.calls("dead_letter")[0];
    assert_eq!(
        (&call["attempts"], &call["error"]),
        (&json!(2), &json!("the other side is down"))
    );
    assert_eq!(pending(&host), []);
}

fn what_comes_after_the_dead_is_dead_and_gives_a_letter() {
    // Without a store at once, with one when it is clear that it will never be delivered.
    let ground = Ground::new();
    let processors = [
        ("p", ground.player(json!({"process": "permanent"}))),
        ("q", ground.player(json!({"after": ["p"]}))),
        ("reader", reader(&ground, json!({}))),
    ];
    let host = ground.host(&processors);
    deliver(&host, &report());
    let expected = pairs(&[("reader", "p"), ("reader", "q")]);
    assert_eq!(letters(&ground), expected);
    std::fs::remove_file(ground.folder.join("calls")).unwrap();

    let host = ground.stored(&processors);
    deliver(&host, &report());
    assert_eq!(letters(&ground), pairs(&[("reader", "p")]));
    let left = pending(&host);
    assert_eq!(left.len(), 1, "{left:?}");
    let retried = host
        .keep()
        .with(|store, now| store.retry(&left[0].idempotency_key, now));
    retried.unwrap().unwrap();
    let tap = Tap::on(&host);
    host.resume();
    assert_eq!(letters(&ground), expected);
    assert_eq!(pending(&host), []);
    let lines = tap.lines("delivery.*", &["outcome", "reason", "stage"]);
    assert_eq!(
        lines[..2],
        [
            "delivery.skip q outcome=skipped_dependency reason=`p`, which it comes after, was given up",
            "delivery.dead q outcome=skipped_dependency reason=`p`, which it comes after, was given up",
        ]
    );
}

fn a_letter_shows_rows_to_whom_may_see_them() {
    for url in [None, Some("sqlite:store.db")] {
        let ground = Ground::new();
        let stages = json!(["dead_letter"]);
        let mut configuration = ground.configuration(&[
            ("bad", ground.player(json!({"process": "permanent"}))),
            (
                "may",
                ground.stager(json!({"use": "watchful", "stages": stages})),
            ),
            ("mustnot", ground.stager(json!({"stages": stages}))),
        ]);
        configuration.store = url.map(Into::into);
        let host = started(configuration);
        let report = report();
        assert!(
            report
                .results
                .iter()
                .any(|result| !result.sample.is_empty())
        );
        deliver(&host, &report);
        let samples: BTreeMap<String, u64> = ground
            .calls("dead_letter")
            .iter()
            .map(|call| {
                (
                    call["instance"].as_str().unwrap().to_owned(),
                    call["samples"].as_u64().unwrap(),
                )
            })
            .collect();
        assert_eq!(samples["mustnot"], 0, "{url:?}");
        assert!(samples["may"] > 0, "{url:?}");
        host.shutdown();
    }
}

fn readers_have_conditions() {
    for url in [None, Some("sqlite:store.db")] {
        let ground = Ground::new();
        let mut configuration = ground.configuration(&[
            ("bad", ground.player(json!({"process": "permanent"}))),
            (
                "fits",
                reader(&ground, json!({"suites": ["ord*"], "verdicts": ["failed"]})),
            ),
            ("other", reader(&ground, json!({"suites": ["flights"]}))),
            ("passed", reader(&ground, json!({"verdicts": ["passed"]}))),
            ("off", reader(&ground, json!({"enabled": false}))),
        ]);
        configuration.store = url.map(Into::into);
        let host = started(configuration);
        let delivered = deliver(&host, &report());
        assert_eq!(letters(&ground), pairs(&[("fits", "bad")]), "{url:?}");
        assert_eq!(delivered.warnings, Vec::<String>::new());
        if url.is_some() {
            assert_eq!(pending(&host), []);
        }
        host.shutdown();
    }
}

fn where_the_store_is_away_letters_are_sent_at_once() {
    for part in [
        json!({}),
        json!({"dead_letter": "never be ready", "time_limit": "200ms"}),
    ] {
        let ground = Ground::new();
        ground.make("file");
        let processors = [
            ("bad", ground.player(json!({"process": "permanent"}))),
            (
                "later",
                ground.player(json!({"needs": ground.file("up"), "retries": 0})),
            ),
            ("reader", reader(&ground, part)),
        ];
        let host = ground.stored_at("sqlite:file/store.db", &processors);
        let delivered = deliver(&host, &report());
        assert!(delivered.store_failed);
        assert_eq!(
            letters(&ground),
            pairs(&[("reader", "bad")]),
            "{delivered:?}"
        );
        host.shutdown();
        drop(host);
        // What is kept for later is the report, for those who get reports.
        std::fs::remove_file(ground.folder.join("file")).unwrap();
        std::fs::create_dir(ground.folder.join("file")).unwrap();
        ground.make("up");
        let host = ground.stored_at("sqlite:file/store.db", &processors);
        let delivered = resumed(&host);
        let names: Vec<&str> = delivered
            .resumed
            .iter()
            .map(|one| one.delivery.processor.as_str())
            .collect();
        assert_eq!(names, ["later"]);
        assert_eq!(ground.calls("process"), Vec::<Value>::new());
        assert_eq!(pending(&host), []);
        host.shutdown();
    }
}

fn long_names_have_letters_too() {
    let ground = Ground::new();
    let (dead, reads) = ("d".repeat(150), "r".repeat(150));
    let host = ground.stored(&[
        (
            dead.as_str(),
            ground.player(json!({"process": "permanent"})),
        ),
        (reads.as_str(), reader(&ground, json!({}))),
    ]);
    let delivered = deliver(&host, &report());
    assert_eq!(delivered.warnings, Vec::<String>::new());
    assert_eq!(letters(&ground), [(reads, dead)]);
    assert_eq!(pending(&host), []);
    host.shutdown();
}

const FOLDER: &str = "HOST_TEST_FOLDER";
const KILLS: usize = 25;

/// Others than those of other hosts, as far as it is remembered how often they failed.
fn mortal(ground: &Ground) -> Vec<(&'static str, Value)> {
    let label = Uuid::now_v7().to_string();
    let part = |process: &str| {
        ground.player(json!({"process": process, "time_limit": "20s", "label": label}))
    };
    vec![
        ("bad", part("permanent")),
        ("good", part("")),
        ("worse", part("panic")),
        ("reader", reader(ground, json!({"time_limit": "20s"}))),
        (
            "other",
            reader(
                ground,
                json!({"time_limit": "20s", "dead_letter": "be late", "millis": 3}),
            ),
        ),
    ]
}

fn kills_lose_no_letter() {
    let seed = fastrand::u64(..);
    note(&format!("the seed of the kills is {seed}"));
    let mut random = fastrand::Rng::with_seed(seed);
    let ground = Ground::new();
    for _ in 0..KILLS {
        let mut child = program("a_host_whose_deliveries_die")
            .env(FOLDER, &ground.folder)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_micros(random.u64(0..900_000)));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let begun = Instant::now();
    let host = loop {
        let host = ground.stored(&mortal(&ground));
        assert_eq!(host.store_error(), None);
        let delivered = host.resume();
        assert!(!delivered.store_failed, "{delivered:?}");
        let left = pending(&host);
        if left.is_empty() {
            break host;
        }
        assert!(begun.elapsed() < Duration::from_secs(240), "{left:?}");
        host.shutdown();
        std::thread::sleep(Duration::from_millis(200));
    };
    let mut dead: BTreeSet<(Uuid, String)> = BTreeSet::new();
    let mut runs: BTreeSet<Uuid> = BTreeSet::new();
    for one in listed(&host, &[]) {
        runs.insert(one.run_id);
        if one.state == DeliveryState::Dead {
            dead.insert((one.run_id, one.processor));
        }
    }
    assert!(runs.len() > KILLS / 4, "they did {}", runs.len());
    assert_eq!(dead.len(), 2 * runs.len(), "two of each run");
    let mut keys: BTreeMap<(Uuid, String, String), BTreeSet<String>> = BTreeMap::new();
    let mut calls = 0;
    for call in ground.calls("dead_letter") {
        let text = |name: &str| call[name].as_str().unwrap().to_owned();
        let about = (text("run").parse().unwrap(), text("instance"), text("dead"));
        keys.entry(about).or_default().insert(text("key"));
        calls += 1;
    }
    for (run, name) in &dead {
        for reader in ["reader", "other"] {
            let found = keys.get(&(*run, reader.to_owned(), name.clone()));
            let found =
                found.unwrap_or_else(|| panic!("no letter to {reader} about {name} of {run}"));
            assert_eq!(found.len(), 1, "one key, however often it was tried");
        }
    }
    assert_eq!(keys.len(), 2 * dead.len(), "about nobody else");
    assert!(
        calls - keys.len() <= 4 * KILLS,
        "a kill repeats what was under way"
    );
    note(&format!(
        "{KILLS} kills: {} runs, {} given up, {} letters repeated",
        runs.len(),
        dead.len(),
        calls - keys.len()
    ));
    host.shutdown();
}

fn a_host_whose_deliveries_die() {
    let ground = Ground::at(std::env::var_os(FOLDER).unwrap());
    loop {
        let host: Host = ground.stored(&mortal(&ground));
        for _ in 0..3 {
            let report = report();
            let delivered = host.deliver(&report);
            assert!(!delivered.store_failed, "{delivered:?}");
            write(&ground.file("returned"), &report.run.id.to_string());
        }
        host.shutdown();
    }
}
