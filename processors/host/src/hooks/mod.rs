//! Hooks: plugins that watch a run.

mod queue;
mod settings;
mod watcher;

use veracity_processor::{EventName, FieldError};

use crate::names::did_you_mean;
pub use settings::{HookSettings, Overflow};
pub use watcher::{HookRecord, Watcher};

/// What is wrong with `events`: patterns that no event fits.
pub fn unmatched(events: &[String]) -> Vec<FieldError> {
    let names: Vec<String> = EventName::all().map(|name| name.to_string()).collect();
    let events = events.iter().enumerate();
    let unfit = events.filter(|(_, pattern)| !EventName::all().any(|name| name.matches(pattern)));
    unfit
        .map(|(index, pattern)| {
            let near = did_you_mean(pattern, names.iter().map(String::as_str));
            let message = format!(
                "no event is called `{pattern}`{near}; events are called `<what>.<moment>`, \
                 what is suite, dataset, check, assertion, processor, delivery or action, \
                 moment is start, end, error, skip, retry or dead, and `*` stands for any"
            );
            FieldError::new(format!("/events/{index}"), message)
        })
        .collect()
}
