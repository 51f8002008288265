//! Databases that go away, refuse, or are full.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;
use veracity_processor::{HealthStatus, ProcessorError, ResultProcessor, sample_report};
use veracity_servers::{Kind, Proxy, Server, When, mariadb, postgres};

use crate::place::{Place, block_on, build, deliver, numbered, on, process, start};

/// Databases behind a proxy.
fn proxied() -> [(Place, Proxy, Box<dyn ResultProcessor>); 2] {
    [on(postgres()), on(mariadb())].map(|place| {
        let proxy = Proxy::to(place.server.unwrap().address()).unwrap();
        let processor = build(json!({"url": proxy.url(&place.url)})).unwrap();
        (place, proxy, processor)
    })
}

#[test]
fn a_server_that_was_away_gets_the_report_when_it_is_back() {
    for kind in [Kind::Postgres, Kind::MariaDb] {
        let server: &'static Server = Box::leak(Box::new(Server::start(kind, &[]).unwrap()));
        let place = on(Ok(server));
        let processor = place.processor();
        block_on(async {
            start(&*processor).await.unwrap();
            process(&*processor, &numbered(1)).await.unwrap();
            server.stop().unwrap();
            let error = process(&*processor, &numbered(2)).await.unwrap_err();
            assert!(error.is_retryable(), "{kind}: {error}");
            assert!(error.message().contains("connection refused"), "{error}");
            let health = processor.health().await.unwrap();
            assert_eq!(health.status, HealthStatus::Unhealthy);
            let error = start(&*place.processor()).await.unwrap_err();
            assert!(error.is_retryable(), "{kind}: {error}");
            thread::scope(|scope| scope.spawn(|| server.restart()).join().unwrap()).unwrap();
            process(&*processor, &numbered(2)).await.unwrap();
            let health = processor.health().await.unwrap();
            assert_eq!(health.status, HealthStatus::Healthy);
        });
        assert_eq!(place.counts(), [2, 26, 16], "{kind}");
    }
}

#[test]
fn a_commit_whose_outcome_is_unknown_is_neither_lost_nor_doubled() {
    for when in [When::Before, When::Answered] {
        for (place, proxy, processor) in proxied() {
            block_on(async {
                start(&*processor).await.unwrap();
                proxy.cut_at("commit", when);
                process(&*processor, &sample_report()).await.unwrap();
            });
            assert_eq!(proxy.cuts(), 1);
            assert_eq!(place.counts(), [1, 13, 8], "{} {when:?}", place.dialect);
        }
    }
}

#[test]
fn a_commit_whose_outcome_stays_unknown_is_settled_by_the_next_delivery() {
    for when in [When::Before, When::Answered] {
        for (place, proxy, processor) in proxied() {
            block_on(async {
                start(&*processor).await.unwrap();
                proxy.cut_at("commit", when);
                // The connection that is cut is open; a new one finds nobody.
                proxy.refuse(true);
                let error = process(&*processor, &sample_report()).await.unwrap_err();
                assert!(error.is_retryable(), "{error}");
                proxy.refuse(false);
                process(&*processor, &sample_report()).await.unwrap();
            });
            assert_eq!(place.counts(), [1, 13, 8], "{} {when:?}", place.dialect);
        }
    }
}

#[test]
fn a_connection_cut_at_any_byte_costs_no_row_and_doubles_none() {
    for (place, proxy, processor) in proxied() {
        block_on(async {
            start(&*processor).await.unwrap();
            let mut runs = 0;
            // A report takes some 10 kB.
            for bytes in (0..24).map(|step| 1 + 311 * step) {
                runs += 1;
                proxy.cut_after(bytes);
                process(&*processor, &numbered(runs)).await.unwrap();
            }
        });
        assert_eq!(place.counts(), [24, 24 * 13, 24 * 8], "{}", place.dialect);
        assert!(proxy.cuts() >= 20, "{}", proxy.cuts());
    }
}

#[test]
fn connections_that_an_administrator_ends_cost_no_row() {
    for place in [on(postgres()), on(mariadb())] {
        let processor = place.processor();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    place
                        .server
                        .unwrap()
                        .terminate_connections(&place.url)
                        .unwrap();
                    thread::sleep(Duration::from_millis(150));
                }
            });
            block_on(async {
                let mut fails = 0;
                for number in 0..20 {
                    // The host would deliver it again.
                    while let Err(error) = process(&*processor, &numbered(number)).await {
                        fails += 1;
                        assert!(error.is_retryable() && fails < 400, "{error}");
                    }
                }
            });
            done.store(true, Ordering::Relaxed);
        });
        assert_eq!(place.counts(), [20, 260, 160], "{}", place.dialect);
    }
}

#[test]
fn a_wrong_password_is_told_without_it() {
    for place in [on(postgres()), on(mariadb())] {
        let (scheme, rest) = place.url.split_once("://").unwrap();
        let (_, host) = rest.split_once('@').unwrap();
        let url = format!("{scheme}://veracity:hunter%402@{host}");
        let error = failure(&url);
        assert!(!error.is_retryable(), "{error}");
        assert!(!error.message().contains("hunter"), "{error}");
        assert!(error.message().contains("veracity"), "who it was: {error}");
        let error = failure(&format!("{}_gone", place.url));
        assert!(!error.is_retryable(), "{error}");
        assert!(error.message().contains("_gone"), "{error}");
    }
}

fn failure(url: &str) -> ProcessorError {
    let processor = build(json!({"url": url})).unwrap();
    deliver(&*processor, &sample_report()).unwrap_err()
}

#[test]
fn a_read_only_server_and_one_without_connections_left_can_be_tried_again() {
    let place = on(postgres());
    let processor = place.processor();
    block_on(async { start(&*processor).await }).unwrap();
    let name = place.url.rsplit('/').next().unwrap();
    place.execute(&format!(
        "alter database {name} set default_transaction_read_only = on; \
         create role r_{name} login superuser password 'pw'; \
         create role n_{name} login password 'pw' connection limit 0"
    ));
    let error = failure(&place.url);
    assert!(error.is_retryable(), "{error}");
    assert!(error.message().contains("[SQLSTATE 25006]"), "{error}");
    let address = place.server.unwrap().address();
    let error = failure(&format!("postgres://n_{name}:pw@{address}/{name}"));
    assert!(error.is_retryable(), "{error}");
    assert!(error.message().contains("[SQLSTATE 53300]"), "{error}");
}

#[test]
fn a_full_disk_is_told_and_can_be_tried_again() {
    let settings = [
        "innodb-file-per-table=0",
        "innodb-data-file-path=ibdata1:12M:autoextend:max:16M",
    ];
    let server = Server::start(Kind::MariaDb, &settings).unwrap();
    let server: &'static Server = Box::leak(Box::new(server));
    let place = on(Ok(server));
    let processor = place.processor();
    let mut report = sample_report();
    for result in &mut report.results {
        result.expression = "x".repeat(60_000);
    }
    let (error, runs) = block_on(async {
        start(&*processor).await.unwrap();
        for number in 0..100 {
            report.run.id = numbered(number).run.id;
            if let Err(error) = process(&*processor, &report).await {
                return (error, i64::try_from(number).unwrap());
            }
        }
        panic!("16 MiB hold more than 70 MiB");
    });
    assert!(error.is_retryable(), "{error}");
    assert!(error.message().contains("is full"), "{error}");
    assert_eq!(place.counts(), [runs, runs * 13, runs * 8]);
}
