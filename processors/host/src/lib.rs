//! Carries reports to result processors, none of which can harm a run.
//!
//! Finds plugins, checks their configuration, builds and isolates them, delivers in waves,
//! and keeps in a store what could not be delivered yet.

pub mod isolation;
pub mod names;
pub mod order;
pub mod secrets;
pub mod store;

mod backoff;
mod breaker;
mod error;
mod fields;
mod filter;
mod manifest;
mod redact;
mod registry;
mod settings;

pub use breaker::{Breaker, Permission};
pub use error::PluginError;
pub use filter::{View, view};
pub use manifest::Manifest;
pub use redact::Redactor;
pub use registry::{Broken, Entry, Registry, Source};
pub use settings::{Isolation, On, Settings};
