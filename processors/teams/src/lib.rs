//! Posts the report of a run to Microsoft Teams, through a flow of Workflows.
//!
//! A message is one Adaptive Card, however much has failed, and keeps to the size that
//! Teams takes. What comes from data is shown as text. `README.md` is the page for people.

mod answer;
mod card;
mod markdown;
mod settings;
mod teams;

pub use settings::Settings;
pub use teams::Teams;
