//! For the tests of plugins: reports and contexts to call them with, a host that records
//! what they answer, faults for what they depend on, and assertions.
//!
//! ```
//! # use async_trait::async_trait;
//! # use veracity_processor::*;
//! # struct Doorbell;
//! # #[derive(serde::Deserialize, schemars::JsonSchema)]
//! # #[serde(deny_unknown_fields)]
//! # struct Settings {}
//! # impl Processor for Doorbell {
//! #     type Config = Settings;
//! #     fn build(_: Settings) -> Result<Self, ConfigError> { Ok(Doorbell) }
//! # }
//! # #[async_trait]
//! # impl ResultProcessor for Doorbell {
//! #     async fn process(
//! #         &self,
//! #         report: &Report,
//! #         context: &ProcessContext,
//! #     ) -> Result<Outcome, ProcessorError> {
//! #         if report.passed() {
//! #             return Ok(Outcome::skipped("nobody is to be woken"));
//! #         }
//! #         if context.attempt == 1 {
//! #             return Err(ProcessorError::retryable("the bell is stuck"));
//! #         }
//! #         context.state.set("rung", 1);
//! #         Ok(Outcome::done())
//! #     }
//! # }
//! # register!(Plugin::processor::<Doorbell>("doorbell", "1.0.0").description("Rings"));
//! use serde_json::json;
//! use veracity_processor::Kind;
//! use veracity_processor::testing::{
//!     RecordingHost, ReportBuilder, assert_delivered, assert_skipped, linked,
//! };
//!
//! let mut host = RecordingHost::new(linked(Kind::Processor, "doorbell"), json!({}))?;
//!
//! let passed = ReportBuilder::new("orders").passed("keys", "uniqueness(id) = 1").build();
//! assert_skipped(&host.deliver(&passed), "nobody is to be woken");
//!
//! let failed = ReportBuilder::new("orders").failed("keys", "uniqueness(id) = 1").run(2).build();
//! let delivered = host.deliver(&failed);
//! assert_delivered(&delivered);
//! assert_eq!(delivered.attempts, 2);
//! assert_eq!(host.state("orders")["rung"], 1);
//! # Ok::<(), ConfigError>(())
//! ```

pub mod faults;

mod assertions;
mod call;
mod carry;
mod config;
mod context;
mod events;
mod host;
mod report;
mod request;
mod thread;
mod upcoming;

#[cfg(test)]
mod tests;

use std::future::Future;

pub use assertions::{
    Answered, Came, assert_action, assert_delivered, assert_no_secret, assert_permanent,
    assert_retryable, assert_skipped, assert_stops,
};
pub use call::{Answer, Call, Delivered, Fault};
pub use context::ContextBuilder;
pub use events::events;
pub use host::RecordingHost;
pub use report::ReportBuilder;
pub use upcoming::UpcomingBuilder;

pub use crate::conformance::hostile;
use crate::{Kind, Plugin};

/// The plugin of this kind and name that is linked into the test.
///
/// # Panics
///
/// If there is none; the message says which there are.
#[track_caller]
pub fn linked(kind: Kind, name: &str) -> &'static Plugin {
    let mut names = Vec::new();
    for plugin in Plugin::linked().filter(|plugin| plugin.kind() == kind) {
        if plugin.name() == name {
            return plugin;
        }
        names.push(format!("`{}`", plugin.name()));
    }
    names.sort();
    let there_are = match names.is_empty() {
        true => "there are none".to_owned(),
        false => format!("there are {}", names.join(", ")),
    };
    panic!("no {kind} `{name}` is linked; {there_are}; `use the_crate as _;` links a crate");
}

/// What `future` gives, in a runtime like the one that plugins are called in: of one thread,
/// with timers and I/O.
///
/// # Panics
///
/// If it is called from within another runtime, or none can be made.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.unwrap_or_else(|error| panic!("no runtime could be made: {error}"));
    runtime.block_on(future)
}
