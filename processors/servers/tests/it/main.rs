//! The servers start, stop, and leave nothing behind.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod cutting;
mod lifetime;
