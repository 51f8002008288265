//! A run, written as a whole or not at all.

use veracity_processor::Report;
use veracity_sql::sqlx::{AssertSqlSafe, Row};
use veracity_sql::{Database, Dialect, SqlError, Transaction};

use crate::rows::{self, Cell};
use crate::tables::{Column, Kind, RESULTS, RUNS, SYMBOLS, Tables};

/// The most placeholders of a statement; SQLite takes 32766, the others twice as many.
const PLACEHOLDERS: usize = 9_000;
/// About the most bytes of a statement's values; MySQL's packets hold 4 MiB and more.
const BYTES: usize = 1 << 20;

/// Writes the run of `report`, unless it is there already.
///
/// A run that is there was written as a whole, so this is also the answer to a COMMIT
/// whose outcome is not known: the next try finds the run, or writes it.
pub(crate) async fn run(
    database: &Database,
    tables: &Tables,
    report: &Report,
) -> Result<(), SqlError> {
    let mut transaction = database.begin().await?;
    let id = report.run.id.to_string();
    if is_there(&mut transaction, database.dialect(), tables, &id).await? {
        return Ok(transaction.rollback().await?);
    }
    let mut insert = Insert {
        transaction: &mut transaction,
        dialect: database.dialect(),
    };
    // First, so that another process that writes the same run waits here.
    let first = insert
        .rows(
            &tables.quoted("runs"),
            RUNS,
            [rows::run(report)].into_iter(),
        )
        .await;
    match first {
        Err(error) if error.is_unique_violation() => {
            transaction.rollback().await?;
            return Ok(());
        }
        first => first?,
    }
    let results = report.results.iter().enumerate();
    let results = results.map(|(position, result)| rows::result(&id, position, result));
    insert
        .rows(&tables.quoted("results"), RESULTS, results)
        .await?;
    let symbols = report.symbols.iter().enumerate();
    let symbols = symbols.map(|(position, symbol)| rows::symbol(&id, position, symbol));
    insert
        .rows(&tables.quoted("symbols"), SYMBOLS, symbols)
        .await?;
    Ok(transaction.commit().await?)
}

async fn is_there(
    transaction: &mut Transaction,
    dialect: Dialect,
    tables: &Tables,
    id: &str,
) -> Result<bool, SqlError> {
    let count = format!(
        "select count(*) from {} where run_id = ?",
        tables.quoted("runs")
    );
    let row = dialect
        .query(AssertSqlSafe(count))
        .bind(id.to_owned())
        .fetch_one(&mut **transaction)
        .await?;
    Ok(row.try_get::<i64, _>(0)? > 0)
}

struct Insert<'t> {
    transaction: &'t mut Transaction,
    dialect: Dialect,
}

impl Insert<'_> {
    /// Inserts `rows` into `table`, many with one statement.
    async fn rows(
        &mut self,
        table: &str,
        columns: &[Column],
        rows: impl Iterator<Item = Vec<Cell>>,
    ) -> Result<(), SqlError> {
        let most = PLACEHOLDERS / columns.len();
        let mut batch = Vec::new();
        let mut bytes = 0;
        for row in rows {
            let size: usize = row.iter().map(Cell::bytes).sum();
            if batch.len() == most || (bytes + size > BYTES && !batch.is_empty()) {
                self.batch(table, columns, std::mem::take(&mut batch))
                    .await?;
                bytes = 0;
            }
            bytes += size;
            batch.push(row);
        }
        if !batch.is_empty() {
            self.batch(table, columns, batch).await?;
        }
        Ok(())
    }

    async fn batch(
        &mut self,
        table: &str,
        columns: &[Column],
        rows: Vec<Vec<Cell>>,
    ) -> Result<(), SqlError> {
        let names: Vec<String> = columns
            .iter()
            .map(|column| self.dialect.quote(column.name))
            .collect();
        let places: Vec<&str> = columns.iter().map(|column| self.place(column)).collect();
        let row = format!("({})", places.join(", "));
        let all = vec![row.as_str(); rows.len()].join(", ");
        let sql = format!("insert into {table} ({}) values {all}", names.join(", "));
        // How many rows there are differs from run to run; not worth remembering.
        let mut query = self.dialect.query(AssertSqlSafe(sql)).persistent(false);
        for cell in rows.into_iter().flatten() {
            query = match cell {
                Cell::Text(text) => query.bind(text),
                Cell::Int(number) => query.bind(number),
                Cell::Float(number) => query.bind(number),
            };
        }
        query.execute(&mut **self.transaction).await?;
        Ok(())
    }

    /// How a value of `column`, sent as text or number, is written.
    fn place(&self, column: &Column) -> &'static str {
        match (self.dialect, column.kind) {
            (Dialect::Postgres, Kind::Moment) => "cast(? || '+00' as timestamp with time zone)",
            (Dialect::Postgres, Kind::Date) => "cast(? as date)",
            _ => "?",
        }
    }
}
