//! The databases themselves.

mod sqlite;
