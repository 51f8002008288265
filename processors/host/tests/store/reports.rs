use std::collections::BTreeMap;

use serde_json::{Value, json};
use veracity_host::store::{DeliveryFilter, Store, Time};
use veracity_processor::State;
use veracity_sql::SqlErrorKind;

use crate::places::{Place, delivery, large_report, on_each, report, run};

on_each!(
    a_report_comes_back_as_it_was_to_the_last_bit,
    a_report_of_ten_megabytes_comes_back,
    a_report_is_stored_once_however_often_it_is_recorded,
    what_cannot_be_stored_whole_is_not_stored_at_all,
    the_last_report_is_of_the_same_suite_and_tags,
    a_state_is_saved_only_over_the_version_it_was_read_in,
    breakers_and_disabled_processors_are_remembered,
    a_store_of_a_newer_version_is_refused,
);

async fn a_report_comes_back_as_it_was_to_the_last_bit(place: Place) {
    let store = place.open().await;
    let mut odd = report(1);
    odd.run.suite = "a suite\0 with 'quotes' \\ and 😀".into();
    odd.warnings = vec!["nul \0, \u{1b}[2J, \u{2028}, '; drop table x; --".into()];
    odd.results[0].actual = Some(json!(0.1 + 0.2));
    odd.results[1].actual = Some(json!(1e-320));
    odd.results[2].actual = Some(json!(u64::MAX));
    odd.results[3].group = Some(json!({"z": 1, "a": -0.0, "m": null}));
    store
        .record(&odd, "/suites/a b.yaml", &[delivery(1, "email")], Time(5))
        .await
        .unwrap();
    let back = store.report(run(1)).await.unwrap().expect("it is there");
    assert_eq!(back, odd);
    assert_eq!(
        serde_json::to_string(&back).unwrap(),
        serde_json::to_string(&odd).unwrap()
    );
    assert_eq!(store.report(run(2)).await.unwrap(), None);
    let listed = store.list(&DeliveryFilter::default()).await.unwrap();
    assert_eq!(
        (
            listed[0].suite.as_str(),
            listed[0].origin.as_str(),
            listed[0].recorded_at
        ),
        (odd.run.suite.as_str(), "/suites/a b.yaml", Time(5))
    );
}

async fn a_report_of_ten_megabytes_comes_back(place: Place) {
    let store = place.open().await;
    let large = large_report(1, 10 << 20);
    store
        .record(&large, "", &[delivery(1, "email")], Time(0))
        .await
        .unwrap();
    assert!(store.report(run(1)).await.unwrap() == Some(large));
}

async fn a_report_is_stored_once_however_often_it_is_recorded(place: Place) {
    let store = place.open().await;
    let deliveries = [delivery(1, "email"), delivery(1, "database")];
    for now in 0..3 {
        store
            .record(&report(1), "", &deliveries, Time(now))
            .await
            .unwrap();
    }
    let listed = store.list(&DeliveryFilter::default()).await.unwrap();
    let names: Vec<&str> = listed.iter().map(|one| one.processor.as_str()).collect();
    assert_eq!(names, ["database", "email"], "sorted, once each");
    assert!(
        listed
            .iter()
            .all(|one| one.recorded_at == Time(0) && one.updated_at == Time(0))
    );
}

async fn what_cannot_be_stored_whole_is_not_stored_at_all(place: Place) {
    let store = place.open().await;
    store
        .record(&report(1), "", &[delivery(1, "email")], Time(0))
        .await
        .unwrap();
    let taken = [
        delivery(2, "database"),
        delivery(1, "webhook"),
        delivery(1, "email"),
    ];
    let long = [delivery(2, "database"), delivery(2, &"x".repeat(300))];
    for (deliveries, expected) in [
        (
            &taken[..],
            "the report cannot be stored: the idempotency key `00000001-email` of \
                      processor `email` is that of another delivery, or has changed",
        ),
        (&long[..], "has 309 characters; the store takes 255"),
    ] {
        let error = store
            .record(&report(2), "", deliveries, Time(0))
            .await
            .expect_err(expected);
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!error.is_retryable());
        assert_eq!(store.report(run(2)).await.unwrap(), None);
        assert_eq!(
            store.list(&DeliveryFilter::default()).await.unwrap().len(),
            1
        );
    }
}

async fn the_last_report_is_of_the_same_suite_and_tags(place: Place) {
    let store = place.open().await;
    let (one, mut other, two, three) = (report(1), report(2), report(3), report(4));
    let mut stage = report(5);
    other.run.suite = "other".into();
    stage.run.key.tags = BTreeMap::from([("env".to_owned(), "stage".to_owned())]);
    for report in [&two, &stage, &one, &other] {
        store.record(report, "", &[], Time(0)).await.unwrap();
    }
    assert_eq!(
        store.last_report(&three.run).await.unwrap(),
        Some(two.clone())
    );
    assert_eq!(
        store.last_report(&two.run).await.unwrap(),
        Some(one.clone())
    );
    assert_eq!(store.last_report(&one.run).await.unwrap(), None);
    assert_eq!(store.last_report(&stage.run).await.unwrap(), None);
}

async fn a_state_is_saved_only_over_the_version_it_was_read_in(place: Place) {
    let store = place.open().await;
    let suite = "s".repeat(10_000);
    let values = |text: &str| BTreeMap::from([("a\0".to_owned(), json!([text, 0.1]))]);
    assert_eq!(
        store.state(&suite, "email").await.unwrap(),
        (0, BTreeMap::new())
    );
    let save = async |version, text| {
        store
            .save_state(&suite, "email", version, &values(text), Time(0))
            .await
            .unwrap()
    };
    assert!(!save(3, "nothing is there").await);
    assert!(save(0, "first").await);
    assert!(!save(0, "first again").await);
    assert!(save(1, "second").await);
    assert!(!save(1, "stale").await);
    assert_eq!(
        store.state(&suite, "email").await.unwrap(),
        (2, values("second"))
    );
    assert_eq!(store.state(&suite, "other").await.unwrap().0, 0);
    let fits = "x".repeat(State::MAX_BYTES - 10);
    let save = async |text: String| {
        let values = BTreeMap::from([("a".to_owned(), Value::from(text))]);
        store.save_state("s", "email", 0, &values, Time(0)).await
    };
    let error = save(format!("{fits}xxx"))
        .await
        .expect_err("it is too much");
    assert_eq!(
        error.to_string(),
        "the state of `email` has 65537 bytes of JSON; it may have 65536"
    );
    assert!(save(fits).await.unwrap());
}

async fn breakers_and_disabled_processors_are_remembered(place: Place) {
    let store = place.open().await;
    assert_eq!(store.breaker("email\0:x").await.unwrap(), None);
    for failures in 0..3 {
        let breaker = json!({"state": "closed", "failures": failures});
        store
            .save_breaker("email\0:x", &breaker, Time(0))
            .await
            .unwrap();
        assert_eq!(store.breaker("email\0:x").await.unwrap(), Some(breaker));
    }
    for (name, enabled) in [
        ("b", false),
        ("a", false),
        ("a", false),
        ("c", true),
        ("b", true),
    ] {
        store.set_enabled(name, enabled, Time(0)).await.unwrap();
    }
    assert_eq!(store.disabled().await.unwrap(), ["a"]);
}

async fn a_store_of_a_newer_version_is_refused(place: Place) {
    let store = place.open().await;
    store.close().await;
    let insert = "insert into veracity_store_migrations (version, name, finished) \
                  values (99, 'to come', 1)";
    let options = veracity_sql::ConnectOptions {
        base: place.folder.path().to_owned(),
        ..Default::default()
    };
    let database = veracity_sql::Database::connect(&place.url, &options)
        .await
        .unwrap();
    sqlx::query(insert).execute(database.pool()).await.unwrap();
    database.close().await;
    let error = Store::open(&place.url, place.folder.path())
        .await
        .expect_err("it is newer");
    assert_eq!(error.kind(), SqlErrorKind::Configuration);
    assert_eq!(
        error.to_string(),
        "cannot migrate the tables of `veracity_store_migrations`: they have version 99, this \
         program knows versions up to 1; use the newer program"
    );
}
