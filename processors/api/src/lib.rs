//! The contract between veracity and its plugins.
//!
//! A plugin receives the [`Report`] of a run through [`ResultProcessor`], says about itself
//! what [`PluginInfo`] holds, and registers a [`Plugin`] with [`register!`].
//!
//! This crate knows neither DataFusion nor Arrow, so a processor that depends on it alone
//! compiles in seconds.

#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "testing")]
pub mod testing;

mod action;
mod call;
mod context;
mod delivery;
mod digest;
mod error;
pub mod event;
mod file;
mod hook;
mod message;
mod plugin;
mod printable;
mod processor;
mod report;
mod run;
mod sample;
mod secret;
mod severity;
mod stage;
mod trend;

pub use action::{Action, ActionKind, ActionRecord, Level, Metric, MetricKind, Webhook};
pub use async_trait::async_trait;
pub use call::{Argument, MetricCall};
pub use context::{Config, ProcessContext, StartContext, State};
pub use delivery::{Delivery, DeliveryStatus};
pub use digest::{Fact, Finding, Headline};
pub use error::{ConfigError, FieldError, ProcessorError, chain};
pub use event::{Event, EventName, EventRun, EventSink, Moment, Subject, Timestamp};
pub use file::write_file;
pub use hook::{Bounds, Channel, EventHook, Hook, Mode, Parcel, Publisher, Subscription, Test};
pub use inventory;
pub use message::Message;
pub use plugin::{Capability, Kind, PLUGIN_API_VERSION, Plugin, PluginInfo};
pub use printable::{is_deceptive, printable};
pub use processor::{Health, HealthStatus, Outcome, OutcomeStatus, Processor, ResultProcessor};
pub use report::{
    AssertionResult, DatasetReport, Location, Report, SCHEMA_VERSION, Status, Summary, Symbol,
    SymbolStatus, Verdict,
};
pub use run::{Engine, Run, RunKey};
pub use sample::sample_report;
pub use secret::{Secret, SecretsProvider};
pub use severity::Severity;
pub use stage::{Conditions, DeadLetter, Stage, Upcoming};
pub use trend::Trend;

/// The JSON Schema of the [`Report`], written from its types.
pub fn report_schema() -> serde_json::Value {
    schemars::schema_for!(Report).to_value()
}
