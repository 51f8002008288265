//! Carries reports to result processors, none of which can harm a run.
//!
//! Finds plugins, checks their configuration, builds and isolates them, delivers in waves,
//! and keeps in a store what could not be delivered yet.

pub mod isolation;
pub mod store;
