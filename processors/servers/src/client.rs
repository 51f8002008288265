//! Statements for the servers themselves: databases made, connections ended.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, MySqlConnection, PgConnection, raw_sql};

use crate::Kind;

const LIMIT: Duration = Duration::from_secs(30);

/// Executes `sql` at `url`. It blocks, and may be called within a runtime: the work is
/// done on a thread of its own.
pub(crate) fn execute(kind: Kind, url: &str, sql: &str) -> Result<(), String> {
    let work = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        runtime.block_on(async {
            tokio::time::timeout(LIMIT, run(kind, url, sql))
                .await
                .map_err(|_| format!("no answer in {LIMIT:?}"))?
                .map_err(|error| error.to_string())
        })
    };
    std::thread::scope(|scope| {
        let ended = scope.spawn(work).join();
        ended.unwrap_or_else(|_| Err("the client panicked".to_owned()))
    })
}

async fn run(kind: Kind, url: &str, sql: &str) -> sqlx::Result<()> {
    let statement = raw_sql(AssertSqlSafe(sql.to_owned()));
    match kind {
        Kind::Postgres => {
            let mut connection = PgConnection::connect(url).await?;
            statement.execute(&mut connection).await?;
            connection.close().await
        }
        Kind::MariaDb => {
            let mut connection = MySqlConnection::connect(url).await?;
            statement.execute(&mut connection).await?;
            connection.close().await
        }
    }
}
