//! Tables that are created and changed exactly once.
//!
//! sqlx has migrations too, but with SQLite they take no lock, with MySQL an interrupted
//! one stays until somebody repairs it by hand, and a newer schema is told as a missing
//! file.

use sqlx::any::AnyArguments;
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AssertSqlSafe, Connection, Row};

use crate::{Database, Dialect, SqlError, SqlErrorKind};

/// One step from an older schema to a newer one.
#[derive(Debug, Clone, Copy)]
pub struct Migration<'a> {
    /// Its number; they grow from migration to migration, and are never given twice.
    pub version: i64,
    /// What it does, in a few words.
    pub name: &'a str,
    /// Its statements, in the words of [`Dialect::ddl`].
    ///
    /// MySQL has no transactions around them: a statement may run again if the process
    /// was killed after it. There "exists already" (tables, columns, indexes) then counts
    /// as done; a statement that changes rows must bear to run twice.
    pub statements: &'a [&'a str],
}

/// How long one process waits for another's migration, in seconds.
const PATIENCE_S: u32 = 60;

/// Brings the schema whose migrations are recorded in the table `name` up to date.
///
/// Two processes at once apply each migration once; the slower one waits. With PostgreSQL
/// and SQLite a migration happens as a whole or not at all; with MySQL an interrupted one
/// is taken up again. Returns the version the schema has then.
///
/// # Errors
///
/// If the schema is newer than `migrations`, or the database refuses.
pub async fn migrate(
    database: &Database,
    name: &str,
    migrations: &[Migration<'_>],
) -> Result<i64, SqlError> {
    debug_assert!(migrations.is_sorted_by(|a, b| a.version < b.version));
    let schema = Schema {
        dialect: database.dialect(),
        name,
        migrations,
    };
    let mut connection = database.pool().acquire().await?;
    let migrated = match schema.dialect {
        Dialect::MySql => schema.locked(&mut connection).await,
        Dialect::Postgres | Dialect::Sqlite => schema.in_transactions(&mut connection).await,
    };
    migrated.map_err(|error| error.context(format!("cannot migrate the tables of `{name}`")))
}

struct Schema<'a> {
    dialect: Dialect,
    name: &'a str,
    migrations: &'a [Migration<'a>],
}

impl Schema<'_> {
    fn known(&self) -> i64 {
        self.migrations.last().map_or(0, |last| last.version)
    }

    fn table(&self) -> String {
        self.dialect.quote(self.name)
    }

    fn query<'q>(&self, sql: String) -> sqlx::query::Query<'q, Any, AnyArguments> {
        self.dialect.query(AssertSqlSafe(sql))
    }

    /// One transaction for each migration; the look at what is applied is part of it.
    async fn in_transactions(&self, connection: &mut AnyConnection) -> Result<i64, SqlError> {
        loop {
            let mut transaction = match self.dialect {
                Dialect::Sqlite => connection.begin_with("begin immediate").await?,
                // In a stricter one, all would be seen as it was before the lock was had.
                Dialect::Postgres => {
                    let begin = "begin isolation level read committed";
                    connection.begin_with(begin).await?
                }
                Dialect::MySql => connection.begin().await?,
            };
            if self.dialect == Dialect::Postgres {
                let patience = format!(
                    "set local lock_timeout = '{PATIENCE_S}s'; set local statement_timeout = 0"
                );
                sqlx::raw_sql(AssertSqlSafe(patience))
                    .execute(&mut *transaction)
                    .await?;
                self.query("select pg_advisory_xact_lock(hashtext(?)::bigint)".into())
                    .bind(self.name.to_owned())
                    .execute(&mut *transaction)
                    .await?;
            }
            let (applied, _) = self.applied(&mut transaction).await?;
            let Some(next) = self.next(applied)? else {
                transaction.commit().await?;
                return Ok(applied);
            };
            for statement in next.statements {
                self.apply(&mut transaction, next, statement).await?;
            }
            self.begun(&mut transaction, next).await?;
            self.finished(&mut transaction, next).await?;
            transaction.commit().await?;
        }
    }

    /// Under a lock of the connection, which the server lets go when it ends.
    async fn locked(&self, connection: &mut PoolConnection<Any>) -> Result<i64, SqlError> {
        connection.close_on_drop();
        // Locks are the whole server's, and their names short.
        let lock = format!(
            "select cast(coalesce(get_lock(concat('veracity ', \
             md5(concat(coalesce(database(), ''), ' ', ?))), {PATIENCE_S}), 0) as signed)"
        );
        let row = self
            .query(lock)
            .bind(self.name.to_owned())
            .fetch_one(&mut **connection)
            .await?;
        if row.try_get::<i64, _>(0)? != 1 {
            return Err(SqlError::retryable(
                "another process migrates them for too long",
            ));
        }
        loop {
            let (applied, begun) = self.applied(connection).await?;
            let Some(next) = self.next(applied)? else {
                return Ok(applied);
            };
            let again = begun == next.version;
            if !again {
                self.begun(connection, next).await?;
            }
            for statement in next.statements {
                match self.apply(connection, next, statement).await {
                    Err(error) if again && is_done(&error) => {}
                    applied => applied?,
                }
            }
            self.finished(connection, next).await?;
        }
    }

    /// The last version that was finished, and the last that was begun.
    async fn applied(&self, connection: &mut AnyConnection) -> Result<(i64, i64), SqlError> {
        let table = self.table();
        let create = self.dialect.ddl(&format!(
            "create table if not exists {table} (version {{int}} not null primary key, \
             name {{key}} not null, finished {{int}} not null) {{table}}"
        ));
        // PostgreSQL sends a notice each time the table exists.
        let missing = match self.dialect {
            Dialect::Postgres => {
                let row = self
                    .query("select to_regclass(?) is null".into())
                    .bind(table.clone())
                    .fetch_one(&mut *connection)
                    .await?;
                row.try_get(0)?
            }
            Dialect::MySql | Dialect::Sqlite => true,
        };
        if missing {
            self.query(create).execute(&mut *connection).await?;
        }
        let row = self
            .query(format!(
                "select coalesce(max(case when finished = 1 then version else 0 end), 0), \
                 coalesce(max(version), 0) from {table}"
            ))
            .fetch_one(connection)
            .await?;
        Ok((row.try_get(0)?, row.try_get(1)?))
    }

    /// The migration after `applied`, if there is one.
    fn next(&self, applied: i64) -> Result<Option<&Migration<'_>>, SqlError> {
        if applied > self.known() {
            return Err(SqlError::new(
                SqlErrorKind::Configuration,
                format!(
                    "they have version {applied}, this program knows versions up to {}; use the \
                     newer program",
                    self.known()
                ),
            ));
        }
        Ok(self
            .migrations
            .iter()
            .find(|migration| migration.version > applied))
    }

    async fn apply(
        &self,
        connection: &mut AnyConnection,
        migration: &Migration<'_>,
        statement: &str,
    ) -> Result<(), SqlError> {
        let applied = sqlx::raw_sql(AssertSqlSafe(self.dialect.ddl(statement)))
            .execute(connection)
            .await;
        applied.map_err(|error| {
            let Migration { version, name, .. } = migration;
            SqlError::from(error).context(format!("migration {version} ({name})"))
        })?;
        Ok(())
    }

    async fn begun(
        &self,
        connection: &mut AnyConnection,
        migration: &Migration<'_>,
    ) -> Result<(), SqlError> {
        self.query(format!(
            "insert into {} (version, name, finished) values (?, ?, 0)",
            self.table()
        ))
        .bind(migration.version)
        .bind(migration.name.to_owned())
        .execute(connection)
        .await?;
        Ok(())
    }

    async fn finished(
        &self,
        connection: &mut AnyConnection,
        migration: &Migration<'_>,
    ) -> Result<(), SqlError> {
        self.query(format!(
            "update {} set finished = 1 where version = ?",
            self.table()
        ))
        .bind(migration.version)
        .execute(connection)
        .await?;
        Ok(())
    }
}

/// Whether MySQL says that a table, column or index is there already, or gone already.
fn is_done(error: &SqlError) -> bool {
    matches!(
        error.code.as_deref(),
        Some("1050" | "1060" | "1061" | "1091")
    )
}
