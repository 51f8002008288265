//! The databases themselves.

mod servers;
mod sqlite;
