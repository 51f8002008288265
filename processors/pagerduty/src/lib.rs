//! The processor `pagerduty`: what did not pass becomes alerts of PagerDuty, by its Events
//! API v2; what passes again resolves them.

mod event;
mod key;
mod open;
mod pagerduty;
mod plan;
mod settings;

pub use pagerduty::PagerDuty;
pub use settings::{Level, Region, Settings, SeverityMap};
