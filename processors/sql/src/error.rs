//! What a database says when it does not do what it was asked to, and whether trying
//! again can help.

use std::error::Error;
use std::fmt;
use std::io;

use sqlx::mysql::MySqlDatabaseError;
use sqlx::postgres::PgDatabaseError;
use sqlx::sqlite::SqliteError;

use crate::Dialect;

/// Why a database did not do what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlError {
    /// What went wrong, in one line; it never holds a password.
    pub message: String,
    /// Whether trying again can help.
    pub kind: SqlErrorKind,
    /// The database's own code: a SQLSTATE (PostgreSQL), an error number (MySQL), an
    /// extended result code (SQLite).
    pub code: Option<String>,
    /// The dialect the code is of.
    pub dialect: Option<Dialect>,
}

/// Whether trying again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SqlErrorKind {
    /// It may work later: not reachable, busy, full, read-only.
    Retryable,
    /// It will not work: a violated constraint, a value that does not fit, a damaged file.
    Permanent,
    /// It works once somebody changes the configuration: password, name of the database,
    /// privileges, version of the tables.
    Configuration,
}

impl SqlError {
    /// An error of `kind` that no database reported.
    pub fn new(kind: SqlErrorKind, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            kind,
            code: None,
            dialect: None,
        }
    }

    pub(crate) fn configuration(message: impl Into<String>) -> Self {
        Self::new(SqlErrorKind::Configuration, message)
    }

    pub(crate) fn retryable(message: impl Into<String>) -> Self {
        Self::new(SqlErrorKind::Retryable, message)
    }

    pub(crate) fn permanent(message: impl Into<String>) -> Self {
        Self::new(SqlErrorKind::Permanent, message)
    }

    /// Puts `context` before the message: `context: message`.
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    /// Whether trying again can help.
    pub fn is_retryable(&self) -> bool {
        self.kind == SqlErrorKind::Retryable
    }

    /// Whether a unique index or primary key has the value already.
    pub fn is_unique_violation(&self) -> bool {
        let Some((dialect, code)) = self.dialect.zip(self.code.as_deref()) else {
            return false;
        };
        match dialect {
            Dialect::Postgres => code == "23505",
            Dialect::MySql => matches!(code, "1062" | "1586"),
            Dialect::Sqlite => matches!(code, "1555" | "2067"),
        }
    }

    /// Whether the pool had no connection to give;
    /// [`Database::reach`](crate::Database::reach) may know why.
    pub fn is_starved(&self) -> bool {
        self.code.as_deref() == Some(STARVED)
    }

    /// Whether the same transaction may well succeed at once: it lost against another one
    /// (deadlock, serialization failure), or its connection was lost.
    pub fn is_transient(&self) -> bool {
        let Some((dialect, code)) = self.dialect.zip(self.code.as_deref()) else {
            return self.is_retryable() && self.code.as_deref() == Some(LOST);
        };
        match dialect {
            Dialect::Postgres => {
                matches!(code, "40001" | "40P01" | "57P01" | "57P02" | "25P03")
                    || code.starts_with("08")
            }
            Dialect::MySql => matches!(code, "1213" | "1020" | "1927" | "2006" | "2013" | "4031"),
            // SQLITE_BUSY_SNAPSHOT: a read transaction that wants to write.
            Dialect::Sqlite => code == "517",
        }
    }
}

/// Stands for a code where a connection was lost.
const LOST: &str = "connection lost";
/// Stands for a code where there was no connection to be had.
const STARVED: &str = "no connection";

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for SqlError {}

impl From<sqlx::Error> for SqlError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => reported(&*error),
            sqlx::Error::Io(error) => lost(&error),
            sqlx::Error::PoolTimedOut => Self {
                code: Some(STARVED.into()),
                ..Self::retryable("no connection to the database became free in time")
            },
            sqlx::Error::PoolClosed => Self::retryable("the connection pool is closed"),
            sqlx::Error::WorkerCrashed => Self::retryable("the thread of the database ended"),
            sqlx::Error::BeginFailed => Self::retryable("the transaction could not begin"),
            sqlx::Error::Configuration(error) => Self::configuration(error.to_string()),
            sqlx::Error::Tls(error) => {
                Self::configuration(format!("cannot establish a TLS connection: {error}"))
            }
            // The driver met an unexpected end of the conversation.
            sqlx::Error::Protocol(message) => Self {
                code: Some(LOST.into()),
                ..Self::retryable(format!("unexpected answer of the database: {message}"))
            },
            error => Self::permanent(error.to_string()),
        }
    }
}

fn lost(error: &io::Error) -> SqlError {
    let message = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::UnexpectedEof => "the database closed the connection".to_owned(),
        _ => error.to_string(),
    };
    // Without a name in the DNS now there may be one later.
    SqlError {
        code: (error.kind() != io::ErrorKind::ConnectionRefused).then(|| LOST.into()),
        ..SqlError::retryable(message)
    }
}

fn reported(error: &(dyn sqlx::error::DatabaseError + 'static)) -> SqlError {
    let (dialect, code, detail) = if let Some(error) = error.try_downcast_ref::<PgDatabaseError>() {
        let detail = [error.detail(), error.hint()];
        let detail: Vec<&str> = detail.into_iter().flatten().collect();
        (
            Dialect::Postgres,
            error.code().to_owned(),
            detail.join("; "),
        )
    } else if let Some(error) = error.try_downcast_ref::<MySqlDatabaseError>() {
        (Dialect::MySql, error.number().to_string(), String::new())
    } else if error.try_downcast_ref::<SqliteError>().is_some() {
        let code = error.code().unwrap_or_default().into_owned();
        (Dialect::Sqlite, code, String::new())
    } else {
        return SqlError::permanent(error.message());
    };
    let mut message = error.message().to_owned();
    if !detail.is_empty() {
        message = format!("{message} ({detail})");
    }
    if let Some(advice) = advice(dialect, &code) {
        message = format!("{message}: {advice}");
    }
    let label = match dialect {
        Dialect::Postgres => "SQLSTATE",
        Dialect::MySql => "error",
        Dialect::Sqlite => "code",
    };
    SqlError {
        message: format!("{message} [{label} {code}]"),
        kind: classify(dialect, &code),
        code: Some(code),
        dialect: Some(dialect),
    }
}

/// Whether trying again can help after `code`.
fn classify(dialect: Dialect, code: &str) -> SqlErrorKind {
    use SqlErrorKind::{Configuration, Permanent, Retryable};
    match dialect {
        Dialect::Postgres => match code {
            // Connection, resources, operator intervention, transaction rollback.
            "40001" | "40P01" | "55P03" | "55006" | "25006" | "25P03" => Retryable,
            "57014" | "57P01" | "57P02" | "57P03" | "57P05" => Retryable,
            "28000" | "28P01" | "3D000" | "3F000" | "42501" | "0A000" => Configuration,
            code if code.starts_with("08") && code != "08P01" => Retryable,
            code if code.starts_with("53") || code.starts_with("58") => Retryable,
            _ => Permanent,
        },
        Dialect::MySql => match code.parse().unwrap_or(0) {
            // Lock wait, deadlock, record changed since last read.
            1205_u16 | 1213 | 1020 | 1614 => Retryable,
            // Too many connections, out of resources, host blocked, limits of a user.
            1040 | 1041 | 1037 | 1129 | 1203 | 1226 => Retryable,
            // Gone away, lost, killed, shutting down, idle for too long.
            1053 | 1077 | 1079 | 1317 | 1927 | 2002 | 2003 | 2006 | 2013 | 4031 => Retryable,
            // Read-only, disk full, time limit of a statement.
            1290 | 1836 | 1792 | 1021 | 1114 | 1030 | 1969 | 3024 => Retryable,
            1044 | 1045 | 1049 | 1142 | 1143 | 1227 | 1698 | 3159 => Configuration,
            1153 => Configuration,
            _ => Permanent,
        },
        // The low byte is the primary code.
        Dialect::Sqlite => match code.parse().unwrap_or(0) & 0xff {
            // BUSY, LOCKED, NOMEM, READONLY, IOERR, FULL, CANTOPEN, PROTOCOL.
            5_u32 | 6 | 7 | 8 | 10 | 13 | 14 | 15 => Retryable,
            _ => Permanent,
        },
    }
}

/// What helps, where the database's own words do not say it.
fn advice(dialect: Dialect, code: &str) -> Option<&'static str> {
    match (dialect, code) {
        (Dialect::Sqlite, "5" | "261" | "517" | "6") => {
            Some("another process is writing to it; is a long transaction open?")
        }
        (Dialect::Sqlite, "13" | "778") => {
            Some("is the disk full, or a quota or file size limit reached?")
        }
        (Dialect::Sqlite, "11" | "26" | "267" | "779") => {
            Some("the file is damaged; restore it from a backup, or move it away to start afresh")
        }
        (Dialect::Sqlite, "8" | "264" | "520" | "776" | "1032" | "1288" | "1544") => {
            Some("the file or its folder is not writable")
        }
        (Dialect::MySql, "1153") => Some("raise `max_allowed_packet` of the server"),
        (Dialect::MySql, "1040") | (Dialect::Postgres, "53300") => {
            Some("the server has no connection left")
        }
        (Dialect::Postgres, "25006") | (Dialect::MySql, "1290" | "1836" | "1792") => {
            Some("the server takes no writes; is it a standby?")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_say_whether_trying_again_can_help() {
        use Dialect::{MySql, Postgres, Sqlite};
        use SqlErrorKind::{Configuration, Permanent, Retryable};
        let cases: &[(Dialect, &[&str], SqlErrorKind)] = &[
            (
                Postgres,
                &[
                    "08000", "08003", "08006", "57P01", "57P03", "53300", "53100", "53200",
                    "40001", "40P01", "55P03", "57014", "25006", "58030",
                ],
                Retryable,
            ),
            (
                Postgres,
                &["28P01", "28000", "3D000", "42501"],
                Configuration,
            ),
            (
                Postgres,
                &["42601", "42P01", "23505", "22021", "08P01"],
                Permanent,
            ),
            (
                MySql,
                &[
                    "1205", "1213", "1040", "2006", "2013", "1290", "1836", "1114", "1927",
                ],
                Retryable,
            ),
            (
                MySql,
                &["1045", "1049", "1044", "1698", "1153"],
                Configuration,
            ),
            (MySql, &["1064", "1146", "1062", "1406", "1366"], Permanent),
            (
                Sqlite,
                &["5", "261", "517", "6", "13", "10", "778", "8", "14"],
                Retryable,
            ),
            (Sqlite, &["1", "11", "26", "1555", "2067", "20"], Permanent),
        ];
        for (dialect, codes, kind) in cases {
            for code in *codes {
                assert_eq!(classify(*dialect, code), *kind, "{dialect} {code}");
            }
        }
    }

    #[test]
    fn a_lost_connection_may_be_tried_at_once_and_a_refused_one_later() {
        let of = |kind: io::ErrorKind| SqlError::from(sqlx::Error::Io(kind.into()));
        let reset = of(io::ErrorKind::ConnectionReset);
        assert!(reset.is_retryable() && reset.is_transient());
        let refused = of(io::ErrorKind::ConnectionRefused);
        assert!(refused.is_retryable() && !refused.is_transient());
        assert_eq!(refused.to_string(), "connection refused");
        let waited = SqlError::from(sqlx::Error::PoolTimedOut);
        assert!(waited.is_retryable() && !waited.is_transient());
    }
}
