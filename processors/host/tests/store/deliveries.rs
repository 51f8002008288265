use std::time::Duration;

use veracity_host::store::{
    Claimed, DeliveryFilter, DeliveryState, Filter, Settlement, Store, Time,
};

use crate::places::{LEASE, Place, delivery, on_each, report, run};

on_each!(
    what_is_due_is_claimed_in_order_and_only_once,
    a_lease_that_ended_frees_the_delivery_and_its_owner_is_refused,
    a_settlement_says_what_comes_next,
    a_dead_delivery_can_be_retried_and_an_unknown_one_is_told,
);

async fn stored(place: &Place) -> Store {
    let store = place.open().await;
    for number in 1..=3 {
        let mut late = delivery(number, "webhook");
        late.due = Time(5000);
        let deliveries = [
            delivery(number, "email"),
            late,
            delivery(number, "database"),
        ];
        let mut report = report(number);
        if number == 3 {
            report.run.suite = "other".into();
        }
        let recorded = store.record(&report, "/s.yaml", &deliveries, Time(0)).await;
        recorded.expect("it is stored");
    }
    store
}

fn keys(claims: &[Claimed]) -> Vec<&str> {
    claims
        .iter()
        .map(|claim| claim.idempotency_key.as_str())
        .collect()
}

async fn what_is_due_is_claimed_in_order_and_only_once(place: Place) {
    let store = stored(&place).await;
    let claim =
        async |filter: Filter, now| store.claim(&filter, "me", LEASE, Time(now)).await.unwrap();
    let one = |limit| Filter {
        limit,
        ..Filter::default()
    };
    assert_eq!(claim(one(9), 999).await, []);
    let first = claim(one(1), 1000).await;
    assert_eq!(keys(&first), ["00000001-database"]);
    let expected = Claimed {
        idempotency_key: "00000001-database".into(),
        run_id: run(1),
        suite: "nycflights".into(),
        origin: "/s.yaml".into(),
        processor: "database".into(),
        plugin: "plugin of database".into(),
        attempts: 0,
        max_attempts: 5,
        due: Time(1000),
        owner: "me".into(),
        leased_until: Time(61_000),
        fence: 1,
    };
    assert_eq!(first[0], expected);
    let other = Filter {
        suite: Some("other".into()),
        ..one(9)
    };
    assert_eq!(
        keys(&claim(other, 1000).await),
        ["00000003-database", "00000003-email"]
    );
    let named = Filter {
        idempotency_keys: vec!["00000001-email".into(), "00000001-database".into()],
        ..one(9)
    };
    assert_eq!(keys(&claim(named, 1000).await), ["00000001-email"]);
    let of = Filter {
        processors: vec!["webhook".into(), "database".into()],
        ..one(9)
    };
    assert_eq!(
        keys(&claim(of, 5000).await),
        [
            "00000002-database",
            "00000001-webhook",
            "00000002-webhook",
            "00000003-webhook"
        ]
    );
    assert_eq!(keys(&claim(one(9), 5000).await), ["00000002-email"]);
    assert_eq!(claim(one(9), 5000).await, []);
}

async fn a_lease_that_ended_frees_the_delivery_and_its_owner_is_refused(place: Place) {
    let store = stored(&place).await;
    let filter = Filter {
        idempotency_keys: vec!["00000001-email".into()],
        ..Filter::default()
    };
    let claim = async |owner, now| {
        let claims = store
            .claim(&filter, owner, Duration::from_secs(1), Time(now))
            .await;
        claims.unwrap().pop()
    };
    let slow = claim("slow", 1000).await.expect("it is free");
    assert_eq!(claim("quick", 1999).await, None);
    let quick = claim("quick", 2000).await.expect("the lease ended");
    assert_eq!((slow.fence, quick.fence), (1, 2));
    let delivered = || Settlement::Delivered { note: None };
    let dead = Settlement::Dead {
        error: "too late".into(),
    };
    assert!(
        !store
            .settle(&slow, dead.clone(), 1, Time(2001))
            .await
            .unwrap()
    );
    assert!(
        store
            .settle(&quick, delivered(), 1, Time(2002))
            .await
            .unwrap()
    );
    assert!(
        store
            .settle(&quick, delivered(), 1, Time(2002))
            .await
            .unwrap(),
        "said twice"
    );
    assert!(
        !store
            .settle(&quick, dead.clone(), 1, Time(2003))
            .await
            .unwrap(),
        "changed its mind"
    );
    assert!(!store.settle(&slow, dead, 1, Time(2004)).await.unwrap());
    let filter = DeliveryFilter {
        states: vec![DeliveryState::Delivered],
        ..Default::default()
    };
    let listed = store.list(&filter).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (listed[0].claims, listed[0].attempts, &listed[0].error),
        (2, 1, &None)
    );
}

async fn a_settlement_says_what_comes_next(place: Place) {
    let store = stored(&place).await;
    let filter = Filter {
        suite: Some("nycflights".into()),
        ..Filter::default()
    };
    let claims = store.claim(&filter, "me", LEASE, Time(1000)).await.unwrap();
    let text = |text: &str| Some(text.to_owned());
    let settlements = [
        Settlement::Delivered {
            note: text("one of two\0"),
        },
        Settlement::Skipped {
            note: text("nothing changed"),
        },
        Settlement::Retry {
            at: Time(9000),
            error: "refused".into(),
        },
        Settlement::Dead {
            error: "x".repeat(100_000),
        },
    ];
    assert_eq!(claims.len(), settlements.len());
    for (claim, settlement) in claims.iter().zip(settlements) {
        assert!(
            store
                .settle(claim, settlement, 2, Time(1500))
                .await
                .unwrap()
        );
    }
    let filter = DeliveryFilter {
        suite: text("nycflights"),
        ..DeliveryFilter::default()
    };
    let listed = store.list(&filter).await.unwrap();
    let told = listed
        .iter()
        .filter(|one| one.processor != "webhook")
        .map(|one| {
            let error = one
                .error
                .as_deref()
                .map(|text| &text[text.len().saturating_sub(20)..]);
            (
                &*one.idempotency_key,
                one.state,
                one.attempts,
                one.due.0,
                error,
                one.note.as_deref(),
            )
        });
    use DeliveryState::{Dead, Delivered, Pending, Skipped};
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            (
                "00000001-database",
                Delivered,
                2,
                1000,
                None,
                Some("one of two\0")
            ),
            (
                "00000001-email",
                Skipped,
                2,
                1000,
                None,
                Some("nothing changed")
            ),
            ("00000002-database", Pending, 2, 9000, Some("refused"), None),
            (
                "00000002-email",
                Dead,
                2,
                1000,
                Some("xx [83616 more bytes]"),
                None
            ),
        ]
        .map(|(key, state, attempts, due, error, note)| {
            let error = error.map(|text: &str| &text[text.len().saturating_sub(20)..]);
            (key, state, attempts, due, error, note)
        })
    );
    assert!(listed.iter().all(|one| one.lease.is_none()));
    let again = store
        .claim(&Filter::default(), "me", LEASE, Time(9000))
        .await
        .unwrap();
    let again = again
        .iter()
        .find(|claim| claim.idempotency_key == "00000002-database");
    assert_eq!(
        again.map(|claim| (claim.attempts, claim.fence)),
        Some((2, 2))
    );
}

async fn a_dead_delivery_can_be_retried_and_an_unknown_one_is_told(place: Place) {
    let store = place.open().await;
    let error = store.retry("x", Time(0)).await.expect_err("there is none");
    assert_eq!(
        error.to_string(),
        "there is no delivery `x`; none is dead or pending"
    );
    store
        .record(&report(1), "", &[delivery(1, "email")], Time(0))
        .await
        .unwrap();
    let claim = async |now| {
        let claims = store
            .claim(&Filter::default(), "me", LEASE, Time(now))
            .await;
        claims.unwrap().pop()
    };
    let held = claim(1000).await.expect("it is due");
    let dead = Settlement::Dead {
        error: "unknown recipient".into(),
    };
    assert!(store.settle(&held, dead, 5, Time(1001)).await.unwrap());
    assert_eq!(claim(99_999).await, None);
    store.retry("00000001-email", Time(2000)).await.unwrap();
    let held = claim(2000).await.expect("it is to be tried again");
    assert_eq!((held.attempts, held.fence), (0, 3));
    store.retry("00000001-email", Time(2001)).await.unwrap();
    let late = Settlement::Delivered { note: None };
    assert!(
        !store
            .settle(&held, late.clone(), 1, Time(2002))
            .await
            .unwrap()
    );
    let held = claim(2003)
        .await
        .expect("the claim before does not count any more");
    assert!(store.settle(&held, late, 1, Time(2004)).await.unwrap());
    for (id, expected) in [
        (
            "00000001-email",
            "delivery `00000001-email` is delivered; only what is dead or pending \
                            can be retried",
        ),
        (
            "00000001-emial",
            "there is no delivery `00000001-emial`; none is dead or pending",
        ),
    ] {
        let error = store.retry(id, Time(0)).await.expect_err(id);
        assert_eq!(error.to_string(), expected);
    }
    store
        .record(&report(2), "", &[delivery(2, "email")], Time(0))
        .await
        .unwrap();
    for (id, expected) in [
        (
            "00000002-emial",
            "there is no delivery `00000002-emial`, did you mean `00000002-email`?",
        ),
        (
            "?",
            "there is no delivery `?`; dead or pending are `00000002-email`",
        ),
    ] {
        let error = store.retry(id, Time(0)).await.expect_err(id);
        assert_eq!(error.to_string(), expected);
    }
}
