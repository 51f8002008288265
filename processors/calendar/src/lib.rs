//! Ends runs of veracity in times that are closed: holidays, weekends, nights, maintenance
//! windows.
//!
//! Everything is about the moment at which the run began, so no clock is read. `README.md`
//! is the page for people.

mod calendar;
mod date;
mod maintenance;
mod settings;
mod span;
mod zone;

pub use calendar::Calendar;
pub use settings::{Basis, Hours, Settings, Window};
