//! Which alerts are open, remembered between runs.
//!
//! The state of the instance holds an entry for each dedup key that may be open:
//! `"veracity/orders/keys/..": "<note>:<delivery>"`. The note is a word of the planner; the
//! delivery is the digest of the one by which PagerDuty last took the trigger, so that an
//! attempt goes on where the one before stopped. An entry is made before its trigger is
//! sent, and leaves after its resolve was taken: what is uncertain is told again rather
//! than forgotten.

use std::collections::BTreeMap;

use serde_json::Value;
use veracity_processor::{Run, State};

use crate::key::digest;

/// The most alerts that are remembered, beside the one for all others: with the longest
/// keys they stay below the 64 KiB that a state may have.
pub(crate) const MOST: usize = 200;

/// The version of the entries. Entries of another one are dropped; alerts that they tell of
/// are resolved by people.
const VERSION: u64 = 1;

/// The alerts of a suite, as far as they are known in one delivery.
pub(crate) struct Open<'s> {
    state: &'s State,
    delivery: String,
}

impl<'s> Open<'s> {
    /// Those that `state` holds, in the delivery with this idempotency key.
    pub fn new(state: &'s State, idempotency_key: &str) -> Self {
        if state.get("version") != Some(Value::from(VERSION)) {
            for name in state.values().into_keys() {
                state.remove(&name);
            }
            state.set("version", VERSION);
        }
        Self {
            state,
            delivery: digest(idempotency_key, 4),
        }
    }

    /// The notes of the alerts that may be open, by dedup key.
    pub fn notes(&self) -> BTreeMap<String, String> {
        let entries = self.state.values().into_iter();
        let alerts = entries.filter(|(name, _)| name.starts_with("veracity/"));
        let note = |entry: Value| match entry.as_str().and_then(|text| text.split_once(':')) {
            Some((note, _)) => note.to_owned(),
            None => String::new(),
        };
        alerts.map(|(key, entry)| (key, note(entry))).collect()
    }

    /// Whether a report of a run that began later than `run` has been told. If not, `run` is
    /// the newest from now on.
    pub fn is_overtaken(&self, run: &Run) -> bool {
        // Only such identifiers sort by time.
        if run.id.get_version_num() != 7 {
            return false;
        }
        let id = run.id.to_string();
        let newest = self.state.get("run");
        if newest.is_some_and(|newest| newest.as_str().is_some_and(|newest| newest > &*id)) {
            return true;
        }
        self.state.set("run", id);
        false
    }

    /// Whether PagerDuty took the trigger of `key` in this delivery.
    pub fn was_told(&self, key: &str) -> bool {
        let entry = self.state.get(key);
        let delivery = entry
            .as_ref()
            .and_then(|entry| entry.as_str()?.split_once(':'));
        delivery.is_some_and(|(_, delivery)| delivery == self.delivery)
    }

    /// From now on `key` may be open; false if it was so before.
    pub fn expect(&self, key: &str, note: &str) -> bool {
        let is_new = self.state.get(key).is_none();
        if is_new {
            self.state.set(key, format!("{note}:"));
        }
        is_new
    }

    /// PagerDuty took the trigger of `key`.
    pub fn triggered(&self, key: &str, note: &str) {
        self.state.set(key, format!("{note}:{}", self.delivery));
    }

    /// `key` is not open.
    pub fn forget(&self, key: &str) {
        self.state.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;
    use veracity_processor::sample_report;

    use super::*;

    #[test]
    fn a_delivery_goes_on_where_it_stopped_and_another_begins_anew() {
        let state = State::default();
        let open = Open::new(&state, "one");
        assert!(open.expect("veracity/s/a", "note"));
        assert!(!open.was_told("veracity/s/a"), "it was only announced");
        open.triggered("veracity/s/a", "note");
        assert!(!open.expect("veracity/s/a", "note"));
        assert!(open.was_told("veracity/s/a"));
        assert!(!Open::new(&state, "two").was_told("veracity/s/a"));
        let expected = BTreeMap::from([("veracity/s/a".to_owned(), "note".to_owned())]);
        assert_eq!(open.notes(), expected);
        open.forget("veracity/s/a");
        assert_eq!(open.notes(), BTreeMap::new());
    }

    #[test]
    fn a_run_is_overtaken_by_one_that_began_later() {
        let state = State::default();
        let open = Open::new(&state, "one");
        let mut run = sample_report().run;
        let id = |time: u128| Uuid::from_u128((time << 80) | 0x7000_8000_0000_0000_0000);
        for (time, overtaken) in [(5, false), (5, false), (4, true), (6, false), (5, true)] {
            run.id = id(time);
            assert_eq!(open.is_overtaken(&run), overtaken, "{time}");
        }
        run.id = Uuid::from_u128(1);
        assert!(
            !open.is_overtaken(&run),
            "not every identifier tells a time"
        );
    }

    #[test]
    fn a_state_of_another_version_or_shape_does_no_harm() {
        let odd = json!({"version": 2, "veracity/s/a": "x:y", "run": "z"});
        let state = State::new(serde_json::from_value(odd).unwrap());
        assert_eq!(Open::new(&state, "one").notes(), BTreeMap::new());
        assert_eq!(state.values().len(), 1);

        let odd = json!({"version": 1, "veracity/s/a": 7, "veracity/s/b": "x", "run": []});
        let state = State::new(serde_json::from_value(odd).unwrap());
        let open = Open::new(&state, "one");
        let notes: Vec<String> = open.notes().into_values().collect();
        assert_eq!(notes, ["", ""]);
        assert!(!open.was_told("veracity/s/a"));
        assert!(!open.is_overtaken(&sample_report().run));
    }
}
