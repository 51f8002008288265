//! The channel `postgres` with a real server, and somebody who listens.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;
use veracity_processor::{Channel, ProcessorError, Publisher};
use veracity_servers::{Kind, Proxy, Server, When, postgres};
use veracity_sql::sqlx::postgres::PgListener;
use veracity_sql::sqlx::{AssertSqlSafe, Connection, PgConnection, Row, query, raw_sql};

use crate::{ID, LIMIT, assert_carries, block_on, build, hostile, megabyte, publish};

fn to(url: &str, channel: &str) -> Box<dyn Channel> {
    build("postgres", json!({"url": url, "channel": channel}))
}

/// The same, with a table for what is too large.
fn referring(url: &str, channel: &str) -> Box<dyn Channel> {
    let config = json!({"url": url, "channel": channel, "oversize": "reference"});
    build("postgres", config)
}

/// Somebody who listens to `channel`.
async fn listener(url: &str, channel: &str) -> PgListener {
    let mut listener = PgListener::connect(url).await.unwrap();
    listener.listen(channel).await.unwrap();
    listener
}

/// The next payload.
async fn heard(listener: &mut PgListener) -> Value {
    let notification = timeout(LIMIT, listener.recv()).await;
    serde_json::from_str(notification.expect("nothing was heard").unwrap().payload()).unwrap()
}

/// The rows of `veracity_messages`: id, channel and body.
async fn rows(url: &str) -> Vec<(String, String, Value)> {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let rows = query("select id, channel, body from veracity_messages order by created_at")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    let read = |row: &veracity_sql::sqlx::postgres::PgRow| {
        let body: String = row.get(2);
        (row.get(0), row.get(1), serde_json::from_str(&body).unwrap())
    };
    rows.iter().map(read).collect()
}

fn fresh() -> String {
    postgres().unwrap().fresh_database().unwrap()
}

#[test]
fn whoever_listens_hears_messages_as_they_are() {
    let url = fresh();
    block_on(async {
        let mut listener = listener(&url, "veracity").await;
        let channel = to(&url, "veracity");
        for message in hostile() {
            publish(&*channel, ID, message.clone()).await.unwrap();
            assert_carries(&heard(&mut listener).await, ID, &message);
        }
        channel.shutdown().await.unwrap();
        publish(&*channel, ID, "after shutdown").await.unwrap();
        assert_eq!(heard(&mut listener).await["message"], "after shutdown");
    });
}

#[test]
fn a_name_is_text_and_never_part_of_a_statement() {
    let url = fresh();
    let longest = "ü".repeat(31) + "x";
    let names = [
        "Orders",
        "select",
        "a\"; drop table there; --",
        "a'); drop table there; --",
        "$1",
        "with spaces, and. dots",
        &longest,
    ];
    block_on(async {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        let create = "create table there (a int)";
        raw_sql(create).execute(&mut connection).await.unwrap();
        for name in names {
            let mut listener = listener(&url, name).await;
            publish(&*to(&url, name), ID, name).await.unwrap();
            assert_eq!(heard(&mut listener).await["message"], name);
        }
        query("select a from there")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    });
}

#[test]
fn a_message_that_no_notification_holds_is_refused() {
    let url = fresh();
    block_on(async {
        let mut listener = listener(&url, "dq").await;
        let channel = to(&url, "dq");
        publish(&*channel, ID, "").await.unwrap();
        let notification = timeout(LIMIT, listener.recv()).await.unwrap().unwrap();
        let room = 7999 - notification.payload().len();
        publish(&*channel, ID, "x".repeat(room)).await.unwrap();
        assert_eq!(heard(&mut listener).await["message"], "x".repeat(room));
        for message in [
            "x".repeat(room + 1),
            "é".repeat(room / 2 + 1),
            "\n".repeat(4000),
        ] {
            let error = publish(&*channel, ID, message).await.unwrap_err();
            assert!(!error.is_retryable(), "{error}");
            assert!(error.message().contains("`oversize: reference`"), "{error}");
        }
        let error = publish(&*channel, ID, megabyte()).await.unwrap_err();
        assert!(
            error.message().contains(" bytes, a notification"),
            "{error}"
        );
    });
}

#[test]
fn a_large_message_is_put_into_a_table_and_referred_to() {
    let url = fresh();
    block_on(async {
        let mut listener = listener(&url, "Dq \"x").await;
        let channel = referring(&url, "Dq \"x");
        publish(&*channel, "small", 1).await.unwrap();
        assert_carries(&heard(&mut listener).await, "small", &json!(1));
        let nul = json!("\0'\u{1f600}".repeat(10_000));
        for (id, message) in [("large", megabyte()), ("nul", nul)] {
            // A repetition is told again and stored once.
            for _ in 0..2 {
                publish(&*channel, id, message.clone()).await.unwrap();
                assert_eq!(heard(&mut listener).await, json!({ "id": id }));
            }
            let row = rows(&url).await.pop().unwrap();
            assert_eq!((&*row.0, &*row.1), (id, "Dq \"x"));
            assert_carries(&row.2, id, &message);
        }
        assert_eq!(rows(&url).await.len(), 2);
    });
}

#[test]
fn several_who_start_at_once_make_the_table_once() {
    let url = fresh();
    thread::scope(|scope| {
        let ids = ["a", "b", "c", "d"];
        let started = ids.map(|id| {
            let url = &url;
            scope.spawn(move || block_on(publish(&*referring(url, "dq"), id, megabyte())))
        });
        for one in started {
            one.join().unwrap().unwrap();
        }
    });
    assert_eq!(block_on(rows(&url)).len(), 4);
}

#[test]
fn a_table_that_was_dropped_is_told() {
    let url = fresh();
    block_on(async {
        let channel = referring(&url, "dq");
        publish(&*channel, "a", megabyte()).await.unwrap();
        let drop = "drop table veracity_messages";
        postgres().unwrap().execute_at(&url, drop).unwrap();
        let error = publish(&*channel, "b", megabyte()).await.unwrap_err();
        assert!(!error.is_retryable(), "{error}");
        assert!(error.message().contains("veracity_messages"), "{error}");
        publish(&*channel, "c", "small ones still arrive")
            .await
            .unwrap();
    });
}

#[test]
fn a_server_that_was_away_is_told_when_it_is_back() {
    let server: &'static Server = Box::leak(Box::new(Server::start(Kind::Postgres, &[]).unwrap()));
    let url = server.fresh_database().unwrap();
    let channel = to(&url, "dq");
    block_on(async {
        publish(&*channel, ID, 1).await.unwrap();
        server.stop().unwrap();
        for channel in [&channel, &to(&url, "dq"), &referring(&url, "dq")] {
            let error = publish(&**channel, ID, 2).await.unwrap_err();
            assert!(error.is_retryable(), "{error}");
            assert!(error.message().contains("connection refused"), "{error}");
        }
        thread::scope(|scope| scope.spawn(|| server.restart()).join().unwrap()).unwrap();
        let mut listener = listener(&url, "dq").await;
        publish(&*channel, ID, 3).await.unwrap();
        assert_eq!(heard(&mut listener).await["message"], 3);
    });
}

#[test]
fn a_connection_that_an_administrator_ended_costs_no_message() {
    let url = fresh();
    block_on(async {
        let channel = to(&url, "dq");
        for number in 0..5 {
            publish(&*channel, ID, "x").await.unwrap();
            postgres().unwrap().terminate_connections(&url).unwrap();
            let mut listener = listener(&url, "dq").await;
            publish(&*channel, ID, number).await.unwrap();
            assert_eq!(heard(&mut listener).await["message"], number);
        }
    });
}

#[test]
fn a_commit_whose_outcome_is_unknown_stores_a_message_once() {
    for when in [When::Before, When::Answered] {
        let url = fresh();
        let proxy = Proxy::to(postgres().unwrap().address()).unwrap();
        block_on(async {
            let mut listener = listener(&url, "dq").await;
            let channel = referring(&proxy.url(&url), "dq");
            publish(&*channel, "first", megabyte()).await.unwrap();
            assert_eq!(heard(&mut listener).await["id"], "first");
            proxy.cut_at("commit", when);
            publish(&*channel, "second", megabyte()).await.unwrap();
            assert_eq!(proxy.cuts(), 1);
            assert_eq!(heard(&mut listener).await["id"], "second");
            assert_eq!(rows(&url).await.len(), 2, "{when:?}");
        });
    }
}

#[test]
fn refused_credentials_are_told_without_the_password() {
    let url = fresh();
    let (_, host) = url.split_once('@').unwrap();
    let name = url.rsplit('/').next().unwrap();
    let wrong = format!("postgres://veracity:c4nary%40@{host}");
    let gone = format!("{url}_gone");
    for (url, part) in [(wrong, "veracity"), (gone, "_gone")] {
        let error = failure(&url, "x");
        assert!(!error.is_retryable(), "{error}");
        assert!(error.message().contains(part), "{error}");
        assert!(!error.message().contains("c4nary"), "{error}");
    }
    let create = format!("create role r_{name} login password 'c4nary' connection limit 0");
    postgres().unwrap().execute(&create).unwrap();
    let error = failure(&format!("postgres://r_{name}:c4nary@{host}"), "x");
    assert!(error.is_retryable(), "{error}");
    assert!(error.message().contains("[SQLSTATE 53300]"), "{error}");
    assert!(!error.message().contains("c4nary"), "{error}");
}

fn failure(url: &str, message: &str) -> ProcessorError {
    block_on(publish(&*to(url, "dq"), ID, message)).unwrap_err()
}

#[test]
fn a_standby_and_a_user_without_rights_are_told() {
    let url = fresh();
    let name = url.rsplit('/').next().unwrap();
    let (_, host) = url.split_once('@').unwrap();
    let sql = format!(
        "create role r_{name} login password 'c4nary'; \
         revoke create on schema public from public"
    );
    let server = postgres().unwrap();
    server.execute_at(&url, &sql).unwrap();
    let poor = format!("postgres://r_{name}:c4nary@{host}");
    block_on(async {
        let channel = referring(&poor, "dq");
        publish(&*channel, ID, "small ones need no rights")
            .await
            .unwrap();
        let error = publish(&*channel, ID, megabyte()).await.unwrap_err();
        assert!(!error.is_retryable(), "{error}");
        assert!(error.message().contains("permission denied"), "{error}");
        let read_only = format!("alter database {name} set default_transaction_read_only = on");
        let mut connection = PgConnection::connect(&url).await.unwrap();
        raw_sql(AssertSqlSafe(read_only))
            .execute(&mut connection)
            .await
            .unwrap();
        let error = publish(&*referring(&url, "dq"), ID, megabyte())
            .await
            .unwrap_err();
        assert!(error.is_retryable(), "{error}");
        assert!(error.message().contains("[SQLSTATE 25006]"), "{error}");
    });
}

#[test]
fn nobody_is_waited_for_longer_than_there_is_time() {
    // It takes connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://u:c4nary@{}/d", silent.local_addr().unwrap());
    let channel = to(&url, "dq");
    let limit = Duration::from_millis(800);
    let context = veracity_processor::ProcessContext::new("live", ID, limit);
    let error = block_on(channel.publish(&crate::parcel("x"), &context)).unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(!error.message().contains("c4nary"), "{error}");
}

#[test]
fn the_channel_shows_no_password() {
    let config = json!({"url": "postgres://u:c4nary@h/d", "channel": "dq"});
    let settings: veracity_channels::PostgresSettings = serde_json::from_value(config).unwrap();
    let channel = veracity_channels::Postgres::build(settings.clone()).unwrap();
    let said = format!("{settings:?} {channel:?}");
    assert!(!said.contains("c4nary"), "{said}");
}
