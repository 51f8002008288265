//! Whether the tables are still as they were created.

use veracity_sql::sqlx::any::AnyRow;
use veracity_sql::sqlx::{AssertSqlSafe, Row};
use veracity_sql::{Database, Dialect, SqlError, SqlErrorKind};

use crate::tables::{Column, Kind, Tables};

/// A column as the database describes it.
struct Found {
    name: String,
    kind: String,
    null: bool,
    /// Whether an INSERT may leave it out.
    filled: bool,
}

/// Checks that every column that is written exists and takes what is written to it, and
/// that there is none that would have to be written but is not known.
///
/// # Errors
///
/// Every difference, with table and column.
pub(crate) async fn shape(database: &Database, tables: &Tables) -> Result<(), SqlError> {
    let mut faults = Vec::new();
    for (table, columns) in tables.all() {
        let found = describe(database, &table).await?;
        if found.is_empty() {
            faults.push(format!("table `{table}` is missing"));
        } else {
            compare(database.dialect(), &table, columns, &found, &mut faults);
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    let migrations = tables.name("migrations");
    Err(SqlError::new(
        SqlErrorKind::Configuration,
        format!(
            "the tables are not as this program makes them: {}; undo the change, or set another \
             `table_prefix` (`{migrations}` says that the tables are there, so they are not \
             created again)",
            faults.join(", ")
        ),
    ))
}

fn compare(
    dialect: Dialect,
    table: &str,
    columns: &[Column],
    found: &[Found],
    faults: &mut Vec<String>,
) {
    for column in columns {
        let name = column.name;
        let Some(is) = found.iter().find(|is| is.name == name) else {
            faults.push(format!("table `{table}` has no column `{name}`"));
            continue;
        };
        let right = kinds(dialect, column.kind);
        if !right.contains(&is.kind.to_lowercase().as_str()) {
            faults.push(format!(
                "column `{name}` of table `{table}` is `{}` instead of `{}`",
                is.kind, right[0]
            ));
        }
        if column.null && !is.null {
            faults.push(format!(
                "column `{name}` of table `{table}` takes no nulls, but there are some"
            ));
        }
    }
    let known = |name: &str| columns.iter().any(|column| column.name == name);
    for extra in found.iter().filter(|is| !known(&is.name)) {
        if !extra.null && !extra.filled {
            faults.push(format!(
                "column `{}` of table `{table}` is not known to this program and has to be \
                 filled; give it a default",
                extra.name
            ));
        }
    }
}

/// What a column of `kind` may be called by the database, the usual name first.
fn kinds(dialect: Dialect, kind: Kind) -> &'static [&'static str] {
    use Kind::{Date, Float, Int, Key, Moment, Text};
    match dialect {
        Dialect::Postgres => match kind {
            Key => &["character varying(255)", "character varying", "text"],
            Text => &["text", "character varying"],
            Int => &["bigint", "numeric"],
            Float => &["double precision"],
            Moment => &["timestamp with time zone"],
            Date => &["date"],
        },
        Dialect::MySql => match kind {
            Key => &["varchar(255)", "longtext"],
            Text => &["longtext"],
            // MySQL says no width any more.
            Int => &["bigint(20)", "bigint"],
            Float => &["double"],
            Moment => &["datetime(6)"],
            Date => &["date"],
        },
        Dialect::Sqlite => match kind {
            Key | Text | Moment | Date => &["text", "any"],
            Int => &["integer", "int", "any"],
            Float => &["real", "any"],
        },
    }
}

/// The columns of the table `table`; none if there is no such table.
async fn describe(database: &Database, table: &str) -> Result<Vec<Found>, SqlError> {
    let dialect = database.dialect();
    let (sql, name) = match dialect {
        Dialect::Postgres => (
            "select attname::text, format_type(atttypid, atttypmod), \
             case when attnotnull then 0 else 1 end::bigint, \
             case when atthasdef or attidentity <> '' then 1 else 0 end::bigint \
             from pg_attribute where attrelid = to_regclass(?) and attnum > 0 \
             and not attisdropped",
            dialect.quote(table),
        ),
        Dialect::MySql => (
            "select cast(column_name as char), cast(column_type as char), \
             cast(is_nullable = 'YES' as signed), \
             cast(column_default is not null or extra <> '' as signed) \
             from information_schema.columns \
             where table_schema = database() and table_name = ?",
            table.to_owned(),
        ),
        Dialect::Sqlite => (
            "select name, type, \"notnull\" = 0 and pk = 0, \
             dflt_value is not null or hidden > 0 from pragma_table_xinfo(?)",
            table.to_owned(),
        ),
    };
    let rows = dialect
        .query(sql)
        .bind(name)
        .fetch_all(database.pool())
        .await?;
    rows.iter().map(found).collect()
}

fn found(row: &AnyRow) -> Result<Found, SqlError> {
    Ok(Found {
        name: row.try_get(0)?,
        kind: row.try_get(1)?,
        null: row.try_get::<i64, _>(2)? != 0,
        filled: row.try_get::<i64, _>(3)? != 0,
    })
}

/// Makes sure that the PostgreSQL schema `name` exists.
pub(crate) async fn schema(database: &Database, name: &str, create: bool) -> Result<(), SqlError> {
    let dialect = database.dialect();
    let row = dialect
        .query("select count(*) from pg_namespace where nspname = ?")
        .bind(name.to_owned())
        .fetch_one(database.pool())
        .await?;
    if row.try_get::<i64, _>(0)? > 0 {
        return Ok(());
    }
    if !create {
        return Err(SqlError::new(
            SqlErrorKind::Configuration,
            format!("there is no schema `{name}`; create it, or set `create: true`"),
        ));
    }
    let create = format!("create schema if not exists {}", dialect.quote(name));
    let created = dialect
        .query(AssertSqlSafe(create))
        .execute(database.pool())
        .await;
    match created.map_err(SqlError::from) {
        // Another process was faster: `if not exists` looks before it creates.
        Err(error) if error.is_unique_violation() => Ok(()),
        created => created.map(drop),
    }
}

/// Name and version of the database.
pub(crate) async fn version(database: &Database) -> Result<String, SqlError> {
    let dialect = database.dialect();
    let sql = match dialect {
        Dialect::Postgres => "select current_setting('server_version')",
        Dialect::MySql => "select cast(version() as char)",
        Dialect::Sqlite => "select sqlite_version()",
    };
    let row = dialect.query(sql).fetch_one(database.pool()).await?;
    let version: String = row.try_get(0)?;
    Ok(format!("{dialect} {version}"))
}
