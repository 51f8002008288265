//! Which alerts fire, remembered between runs.
//!
//! The state of the instance holds `"a:<fingerprint>": <seconds>` for each alert that may
//! fire, with the time since 1970 when it ends by itself, and who took the alerts of the last
//! delivery. An entry is made before its alert is sent, and leaves after all Alertmanagers
//! heard that it is over.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use veracity_http::Url;
use veracity_processor::{Run, State};

use crate::alert::digest;

/// The most alerts that are remembered: they stay below the 64 KiB that a state may have.
pub(crate) const MOST: usize = 2000;

/// The version of the entries. Entries of another one are dropped; alerts that they tell of
/// end by themselves.
const VERSION: u64 = 1;

const PREFIX: &str = "a:";

/// The alerts of a suite, as far as they are known in one delivery.
pub(crate) struct Firing<'s> {
    state: &'s State,
    delivery: String,
}

impl<'s> Firing<'s> {
    /// Those that `state` holds, in the delivery with this idempotency key. Alerts that have
    /// ended by themselves at `now` are forgotten.
    pub fn new(state: &'s State, idempotency_key: &str, now: SystemTime) -> Self {
        let is_known = state.get("version") == Some(Value::from(VERSION));
        for (name, value) in state.values() {
            let has_ended = || {
                let ends_at = value.as_u64().unwrap_or(0);
                name.starts_with(PREFIX) && ends_at <= seconds(now)
            };
            if !is_known || has_ended() {
                state.remove(&name);
            }
        }
        if !is_known {
            state.set("version", VERSION);
        }
        Self {
            state,
            delivery: digest(idempotency_key, 4),
        }
    }

    /// The fingerprints of the alerts that may fire.
    pub fn fingerprints(&self) -> BTreeSet<String> {
        let names = self.state.values().into_keys();
        names
            .filter_map(|name| name.strip_prefix(PREFIX).map(str::to_owned))
            .collect()
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

    /// From now on the alert may fire, until `ends_at` if nobody ends it.
    pub fn expect(&self, fingerprint: &str, ends_at: SystemTime) {
        self.state
            .set(format!("{PREFIX}{fingerprint}"), seconds(ends_at));
    }

    /// The alert does not fire.
    pub fn forget(&self, fingerprint: &str) {
        self.state.remove(&format!("{PREFIX}{fingerprint}"));
    }

    /// How many assertions were skipped when the alert for the rest was last sent.
    pub fn skipped(&self) -> u64 {
        let skipped = self.state.get("skipped");
        skipped.and_then(|skipped| skipped.as_u64()).unwrap_or(0)
    }

    /// The alert for the rest is sent, and so many assertions are skipped.
    pub fn set_skipped(&self, skipped: u64) {
        self.state.set("skipped", skipped);
    }

    /// Whether the Alertmanager at `url` took all alerts of this delivery.
    pub fn is_told(&self, url: &Url) -> bool {
        let name = name_of(url);
        self.told().contains(&name)
    }

    /// The Alertmanager at `url` took all alerts of this delivery.
    pub fn set_told(&self, url: &Url) {
        let mut told = self.told();
        told.push(name_of(url));
        let told = json!({"delivery": self.delivery, "by": told});
        self.state.set("told", told);
    }

    fn told(&self) -> Vec<String> {
        let Some(told) = self.state.get("told") else {
            return Vec::new();
        };
        if told["delivery"] != *self.delivery {
            return Vec::new();
        }
        let by = told["by"].as_array().into_iter().flatten();
        by.filter_map(|name| name.as_str().map(str::to_owned))
            .collect()
    }
}

/// By what an Alertmanager is remembered. The credentials are left out.
fn name_of(url: &Url) -> String {
    digest(
        &format!("{}{}", url.origin().ascii_serialization(), url.path()),
        4,
    )
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn an_alert_is_remembered_until_it_ends() {
        let state = State::default();
        let firing = Firing::new(&state, "1", at(100));
        firing.expect("x", at(200));
        firing.expect("y", at(300));
        let fire = |now| Firing::new(&state, "1", at(now)).fingerprints();
        assert_eq!(fire(199), BTreeSet::from(["x".into(), "y".into()]));
        assert_eq!(fire(200), BTreeSet::from(["y".into()]));
        firing.forget("y");
        assert_eq!(fire(200), BTreeSet::new());
    }

    #[test]
    fn who_was_told_is_remembered_for_one_delivery() {
        let state = State::default();
        let [one, other] = ["http://me:pw@a.org/x", "http://a.org/y"];
        let [one, other] = [one, other].map(|url| Url::parse(url).unwrap());
        let firing = Firing::new(&state, "1", at(0));
        firing.set_told(&one);
        assert_eq!(
            (firing.is_told(&one), firing.is_told(&other)),
            (true, false)
        );
        firing.set_told(&other);
        assert!(firing.is_told(&one) && firing.is_told(&other));
        let next = Firing::new(&state, "2", at(0));
        assert!(!next.is_told(&one));
        next.set_told(&other);
        assert!(!next.is_told(&one) && next.is_told(&other));
    }

    #[test]
    fn a_state_of_another_version_or_shape_does_no_harm() {
        let odd = json!({"version": 2, "a:x": 500, "run": "z"});
        let state = State::new(serde_json::from_value(odd).unwrap());
        assert!(Firing::new(&state, "1", at(0)).fingerprints().is_empty());
        assert_eq!(state.values().len(), 1);
        let odd = json!({"version": 1, "a:x": "y", "told": [], "skipped": "z", "run": 7});
        let state = State::new(serde_json::from_value(odd).unwrap());
        let firing = Firing::new(&state, "1", at(0));
        assert!(firing.fingerprints().is_empty());
        assert_eq!(firing.skipped(), 0);
        assert!(!firing.is_told(&Url::parse("http://a.org").unwrap()));
    }
}
