//! Reports.

use serde::{Deserialize, Serialize};
use sqlx::Row;
use uuid::Uuid;
use veracity_processor::{Report, Run, SCHEMA_VERSION};
use veracity_sql::{Dialect, Transaction};

use super::text::{digest, escape, key};
use super::{Store, StoreError, Time};

/// A report that is to be delivered to one instance of a processor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewDelivery {
    /// The name the processor is configured under; unique in its run.
    pub processor: String,
    /// The name of the plugin.
    pub plugin: String,
    /// Identifies the delivery everywhere and for ever.
    pub idempotency_key: String,
    /// When it may be tried first.
    pub due: Time,
    /// How often it may be tried.
    pub max_attempts: u32,
}

impl Store {
    /// Stores `report` and what is to be delivered of it, in one transaction. `origin` is
    /// the absolute path of the suite file, or empty.
    ///
    /// A report, and a delivery, that is there already stays as it is.
    ///
    /// # Errors
    ///
    /// If the database fails, or an idempotency key is that of another delivery. Nothing
    /// is stored then.
    pub async fn record(
        &self,
        report: &Report,
        origin: &str,
        deliveries: &[NewDelivery],
        now: Time,
    ) -> Result<(), StoreError> {
        let json = serde_json::to_string(report)
            .map_err(|error| StoreError::permanent(format!("the report is no JSON: {error}")))?;
        self.check_size(json.len()).await?;
        let run = &report.run;
        self.trying(|| async {
            let mut transaction = self.database.begin().await?;
            self.unless_there(
                "insert into veracity_store_reports \
                 (run, suite_key, series, suite, origin, schema_version, recorded_at, report) \
                 values (?, ?, ?, ?, ?, ?, ?, ?)",
                "run",
            )
            .bind(run.id.to_string())
            .bind(digest(&[&run.suite]))
            .bind(series(run))
            .bind(escape(&run.suite))
            .bind(escape(origin))
            .bind(i64::from(report.schema_version))
            .bind(now.0)
            .bind(json.as_str())
            .execute(&mut *transaction)
            .await?;
            for delivery in deliveries {
                self.deliver(&mut transaction, run, delivery, now).await?;
            }
            Ok(transaction.commit().await?)
        })
        .await
        .map_err(|error| error.context("the report cannot be stored"))
    }

    async fn deliver(
        &self,
        transaction: &mut Transaction,
        run: &Run,
        delivery: &NewDelivery,
        now: Time,
    ) -> Result<(), StoreError> {
        let id = key("an idempotency key", &delivery.idempotency_key)?;
        let processor = key("the name of a processor", &delivery.processor)?;
        self.unless_there(
            "insert into veracity_store_deliveries \
             (id, run, processor, plugin, suite_key, status, attempts, max_attempts, due, \
              fence, owner, leased_until, updated_at) \
             values (?, ?, ?, ?, ?, 'pending', 0, ?, ?, 0, '', 0, ?)",
            "id",
        )
        .bind(&id)
        .bind(run.id.to_string())
        .bind(&processor)
        .bind(key("the name of a plugin", &delivery.plugin)?)
        .bind(digest(&[&run.suite]))
        .bind(i64::from(delivery.max_attempts))
        .bind(delivery.due.0)
        .bind(now.0)
        .execute(&mut **transaction)
        .await?;
        let stored = self
            .query("select id from veracity_store_deliveries where run = ? and processor = ?")
            .bind(run.id.to_string())
            .bind(&processor)
            .fetch_optional(&mut **transaction)
            .await?;
        let stored: Option<String> = stored.map(|row| row.try_get(0)).transpose()?;
        if stored.as_deref() == Some(id.as_str()) {
            return Ok(());
        }
        Err(StoreError::permanent(format!(
            "the idempotency key `{}` of processor `{}` is that of another delivery, or has \
             changed",
            delivery.idempotency_key, delivery.processor
        )))
    }

    /// `insert` that does nothing if there is such a row already.
    fn unless_there<'q>(&self, insert: &str, key: &str) -> veracity_sql::Query<'q> {
        self.built(match self.database.dialect() {
            Dialect::Postgres | Dialect::Sqlite => format!("{insert} on conflict do nothing"),
            // `insert ignore` would also ignore that a value does not fit.
            Dialect::MySql => format!("{insert} on duplicate key update {key} = {key}"),
        })
    }

    /// MySQL cuts the connection of those who send too much, so they are told before.
    async fn check_size(&self, bytes: usize) -> Result<(), StoreError> {
        if self.database.dialect() != Dialect::MySql || bytes < 500_000 {
            return Ok(());
        }
        let most = self
            .query("select cast(@@max_allowed_packet as signed)")
            .fetch_one(self.database.pool())
            .await?;
        let most: i64 = most.try_get(0)?;
        // Names and keys come on top of the report.
        if i64::try_from(bytes).is_ok_and(|bytes| bytes + 100_000 < most) {
            return Ok(());
        }
        Err(StoreError::configuration(format!(
            "the report has {bytes} bytes; raise `max_allowed_packet` of the server, which is \
             {most}"
        )))
    }

    /// The report of `run`.
    ///
    /// # Errors
    ///
    /// If the database fails, or a newer version wrote the report.
    pub async fn report(&self, run: Uuid) -> Result<Option<Report>, StoreError> {
        self.trying(|| async {
            let row = self
                .query("select schema_version, report from veracity_store_reports where run = ?")
                .bind(run.to_string())
                .fetch_optional(self.database.pool())
                .await?;
            row.map(|row| read(row.try_get(0)?, row.try_get(1)?))
                .transpose()
        })
        .await
    }

    /// The report of the last run before `run` of the same suite with the same tags, by
    /// when they were made.
    ///
    /// # Errors
    ///
    /// If the database fails, or a newer version wrote the report.
    pub async fn last_report(&self, run: &Run) -> Result<Option<Report>, StoreError> {
        self.trying(|| async {
            let row = self
                .query(
                    "select schema_version, report from veracity_store_reports \
                     where series = ? and run < ? order by run desc limit 1",
                )
                .bind(series(run))
                .bind(run.id.to_string())
                .fetch_optional(self.database.pool())
                .await?;
            row.map(|row| read(row.try_get(0)?, row.try_get(1)?))
                .transpose()
        })
        .await
    }
}

fn read(version: i64, json: String) -> Result<Report, StoreError> {
    if version > i64::from(SCHEMA_VERSION) {
        return Err(StoreError::configuration(format!(
            "the stored report has version {version}, this program reads versions up to \
             {SCHEMA_VERSION}; use the newer program"
        )));
    }
    serde_json::from_str(&json)
        .map_err(|error| StoreError::permanent(format!("a stored report is damaged: {error}")))
}

/// Runs that follow each other: of one suite, with the same tags.
fn series(run: &Run) -> String {
    let mut parts = vec![run.suite.as_str()];
    for (name, value) in &run.key.tags {
        parts.extend([name.as_str(), value.as_str()]);
    }
    digest(&parts)
}
