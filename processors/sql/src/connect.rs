//! Connections with limits: none of them waits for ever.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{Any, AnyConnection, AnyPool, AssertSqlSafe, ConnectOptions as _, Connection, Row};

use crate::address::{self, Address};
use crate::{Dialect, SqlError, sqlite};

/// A transaction; dropped without `commit`, it is rolled back.
pub type Transaction = sqlx::Transaction<'static, Any>;

/// How to connect.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// The folder that the relative path of an SQLite file starts at.
    pub base: PathBuf,
    /// How the server is told who connects.
    pub application_name: String,
    /// The most connections at once; SQLite always has one.
    pub max_connections: u32,
    /// The longest wait for a connection.
    pub acquire_timeout: Duration,
    /// The longest time of one statement. SQLite has no such limit, and MySQL (not
    /// MariaDB) has it for queries only.
    pub statement_timeout: Duration,
    /// The longest wait for a lock; with SQLite, for the end of another process's
    /// transaction. MySQL counts in seconds.
    pub lock_timeout: Duration,
    /// The longest time a transaction may do nothing before the server ends it; of
    /// PostgreSQL and MariaDB.
    pub idle_in_transaction_timeout: Duration,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            base: PathBuf::from("."),
            application_name: "veracity".into(),
            max_connections: 3,
            acquire_timeout: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(30),
            lock_timeout: Duration::from_secs(5),
            idle_in_transaction_timeout: Duration::from_secs(60),
        }
    }
}

/// A database and a few connections to it.
///
/// The connections belong to the tokio runtime in which they are made: use it in one
/// runtime only. SQLite has one connection, so asking for another while a [`Transaction`]
/// is open waits until `acquire_timeout`.
#[derive(Clone)]
pub struct Database {
    pool: AnyPool,
    dialect: Dialect,
    place: String,
    secrets: Vec<String>,
    target: Target,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Database").field(&self.place).finish()
    }
}

impl Database {
    /// Connects to the database at `url`. An SQLite file, and its folder, is created if
    /// there is none.
    ///
    /// # Errors
    ///
    /// If the URL is wrong or the database cannot be reached. A damaged or empty SQLite
    /// file is an error; it is never taken for a new one.
    pub async fn connect(url: &str, options: &ConnectOptions) -> Result<Self, SqlError> {
        let address = address::parse(url).map_err(SqlError::configuration)?;
        let place = address.place(&options.base);
        let secrets = address.secrets();
        let opened = Self::open(address, &place, secrets.clone(), options).await;
        opened.map_err(|error| struck(error, &secrets).context(format!("cannot open {place}")))
    }

    async fn open(
        address: Address,
        place: &str,
        secrets: Vec<String>,
        options: &ConnectOptions,
    ) -> Result<Self, SqlError> {
        sqlx::any::install_default_drivers();
        let dialect = address.dialect();
        let file = match &address {
            Address::Sqlite(Some(path)) => Some(sqlite::prepare(&options.base.join(path)).await?),
            _ => None,
        };
        let connect = match address {
            Address::Sqlite(None) => "sqlite::memory:".parse()?,
            Address::Sqlite(Some(_)) => {
                let path = file.as_deref().unwrap_or_default();
                format!("sqlite://{path}?mode=rw").parse()?
            }
            Address::Server(_, url) => AnyConnectOptions::from_url(&url)?,
        }
        .disable_statement_logging();
        let setup = Setup::new(dialect, options);
        let target = Target {
            connect: connect.clone(),
            setup: setup.clone(),
            limit: options.acquire_timeout,
        };
        target.reach(file.as_deref()).await?;
        // In memory each connection is a database of its own, so the one must last.
        let lasting = dialect == Dialect::Sqlite;
        let idle = Duration::from_secs(600);
        let pool = AnyPoolOptions::new()
            .max_connections(if lasting {
                1
            } else {
                options.max_connections.max(1)
            })
            .acquire_timeout(options.acquire_timeout)
            .idle_timeout((!lasting).then_some(idle))
            .max_lifetime((!lasting).then_some(3 * idle))
            .after_connect(move |connection, _| {
                let setup = setup.clone();
                Box::pin(async move { setup.run(connection).await })
            })
            .connect_lazy_with(connect);
        Ok(Self {
            pool,
            dialect,
            place: place.to_owned(),
            secrets,
            target,
        })
    }

    /// The database's dialect.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The connections, for queries outside of a transaction.
    pub fn pool(&self) -> &AnyPool {
        &self.pool
    }

    /// The database in words, without user and password.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Starts a transaction. With SQLite it holds the right to write from the start, so
    /// it cannot fail half-way because another process writes.
    ///
    /// # Errors
    ///
    /// If there is no connection, or the database stays busy.
    pub async fn begin(&self) -> Result<Transaction, SqlError> {
        Ok(match self.dialect {
            Dialect::Sqlite => self.pool.begin_with("begin immediate").await?,
            Dialect::Postgres | Dialect::MySql => self.pool.begin().await?,
        })
    }

    /// Makes a new connection to the server and closes it. The pool tries again and again
    /// and then only says that it waited; this says why.
    ///
    /// # Errors
    ///
    /// Why there can be no connection.
    pub async fn reach(&self) -> Result<(), SqlError> {
        // The one connection to a file is busy, not lost.
        if self.dialect == Dialect::Sqlite {
            return Ok(());
        }
        let reached = self.target.reach(None).await;
        reached.map_err(|error| {
            struck(error, &self.secrets).context(format!("cannot reach {}", self.place))
        })
    }

    /// Closes the connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// `error` without `secrets`.
fn struck(mut error: SqlError, secrets: &[String]) -> SqlError {
    for secret in secrets {
        error.message = error.message.replace(secret.as_str(), "***");
    }
    error
}

/// What a connection is made from.
#[derive(Clone)]
struct Target {
    connect: AnyConnectOptions,
    setup: Setup,
    limit: Duration,
}

impl Target {
    /// Makes a connection, with which the SQLite file `file` is checked.
    async fn reach(&self, file: Option<&str>) -> Result<(), SqlError> {
        let reach = async {
            let mut connection = AnyConnection::connect_with(&self.connect).await?;
            self.setup.run(&mut connection).await?;
            if let Some(path) = file {
                sqlite::check(&mut connection, path).await?;
            }
            connection.close().await?;
            Ok(())
        };
        match tokio::time::timeout(self.limit, reach).await {
            Ok(reached) => reached,
            Err(_) => {
                let limit = self.limit;
                Err(SqlError::retryable(format!("no answer within {limit:?}")))
            }
        }
    }
}

/// What each new connection is told.
#[derive(Clone)]
struct Setup {
    dialect: Dialect,
    statements: String,
    /// For MariaDB; then for MySQL.
    variants: [String; 2],
}

impl Setup {
    fn new(dialect: Dialect, options: &ConnectOptions) -> Self {
        let statement = options.statement_timeout.as_millis();
        let lock = options.lock_timeout.as_millis();
        let idle = options.idle_in_transaction_timeout.as_millis();
        let seconds = |millis: u128| millis.div_ceil(1000).max(1);
        let mut variants = [String::new(), String::new()];
        let statements = match dialect {
            Dialect::Postgres => {
                let name = options.application_name.replace(['\'', '\\', '\0'], "");
                format!(
                    "set statement_timeout = {statement}; set lock_timeout = {lock}; \
                     set idle_in_transaction_session_timeout = {idle}; \
                     select set_config('application_name', '{name}', false) \
                     where current_setting('application_name') = ''"
                )
            }
            Dialect::MySql => {
                variants = [
                    format!(
                        "set session max_statement_time = {}, idle_transaction_timeout = {}",
                        seconds(statement),
                        seconds(idle)
                    ),
                    format!("set session max_execution_time = {statement}"),
                ];
                let lock = seconds(lock);
                // Read committed: no gap locks, so fewer deadlocks between claims.
                format!(
                    "set session sql_mode = concat(@@sql_mode, ',STRICT_ALL_TABLES'), \
                     innodb_lock_wait_timeout = {lock}, lock_wait_timeout = {lock}; \
                     set session transaction isolation level read committed"
                )
            }
            Dialect::Sqlite => format!(
                "pragma busy_timeout = {lock}; pragma foreign_keys = on; \
                 pragma journal_mode = wal; pragma synchronous = full; \
                 pragma fullfsync = on; pragma cell_size_check = on"
            ),
        };
        Self {
            dialect,
            statements,
            variants,
        }
    }

    async fn run(&self, connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
        let run = |sql: String| sqlx::raw_sql(AssertSqlSafe(sql));
        run(self.statements.clone())
            .execute(&mut *connection)
            .await?;
        if self.dialect == Dialect::MySql {
            let version = sqlx::query("select version()")
                .fetch_one(&mut *connection)
                .await?;
            let mysql = !version.try_get::<String, _>(0)?.contains("MariaDB");
            let variant = self.variants[usize::from(mysql)].clone();
            run(variant).execute(&mut *connection).await?;
        }
        Ok(())
    }
}
