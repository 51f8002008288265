//! Tells OpenLineage receivers about runs: that one started, and how it ended.
//!
//! Every run gives exactly one START and one terminal event, whatever is repeated: what
//! was sent is remembered in the state of the instance, and a run that was killed in
//! between is closed by ABORT when the next one begins. `README.md` is the page for
//! people.

mod environment;
mod event;
mod facets;
mod inputs;
mod ledger;
mod message;
mod metrics;
mod processor;
mod receiver;
mod results;
mod route;
mod settings;

pub use processor::OpenLineage;
pub use settings::{Dataset, Settings};
