//! The `database` processor: runs, results and symbols as rows of tables.
//!
//! A run is written in one transaction and once: the same report delivered again, by this
//! process or another one, leaves the tables as they are. The tables are described in the
//! README of this crate.

mod check;
mod insert;
mod rows;
mod settings;
mod tables;
mod value;

use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::Mutex;
use veracity_processor::{
    ConfigError, Health, Outcome, Plugin, ProcessContext, Processor, ProcessorError, Report,
    ResultProcessor, Stage, StartContext, register,
};
use veracity_sql::{ConnectOptions, Database, SqlError};

pub use settings::Settings;
use settings::Target;
use tables::Tables;

register!(
    Plugin::processor::<DatabaseProcessor>("database", env!("CARGO_PKG_VERSION"))
        .description("Writes runs, results and symbols into tables of a database")
        .author("the veracity authors")
        .stages(&[Stage::AfterRun, Stage::OnError])
        .example("database: {url: \"${secret:DQ_DATABASE}\"}")
);

/// How often something is tried within one attempt.
const TRIES: u32 = 4;

/// How long closing connections may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// Writes reports into tables.
pub struct DatabaseProcessor {
    target: Target,
    tables: Tables,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    database: Option<Database>,
    /// Whether the tables were found to be right, and nothing speaks against it since.
    prepared: bool,
}

impl Processor for DatabaseProcessor {
    type Config = Settings;

    fn build(settings: Settings) -> Result<Self, ConfigError> {
        let target = settings.check()?;
        Ok(Self {
            tables: Tables::new(target.dialect, &target.prefix),
            target,
            state: Mutex::default(),
        })
    }
}

#[async_trait]
impl ResultProcessor for DatabaseProcessor {
    /// Connects, creates or migrates the tables, and checks them.
    async fn startup(&self, context: &StartContext) -> Result<(), ProcessorError> {
        let mut patience = Patience::until(context.deadline);
        while let Err(error) = self.database().await {
            patience.bear(error).await?;
        }
        Ok(())
    }

    async fn process(
        &self,
        report: &Report,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let mut patience = Patience::until(context.deadline);
        while let Err(error) = self.write(report).await {
            patience.bear(error).await?;
        }
        Ok(Outcome::done())
    }

    async fn health(&self) -> Result<Health, ProcessorError> {
        let found = async {
            let database = self.database().await?;
            check::shape(&database, &self.tables).await?;
            let version = check::version(&database).await?;
            Ok::<_, SqlError>(format!("{version} at {}", database.place()))
        };
        Ok(match found.await {
            Ok(detail) => Health::healthy().with_detail(detail),
            Err(error) => {
                self.forget(false).await;
                Health::unhealthy(error.to_string())
            }
        })
    }

    async fn shutdown(&self) -> Result<(), ProcessorError> {
        self.forget(false).await;
        Ok(())
    }
}

impl DatabaseProcessor {
    /// The database, with tables that are as they should be.
    async fn database(&self) -> Result<Database, SqlError> {
        let mut state = self.state.lock().await;
        if let Some(database) = &state.database {
            return Ok(database.clone());
        }
        let options = ConnectOptions {
            max_connections: 2,
            acquire_timeout: Duration::from_secs(5),
            ..ConnectOptions::default()
        };
        let url = self.target.url.expose();
        let database = Database::connect(url, &options).await?;
        if !state.prepared
            && let Err(error) = self.prepare(&database).await
        {
            close(&database).await;
            return Err(error.context(database.place()));
        }
        state.prepared = true;
        Ok(state.database.insert(database).clone())
    }

    async fn prepare(&self, database: &Database) -> Result<(), SqlError> {
        let Target { create, schema, .. } = &self.target;
        if let Some(schema) = schema {
            check::schema(database, schema, *create).await?;
        }
        if *create {
            self.tables.migrate(database).await?;
        } else {
            self.tables.refuse_newer(database).await?;
        }
        check::shape(database, &self.tables).await
    }

    async fn write(&self, report: &Report) -> Result<(), SqlError> {
        let database = self.database().await?;
        let Err(mut error) = insert::run(&database, &self.tables, report).await else {
            return Ok(());
        };
        // The pool only says that it waited.
        if error.is_retryable()
            && !error.is_transient()
            && error.dialect.is_none()
            && let Err(reason) = database.reach().await
        {
            error = reason;
        } else {
            error = error.context(database.place());
        }
        // The tables are looked at again if it was not only the connection.
        self.forget(error.is_transient()).await;
        Err(error)
    }

    /// Closes the connections; the next use makes new ones, and checks the tables again
    /// unless they are still `prepared`.
    async fn forget(&self, prepared: bool) {
        let mut state = self.state.lock().await;
        state.prepared &= prepared;
        if let Some(database) = state.database.take() {
            close(&database).await;
        }
    }
}

async fn close(database: &Database) {
    // A server that is gone does not answer a goodbye.
    let _ = tokio::time::timeout(FAREWELL, database.close()).await;
}

/// What decides whether something is tried again within one attempt.
struct Patience {
    tries: u32,
    deadline: Instant,
}

impl Patience {
    fn until(deadline: Instant) -> Self {
        Self { tries: 0, deadline }
    }

    /// Waits a little, if another try may work at once: what failed lost against another
    /// transaction, or its connection was lost. Else `error` is for the host.
    async fn bear(&mut self, error: SqlError) -> Result<(), ProcessorError> {
        self.tries += 1;
        // At most 100, 150 and 250 milliseconds.
        let wait = Duration::from_millis(50 + fastrand::u64(0..=(25 << self.tries)));
        let in_time = Instant::now() + 4 * wait < self.deadline;
        if self.tries == TRIES || !in_time || !error.is_transient() {
            return Err(told(error));
        }
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

fn told(error: SqlError) -> ProcessorError {
    if error.is_retryable() {
        ProcessorError::retryable(error.message)
    } else {
        ProcessorError::permanent(error.message)
    }
}
