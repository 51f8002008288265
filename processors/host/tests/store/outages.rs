use std::time::Duration;

use veracity_host::store::{DeliveryFilter, Filter, Settlement, Spool, Store, Time};
use veracity_servers::{Kind, Proxy, Server, When};
use veracity_sql::SqlErrorKind;

use crate::children::Child;
use crate::places::{LEASE, Place, delivery, large_report, on_each, report, run};

mod servers {
    use super::*;

    on_each!(servers:
        a_connection_cut_at_any_point_of_a_record_stores_it_once,
        a_connection_cut_at_a_commit_loses_no_claim_and_no_settlement,
        connections_the_server_ends_are_replaced,
        a_wrong_password_is_told_without_showing_it,
    );
}

/// The place, by way of a proxy.
async fn through(place: &Place) -> (Proxy, Store) {
    let server = place.server.expect("it is a server");
    let proxy = Proxy::to(server.address()).expect("a proxy");
    let mode = match server.kind() {
        Kind::Postgres => "sslmode=disable",
        Kind::MariaDb => "ssl-mode=disabled",
    };
    let url = proxy.url(&place.url);
    let mark = if url.contains('?') { '&' } else { '?' };
    let store = Store::open(&format!("{url}{mark}{mode}"), place.folder.path()).await;
    (proxy, store.unwrap_or_else(|error| panic!("{error}")))
}

/// How a commit looks on the way, which `read committed` does not.
fn commit(place: &Place) -> &'static str {
    match place.server.expect("it is a server").kind() {
        Kind::Postgres => "commit\0",
        Kind::MariaDb => "\u{3}commit",
    }
}

async fn a_connection_cut_at_any_point_of_a_record_stores_it_once(place: Place) {
    let mut number = 0;
    for when in [When::Before, When::Answered] {
        let (reports, deliveries) = (
            "into veracity_store_reports",
            "into veracity_store_deliveries",
        );
        for text in [reports, deliveries, commit(&place)] {
            // Statements are sent once for each connection.
            let (proxy, store) = through(&place).await;
            number += 1;
            let new = ["email", "webhook"].map(|name| delivery(number, name));
            proxy.cut_at(text, when);
            let recorded = store.record(&report(number), "", &new, Time(0)).await;
            recorded.unwrap_or_else(|error| panic!("{text} {when:?}: {error}"));
            assert_eq!(proxy.cuts(), 1, "{text} {when:?}: nothing was cut");
            assert_eq!(
                store.report(run(number)).await.unwrap(),
                Some(report(number))
            );
        }
    }
    let listed = place
        .open()
        .await
        .list(&DeliveryFilter::default())
        .await
        .unwrap();
    assert_eq!(listed.len(), 2 * number as usize);
}

async fn a_connection_cut_at_a_commit_loses_no_claim_and_no_settlement(place: Place) {
    let (proxy, store) = through(&place).await;
    let deliveries = ["email", "webhook"].map(|name| delivery(1, name));
    store
        .record(&report(1), "", &deliveries, Time(0))
        .await
        .unwrap();
    proxy.cut_at(commit(&place), When::Answered);
    let all = Filter::default();
    // It was claimed, but the answer was lost: it is free when the lease ends.
    assert_eq!(
        store.claim(&all, "me", LEASE, Time(1000)).await.unwrap(),
        []
    );
    assert_eq!(proxy.cuts(), 1);
    let claims = store.claim(&all, "me", LEASE, Time(61_000)).await.unwrap();
    assert_eq!(claims.len(), 2);
    for claim in &claims {
        assert_eq!(claim.fence, 2);
        proxy.cut_at("update veracity_store_deliveries", When::Answered);
        let settlement = Settlement::Delivered { note: None };
        assert!(
            store
                .settle(claim, settlement, 1, Time(61_001))
                .await
                .unwrap()
        );
    }
    assert!(proxy.cuts() > 1, "a settlement was cut");
}

async fn connections_the_server_ends_are_replaced(place: Place) {
    let store = place.open().await;
    let server = place.server.expect("it is a server");
    for number in 1..=10 {
        server.terminate_connections(&place.url).unwrap();
        let deliveries = [delivery(number, "email")];
        store
            .record(&report(number), "", &deliveries, Time(0))
            .await
            .unwrap();
    }
    assert_eq!(
        store.list(&DeliveryFilter::default()).await.unwrap().len(),
        10
    );
}

async fn a_wrong_password_is_told_without_showing_it(place: Place) {
    let mut url = url::Url::parse(&place.url).unwrap();
    url.set_password(Some("hunt%40er2")).unwrap();
    let opened = Store::open(url.as_str(), place.folder.path()).await;
    // A server that somebody else keeps may let everybody in.
    let error = opened.expect_err("the password is wrong");
    assert_eq!(error.kind(), SqlErrorKind::Configuration, "{error}");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("hunt"), "{shown}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_without_the_password() {
    for url in [
        "postgres://me:hunter2@127.0.0.1:1/dq",
        "mariadb://me:hunter2@127.0.0.1:1/dq",
    ] {
        let error = Store::open(url, "/".as_ref()).await.expect_err(url);
        assert!(error.is_retryable(), "{error}");
        assert!(
            error
                .to_string()
                .ends_with("`127.0.0.1:1/dq`: connection refused"),
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_postgres_is_down_reports_wait_in_the_spool() {
    down(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_mariadb_is_down_reports_wait_in_the_spool() {
    down(Kind::MariaDb).await;
}

async fn down(kind: Kind) {
    let server = Server::start(kind, &[]).expect("a server");
    let place = Place {
        url: server.fresh_database().unwrap(),
        ..Place::sqlite()
    };
    let store = place.open().await;
    let spool = Spool::new(place.spool());
    store
        .record(&report(1), "", &[delivery(1, "email")], Time(0))
        .await
        .unwrap();
    server.stop().unwrap();
    let error = store
        .record(&report(2), "", &[delivery(2, "email")], Time(0))
        .await;
    let error = error.expect_err("the server is down");
    assert!(error.is_retryable(), "{error}");
    assert!(
        error.to_string().ends_with(": connection refused"),
        "{error}"
    );
    spool
        .write(&report(2), "", &[delivery(2, "email")])
        .unwrap();
    assert!(
        spool
            .drain(&store, Time(0))
            .await
            .expect_err("still down")
            .is_retryable()
    );
    assert!(!spool.is_empty());
    server.restart().unwrap();
    let drained = spool.drain(&store, Time(0)).await.unwrap();
    assert_eq!(drained.imported, [run(2)]);
    assert!(spool.is_empty());
    assert_eq!(
        store.list(&DeliveryFilter::default()).await.unwrap().len(),
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_mariadb_would_not_take_is_told_before() {
    let server = Server::start(Kind::MariaDb, &["max-allowed-packet=1M"]).expect("a server");
    let place = Place {
        url: server.fresh_database().unwrap(),
        ..Place::sqlite()
    };
    let store = place.open().await;
    let large = large_report(1, 2 << 20);
    let error = store
        .record(&large, "", &[], Time(0))
        .await
        .expect_err("it is too large");
    assert_eq!(error.kind(), SqlErrorKind::Configuration, "{error}");
    assert!(
        error
            .to_string()
            .contains("raise `max_allowed_packet` of the server, which is 1048576")
    );
    store
        .record(&large_report(2, 600_000), "", &[], Time(0))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_what_was_stored_stays() {
    let place = Place::sqlite();
    let output = Child::with_file_limit("fill", &place, 1000).output();
    let (last, recorded) = output.lines.split_last().expect("it did something");
    assert!(!recorded.is_empty(), "{}", output.errors);
    assert!(
        last.starts_with("true: the report cannot be stored: "),
        "{last}"
    );
    assert!(
        last.contains("full") || last.contains("disk I/O error"),
        "{last}"
    );
    let store = place.open().await;
    let listed = store.list(&DeliveryFilter::default()).await.unwrap();
    assert_eq!(listed.len(), 3 * recorded.len());
    for line in recorded {
        let id = line
            .strip_prefix("recorded ")
            .expect("a run")
            .parse()
            .unwrap();
        assert!(store.report(id).await.unwrap().is_some(), "{id} is lost");
    }
    store
        .record(&report(500_000), "", &[], Time(0))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_store_that_was_emptied_or_cut_off_is_refused() {
    let place = Place::sqlite();
    let store = place.open().await;
    for number in 0..20 {
        store
            .record(&report(number), "", &[delivery(number, "email")], Time(0))
            .await
            .unwrap();
    }
    store.close().await;
    let path = place.folder.path().join("store/veracity.db");
    let whole = std::fs::read(&path).unwrap();
    for length in [0, 1, 100, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        let opened = Store::open(&place.url, place.folder.path()).await;
        let error = opened.expect_err("it is not whole");
        assert_eq!(
            error.kind(),
            SqlErrorKind::Permanent,
            "{length} bytes: {error}"
        );
        assert!(error.to_string().contains("veracity.db"), "{error}");
        assert!(
            error.to_string().contains("restore it from a backup"),
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_store_is_waited_for() {
    let place = Place::sqlite();
    let store = place.open().await;
    let options = veracity_sql::ConnectOptions {
        base: place.folder.path().to_owned(),
        ..Default::default()
    };
    let other = veracity_sql::Database::connect(&place.url, &options)
        .await
        .unwrap();
    let held = other.begin().await.unwrap();
    let release = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(500)).await;
        held.rollback().await.unwrap();
    });
    store.record(&report(1), "", &[], Time(0)).await.unwrap();
    release.await.unwrap();
    let _held = other.begin().await.unwrap();
    let error = store
        .record(&report(2), "", &[], Time(0))
        .await
        .expect_err("it stays busy");
    assert!(error.is_retryable(), "{error}");
    assert!(
        error
            .to_string()
            .contains("another process is writing to it"),
        "{error}"
    );
}
