//! Reports in tables, the same on SQLite, PostgreSQL and MariaDB.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod drift;
mod faults;
mod locks;
mod names;
mod place;
mod readme;
mod written;
