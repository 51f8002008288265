//! What becomes of the report of a suite: processors, hooks, channels, plugins, store.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};
use veracity_processor::{Location, Secret};

/// What becomes of the report of a suite. All of it may hold secrets, so `Debug` shows
/// only names.
#[derive(Clone, Default)]
pub struct Processing {
    /// The settings of each processor, by the name it is configured under.
    pub processors: Vec<(String, Value)>,
    /// Files that the report is written to as well: the settings of the processors that do
    /// so, by a name.
    pub outputs: Vec<(String, Value)>,
    /// The settings of each hook, by the name it is configured under.
    pub hooks: Vec<(String, Value)>,
    /// The settings of each channel, by the name it is configured under.
    pub channels: Vec<(String, Value)>,
    /// Settings of requests to URLs that plugins name themselves.
    pub webhooks: Map<String, Value>,
    /// Folders of plugins that are programs of their own.
    pub plugin_directories: Vec<String>,
    /// Plugins that are not used.
    pub disabled: Vec<String>,
    /// URL of the store.
    pub store: Option<Secret>,
    /// The secrets among all of this.
    pub secrets: Vec<Secret>,
    /// Where settings are written, by JSON pointers: `/email/to/0` for a processor,
    /// `/hooks/log/level` for a hook, `/channels/..` for a channel.
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
        let names = |instances: &[(String, Value)]| -> Vec<String> {
            instances.iter().map(|(name, _)| name.clone()).collect()
        };
        f.debug_struct("Processing")
            .field("processors", &names(&self.processors))
            .field("hooks", &names(&self.hooks))
            .field("channels", &names(&self.channels))
            .field("plugin_directories", &self.plugin_directories)
            .field("disabled", &self.disabled)
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}
