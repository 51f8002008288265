//! The outbox: reports, and what is still to be delivered of them, until it is.
//!
//! A report and its deliveries are stored in one transaction before anything is sent.
//! Whoever delivers claims a delivery for a while and settles it afterwards; what a killed
//! process had claimed becomes free when its lease ends. So each report reaches each
//! processor at least once, or ends as dead with a reason.
//!
//! The store is SQLite, PostgreSQL 12 or later, MariaDB 10.6 or later, or MySQL 8.0 or
//! later. While it cannot be reached, reports wait in a [`Spool`].

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;
use veracity_sql::{ConnectOptions, Database, Query, migrate};

mod claim;
mod error;
mod list;
mod memory;
mod record;
mod schema;
mod spool;
mod text;

pub use claim::{Claimed, Filter, Settlement};
pub use error::StoreError;
pub use list::{DeliveryFilter, DeliveryState, StoredDelivery};
pub use record::NewDelivery;
pub use spool::{Drained, Spool};

/// A point in time: milliseconds since the epoch, UTC.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Time(pub i64);

impl Time {
    /// This much later.
    pub fn after(self, wait: Duration) -> Self {
        let wait = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(wait))
    }
}

/// Reports and deliveries in a database.
///
/// It belongs to the tokio runtime in which it was opened. Every operation happens as a
/// whole or not at all; one that lost against another process, or whose connection broke,
/// is tried a few times.
#[derive(Debug, Clone)]
pub struct Store {
    database: Database,
}

impl Store {
    /// Opens the store at `url`, in the forms of [`veracity_sql::check_url`], and creates
    /// its tables or brings them up to date. The relative path of an SQLite file starts at
    /// `base`.
    ///
    /// # Errors
    ///
    /// If it cannot be reached, is damaged, or was made by a newer version.
    pub async fn open(url: &str, base: &Path) -> Result<Self, StoreError> {
        let options = ConnectOptions {
            base: base.to_owned(),
            application_name: "veracity store".into(),
            acquire_timeout: Duration::from_secs(5),
            ..ConnectOptions::default()
        };
        let database = Database::connect(url, &options).await?;
        let store = Self { database };
        store
            .trying(|| async {
                migrate(&store.database, schema::NAME, schema::MIGRATIONS).await?;
                Ok(())
            })
            .await?;
        Ok(store)
    }

    /// The database in words, without user and password.
    pub fn place(&self) -> &str {
        self.database.place()
    }

    /// Closes its connections.
    pub async fn close(&self) {
        self.database.close().await;
    }

    /// A query with placeholders `?`.
    fn query<'q>(&self, sql: &'static str) -> Query<'q> {
        self.database.dialect().query(sql)
    }

    /// A query that was put together here, of nothing but texts of this program.
    fn built<'q>(&self, sql: String) -> Query<'q> {
        self.database.dialect().query(AssertSqlSafe(sql))
    }

    /// Tries `operation` again while it loses against others or its connection breaks.
    /// It must bear to happen twice: of a commit whose answer is lost nobody knows.
    async fn trying<T, F>(&self, mut operation: impl FnMut() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut wait = Duration::from_millis(10);
        for _ in 1..ATTEMPTS {
            match operation().await {
                Err(error) if error.is_transient() => {}
                Err(error) if error.is_starved() => {
                    let why = self.database.reach().await.err();
                    return Err(why.map_or(error, StoreError::from));
                }
                done => return done,
            }
            tokio::time::sleep(wait + wait.mul_f64(fastrand::f64())).await;
            wait *= 2;
        }
        operation().await
    }
}

/// How often an operation is tried that loses against others.
const ATTEMPTS: u32 = 6;
