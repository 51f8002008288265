//! veracity: a suite of SQL assertions, verified in one scan.
//!
//! The modules stand in the order the data flows.

pub mod error;
pub mod suite;
pub mod source;
pub mod metric;
pub mod engine;
pub mod cli;

/// What a program that verifies data needs.
pub mod prelude {
    pub use crate::engine::Engine;
    pub use crate::error::{Error, Result};
    pub use crate::metric::functions::*;
    pub use crate::suite::{Assertion, Check, Dataset, OnNull, Severity, VerificationSuite};
    pub use datafusion::prelude::{col, ident, lit};
    pub use veracity_processor::{Report, Status, Verdict};
}
