use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use veracity_host::store::{DeliveryFilter, DeliveryState, Filter, Settlement, Store, Time};

use crate::children::{Child, PROCESSORS};
use crate::places::{LEASE, Place};

#[tokio::test(flavor = "multi_thread")]
async fn sixty_kills_lose_nothing_and_leave_nothing_half_written_in_sqlite() {
    kills(Place::sqlite(), 60).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_kills_lose_nothing_and_leave_nothing_half_written_in_postgres() {
    kills(Place::postgres(), 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_kills_lose_nothing_and_leave_nothing_half_written_in_mariadb() {
    kills(Place::mariadb(), 20).await;
}

/// Kills processes that record, claim and settle, two at a time, and looks after each what
/// is there.
async fn kills(place: Place, rounds: u32) {
    let mut done = Done::default();
    for round in 0..rounds / 2 {
        let mut both = [Child::start("work", &place), Child::start("work", &place)];
        // Some of them before they have opened the store.
        if round % 5 == 0 {
            std::thread::sleep(Duration::from_millis(fastrand::u64(0..60)));
        } else {
            both[0].wait_for(fastrand::usize(1..20));
            std::thread::sleep(Duration::from_micros(fastrand::u64(0..20_000)));
        }
        for child in both {
            done.take(&child.kill());
        }
        let store = place.open().await;
        done.check(&store).await;
        store.close().await;
    }
    assert!(
        !done.recorded.is_empty() && !done.settled.is_empty(),
        "the children did nothing"
    );
    let store = place.open().await;
    let free = Filter {
        limit: 1_000_000,
        ..Filter::default()
    };
    let claims = store
        .claim(&free, "last", LEASE, Time(1_000_000))
        .await
        .unwrap();
    for claim in claims {
        let settlement = Settlement::Delivered { note: None };
        assert!(
            store
                .settle(&claim, settlement, 2, Time(1_000_001))
                .await
                .unwrap()
        );
    }
    let states = vec![DeliveryState::Pending];
    let pending = DeliveryFilter {
        states,
        ..DeliveryFilter::default()
    };
    assert_eq!(
        store.list(&pending).await.unwrap(),
        [],
        "each can be delivered in the end"
    );
}

/// What children say they did.
#[derive(Default)]
struct Done {
    begun: BTreeSet<String>,
    recorded: BTreeSet<String>,
    settled: BTreeMap<String, String>,
}

impl Done {
    fn take(&mut self, lines: &[String]) {
        for line in lines {
            let (what, id) = line.split_once(' ').expect("a word and an id");
            match what {
                "recording" => drop(self.begun.insert(id.into())),
                "recorded" => drop(self.recorded.insert(id.into())),
                state => drop(self.settled.insert(id.into(), state.into())),
            }
        }
    }

    async fn check(&self, store: &Store) {
        let all = store.list(&DeliveryFilter::default()).await.unwrap();
        let mut runs: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for one in &all {
            runs.entry(one.run_id.to_string())
                .or_default()
                .push(&one.processor);
        }
        for (run, processors) in &runs {
            assert!(self.begun.contains(run), "{run} comes from nowhere");
            assert_eq!(processors[..], PROCESSORS, "{run} is half-written");
        }
        for run in &self.recorded {
            assert!(runs.contains_key(run), "{run} is lost");
        }
        let last = self.recorded.iter().next_back();
        if let Some(run) = last {
            let report = store.report(run.parse().unwrap()).await.unwrap();
            assert_eq!(report.expect("it is there").run.id.to_string(), *run);
        }
        for one in &all {
            let settled = self.settled.get(&one.idempotency_key);
            if let Some(state) = settled {
                assert_eq!(one.state.to_string(), *state, "{one:?}");
            }
        }
    }
}
