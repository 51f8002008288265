//! A suite written in Rust over rows in memory.
//!
//! `cargo run --example quickstart`

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, StringArray};
use datafusion::arrow::record_batch::RecordBatch;
use veracity::prelude::*;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3, 3]));
    let emails: ArrayRef = Arc::new(StringArray::from(vec![
        Some("ada@example.org"),
        None,
        Some("grace@example.org"),
        Some("not an address"),
    ]));
    let orders = RecordBatch::try_from_iter([("id", ids), ("email", emails)])?;

    let suite = VerificationSuite::builder("orders")
        .dataset(Dataset::batches("orders", vec![orders]))
        .check(
            Check::new("Orders can be shipped")
                .dataset("orders")
                .assert("row_count() > 0")
                .assert(metrics::completeness([col("email")]).gt_eq(lit(0.7)))
                .assert(Assertion::expect("uniqueness(id) = 1").named("ids are unique"))
                .assert(Assertion::rows("is_email(email)").mostly(0.5)),
        )
        .build()?;

    let report = suite.run(&Engine::new()?).await;
    let console = veracity_console::Console::default();
    console.render(&report, &mut std::io::stdout())?;
    Ok(())
}
