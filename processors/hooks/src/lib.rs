//! Hooks that people need everywhere: [`Log`] writes what happens, [`Metrics`] counts it,
//! [`Notify`] tells people about it.
//!
//! `README.md` is the page for people.

mod log;
mod metrics;
mod notify;
mod words;

pub use log::{Format, Log, LogSettings};
pub use metrics::{Metrics, MetricsSettings};
pub use notify::{Clock, Notify, NotifySettings};
