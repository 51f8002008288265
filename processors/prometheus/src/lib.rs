//! Shows what a run measured to Prometheus: as a file for the textfile collector of
//! node_exporter, and through a Pushgateway.
//!
//! `README.md` is the page for people.

mod exposition;
mod families;
mod gateway;
mod history;
mod processor;
mod series;
mod settings;

pub use processor::Prometheus;
pub use settings::{Gateway, Method, Settings};
