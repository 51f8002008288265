//! Why the store did not do what it was asked to.

use std::error::Error;
use std::fmt;

use veracity_sql::{SqlError, SqlErrorKind};

/// Why the store did not do what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreError {
    message: String,
    kind: SqlErrorKind,
    transient: bool,
    starved: bool,
    code: Option<String>,
}

impl StoreError {
    fn new(kind: SqlErrorKind, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            kind,
            transient: false,
            starved: false,
            code: None,
        }
    }

    /// It may work later.
    pub fn retryable(message: impl Into<String>) -> Self {
        Self::new(SqlErrorKind::Retryable, message)
    }

    /// Trying again does not help.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self::new(SqlErrorKind::Permanent, message)
    }

    /// Somebody has to change the configuration.
    pub fn configuration(message: impl Into<String>) -> Self {
        Self::new(SqlErrorKind::Configuration, message)
    }

    /// Puts `context` before the message: `context: message`.
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    /// Whether trying again can help.
    pub fn kind(&self) -> SqlErrorKind {
        self.kind
    }

    /// Whether it may work later.
    pub fn is_retryable(&self) -> bool {
        self.kind == SqlErrorKind::Retryable
    }

    /// Whether it may well work at once.
    pub(super) fn is_transient(&self) -> bool {
        self.transient
    }

    /// Whether there was no connection to be had.
    pub(super) fn is_starved(&self) -> bool {
        self.starved
    }

    /// The database's code, if it is the database that complains.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for StoreError {}

impl From<SqlError> for StoreError {
    fn from(error: SqlError) -> Self {
        Self {
            transient: error.is_transient(),
            starved: error.is_starved(),
            message: error.message,
            kind: error.kind,
            code: error.code,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        SqlError::from(error).into()
    }
}
