//! Other sessions that hold what is needed.

use std::thread;
use std::time::Duration;

use veracity_processor::sample_report;
use veracity_servers::postgres;
use veracity_sql::Dialect;
use veracity_sql::sqlx::{AssertSqlSafe, raw_sql};

use crate::place::{block_on, connect, deliver, everywhere, numbered, on, process, start};

#[test]
fn a_lock_that_is_held_too_long_is_told_and_the_next_delivery_succeeds() {
    for place in everywhere() {
        let processor = place.processor();
        block_on(async {
            start(&*processor).await.unwrap();
            let other = connect(&place.url).await;
            let mut holding = other.begin().await.unwrap();
            let lock = match place.dialect {
                Dialect::Postgres => "lock table veracity_runs in exclusive mode".to_owned(),
                Dialect::MySql | Dialect::Sqlite => format!(
                    "insert into veracity_runs values ('{}', 's', null, '{{}}', null, null, 0, \
                     'passed', 0, 0, 0, 0, 0, 0, '', '', null, '[]', '[]')",
                    sample_report().run.id
                ),
            };
            raw_sql(AssertSqlSafe(lock))
                .execute(&mut *holding)
                .await
                .unwrap();
            let error = process(&*processor, &sample_report()).await.unwrap_err();
            assert!(error.is_retryable(), "{}: {error}", place.dialect);
            holding.rollback().await.unwrap();
            other.close().await;
            process(&*processor, &sample_report()).await.unwrap();
        });
        assert_eq!(place.counts(), [1, 13, 8], "{}", place.dialect);
    }
}

#[test]
fn a_deadlock_is_tried_again_at_once() {
    let place = on(postgres());
    deliver(&*place.processor(), &numbered(0)).unwrap();
    thread::scope(|scope| {
        let (locked, is_locked) = std::sync::mpsc::channel();
        let place = &place;
        let other = scope.spawn(move || {
            block_on(async {
                let other = connect(&place.url).await;
                let mut holding = other.begin().await.unwrap();
                // The one that waits first notices, and is the victim.
                raw_sql(
                    "set local deadlock_timeout = '1min'; set local lock_timeout = 0; \
                     lock table veracity_symbols in exclusive mode",
                )
                .execute(&mut *holding)
                .await
                .unwrap();
                locked.send(()).unwrap();
                let waiting = "select 1 from pg_locks where not granted and \
                               relation = 'veracity_symbols'::regclass";
                while raw_sql(waiting)
                    .fetch_all(other.pool())
                    .await
                    .unwrap()
                    .is_empty()
                {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                raw_sql("lock table veracity_runs in exclusive mode")
                    .execute(&mut *holding)
                    .await
                    .unwrap();
                holding.commit().await.unwrap();
            });
        });
        is_locked.recv().unwrap();
        deliver(&*place.processor(), &numbered(1)).unwrap();
        other.join().unwrap();
    });
    assert_eq!(place.counts(), [2, 26, 16]);
    let name = place.url.rsplit('/').next().unwrap();
    let deadlocks = format!(
        "select case when deadlocks > 0 then 'some' else 'none' end from pg_stat_database \
         where datname = '{name}'"
    );
    // Statistics come late.
    for _ in 0..200 {
        if place.texts(&deadlocks) == [[Some("some".to_owned())]] {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("there was no deadlock");
}

#[test]
fn serializable_transactions_that_get_in_each_others_way_all_succeed() {
    let place = on(postgres());
    let name = place.url.rsplit('/').next().unwrap();
    place.execute(&format!(
        "alter database {name} set default_transaction_isolation = serializable"
    ));
    thread::scope(|scope| {
        for writer in 0..4 {
            let place = &place;
            scope.spawn(move || {
                let processor = place.processor();
                block_on(async {
                    start(&*processor).await.unwrap();
                    for number in 0..10 {
                        // Half of the runs are written by two.
                        let run = numbered(number + 10 * (writer / 2 + writer % 2));
                        while let Err(error) = process(&*processor, &run).await {
                            assert!(error.is_retryable(), "{error}");
                        }
                    }
                });
            });
        }
    });
    assert_eq!(place.counts(), [30, 390, 240]);
}
