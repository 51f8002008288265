//! What holds across the whole engine, in one binary: linking DataFusion costs seconds.

#![expect(
    clippy::unwrap_used,
    reason = "a test may panic, its helper functions too"
)]

mod cli;
mod culprit;
mod events;
mod interrupt;
mod metadata;
mod properties;
mod readme;
mod scans;

use veracity::prelude::{Report, Status};

/// The value of a future, on a thread without work of its own.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(future)
}

fn statuses(report: &Report) -> Vec<Status> {
    report.results.iter().map(|result| result.status).collect()
}
