use std::time::Duration;

use sqlx::Row;
use veracity_servers::{Kind, Server};
use veracity_sql::{ConnectOptions, Database, Migration, SqlError, SqlErrorKind, migrate, sqlx};

fn servers() -> [&'static Server; 2] {
    let expected = "a server";
    [
        veracity_servers::postgres().expect(expected),
        veracity_servers::mariadb().expect(expected),
    ]
}

fn options() -> ConnectOptions {
    ConnectOptions {
        statement_timeout: Duration::from_secs(2),
        lock_timeout: Duration::from_secs(1),
        ..ConnectOptions::default()
    }
}

async fn open(url: &str) -> Database {
    let opened = Database::connect(url, &options()).await;
    opened.unwrap_or_else(|error| panic!("{error}"))
}

async fn run(database: &Database, sql: &'static str) -> Result<u64, SqlError> {
    let done = sqlx::raw_sql(sql).execute(database.pool()).await?;
    Ok(done.rows_affected())
}

async fn count(database: &Database, sql: &'static str) -> i64 {
    let row = sqlx::query(sql)
        .fetch_one(database.pool())
        .await
        .expect("it counts");
    row.get(0)
}

const MIGRATIONS: &[Migration<'_>] = &[
    Migration {
        version: 1,
        name: "first",
        statements: &[
            "create table t (a {key} not null primary key, b {text}, c {float}) {table}",
            "create index t_b on t (a, c)",
        ],
    },
    Migration {
        version: 2,
        name: "second",
        statements: &[
            "alter table t add column d {int}",
            "insert into t (a, d) values ('x', 1)",
        ],
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn many_that_migrate_at_once_do_it_once() {
    for server in servers() {
        let url = server.fresh_database().unwrap();
        let all = (0..6).map(|_| {
            let url = url.clone();
            tokio::spawn(async move { migrate(&open(&url).await, "m x", MIGRATIONS).await })
        });
        for one in all.collect::<Vec<_>>() {
            assert_eq!(one.await.unwrap(), Ok(2), "{}", server.kind());
        }
        assert_eq!(count(&open(&url).await, "select count(*) from t").await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_was_interrupted_is_taken_up_again() {
    for server in servers() {
        let database = open(&server.fresh_database().unwrap()).await;
        let broken = Migration {
            version: 2,
            name: "broken",
            statements: &[
                MIGRATIONS[1].statements[0],
                "insert into nowhere values (1)",
            ],
        };
        let error = migrate(&database, "m", &[MIGRATIONS[0], broken])
            .await
            .expect_err("broken");
        assert!(error.message.contains("migration 2 (broken)"), "{error}");
        assert_eq!(
            migrate(&database, "m", MIGRATIONS).await,
            Ok(2),
            "{}",
            server.kind()
        );
        assert_eq!(
            count(&database, "select count(*) from t where d = 1").await,
            1
        );
        let error = migrate(&database, "m", &MIGRATIONS[..1])
            .await
            .expect_err("newer");
        assert_eq!(error.kind, SqlErrorKind::Configuration);
        assert!(
            error
                .message
                .contains("version 2, this program knows versions up to 1")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_statement_and_no_lock_takes_for_ever() {
    for server in servers() {
        let (sleep, timed_out, locked) = match server.kind() {
            Kind::Postgres => ("select pg_sleep(60)", "57014", "55P03"),
            Kind::MariaDb => (
                "select 1 from seq_1_to_100000 a, seq_1_to_100000 b \
                 where a.seq * b.seq < 0",
                "1969",
                "1205",
            ),
        };
        let database = open(&server.fresh_database().unwrap()).await;
        let error = run(&database, sleep).await.expect_err("it takes too long");
        assert_eq!(error.code.as_deref(), Some(timed_out), "{error}");
        assert!(error.is_retryable() && !error.is_transient());
        migrate(&database, "m", MIGRATIONS).await.unwrap();
        let mut held = database.begin().await.unwrap();
        sqlx::query("update t set d = 2")
            .execute(&mut *held)
            .await
            .unwrap();
        let error = run(&database, "update t set d = 3")
            .await
            .expect_err("it is locked");
        assert_eq!(error.code.as_deref(), Some(locked), "{error}");
        assert!(error.is_retryable());
        held.rollback().await.unwrap();
        assert_eq!(run(&database, "update t set d = 3").await, Ok(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_in_a_deadlock_one_may_try_again_at_once() {
    for server in servers() {
        let database = open(&server.fresh_database().unwrap()).await;
        migrate(&database, "m", MIGRATIONS).await.unwrap();
        run(&database, "insert into t (a) values ('y')")
            .await
            .unwrap();
        let options = ConnectOptions {
            lock_timeout: Duration::from_secs(20),
            ..options()
        };
        let patient = Database::connect(&server_url(server, &database), &options)
            .await
            .unwrap();
        let (mut one, mut other) = (
            patient.begin().await.unwrap(),
            patient.begin().await.unwrap(),
        );
        let update = async |on: &mut veracity_sql::Transaction, sql| {
            let done = sqlx::raw_sql(sql).execute(&mut **on).await;
            done.map(drop).map_err(SqlError::from)
        };
        update(&mut one, "update t set d = 1 where a = 'x'")
            .await
            .unwrap();
        update(&mut other, "update t set d = 2 where a = 'y'")
            .await
            .unwrap();
        let (first, second) = tokio::join!(
            update(&mut one, "update t set d = 1 where a = 'y'"),
            update(&mut other, "update t set d = 2 where a = 'x'"),
        );
        let lost = first.and(second).expect_err("one of them loses");
        assert!(lost.is_transient(), "{lost:?}");
    }
}

/// The URL of the database that `database` is connected to.
fn server_url(server: &Server, database: &Database) -> String {
    let name = database
        .place()
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .trim_end_matches('`');
    let (before, _) = server
        .url()
        .rsplit_once('/')
        .expect("a URL names a database");
    format!("{before}/{name}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_no_writes_is_asked_again_later() {
    for server in servers() {
        let database = open(&server.fresh_database().unwrap()).await;
        let session = match server.kind() {
            Kind::Postgres => "set default_transaction_read_only = on",
            Kind::MariaDb => "set session transaction read only",
        };
        let mut connection = database.pool().acquire().await.unwrap();
        sqlx::raw_sql(session)
            .execute(&mut *connection)
            .await
            .unwrap();
        let create = sqlx::raw_sql("create table t (a int)")
            .execute(&mut *connection)
            .await;
        let error = SqlError::from(create.expect_err("it is read-only"));
        assert!(error.is_retryable(), "{error:?}");
        assert!(
            error.message.contains("the server takes no writes"),
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_free_connection_is_asked_again_later() {
    for (kind, settings) in [
        (
            Kind::Postgres,
            &["max_connections=8", "max_wal_senders=0"][..],
        ),
        (Kind::MariaDb, &["max-connections=10"]),
    ] {
        let server = Server::start(kind, settings).expect("a server");
        let mut held = Vec::new();
        let full = loop {
            match Database::connect(server.url(), &options()).await {
                Ok(database) => match database.pool().acquire().await {
                    Ok(connection) => held.push(connection),
                    // Another one took the last connection between the two.
                    Err(error) => break SqlError::from(error),
                },
                Err(error) => break error,
            }
            assert!(held.len() < 20, "{kind} has connections without end");
        };
        assert!(full.is_retryable(), "{full:?}");
        assert!(
            full.message.contains("the server has no connection left"),
            "{full}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_names_and_passwords_are_for_people_to_repair() {
    for server in servers() {
        let (before, _) = server.url().rsplit_once('/').unwrap();
        let error = Database::connect(&format!("{before}/nowhere"), &options()).await;
        let error = error.expect_err("there is no such database");
        assert_eq!(error.kind, SqlErrorKind::Configuration, "{error}");
        assert!(error.message.contains("nowhere"), "{error}");
        let mut url = url::Url::parse(server.url()).unwrap();
        url.set_password(Some("hunter2")).unwrap();
        url.set_path("hunter2");
        let error = Database::connect(url.as_str(), &options())
            .await
            .expect_err("a wrong password");
        assert_eq!(error.kind, SqlErrorKind::Configuration, "{error}");
        assert!(error.code.is_some(), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_set_up() {
    let [postgres, mariadb] = servers();
    let database = open(&postgres.fresh_database().unwrap()).await;
    for (setting, expected) in [
        ("show statement_timeout", "2s"),
        ("show lock_timeout", "1s"),
        ("show idle_in_transaction_session_timeout", "1min"),
        ("show application_name", "veracity"),
    ] {
        let row = sqlx::query(setting)
            .fetch_one(database.pool())
            .await
            .unwrap();
        assert_eq!(row.get::<String, _>(0), expected, "{setting}");
    }
    let database = open(&mariadb.fresh_database().unwrap()).await;
    for (setting, expected) in [
        ("select cast(@@max_statement_time as char)", "2.000000"),
        ("select cast(@@innodb_lock_wait_timeout as char)", "1"),
        ("select cast(@@idle_transaction_timeout as char)", "60"),
        ("select @@character_set_connection", "utf8mb4"),
        ("select cast(@@tx_isolation as char)", "READ-COMMITTED"),
    ] {
        let row = sqlx::query(setting)
            .fetch_one(database.pool())
            .await
            .unwrap();
        assert_eq!(row.get::<String, _>(0), expected, "{setting}");
    }
    assert!(
        run(&database, "create table t (a varchar(2))")
            .await
            .is_ok()
    );
    let error = run(&database, "insert into t values ('abc')")
        .await
        .expect_err("too long");
    assert_eq!(
        error.code.as_deref(),
        Some("1406"),
        "it is not cut silently"
    );
}
