use std::fs;
use std::path::Path;
use std::time::Duration;

use sqlx::Row;
use veracity_sql::{ConnectOptions, Database, Migration, SqlErrorKind, migrate, sqlx};

const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "first",
        statements: &["create table t (a {key} not null primary key, b {text}) {table}"],
    },
    Migration {
        version: 2,
        name: "second",
        statements: &[
            "alter table t add column c {int}",
            "insert into t (a, c) values ('x', 1)",
        ],
    },
];

fn options(base: &Path) -> ConnectOptions {
    ConnectOptions {
        base: base.to_owned(),
        lock_timeout: Duration::from_millis(300),
        ..ConnectOptions::default()
    }
}

async fn open(base: &Path) -> Result<Database, veracity_sql::SqlError> {
    Database::connect("sqlite://sub/dq.db", &options(base)).await
}

async fn count(database: &Database, sql: &'static str) -> i64 {
    let row = sqlx::query(sql)
        .fetch_one(database.pool())
        .await
        .expect("it counts");
    row.get(0)
}

#[tokio::test]
async fn a_file_and_its_folder_are_created_beside_the_base() {
    let base = tempfile::tempdir().unwrap();
    let database = open(base.path()).await.unwrap();
    assert_eq!(migrate(&database, "m", MIGRATIONS).await.unwrap(), 2);
    assert_eq!(migrate(&database, "m", MIGRATIONS).await.unwrap(), 2);
    assert_eq!(count(&database, "select count(*) from t").await, 1);
    for (pragma, expected) in [
        ("pragma synchronous", 2),
        ("pragma foreign_keys", 1),
        ("pragma busy_timeout", 300),
    ] {
        let row = sqlx::query(pragma)
            .fetch_one(database.pool())
            .await
            .unwrap();
        assert_eq!(row.get::<i64, _>(0), expected, "{pragma}");
    }
    let row = sqlx::query("pragma journal_mode")
        .fetch_one(database.pool())
        .await
        .unwrap();
    assert_eq!(row.get::<String, _>(0), "wal");
    database.close().await;
    let names: Vec<_> = fs::read_dir(base.path().join("sub"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["dq.db"], "nothing is left beside it");
}

#[tokio::test]
async fn a_database_in_memory_lasts_as_long_as_its_pool() {
    let database = Database::connect("sqlite::memory:", &ConnectOptions::default())
        .await
        .unwrap();
    migrate(&database, "m", MIGRATIONS).await.unwrap();
    assert_eq!(count(&database, "select count(*) from t").await, 1);
}

#[tokio::test]
async fn odd_characters_in_a_path_are_part_of_it() {
    let base = tempfile::tempdir().unwrap();
    for (url, name) in [
        ("sqlite:a b%3Fc#d.db", "a b?c#d.db"),
        ("sqlite:é%25.db", "é%.db"),
        ("sqlite:x/../y.db", "y.db"),
    ] {
        Database::connect(url, &options(base.path()))
            .await
            .unwrap()
            .close()
            .await;
        assert!(base.path().join(name).is_file(), "{url}");
    }
}

#[tokio::test]
async fn a_damaged_file_is_never_taken_for_a_new_one() {
    let base = tempfile::tempdir().unwrap();
    let database = open(base.path()).await.unwrap();
    migrate(&database, "m", MIGRATIONS).await.unwrap();
    let filler = "x".repeat(3000);
    for number in 0..200 {
        sqlx::query("insert into t (a, b) values (?, ?)")
            .bind(format!("{number}"))
            .bind(filler.clone())
            .execute(database.pool())
            .await
            .unwrap();
    }
    database.close().await;
    let path = base.path().join("sub/dq.db");
    let whole = fs::read(&path).unwrap();
    let mut noise = whole.clone();
    for byte in &mut noise[20_000..60_000] {
        *byte = byte.wrapping_mul(31).wrapping_add(17);
    }
    let mut header = whole.clone();
    header[..16].fill(b'x');
    let cases: [(&str, &[u8], &str); 6] = [
        ("emptied", &[], "the file is empty"),
        ("one byte left", &whole[..1], "the file is damaged"),
        (
            "cut in half",
            &whole[..whole.len() / 2],
            "the file is damaged",
        ),
        (
            "its last byte cut off",
            &whole[..whole.len() - 1],
            "the file is damaged",
        ),
        ("header overwritten", &header, "the file is damaged"),
        ("pages overwritten", &noise, "the file is damaged"),
    ];
    for (label, bytes, expected) in cases {
        fs::write(&path, bytes).unwrap();
        let error = open(base.path()).await.expect_err(label);
        assert!(error.message.contains(expected), "{label}: {error}");
        assert_eq!(error.kind, SqlErrorKind::Permanent, "{label}: {error}");
        assert_eq!(
            fs::read(&path).unwrap(),
            bytes,
            "{label}: the file is left alone"
        );
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(
        count(&open(base.path()).await.unwrap(), "select count(*) from t").await,
        201
    );
}

#[tokio::test]
async fn a_busy_or_full_database_is_worth_another_attempt() {
    let base = tempfile::tempdir().unwrap();
    let (one, other) = (
        open(base.path()).await.unwrap(),
        open(base.path()).await.unwrap(),
    );
    migrate(&one, "m", MIGRATIONS).await.unwrap();
    let transaction = one.begin().await.unwrap();
    let busy = other.begin().await.expect_err("it is busy");
    assert!(busy.is_retryable(), "{busy:?}");
    assert_eq!(
        busy.message,
        "database is locked: another process is writing to it; is a long transaction open? \
         [code 5]"
    );
    transaction.rollback().await.unwrap();
    sqlx::query("pragma max_page_count = 20")
        .execute(one.pool())
        .await
        .unwrap();
    let full = sqlx::query("insert into t (a, b) values ('y', ?)")
        .bind("x".repeat(1_000_000))
        .execute(one.pool())
        .await;
    let full = veracity_sql::SqlError::from(full.expect_err("it is full"));
    assert!(full.is_retryable(), "{full:?}");
    assert!(full.message.contains("is the disk full"), "{full}");
    assert_eq!(count(&one, "select count(*) from t").await, 1);
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_told() {
    let base = tempfile::tempdir().unwrap();
    fs::write(base.path().join("file"), "x").unwrap();
    for url in [
        "sqlite:file/dq.db",
        "sqlite:///proc/veracity/dq.db",
        "sqlite:///proc/dq.db",
    ] {
        let error = Database::connect(url, &options(base.path()))
            .await
            .expect_err(url);
        assert!(error.is_retryable(), "{error:?}");
        assert!(error.message.contains("cannot create"), "{error}");
    }
    let error = Database::connect("sqlite:.", &options(base.path()))
        .await
        .expect_err("a folder");
    assert_eq!(error.kind, SqlErrorKind::Configuration, "{error}");
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_a_failed_migration_leaves_nothing() {
    let base = tempfile::tempdir().unwrap();
    let database = open(base.path()).await.unwrap();
    let broken = Migration {
        version: 2,
        name: "broken",
        statements: &[
            "create table u (a {int}) {table}",
            "create table u (a {int}) {table}",
        ],
    };
    let error = migrate(&database, "m", &[MIGRATIONS[0], broken])
        .await
        .expect_err("broken");
    assert!(error.message.contains("migration 2 (broken)"), "{error}");
    assert_eq!(
        count(
            &database,
            "select count(*) from sqlite_schema where name = 'u'"
        )
        .await,
        0
    );
    assert_eq!(migrate(&database, "m", MIGRATIONS).await.unwrap(), 2);
    let error = migrate(&database, "m", &MIGRATIONS[..1])
        .await
        .expect_err("newer");
    assert_eq!(error.kind, SqlErrorKind::Configuration);
    assert_eq!(
        error.message,
        "cannot migrate the tables of `m`: they have version 2, this program knows versions up \
         to 1; use the newer program"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_that_open_and_migrate_at_once_do_it_once() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().to_owned();
    let all: Vec<_> = (0..8)
        .map(|_| {
            let options = ConnectOptions {
                lock_timeout: Duration::from_secs(20),
                acquire_timeout: Duration::from_secs(30),
                ..options(&path)
            };
            tokio::spawn(async move {
                let database = Database::connect("sqlite:dq.db", &options).await.unwrap();
                migrate(&database, "m", MIGRATIONS).await.unwrap()
            })
        })
        .collect();
    for one in all {
        assert_eq!(one.await.unwrap(), 2);
    }
    let database = Database::connect("sqlite:dq.db", &options(&path))
        .await
        .unwrap();
    assert_eq!(count(&database, "select count(*) from t").await, 1);
}
