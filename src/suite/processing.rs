//! What becomes of the report of a suite: processors, plugins, store.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;
use veracity_processor::{Location, Secret};

/// What becomes of the report of a suite. All of it may hold secrets, so `Debug` shows
/// only names.
#[derive(Clone, Default)]
pub struct Processing {
    /// The settings of each processor, by the name it is configured under.
    pub processors: Vec<(String, Value)>,
    /// Folders of plugins that are programs of their own.
    pub plugin_directories: Vec<String>,
    /// Processors that are not used.
    pub disabled: Vec<String>,
    /// URL of the store.
    pub store: Option<Secret>,
    /// The secrets among all of this.
    pub secrets: Vec<Secret>,
    /// Where settings are written, by JSON pointers (`/email/to/0`).
    pub places: BTreeMap<String, Location>,
}

impl Processing {
    /// Where the setting at the JSON pointer `path` is written, or what it is part of.
    pub fn place(&self, path: &str) -> Option<&Location> {
        let mut path = path;
        loop {
            if let Some(place) = self.places.get(path) {
                return Some(place);
            }
            path = &path[..path.rfind('/')?];
        }
    }
}

impl fmt::Debug for Processing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self
            .processors
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        f.debug_struct("Processing")
            .field("processors", &names)
            .field("plugin_directories", &self.plugin_directories)
            .field("disabled", &self.disabled)
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}
