//! What a result processor needs to know: the [`Report`] of a run.
//!
//! This crate knows neither DataFusion nor Arrow, so a processor that depends on
//! it alone compiles in seconds.

mod report;
mod severity;

pub use report::{
    AssertionResult, DatasetReport, Delivery, Engine, Location, Report, Run, RunKey,
    SCHEMA_VERSION, Status, Summary, Symbol, SymbolStatus, Verdict,
};
pub use severity::Severity;

/// The JSON Schema of the [`Report`], written from its types.
pub fn report_schema() -> serde_json::Value {
    schemars::schema_for!(Report).to_value()
}
