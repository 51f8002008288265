//! The store, on each database it can be in.

#![expect(
    clippy::unwrap_used,
    reason = "the bodies of tests are functions here, one for all databases"
)]

mod children;
mod concurrency;
mod crash;
mod deliveries;
mod outages;
mod places;
mod reports;
mod spool;
