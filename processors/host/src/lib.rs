//! Carries reports to result processors, none of which can harm a run.
//!
//! Finds plugins, checks their configuration, builds and isolates them, delivers in waves,
//! and keeps in a store what could not be delivered yet.

pub mod isolation;
pub mod names;
pub mod order;
pub mod secrets;
pub mod store;

mod actions;
mod attempt;
mod backoff;
mod breaker;
mod bus;
mod capable;
mod configuration;
mod dispatch;
mod ending;
mod error;
mod fields;
mod filter;
mod gate;
mod ground;
mod hand;
mod hooks;
mod host;
mod instance;
mod keep;
mod letters;
mod manifest;
mod outbox;
mod paths;
mod redact;
mod registry;
mod settings;
mod shared;
mod stop;
mod told;
mod waves;

pub use actions::{ChannelSettings, LogLine};
pub use breaker::{Breaker, Permission};
pub use configuration::Configuration;
pub use dispatch::{Resumed, idempotency_key};
pub use error::PluginError;
pub use filter::{View, view};
pub use gate::{Before, Closed};
pub use hooks::{HookRecord, HookSettings, Overflow};
pub use host::{Delivered, HEALTH_LIMIT, Host, InstanceHealth, LIFECYCLE_LIMIT};
pub use instance::Instance;
pub use keep::Keep;
pub use manifest::Manifest;
pub use redact::Redactor;
pub use registry::{Broken, Entry, Registry, Source};
pub use settings::{Isolation, On, Settings, When};
pub use shared::Shared;
pub use stop::Stop;
pub use veracity_sql::check_url as check_store_url;
