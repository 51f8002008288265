//! One way to PostgreSQL, MySQL/MariaDB and SQLite for the store and the database processor.
//!
//! [`Database::connect`] opens a small pool with time limits set, [`Dialect`] bridges what
//! differs in SQL, [`migrate()`] creates tables exactly once, and [`SqlError`] says whether
//! trying again can help.

mod address;
mod connect;
mod dialect;
mod error;
mod migrate;
mod sqlite;

pub use address::check_url;
pub use connect::{ConnectOptions, Database, Transaction};
pub use dialect::{Dialect, Query};
pub use error::{SqlError, SqlErrorKind};
pub use migrate::{Migration, migrate};
pub use sqlx;
