//! What a result processor needs to know: the [`Report`] of a run.
//!
//! This crate knows neither DataFusion nor Arrow, so a processor that depends on
//! it alone compiles in seconds.

mod printable;
mod report;
mod run;
mod sample;
mod severity;

pub use printable::{is_deceptive, printable};
pub use report::{
    AssertionResult, DatasetReport, Delivery, Location, Report, SCHEMA_VERSION, Status, Summary,
    Symbol, SymbolStatus, Verdict,
};
pub use run::{Engine, Run, RunKey};
pub use sample::sample_report;
pub use severity::Severity;

/// The JSON Schema of the [`Report`], written from its types.
pub fn report_schema() -> serde_json::Value {
    schemars::schema_for!(Report).to_value()
}
