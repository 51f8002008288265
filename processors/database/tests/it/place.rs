//! A database of each kind, and how it is looked at.

use std::future::Future;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use veracity_database as _;
use veracity_processor::{
    Outcome, Plugin, ProcessContext, ProcessorError, Report, ResultProcessor, StartContext,
};
use veracity_servers::{Server, mariadb, postgres};
use veracity_sql::sqlx::{AssertSqlSafe, Row, raw_sql};
use veracity_sql::{ConnectOptions, Database, Dialect};

pub const LIMIT: Duration = Duration::from_secs(60);

/// An empty database.
pub struct Place {
    pub url: String,
    pub dialect: Dialect,
    /// Its server, unless it is a file.
    pub server: Option<&'static Server>,
    _folder: Option<TempDir>,
}

/// An empty database of each kind.
pub fn everywhere() -> [Place; 3] {
    [sqlite(), on(postgres()), on(mariadb())]
}

pub fn sqlite() -> Place {
    let folder = tempfile::tempdir().unwrap();
    Place {
        url: format!("sqlite:{}", folder.path().join("dq.db").display()),
        dialect: Dialect::Sqlite,
        server: None,
        _folder: Some(folder),
    }
}

pub fn on(server: Result<&'static Server, String>) -> Place {
    let server = server.unwrap();
    let url = server.fresh_database().unwrap();
    Place {
        dialect: veracity_sql::check_url(&url).unwrap(),
        url,
        server: Some(server),
        _folder: None,
    }
}

impl Place {
    pub fn processor(&self) -> Box<dyn ResultProcessor> {
        build(json!({"url": self.url})).unwrap()
    }

    /// Executes statements in a session of its own.
    pub fn execute(&self, sql: &str) {
        block_on(async {
            let database = connect(&self.url).await;
            raw_sql(AssertSqlSafe(sql.to_owned()))
                .execute(database.pool())
                .await
                .unwrap_or_else(|error| panic!("{sql}: {error}"));
            database.close().await;
        });
    }

    /// The rows of a query, whose columns are texts.
    pub fn texts(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        block_on(async {
            let database = connect(&self.url).await;
            let rows = self
                .dialect
                .query(AssertSqlSafe(sql.to_owned()))
                .fetch_all(database.pool())
                .await
                .unwrap_or_else(|error| panic!("{sql}: {error}"));
            database.close().await;
            let texts = rows
                .iter()
                .map(|row| (0..row.len()).map(|i| row.get(i)).collect());
            texts.collect()
        })
    }

    pub fn count(&self, table: &str) -> i64 {
        let text = match self.dialect {
            Dialect::Postgres | Dialect::Sqlite => "text",
            Dialect::MySql => "char",
        };
        let sql = format!(
            "select cast(count(*) as {text}) from {}",
            self.dialect.quote(table)
        );
        self.texts(&sql)[0][0].as_deref().unwrap().parse().unwrap()
    }

    /// Rows of runs, results and symbols.
    pub fn counts(&self) -> [i64; 3] {
        ["veracity_runs", "veracity_results", "veracity_symbols"].map(|table| self.count(table))
    }
}

pub async fn connect(url: &str) -> Database {
    let connected = Database::connect(url, &ConnectOptions::default()).await;
    connected.unwrap()
}

pub fn plugin() -> &'static Plugin {
    Plugin::linked()
        .find(|plugin| plugin.name() == "database")
        .unwrap()
}

pub fn build(config: Value) -> Result<Box<dyn ResultProcessor>, String> {
    let built = plugin().build_processor(config);
    built.map_err(|error| error.to_string())
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

pub async fn start(processor: &dyn ResultProcessor) -> Result<(), ProcessorError> {
    processor.startup(&StartContext::new("dq", LIMIT)).await
}

pub async fn process(
    processor: &dyn ResultProcessor,
    report: &Report,
) -> Result<Outcome, ProcessorError> {
    let context = ProcessContext::new("dq", report.run.id.to_string(), LIMIT);
    processor.process(report, &context).await
}

/// Startup, one report, shutdown.
pub fn deliver(
    processor: &dyn ResultProcessor,
    report: &Report,
) -> Result<Outcome, ProcessorError> {
    block_on(async {
        start(processor).await?;
        let outcome = process(processor, report).await;
        processor.shutdown().await?;
        outcome
    })
}

/// The sample report as a run of its own.
pub fn numbered(number: u128) -> Report {
    let mut report = veracity_processor::sample_report();
    let id = format!("019a9f3b-5c00-7000-8000-{number:012x}");
    report.run.id = serde_json::from_value(json!(id)).unwrap();
    report
}
