//! Writes the report of veracity as SARIF 2.1.0.
//!
//! What did not pass is located at the assertion's line in the suite file, as GitHub code
//! scanning and editors show it.

mod identity;
mod log;
mod model;
mod processor;
mod text;
mod uri;

pub use log::{MAX_RESULTS, Options, render};
pub use processor::{Sarif, Settings};
