//! Which recipients were settled by earlier attempts.

use serde::{Deserialize, Serialize};
use veracity_processor::State;

use crate::message::hash;

/// The name of the remembered value.
const NAME: &str = "unfinished";
/// How many unfinished deliveries are remembered, and in how many bytes of JSON.
const MAX_DELIVERIES: usize = 8;
const MAX_BYTES: usize = State::MAX_BYTES / 2;
/// How many bytes of a refusal are remembered.
const MAX_REFUSAL: usize = 100;

/// What happened so far to one delivery.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Memory {
    key: String,
    /// Hashes of the addresses that the mail was taken for.
    served: Vec<String>,
    /// Hashes of the addresses that were refused, with the server's words.
    refused: Vec<(String, String)>,
    /// Whether an attempt ended after the mail was sent and before it was confirmed.
    pub(crate) doubtful: bool,
}

impl Memory {
    /// What `state` knows of the delivery `key`.
    pub(crate) fn load(state: &State, key: &str) -> Self {
        let known = all(state).into_iter().find(|memory| memory.key == key);
        known.unwrap_or_else(|| Self {
            key: key.to_owned(),
            ..Self::default()
        })
    }

    /// Keeps it for the next attempt; the oldest others are forgotten.
    pub(crate) fn keep(self, state: &State) {
        let mut memories = all(state);
        memories.retain(|memory| memory.key != self.key);
        memories.push(self);
        loop {
            let value = serde_json::to_value(&memories).unwrap_or_default();
            let small = value.to_string().len() <= MAX_BYTES;
            if memories.len() <= 1 || (small && memories.len() <= MAX_DELIVERIES) {
                return state.set(NAME, value);
            }
            memories.remove(0);
        }
    }

    /// Forgets it: every recipient is settled.
    pub(crate) fn forget(self, state: &State) {
        let mut memories = all(state);
        memories.retain(|memory| memory.key != self.key);
        match memories.is_empty() {
            true => state.remove(NAME),
            false => state.set(NAME, serde_json::to_value(memories).unwrap_or_default()),
        }
    }

    pub(crate) fn serve(&mut self, address: &str) {
        self.served.push(short(address));
    }

    pub(crate) fn refuse(&mut self, address: &str, why: &str) {
        let end = why.floor_char_boundary(MAX_REFUSAL);
        self.refused.push((short(address), why[..end].to_owned()));
    }

    pub(crate) fn is_served(&self, address: &str) -> bool {
        self.served.contains(&short(address))
    }

    /// Why `address` was refused, if it was.
    pub(crate) fn refusal(&self, address: &str) -> Option<&str> {
        let address = short(address);
        let (_, why) = self
            .refused
            .iter()
            .find(|(refused, _)| *refused == address)?;
        Some(why)
    }

    /// Whether nothing happened yet that is worth remembering.
    pub(crate) fn is_empty(&self) -> bool {
        self.served.is_empty() && self.refused.is_empty() && !self.doubtful
    }
}

fn all(state: &State) -> Vec<Memory> {
    let value = state.get(NAME).unwrap_or_default();
    serde_json::from_value(value).unwrap_or_default()
}

/// Enough of a hash to tell recipients apart.
fn short(address: &str) -> String {
    hash(address)[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_deliveries_are_remembered_within_bounds() {
        let state = State::default();
        for delivery in 0..20 {
            let mut memory = Memory::load(&state, &format!("key {delivery}"));
            assert!(memory.is_empty());
            for recipient in 0..crate::settings::MAX_RECIPIENTS {
                memory.refuse(&format!("{recipient}@example.org"), &"x".repeat(10_000));
            }
            memory.serve("a@example.org");
            memory.keep(&state);
        }
        let bytes = state.get(NAME).unwrap().to_string().len();
        assert!(bytes < State::MAX_BYTES, "{bytes} bytes");
        let last = Memory::load(&state, "key 19");
        assert!(last.is_served("a@example.org") && last.refusal("7@example.org").is_some());
        assert!(!last.is_served("b@example.org"));
        last.forget(&state);
        assert_eq!(
            (state.get(NAME), Memory::load(&state, "key 0").is_empty()),
            (None, true)
        );
    }
}
