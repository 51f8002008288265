//! The tables: their names, columns, and how they came to be.

use veracity_sql::sqlx::{AssertSqlSafe, Row};
use veracity_sql::{Database, Dialect, Migration, SqlError, SqlErrorKind, migrate};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Text of at most 255 characters.
    Key,
    Text,
    Int,
    Float,
    /// A moment, in UTC.
    Moment,
    Date,
}

/// A column that is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Whether it may be NULL.
    pub(crate) null: bool,
}

const fn must(name: &'static str, kind: Kind) -> Column {
    let null = false;
    Column { name, kind, null }
}

const fn may(name: &'static str, kind: Kind) -> Column {
    let null = true;
    Column { name, kind, null }
}

/// Columns of the table of runs, in the order they are written.
pub(crate) const RUNS: &[Column] = &[
    must("run_id", Kind::Key),
    must("suite", Kind::Key),
    may("date", Kind::Date),
    must("tags", Kind::Text),
    may("started_at", Kind::Moment),
    may("finished_at", Kind::Moment),
    must("duration_ms", Kind::Int),
    must("verdict", Kind::Key),
    must("declared", Kind::Int),
    must("passed", Kind::Int),
    must("failed", Kind::Int),
    must("not_evaluated", Kind::Int),
    must("error", Kind::Int),
    must("skipped", Kind::Int),
    must("engine_version", Kind::Key),
    must("compute", Kind::Key),
    may("interrupted", Kind::Text),
    must("warnings", Kind::Text),
    must("datasets", Kind::Text),
];

/// Columns of the table of results, in the order they are written.
pub(crate) const RESULTS: &[Column] = &[
    must("run_id", Kind::Key),
    must("position", Kind::Int),
    must("check_name", Kind::Text),
    must("assertion", Kind::Text),
    must("dataset", Kind::Text),
    must("severity", Kind::Key),
    must("tags", Kind::Text),
    must("status", Kind::Key),
    must("expression", Kind::Text),
    may("actual", Kind::Text),
    may("expected", Kind::Text),
    may("reason", Kind::Text),
    must("symbols", Kind::Text),
    may("group_key", Kind::Text),
    may("violations", Kind::Int),
    may("file", Kind::Text),
    may("line_number", Kind::Int),
    may("column_number", Kind::Int),
];

/// Columns of the table of symbols, in the order they are written.
pub(crate) const SYMBOLS: &[Column] = &[
    must("run_id", Kind::Key),
    must("position", Kind::Int),
    must("name", Kind::Key),
    must("metric", Kind::Text),
    must("dataset", Kind::Text),
    may("value_text", Kind::Text),
    may("value_number", Kind::Float),
    may("type", Kind::Key),
    must("status", Kind::Key),
    may("error", Kind::Text),
    may("date", Kind::Date),
    must("exact", Kind::Int),
    may("stated_error", Kind::Text),
    may("origin", Kind::Key),
    may("availability", Kind::Float),
];

/// What a migration did when it was written; it is never changed after a release.
const FIRST: &[&str] = &[
    "create table {runs} (run_id {key} not null primary key, suite {key} not null, \
     date {day}, tags {text} not null, started_at {moment}, finished_at {moment}, \
     duration_ms {int} not null, verdict {key} not null, declared {int} not null, \
     passed {int} not null, failed {int} not null, not_evaluated {int} not null, \
     error {int} not null, skipped {int} not null, engine_version {key} not null, \
     compute {key} not null, interrupted {text}, warnings {text} not null, \
     datasets {text} not null) {table}",
    "create index {runs_by_suite} on {runs} (suite, started_at)",
    "create table {results} (run_id {key} not null, position {int} not null, \
     check_name {text} not null, assertion {text} not null, dataset {text} not null, \
     severity {key} not null, tags {text} not null, status {key} not null, \
     expression {text} not null, actual {text}, expected {text}, reason {text}, \
     symbols {text} not null, group_key {text}, violations {int}, file {text}, \
     line_number {int}, column_number {int}, primary key (run_id, position), \
     foreign key (run_id) references {runs} (run_id) on delete cascade) {table}",
    "create table {symbols} (run_id {key} not null, position {int} not null, \
     name {key} not null, metric {text} not null, dataset {text} not null, \
     value_text {text}, value_number {float}, type {key}, status {key} not null, \
     error {text}, date {day}, exact {int} not null, stated_error {text}, \
     origin {key}, availability {float}, primary key (run_id, position), \
     foreign key (run_id) references {runs} (run_id) on delete cascade) {table}",
];

/// The version that the migrations lead to.
const VERSION: i64 = 1;

/// The tables under one prefix.
pub(crate) struct Tables {
    dialect: Dialect,
    prefix: String,
}

impl Tables {
    pub(crate) fn new(dialect: Dialect, prefix: &str) -> Self {
        Self {
            dialect,
            prefix: prefix.to_owned(),
        }
    }

    /// The tables with their columns.
    pub(crate) fn all(&self) -> [(String, &'static [Column]); 3] {
        [("runs", RUNS), ("results", RESULTS), ("symbols", SYMBOLS)]
            .map(|(name, columns)| (self.name(name), columns))
    }

    /// The name of the table `name`, without quotes.
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// The table `name` in a statement.
    pub(crate) fn quoted(&self, name: &str) -> String {
        self.dialect.quote(&self.name(name))
    }

    /// Creates the tables, or brings them up to date.
    pub(crate) async fn migrate(&self, database: &Database) -> Result<(), SqlError> {
        let statements: Vec<String> = FIRST.iter().map(|sql| self.statement(sql)).collect();
        let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
        let first = Migration {
            version: VERSION,
            name: "runs, results, symbols",
            statements: &statements,
        };
        migrate(database, &self.name("migrations"), &[first])
            .await
            .map(drop)
    }

    /// Refuses tables that a newer program made, where nothing may be migrated.
    pub(crate) async fn refuse_newer(&self, database: &Database) -> Result<(), SqlError> {
        let table = self.quoted("migrations");
        let newest = format!("select coalesce(max(version), 0) from {table}");
        let row = self
            .dialect
            .query(AssertSqlSafe(newest))
            .fetch_one(database.pool())
            .await;
        let version: i64 = match row.map_err(SqlError::from) {
            Ok(row) => row.try_get(0)?,
            Err(error) if error.is_retryable() => return Err(error),
            // Somebody who made the tables by hand needs no table of migrations.
            Err(_) => return Ok(()),
        };
        if version > VERSION {
            return Err(SqlError::new(
                SqlErrorKind::Configuration,
                format!(
                    "the tables have version {version}, this program knows versions up to \
                     {VERSION}; use the newer program"
                ),
            ));
        }
        Ok(())
    }

    /// `sql` with names and types in the database's words; what is left is for `migrate`.
    fn statement(&self, sql: &str) -> String {
        let (moment, day) = match self.dialect {
            Dialect::Postgres => ("timestamp with time zone", "date"),
            Dialect::MySql => ("datetime(6)", "date"),
            Dialect::Sqlite => ("text", "text"),
        };
        let mut sql = sql.replace("{moment}", moment).replace("{day}", day);
        for name in ["runs_by_suite", "runs", "results", "symbols"] {
            sql = sql.replace(&format!("{{{name}}}"), &self.quoted(name));
        }
        sql
    }
}
