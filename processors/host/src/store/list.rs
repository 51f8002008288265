//! What people see of deliveries, and what they can do about them.

use std::fmt;

use serde::Serialize;
use sqlx::Row;
use sqlx::any::AnyRow;
use uuid::Uuid;

use super::claim::{count, run_id};
use super::text::{digest, escape, unescape};
use super::{Store, StoreError, Time};
use crate::names::{did_you_mean, listed};

/// How far a delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It is to be made, or is being made.
    Pending,
    /// The processor has it.
    Delivered,
    /// There was nothing to deliver.
    Skipped,
    /// It is given up.
    Dead,
}

impl DeliveryState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Delivered, Self::Skipped, Self::Dead];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Skipped => "skipped",
            Self::Dead => "dead",
        }
    }

    fn of(word: &str) -> Result<Self, StoreError> {
        let state = Self::ALL.into_iter().find(|state| state.word() == word);
        state.ok_or_else(|| StoreError::permanent(format!("a delivery has the odd state `{word}`")))
    }
}

impl fmt::Display for DeliveryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Which deliveries to list; each part narrows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Those of this run.
    pub run_id: Option<Uuid>,
    /// Those of reports of this suite.
    pub suite: Option<String>,
    /// Those to this processor.
    pub processor: Option<String>,
    /// Those in one of these states; all if there is none.
    pub states: Vec<DeliveryState>,
}

/// A delivery as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredDelivery {
    /// Identifies it everywhere and for ever.
    pub idempotency_key: String,
    /// The run whose report is to be delivered.
    pub run_id: Uuid,
    /// The suite of that run.
    pub suite: String,
    /// The absolute path of the suite file, or empty.
    pub origin: String,
    /// The name the processor is configured under.
    pub processor: String,
    /// The name of the plugin.
    pub plugin: String,
    /// How far it is.
    pub state: DeliveryState,
    /// How often it was tried, over all runs.
    pub attempts: u32,
    /// How often it may be tried.
    pub max_attempts: u32,
    /// When it is to be tried.
    pub due: Time,
    /// Who holds it until when, if it is being made; the lease may have ended.
    pub lease: Option<(String, Time)>,
    /// How often it was claimed.
    pub claims: u32,
    /// When the report was stored.
    pub recorded_at: Time,
    /// When something happened to it last.
    pub updated_at: Time,
    /// What went wrong last.
    pub error: Option<String>,
    /// Something worth knowing.
    pub note: Option<String>,
}

/// The columns of [`StoredDelivery`].
const COLUMNS: &str = "select d.id, d.run, r.suite, r.origin, d.processor, d.plugin, d.status, \
    d.attempts, d.max_attempts, d.due, d.owner, d.leased_until, d.fence, r.recorded_at, \
    d.updated_at, d.error, d.note \
    from veracity_store_deliveries d join veracity_store_reports r on r.run = d.run where 1 = 1";

impl Store {
    /// The deliveries that `filter` takes, by run (the oldest first) and processor.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn list(&self, filter: &DeliveryFilter) -> Result<Vec<StoredDelivery>, StoreError> {
        let mut sql = COLUMNS.to_owned();
        let mut values = Vec::new();
        let parts = [
            ("d.run", filter.run_id.map(|run| run.to_string())),
            (
                "d.suite_key",
                filter.suite.as_deref().map(|suite| digest(&[suite])),
            ),
            ("d.processor", filter.processor.as_deref().map(escape)),
        ];
        for (column, value) in parts {
            if let Some(value) = value {
                sql.push_str(&format!(" and {column} = ?"));
                values.push(value);
            }
        }
        if !filter.states.is_empty() {
            let marks = vec!["?"; filter.states.len()].join(", ");
            sql.push_str(&format!(" and d.status in ({marks})"));
            values.extend(filter.states.iter().map(|state| state.word().to_owned()));
        }
        sql.push_str(" order by d.run, d.processor");
        self.trying(|| async {
            let mut query = self.built(sql.clone());
            for value in &values {
                query = query.bind(value.as_str());
            }
            let rows = query.fetch_all(self.database.pool()).await?;
            rows.iter().map(stored).collect()
        })
        .await
        .map_err(|error| error.context("the deliveries cannot be listed"))
    }

    /// Makes the delivery with the idempotency key `id` due now: one that is dead, or waits for its next attempt.
    ///
    /// # Errors
    ///
    /// If there is no such delivery, or it is made already, or the database fails.
    pub async fn retry(&self, id: &str, now: Time) -> Result<(), StoreError> {
        // The claim of a process that hangs no longer counts.
        let retried = self
            .trying(|| async {
                let retried = self
                    .query(
                        // MySQL assigns from left to right: `attempts` still sees `status`.
                        "update veracity_store_deliveries \
                         set attempts = case when status = 'dead' then 0 else attempts end, \
                         status = 'pending', due = ?, leased_until = 0, fence = fence + 1, \
                         updated_at = ? where id = ? and status in ('pending', 'dead')",
                    )
                    .bind(now.0)
                    .bind(now.0)
                    .bind(escape(id))
                    .execute(self.database.pool())
                    .await?;
                Ok(retried.rows_affected() == 1)
            })
            .await?;
        if retried {
            return Ok(());
        }
        let all = self.list(&DeliveryFilter::default()).await?;
        if let Some(found) = all.iter().find(|delivery| delivery.idempotency_key == id) {
            let state = found.state;
            return Err(StoreError::permanent(format!(
                "delivery `{id}` is {state}; only what is dead or pending can be retried"
            )));
        }
        let open = |state| matches!(state, DeliveryState::Pending | DeliveryState::Dead);
        let open = all.iter().filter(|delivery| open(delivery.state));
        let ids: Vec<&str> = open
            .map(|delivery| delivery.idempotency_key.as_str())
            .collect();
        let mut message = format!("there is no delivery `{id}`");
        match did_you_mean(id, ids.iter().copied()).as_str() {
            "" if ids.is_empty() => message.push_str("; none is dead or pending"),
            "" => message.push_str(&format!("; dead or pending are {}", listed(ids))),
            near => message.push_str(near),
        }
        Err(StoreError::permanent(message))
    }
}

fn stored(row: &AnyRow) -> Result<StoredDelivery, StoreError> {
    let text = |at: usize| row.try_get::<String, _>(at).map(|text| unescape(&text));
    let remark = |at: usize| {
        let text = row.try_get::<Option<String>, _>(at);
        text.map(|text| text.map(|text| unescape(&text)))
    };
    let number = |at: usize| row.try_get::<i64, _>(at);
    let leased_until = number(11)?;
    Ok(StoredDelivery {
        idempotency_key: text(0)?,
        run_id: run_id(&text(1)?)?,
        suite: text(2)?,
        origin: text(3)?,
        processor: text(4)?,
        plugin: text(5)?,
        state: DeliveryState::of(&text(6)?)?,
        attempts: count(number(7)?),
        max_attempts: count(number(8)?),
        due: Time(number(9)?),
        lease: (leased_until > 0).then_some((text(10)?, Time(leased_until))),
        claims: count(number(12)?),
        recorded_at: Time(number(13)?),
        updated_at: Time(number(14)?),
        error: remark(15)?,
        note: remark(16)?,
    })
}
