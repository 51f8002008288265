//! New plugins: what is written, and that it works.

#![expect(
    clippy::unwrap_used,
    reason = "a test may panic, its helper functions too"
)]

mod protocol;
mod python;
mod refused;
mod rust;
mod written;
