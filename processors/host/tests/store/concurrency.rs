use std::collections::BTreeSet;
use std::time::Duration;

use veracity_host::store::{DeliveryFilter, DeliveryState, Filter, Settlement, Store, Time};

use crate::children::Child;
use crate::places::{LEASE, Place, delivery, on_each, report};

on_each!(
    no_two_owners_get_the_same_delivery,
    processes_that_open_a_new_store_at_once_all_succeed,
    one_of_many_savers_of_a_state_wins,
);

mod servers {
    use super::*;

    on_each!(servers: a_report_that_is_locked_does_not_hide_its_deliveries);
}

const REPORTS: u64 = 40;

async fn a_report_that_is_locked_does_not_hide_its_deliveries(place: Place) {
    let store = place.open().await;
    let deliveries = ["a", "b"].map(|name| delivery(1, name));
    store
        .record(&report(1), "", &deliveries, Time(0))
        .await
        .unwrap();
    let other = veracity_sql::Database::connect(&place.url, &Default::default())
        .await
        .unwrap();
    let mut held = other.begin().await.unwrap();
    sqlx::query("select run from veracity_store_reports for update")
        .fetch_all(&mut *held)
        .await
        .unwrap();
    let claims = store
        .claim(&Filter::default(), "me", LEASE, Time(1000))
        .await
        .unwrap();
    assert_eq!(claims.len(), 2);
    held.rollback().await.unwrap();
}

async fn no_two_owners_get_the_same_delivery(place: Place) {
    let store = place.open().await;
    for number in 0..REPORTS {
        let deliveries = ["a", "b", "c"].map(|name| delivery(number, name));
        store
            .record(&report(number), "", &deliveries, Time(0))
            .await
            .unwrap();
    }
    let owners = (0..6).map(|owner| {
        let (url, base) = (place.url.clone(), place.folder.path().to_owned());
        tokio::spawn(async move {
            let store = Store::open(&url, &base).await.unwrap();
            let filter = Filter {
                limit: 3,
                ..Filter::default()
            };
            let (owner, mut got, mut empty) = (format!("owner {owner}"), Vec::new(), 0);
            while empty < 3 {
                let claims = store
                    .claim(&filter, &owner, LEASE, Time(1000))
                    .await
                    .unwrap();
                if claims.is_empty() {
                    empty += 1;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                for claim in claims {
                    assert_eq!(claim.fence, 1);
                    let note = Some(owner.clone());
                    let settlement = Settlement::Delivered { note };
                    assert!(
                        store
                            .settle(&claim, settlement, 1, Time(1001))
                            .await
                            .unwrap()
                    );
                    got.push(claim.idempotency_key);
                }
            }
            got
        })
    });
    let mut all = Vec::new();
    for owner in owners.collect::<Vec<_>>() {
        all.extend(owner.await.unwrap());
    }
    let distinct: BTreeSet<&String> = all.iter().collect();
    assert_eq!(
        (all.len(), distinct.len()),
        (3 * REPORTS as usize, 3 * REPORTS as usize)
    );
    let states = vec![DeliveryState::Delivered];
    let filter = DeliveryFilter {
        states,
        ..DeliveryFilter::default()
    };
    let listed = store.list(&filter).await.unwrap();
    assert_eq!(listed.len(), 3 * REPORTS as usize);
    assert!(listed.iter().all(|one| one.claims == 1));
}

async fn processes_that_open_a_new_store_at_once_all_succeed(place: Place) {
    let children: Vec<Child> = (0..4).map(|_| Child::start("open", &place)).collect();
    for child in children {
        let output = child.output();
        assert_eq!(output.lines, ["opened"], "{}", output.errors);
    }
    assert_eq!(
        place
            .open()
            .await
            .list(&DeliveryFilter::default())
            .await
            .unwrap(),
        []
    );
}

async fn one_of_many_savers_of_a_state_wins(place: Place) {
    let store = place.open().await;
    for version in 0..3 {
        let savers = (0..8).map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let values = std::collections::BTreeMap::new();
                store
                    .save_state("s", "i", version, &values, Time(0))
                    .await
                    .unwrap()
            })
        });
        let mut won = 0;
        for saver in savers.collect::<Vec<_>>() {
            won += usize::from(saver.await.unwrap());
        }
        assert_eq!(won, 1, "version {version}");
    }
}
