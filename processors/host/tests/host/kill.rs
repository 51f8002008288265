//! Killed at any moment, a host loses nothing: the next one delivers what is left.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;
use veracity_host::idempotency_key;
use veracity_host::store::DeliveryState;

use crate::alone::{note, program};
use crate::ground::{Ground, listed, pending, report};
use crate::player::write;
use crate::{Test, tests};

pub const TESTS: &[Test] = tests![sixty_kills_lose_nothing_and_repeat_only_under_the_same_key];

pub const PROGRAMS: &[Test] = tests![a_host_that_runs_suites_until_it_is_killed];

const FOLDER: &str = "HOST_TEST_FOLDER";
const KILLS: usize = 60;

/// Two in the first wave, one of them in a process of its own; one after them that takes
/// a moment; one at the end.
fn processors(ground: &Ground) -> Vec<(&'static str, Value)> {
    let part = |settings: Value| {
        let mut settings = ground.player(settings);
        settings["time_limit"] = "20s".into();
        settings["retries"] = 0.into();
        settings
    };
    vec![
        ("first", part(json!({}))),
        ("worker", part(json!({"isolation": "process"}))),
        (
            "second",
            part(json!({"after": ["first"], "process": "be late", "millis": 5})),
        ),
        ("last", part(json!({"priority": 200}))),
    ]
}

fn sixty_kills_lose_nothing_and_repeat_only_under_the_same_key() {
    let seed = fastrand::u64(..);
    note(&format!("the seed of the kills is {seed}"));
    let mut random = fastrand::Rng::with_seed(seed);
    let ground = Ground::new();
    for kill in 0..KILLS {
        let mut child = program("a_host_that_runs_suites_until_it_is_killed")
            .env(FOLDER, &ground.folder)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Some are killed while they open the store, the others later.
        let longest = if kill % 5 == 0 { 60 } else { 900 };
        std::thread::sleep(Duration::from_micros(random.u64(0..longest * 1_000)));
        assert_eq!(
            child.try_wait().unwrap(),
            None,
            "it works until it is killed"
        );
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let host = ground.stored(&processors(&ground));
    assert_eq!(host.store_error(), None, "the store can be opened");
    let begun = Instant::now();
    // What the killed had claimed is free when their leases end.
    while !pending(&host).is_empty() {
        let delivered = host.resume();
        assert!(!delivered.store_failed, "{delivered:?}");
        assert!(
            begun.elapsed() < Duration::from_secs(240),
            "{:?}",
            pending(&host)
        );
        std::thread::sleep(Duration::from_millis(200));
    }
    let waited = begun.elapsed();

    let names = BTreeSet::from(["first", "last", "second", "worker"]);
    let mut runs: BTreeMap<Uuid, BTreeSet<String>> = BTreeMap::new();
    for one in listed(&host, &[]) {
        assert_eq!(one.state, DeliveryState::Delivered, "{one:?}");
        runs.entry(one.run_id).or_default().insert(one.processor);
    }
    let mut made: BTreeMap<(Uuid, String), Vec<String>> = BTreeMap::new();
    for one in ground.recorded("done") {
        assert!(
            runs.contains_key(&one.run),
            "{one:?} was sent before it was stored"
        );
        made.entry((one.run, one.instance))
            .or_default()
            .push(one.key);
    }
    let mut repeated = 0;
    for (run, processors) in &runs {
        let processors: BTreeSet<&str> = processors.iter().map(String::as_str).collect();
        assert_eq!(processors, names, "{run} is half-written");
        let stored = host.keep().with(|store, _| store.report(*run));
        assert!(stored.unwrap().unwrap().is_some(), "{run}");
        for name in &names {
            let keys = made.get(&(*run, (*name).to_owned()));
            let keys = keys.unwrap_or_else(|| panic!("{run} is lost at `{name}`"));
            let key = idempotency_key(*run, name);
            assert!(
                keys.iter().all(|one| *one == key),
                "{run} at `{name}`: {keys:?}"
            );
            repeated += keys.len() - 1;
        }
    }
    let returned = std::fs::read_to_string(ground.folder.join("returned")).unwrap_or_default();
    let returned: Vec<Uuid> = returned.lines().map(|line| line.parse().unwrap()).collect();
    for run in &returned {
        assert!(runs.contains_key(run), "{run} is lost");
    }
    assert!(returned.len() > KILLS / 4, "they did {}", returned.len());
    assert!(
        runs.len() > returned.len(),
        "some were killed in a delivery"
    );
    // A kill repeats at most what was under way.
    assert!(repeated <= KILLS * names.len(), "{repeated}");
    note(&format!(
        "{KILLS} kills: {} runs stored, {} of them finished, {repeated} deliveries repeated, \
         resumed within {waited:?}",
        runs.len(),
        returned.len()
    ));
    host.shutdown();
}

fn a_host_that_runs_suites_until_it_is_killed() {
    let ground = Ground::at(std::env::var_os(FOLDER).unwrap());
    loop {
        let host = ground.stored(&processors(&ground));
        for _ in 0..5 {
            let report = report();
            let delivered = host.deliver(&report);
            assert!(!delivered.store_failed, "{delivered:?}");
            write(&ground.file("returned"), &report.run.id.to_string());
        }
        host.shutdown();
    }
}
