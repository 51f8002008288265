//! The channel `postgres`: a notification for each message.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;
use veracity_http::within;
use veracity_processor::{
    Channel, ConfigError, FieldError, Outcome, Parcel, Plugin, ProcessContext, ProcessorError,
    Publisher, Secret, Timestamp, register,
};
use veracity_sql::{ConnectOptions, Database, Dialect, Migration, SqlError, check_url, migrate};

use crate::envelope::Envelope;

register!(
    Plugin::channel::<Postgres>("postgres", env!("CARGO_PKG_VERSION"))
        .description("Notifies whoever listens to a channel of PostgreSQL")
        .author("the veracity authors")
        .example("live: {use: postgres, url: \"${secret:DQ_DATABASE}\", channel: veracity}")
);

/// A notification holds fewer bytes than this.
const LONGEST_NOTIFICATION: usize = 8000;

/// The most bytes of a channel's name: an identifier of PostgreSQL.
const LONGEST_NAME: usize = 63;

/// How long closing connections may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// What the table of messages was made by; it is never changed after a release.
const MIGRATIONS: &[Migration<'static>] = &[Migration {
    version: 1,
    name: "messages",
    statements: &["create table if not exists veracity_messages (\
         id {key} not null primary key, \
         created_at timestamp with time zone not null default now(), \
         channel {text} not null, body {text} not null) {table}"],
}];

/// Settings of the channel `postgres`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostgresSettings {
    /// The database: `postgres://user:password@host/database`. TLS is asked for by its
    /// parameters: `sslmode=verify-full&sslrootcert=ca.pem`.
    #[schemars(extend("format" = "database-url"))]
    pub url: Secret,
    /// The channel that is notified, at most 63 bytes. It is taken as it is written:
    /// `Orders` is heard by `listen "Orders"`.
    pub channel: String,
    /// What becomes of a message of 8000 bytes and more, which no notification can hold.
    #[serde(default)]
    pub oversize: Oversize,
}

/// What becomes of a message that no notification can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Oversize {
    /// It is not published.
    #[default]
    Refuse,
    /// It is put into the table `veracity_messages`, which is made if it is missing, and
    /// the notification holds its `id`.
    Reference,
}

/// Notifies through PostgreSQL.
pub struct Postgres {
    settings: PostgresSettings,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    database: Option<Database>,
    /// Whether there is a table for large messages.
    migrated: bool,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Postgres").field(&self.settings).finish()
    }
}

impl Publisher for Postgres {
    type Config = PostgresSettings;

    fn build(settings: PostgresSettings) -> Result<Self, ConfigError> {
        let mut faults = Vec::new();
        match check_url(settings.url.expose()) {
            Ok(Dialect::Postgres) => {}
            Ok(other) => faults.push(FieldError::new(
                "/url",
                format!("{other} has no notifications; the URL must begin with `postgres://`"),
            )),
            Err(message) => faults.push(FieldError::new("/url", message)),
        }
        if let Err(message) = check_name(&settings.channel) {
            faults.push(FieldError::new("/channel", message));
        }
        if !faults.is_empty() {
            return Err(ConfigError(faults));
        }
        Ok(Self {
            settings,
            state: Mutex::default(),
        })
    }
}

/// Whether `name` can be that of a channel; it is never part of a statement.
fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("is empty".to_owned());
    }
    if name.len() > LONGEST_NAME {
        let length = name.len();
        return Err(format!(
            "takes {length} bytes, there is room for {LONGEST_NAME}"
        ));
    }
    match name.chars().find(|c| c.is_control()) {
        Some(c) => Err(format!(
            "holds the control character `{}`",
            c.escape_default()
        )),
        None => Ok(()),
    }
}

#[async_trait]
impl Channel for Postgres {
    async fn publish(
        &self,
        parcel: &Parcel,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let body = Envelope::new(parcel, context, Timestamp::now()).json()?;
        let large = body.len() >= LONGEST_NOTIFICATION;
        if large && self.settings.oversize == Oversize::Refuse {
            return Err(ProcessorError::permanent(format!(
                "the message takes {} bytes, a notification of PostgreSQL holds fewer than \
                 {LONGEST_NOTIFICATION}; `oversize: reference` puts it into a table",
                body.len()
            )));
        }
        let id = &context.idempotency_key;
        within(context, async {
            let mut sent = self.send(id, &body, large).await;
            // A connection that has been idle for long may be gone.
            if sent.as_ref().is_err_and(SqlError::is_transient) {
                sent = self.send(id, &body, large).await;
            }
            sent.map_err(told)
        })
        .await?;
        Ok(Outcome::done())
    }

    async fn shutdown(&self) -> Result<(), ProcessorError> {
        self.forget().await;
        Ok(())
    }
}

impl Postgres {
    async fn send(&self, id: &str, body: &str, large: bool) -> Result<(), SqlError> {
        let database = self.database(large).await?;
        let Err(mut error) = self.notify(&database, id, body, large).await else {
            return Ok(());
        };
        // The pool only says that it waited.
        if error.is_starved()
            && let Err(reason) = database.reach().await
        {
            error = reason;
        } else {
            error = error.context(database.place());
        }
        self.forget().await;
        Err(error)
    }

    async fn notify(
        &self,
        database: &Database,
        id: &str,
        body: &str,
        large: bool,
    ) -> Result<(), SqlError> {
        let channel = &self.settings.channel;
        let notify = |payload: String| {
            let query = Dialect::Postgres.query("select pg_notify(?, ?)");
            query.bind(channel.clone()).bind(payload)
        };
        if !large {
            notify(body.to_owned()).execute(database.pool()).await?;
            return Ok(());
        }
        // Nobody is notified before the row is there.
        let mut transaction = database.begin().await?;
        Dialect::Postgres
            .query(
                "insert into veracity_messages (id, channel, body) values (?, ?, ?) \
                 on conflict (id) do nothing",
            )
            .bind(id.to_owned())
            .bind(channel.clone())
            .bind(body.to_owned())
            .execute(&mut *transaction)
            .await?;
        let reference = json!({ "id": id }).to_string();
        notify(reference).execute(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }

    /// The database, with a table for messages if one is `large`.
    async fn database(&self, large: bool) -> Result<Database, SqlError> {
        let mut state = self.state.lock().await;
        let database = match &state.database {
            Some(database) => database.clone(),
            None => {
                let options = ConnectOptions {
                    max_connections: 1,
                    acquire_timeout: Duration::from_secs(5),
                    ..ConnectOptions::default()
                };
                let url = self.settings.url.expose();
                let database = Database::connect(url, &options).await?;
                state.database.insert(database).clone()
            }
        };
        if large && !state.migrated {
            let migrated = migrate(&database, "veracity_messages_migrations", MIGRATIONS).await;
            migrated.map_err(|error| error.context(database.place()))?;
            state.migrated = true;
        }
        Ok(database)
    }

    /// Closes the connections; the next message makes new ones, and looks for the table
    /// again.
    async fn forget(&self) {
        let mut state = self.state.lock().await;
        state.migrated = false;
        if let Some(database) = state.database.take() {
            // A server that is gone does not answer a goodbye.
            let _ = tokio::time::timeout(FAREWELL, database.close()).await;
        }
    }
}

fn told(error: SqlError) -> ProcessorError {
    // The queue of notifications is full: a listener does not read.
    let full = error.code.as_deref() == Some("54000");
    if full || error.is_retryable() {
        ProcessorError::retryable(error.message)
    } else {
        ProcessorError::permanent(error.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_wrong_is_told_at_once_and_no_password() {
        let long = "é".repeat(32);
        let cases: &[(&str, &str, &str)] = &[
            ("postgres://h/d", "veracity", ""),
            ("postgres://h/d", "x\"; drop table y; --", ""),
            (
                "postgres://u:hunter2@h",
                &long,
                "url: the name of the database is missing; it is written \
                 `postgres://user@host/database`; channel: takes 64 bytes, there is room for 63",
            ),
            (
                "mysql://u:hunter2@h/d",
                "",
                "url: MySQL has no notifications; the URL must begin with `postgres://`; \
                 channel: is empty",
            ),
            (
                "postgres://h/d",
                "a\0",
                "channel: holds the control character `\\u{0}`",
            ),
        ];
        for (url, channel, expected) in cases {
            let settings = PostgresSettings {
                url: (*url).into(),
                channel: (*channel).to_owned(),
                oversize: Oversize::Refuse,
            };
            let error = Postgres::build(settings).err();
            let error = error.map_or(String::new(), |error| error.to_string());
            assert_eq!(error, *expected, "{url} {channel}");
        }
    }
}
