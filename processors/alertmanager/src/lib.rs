//! The processor `alertmanager`: what did not pass becomes alerts of Prometheus'
//! Alertmanager, by its API v2; what passes again ends them.

mod alert;
mod alertmanager;
mod check;
mod firing;
mod plan;
mod settings;

pub use alertmanager::Alertmanager;
pub use settings::{Settings, SeverityMap};
