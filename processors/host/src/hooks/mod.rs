//! Hooks: plugins that watch a run.

mod queue;
mod settings;
mod watcher;

use serde_json::Value;
use veracity_processor::{Bounds, Event, EventName, FieldError, Subscription, Test};

use crate::names::{did_you_mean, listed};
pub use settings::{HookSettings, Overflow};
pub use watcher::{HookRecord, Watcher};

/// What is wrong with `events`: patterns that no event fits.
fn unmatched(events: &[String]) -> Vec<FieldError> {
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

/// What is wrong with `subscription`: events that there are not, and conditions that hold for
/// none.
pub fn unfit(subscription: &Subscription) -> Vec<FieldError> {
    let mut errors = unmatched(&subscription.events);
    for (name, test) in &subscription.condition {
        let wrong = match Event::is_field(name) {
            true => never(test),
            false => {
                let fields = || Event::FIELDS.iter().copied();
                let near = did_you_mean(name, fields());
                Some(format!(
                    "no event has such a field{near}; there are {}",
                    listed(fields())
                ))
            }
        };
        if let Some(wrong) = wrong {
            let name = name.replace('~', "~0").replace('/', "~1");
            errors.push(FieldError::new(format!("/where/{name}"), wrong));
        }
    }
    errors
}

/// Why `test` holds for no field, if it is seen.
fn never(test: &Test) -> Option<String> {
    let is_mapping = |value: &Value| value.is_object() || value.is_array();
    let wrong = match test {
        Test::Is(value) => is_mapping(value),
        Test::AnyOf(values) => values.iter().any(is_mapping),
        Test::Range(Bounds {
            min: Some(min),
            max: Some(max),
        }) if min > max => return Some(format!("nothing is from {min} to {max}")),
        Test::Range(bounds) => bounds.min.is_none() && bounds.max.is_none(),
    };
    wrong.then(|| "expected a value, a list of values, or bounds: `min`, `max`".to_owned())
}
