//! What can be set, checked without a look at the database.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;
use veracity_processor::{ConfigError, FieldError, Secret};
use veracity_sql::{Dialect, check_url};

/// Settings of the `database` processor.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where the database is: `postgres://user:password@host/database`,
    /// `mysql://user:password@host/database` (also MariaDB) or `sqlite:path`. TLS is asked
    /// for by the parameters of the URL: `sslmode=verify-full&sslrootcert=ca.pem`
    /// (PostgreSQL), `ssl-mode=verify_identity&ssl-ca=ca.pem` (MySQL).
    #[schemars(extend("format" = "database-url"))]
    pub url: Secret,
    /// The PostgreSQL schema that the tables are in; the first of the user's search path
    /// if it is left out.
    #[serde(default)]
    pub schema: Option<String>,
    /// What the names of the tables begin with; any characters but braces and
    /// control characters, at most 45 bytes.
    #[serde(default = "default_prefix")]
    pub table_prefix: String,
    /// Whether the tables, and the schema, are created if they are missing and migrated if
    /// they are older. Without it they must be as this version creates them.
    #[serde(default = "yes")]
    pub create: bool,
}

fn default_prefix() -> String {
    "veracity_".to_owned()
}

fn yes() -> bool {
    true
}

/// PostgreSQL cuts names after 63 bytes, MySQL refuses more than 64 characters; the
/// longest name after the prefix is that of an index.
const PREFIX_BYTES: usize = 45;
const SCHEMA_BYTES: usize = 63;

/// Where reports go.
pub(crate) struct Target {
    /// Schema included.
    pub(crate) url: Secret,
    pub(crate) dialect: Dialect,
    pub(crate) schema: Option<String>,
    pub(crate) prefix: String,
    pub(crate) create: bool,
}

impl Settings {
    /// Everything that is wrong, or where reports go.
    pub(crate) fn check(self) -> Result<Target, ConfigError> {
        let mut errors = Vec::new();
        let mut refuse = |path: &str, message: String| {
            errors.push(FieldError::new(path, message));
        };
        let dialect = check_url(self.url.expose())
            .map_err(|message| refuse("/url", message))
            .ok();
        if let Err(message) = fits(&self.table_prefix, PREFIX_BYTES, dialect) {
            refuse("/table_prefix", message);
        }
        if let Some(schema) = &self.schema {
            if schema.is_empty() {
                refuse("/schema", "the name is empty".to_owned());
            }
            if let Err(message) = fits(schema, SCHEMA_BYTES, dialect) {
                refuse("/schema", message);
            }
            if let Some(other @ (Dialect::MySql | Dialect::Sqlite)) = dialect {
                let message = format!("{other} has no schemas; leave it out");
                refuse("/schema", message);
            }
        }
        let (Some(dialect), true) = (dialect, errors.is_empty()) else {
            return Err(ConfigError(errors));
        };
        let url = match &self.schema {
            Some(schema) => within(self.url.expose(), schema)
                .map_err(|error| ConfigError::field("/url", error.to_string()))?,
            None => self.url,
        };
        Ok(Target {
            url,
            dialect,
            schema: self.schema,
            prefix: self.table_prefix,
            create: self.create,
        })
    }
}

/// Whether `name` can be part of a name in any database of `dialect`.
fn fits(name: &str, bytes: usize, dialect: Option<Dialect>) -> Result<(), String> {
    if name.len() > bytes {
        return Err(format!(
            "it takes {} bytes, there is room for {bytes}",
            name.len()
        ));
    }
    if let Some(c) = name.chars().find(|c| c.is_control()) {
        return Err(format!(
            "it holds the control character `{}`",
            c.escape_default()
        ));
    }
    // Statements are written with placeholders in braces.
    if name.contains(['{', '}']) {
        return Err("braces cannot be part of it".to_owned());
    }
    match dialect {
        Some(Dialect::MySql) if name.chars().any(|c| c > '\u{ffff}') => {
            Err("MySQL takes no characters beyond U+FFFF in names".to_owned())
        }
        Some(Dialect::Sqlite) if name.to_ascii_lowercase().starts_with("sqlite_") => {
            Err("SQLite keeps names that begin with `sqlite_` for itself".to_owned())
        }
        _ => Ok(()),
    }
}

/// `url` with `schema` as the search path.
fn within(url: &str, schema: &str) -> Result<Secret, impl fmt::Display + use<>> {
    Url::parse(url).map(|mut url| {
        url.query_pairs_mut()
            .append_pair("options[search_path]", &Dialect::Postgres.quote(schema));
        Secret::new(url)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str, schema: Option<&str>, prefix: &str) -> Settings {
        Settings {
            url: url.into(),
            schema: schema.map(str::to_owned),
            table_prefix: prefix.to_owned(),
            create: true,
        }
    }

    #[test]
    fn everything_wrong_is_told_at_once_and_no_password() {
        let long = "x".repeat(46);
        let cases: &[(Settings, &str)] = &[
            (settings("postgres://h/d", Some("a.b\" c"), "'; drop"), ""),
            (settings("sqlite:dq.db", None, ""), ""),
            (settings("mysql://h/d", None, "größe_"), ""),
            (
                settings("postgres://u:hunter2@h", None, &long),
                "url: the name of the database is missing; it is written \
                 `postgres://user@host/database`; table_prefix: it takes 46 bytes, there is room \
                 for 45",
            ),
            (
                settings("mysql://h/d", Some("s"), "\u{1f600}"),
                "table_prefix: MySQL takes no characters beyond U+FFFF in names; schema: MySQL \
                 has no schemas; leave it out",
            ),
            (
                settings("sqlite:dq.db", None, "{text}"),
                "table_prefix: braces cannot be part of it",
            ),
            (
                settings("sqlite:dq.db", None, "SQLite_"),
                "table_prefix: SQLite keeps names that begin with `sqlite_` for itself",
            ),
            (
                settings("postgres://h/d", Some(""), "a\nb"),
                "table_prefix: it holds the control character `\\n`; schema: the name is empty",
            ),
        ];
        for (settings, expected) in cases {
            let error = settings.clone().check().err();
            let error = error.map_or(String::new(), |error| error.to_string());
            assert_eq!(error, *expected, "{settings:?}");
        }
    }
}
