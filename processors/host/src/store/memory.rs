//! What lasts between runs besides reports: states of processors, circuit breakers, and
//! which processors are disabled.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::Row;
use veracity_processor::State;
use veracity_sql::Dialect;

use super::text::{digest, escape, key, unescape};
use super::{Store, StoreError, Time};

impl Store {
    /// What `instance` remembers of `suite`, with the version to save it under; version 0
    /// and nothing if it remembers nothing.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn state(
        &self,
        suite: &str,
        instance: &str,
    ) -> Result<(i64, BTreeMap<String, Value>), StoreError> {
        self.trying(|| async {
            let row = self
                .query("select version, state from veracity_store_states where id = ?")
                .bind(digest(&[suite, instance]))
                .fetch_optional(self.database.pool())
                .await?;
            match row {
                Some(row) => Ok((row.try_get(0)?, json(&row.try_get::<String, _>(1)?)?)),
                None => Ok((0, BTreeMap::new())),
            }
        })
        .await
        .map_err(|error| error.context("the state cannot be read"))
    }

    /// Saves what `instance` remembers of `suite`, if nobody saved it since it had
    /// `version`; false otherwise.
    ///
    /// # Errors
    ///
    /// If it takes more than [`State::MAX_BYTES`] of JSON, or the database fails. If the
    /// connection breaks at the end, it may be saved although false is returned.
    pub async fn save_state(
        &self,
        suite: &str,
        instance: &str,
        version: i64,
        values: &BTreeMap<String, Value>,
        now: Time,
    ) -> Result<bool, StoreError> {
        let json = text(values)?;
        if json.len() > State::MAX_BYTES {
            let most = State::MAX_BYTES;
            return Err(StoreError::permanent(format!(
                "the state of `{instance}` has {} bytes of JSON; it may have {most}",
                json.len()
            )));
        }
        let id = digest(&[suite, instance]);
        self.trying(|| async {
            if version == 0 {
                let inserted = self
                    .query(
                        "insert into veracity_store_states \
                         (id, suite, instance, version, updated_at, state) \
                         values (?, ?, ?, 1, ?, ?)",
                    )
                    .bind(&id)
                    .bind(escape(suite))
                    .bind(escape(instance))
                    .bind(now.0)
                    .bind(&json)
                    .execute(self.database.pool())
                    .await
                    .map_err(veracity_sql::SqlError::from);
                return match inserted {
                    Ok(_) => Ok(true),
                    Err(error) if error.is_unique_violation() => Ok(false),
                    Err(error) => Err(error.into()),
                };
            }
            let saved = self
                .query(
                    "update veracity_store_states set version = version + 1, updated_at = ?, \
                     state = ? where id = ? and version = ?",
                )
                .bind(now.0)
                .bind(&json)
                .bind(&id)
                .bind(version)
                .execute(self.database.pool())
                .await?;
            Ok(saved.rows_affected() == 1)
        })
        .await
        .map_err(|error| error.context("the state cannot be saved"))
    }

    /// The circuit breaker kept under `name`.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn breaker(&self, name: &str) -> Result<Option<Value>, StoreError> {
        self.trying(|| async {
            let row = self
                .query("select breaker from veracity_store_breakers where id = ?")
                .bind(digest(&[name]))
                .fetch_optional(self.database.pool())
                .await?;
            row.map(|row| json(&row.try_get::<String, _>(0)?))
                .transpose()
        })
        .await
        .map_err(|error| error.context("the circuit breaker cannot be read"))
    }

    /// Keeps `breaker` under `name`, whatever was kept there.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn save_breaker(
        &self,
        name: &str,
        breaker: &Value,
        now: Time,
    ) -> Result<(), StoreError> {
        let json = text(breaker)?;
        let insert = "insert into veracity_store_breakers (id, name, updated_at, breaker) \
                      values (?, ?, ?, ?)";
        let sql = match self.database.dialect() {
            Dialect::MySql => format!(
                "{insert} on duplicate key update updated_at = values(updated_at), \
                 breaker = values(breaker)"
            ),
            Dialect::Postgres | Dialect::Sqlite => format!(
                "{insert} on conflict (id) do update set updated_at = excluded.updated_at, \
                 breaker = excluded.breaker"
            ),
        };
        self.trying(|| async {
            self.built(sql.clone())
                .bind(digest(&[name]))
                .bind(escape(name))
                .bind(now.0)
                .bind(&json)
                .execute(self.database.pool())
                .await?;
            Ok(())
        })
        .await
        .map_err(|error| error.context("the circuit breaker cannot be kept"))
    }

    /// Enables or disables the processor called `name` until it is said otherwise.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn set_enabled(
        &self,
        name: &str,
        enabled: bool,
        now: Time,
    ) -> Result<(), StoreError> {
        let name = key("the name of a processor", name)?;
        self.trying(|| async {
            let mut transaction = self.database.begin().await?;
            self.query("delete from veracity_store_disabled where name = ?")
                .bind(&name)
                .execute(&mut *transaction)
                .await?;
            if !enabled {
                self.query("insert into veracity_store_disabled (name, disabled_at) values (?, ?)")
                    .bind(&name)
                    .bind(now.0)
                    .execute(&mut *transaction)
                    .await?;
            }
            Ok(transaction.commit().await?)
        })
        .await
    }

    /// The processors that are disabled, sorted.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn disabled(&self) -> Result<Vec<String>, StoreError> {
        self.trying(|| async {
            let rows = self
                .query("select name from veracity_store_disabled order by name")
                .fetch_all(self.database.pool())
                .await?;
            let names = rows.iter().map(|row| row.try_get::<String, _>(0));
            let names: Result<Vec<String>, _> = names.collect();
            Ok(names?.iter().map(|name| unescape(name)).collect())
        })
        .await
    }
}

fn text(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value)
        .map_err(|error| StoreError::permanent(format!("it is no JSON: {error}")))
}

fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text)
        .map_err(|error| StoreError::permanent(format!("what is stored is damaged: {error}")))
}
