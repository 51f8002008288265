//! Who delivers what: claims that end by themselves.

use std::time::Duration;

use sqlx::Row;
use sqlx::any::AnyRow;
use uuid::Uuid;
use veracity_sql::{Dialect, Transaction};

use super::list::DeliveryState;
use super::text::{digest, escape, key, remark, unescape};
use super::{Store, StoreError, Time};

/// Which deliveries to claim; each part narrows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Those with one of these idempotency keys; any, if there is none.
    pub idempotency_keys: Vec<String>,
    /// Those of reports of this suite.
    pub suite: Option<String>,
    /// Those to one of these processors; any, if there is none.
    pub processors: Vec<String>,
    /// At most so many; the ones due first.
    pub limit: usize,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            idempotency_keys: Vec::new(),
            suite: None,
            processors: Vec::new(),
            limit: 100,
        }
    }
}

/// A delivery that its owner may make now, and nobody else until the lease ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
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
    /// How often it was tried, over all runs.
    pub attempts: u32,
    /// How often it may be tried.
    pub max_attempts: u32,
    /// When it was due.
    pub due: Time,
    /// Who claimed it.
    pub owner: String,
    /// When the lease ends.
    pub leased_until: Time,
    /// How often it was claimed; a settlement with an old number is refused.
    pub fence: i64,
}

/// How an attempt to deliver ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// The processor has it.
    Delivered {
        /// Something worth knowing.
        note: Option<String>,
    },
    /// There was nothing to deliver.
    Skipped {
        /// Why.
        note: Option<String>,
    },
    /// It is to be tried again.
    Retry {
        /// Not before then.
        at: Time,
        /// What went wrong.
        error: String,
    },
    /// It is given up.
    Dead {
        /// What went wrong.
        error: String,
    },
}

impl Store {
    /// Claims deliveries that are due and that nobody holds, for `lease` from `now` on.
    /// The ones due first come first; of two who ask at once each gets others.
    ///
    /// `owner` identifies the caller; it should be unique among all processes.
    ///
    /// # Errors
    ///
    /// If the database fails. Nothing is claimed then, or it becomes free when the lease
    /// ends.
    pub async fn claim(
        &self,
        filter: &Filter,
        owner: &str,
        lease: Duration,
        now: Time,
    ) -> Result<Vec<Claimed>, StoreError> {
        let owner = key("the owner of a claim", owner)?;
        self.trying(|| async {
            let mut transaction = self.database.begin().await?;
            let mut claimed = Vec::new();
            for row in self.free(&mut transaction, filter, now).await? {
                let claim = claim(&row, &owner, now.after(lease))?;
                if self.take(&mut transaction, &claim, now).await? {
                    claimed.push(claim);
                }
            }
            transaction.commit().await?;
            Ok(claimed)
        })
        .await
        .map_err(|error| error.context("nothing can be claimed"))
    }

    /// Deliveries that can be claimed; other transactions do not see them meanwhile.
    async fn free(
        &self,
        transaction: &mut Transaction,
        filter: &Filter,
        now: Time,
    ) -> Result<Vec<AnyRow>, StoreError> {
        // With a join MySQL would lock the reports too, and skip deliveries whose report
        // somebody else has locked.
        let mut sql = "select d.id, d.run, d.processor, d.plugin, d.attempts, d.max_attempts, \
                       d.due, d.fence, \
                       (select r.suite from veracity_store_reports r where r.run = d.run), \
                       (select r.origin from veracity_store_reports r where r.run = d.run) \
                       from veracity_store_deliveries d \
                       where d.status = 'pending' and d.due <= ? and d.leased_until <= ?"
            .to_owned();
        let lists = [
            ("d.id", &filter.idempotency_keys),
            ("d.processor", &filter.processors),
        ];
        if filter.suite.is_some() {
            sql.push_str(" and d.suite_key = ?");
        }
        for (column, names) in lists.iter().filter(|(_, names)| !names.is_empty()) {
            let marks = vec!["?"; names.len()].join(", ");
            sql.push_str(&format!(" and {column} in ({marks})"));
        }
        sql.push_str(" order by d.due, d.run, d.processor limit ?");
        sql.push_str(match self.database.dialect() {
            Dialect::Postgres | Dialect::MySql => " for update skip locked",
            Dialect::Sqlite => "",
        });
        let mut query = self.built(sql).bind(now.0).bind(now.0);
        if let Some(suite) = &filter.suite {
            query = query.bind(digest(&[suite]));
        }
        for name in lists.iter().flat_map(|(_, names)| *names) {
            query = query.bind(escape(name));
        }
        let query = query.bind(i64::try_from(filter.limit).unwrap_or(i64::MAX));
        Ok(query.fetch_all(&mut **transaction).await?)
    }

    async fn take(
        &self,
        transaction: &mut Transaction,
        claim: &Claimed,
        now: Time,
    ) -> Result<bool, StoreError> {
        let taken = self
            .query(
                "update veracity_store_deliveries \
                 set owner = ?, leased_until = ?, fence = ?, updated_at = ? \
                 where id = ? and fence = ? and status = 'pending' and leased_until <= ?",
            )
            .bind(&claim.owner)
            .bind(claim.leased_until.0)
            .bind(claim.fence)
            .bind(now.0)
            .bind(escape(&claim.idempotency_key))
            .bind(claim.fence - 1)
            .bind(now.0)
            .execute(&mut **transaction)
            .await?;
        Ok(taken.rows_affected() == 1)
    }

    /// Keeps `claim` for `lease` from `now` on. False if it is somebody else's by now, or
    /// was settled; a lease that has ended can be extended as long as nobody took it.
    ///
    /// # Errors
    ///
    /// If the database fails; the lease is then what it was.
    pub async fn extend(
        &self,
        claim: &Claimed,
        lease: Duration,
        now: Time,
    ) -> Result<bool, StoreError> {
        self.trying(|| async {
            let extended = self
                .query(
                    "update veracity_store_deliveries set leased_until = ?, updated_at = ? \
                     where id = ? and fence = ? and owner = ? and status = 'pending' \
                     and leased_until > 0",
                )
                .bind(now.after(lease).0)
                .bind(now.0)
                .bind(escape(&claim.idempotency_key))
                .bind(claim.fence)
                .bind(&claim.owner)
                .execute(self.database.pool())
                .await?;
            Ok(extended.rows_affected() == 1)
        })
        .await
        .map_err(|error| error.context("the lease cannot be extended"))
    }

    /// Records how `claim` ended, after `attempts` over all runs, and gives it back.
    ///
    /// False if somebody else has claimed it meanwhile, because the lease had ended, or it
    /// was set to be retried: what they say counts. Saying the same twice is true twice.
    ///
    /// # Errors
    ///
    /// If the database fails; the delivery is then tried again when the lease ends.
    pub async fn settle(
        &self,
        claim: &Claimed,
        settlement: Settlement,
        attempts: u32,
        now: Time,
    ) -> Result<bool, StoreError> {
        let (state, due, error, note) = match settlement {
            Settlement::Delivered { note } => (DeliveryState::Delivered, claim.due, None, note),
            Settlement::Skipped { note } => (DeliveryState::Skipped, claim.due, None, note),
            Settlement::Retry { at, error } => (DeliveryState::Pending, at, Some(error), None),
            Settlement::Dead { error } => (DeliveryState::Dead, claim.due, Some(error), None),
        };
        let (error, note) = (error.as_deref().map(remark), note.as_deref().map(remark));
        self.trying(|| async {
            let settled = self
                .query(
                    "update veracity_store_deliveries \
                     set status = ?, due = ?, error = ?, note = ?, attempts = ?, \
                     leased_until = 0, updated_at = ? \
                     where id = ? and fence = ? and owner = ? and leased_until > 0",
                )
                .bind(state.word())
                .bind(due.0)
                .bind(error.as_deref())
                .bind(note.as_deref())
                .bind(i64::from(attempts))
                .bind(now.0)
                .bind(escape(&claim.idempotency_key))
                .bind(claim.fence)
                .bind(&claim.owner)
                .execute(self.database.pool())
                .await?;
            if settled.rows_affected() == 1 {
                return Ok(true);
            }
            // It may have been this very call, whose answer was lost.
            let same = self
                .query(
                    "select count(*) from veracity_store_deliveries \
                     where id = ? and fence = ? and owner = ? and leased_until = 0 \
                     and status = ? and due = ? and attempts = ? and updated_at = ?",
                )
                .bind(escape(&claim.idempotency_key))
                .bind(claim.fence)
                .bind(&claim.owner)
                .bind(state.word())
                .bind(due.0)
                .bind(i64::from(attempts))
                .bind(now.0)
                .fetch_one(self.database.pool())
                .await?;
            Ok(same.try_get::<i64, _>(0)? == 1)
        })
        .await
        .map_err(|error| error.context("the delivery cannot be settled"))
    }
}

fn claim(row: &AnyRow, owner: &str, leased_until: Time) -> Result<Claimed, StoreError> {
    let text = |at: usize| row.try_get::<String, _>(at).map(|text| unescape(&text));
    let number = |at: usize| row.try_get::<i64, _>(at);
    Ok(Claimed {
        idempotency_key: text(0)?,
        run_id: run_id(&text(1)?)?,
        processor: text(2)?,
        plugin: text(3)?,
        attempts: count(number(4)?),
        max_attempts: count(number(5)?),
        due: Time(number(6)?),
        fence: number(7)? + 1,
        suite: text(8)?,
        origin: text(9)?,
        owner: owner.to_owned(),
        leased_until,
    })
}

pub(super) fn run_id(id: &str) -> Result<Uuid, StoreError> {
    id.parse()
        .map_err(|_| StoreError::permanent(format!("a stored run has the odd id `{id}`")))
}

pub(super) fn count(number: i64) -> u32 {
    u32::try_from(number.max(0)).unwrap_or(u32::MAX)
}
