//! What can be wrong with plugins and their configuration.

use veracity_processor::{FieldError, Kind};

/// Why a plugin cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// There is no plugin of this name.
    #[error("unknown {kind} `{name}`{hint}")]
    NotFound {
        /// The kind asked for.
        kind: Kind,
        /// The name asked for.
        name: String,
        /// The nearest name, and those that exist.
        hint: String,
    },
    /// The plugin is there but cannot be used.
    #[error("{kind} `{name}` is broken: {message}")]
    Broken {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: String,
        /// What is wrong with it.
        message: String,
    },
    /// The plugin needs another version of the contract.
    #[error(
        "`{name}` {version} needs version `{required}` of the plugin API; this program has {ours} and takes {range}"
    )]
    Incompatible {
        /// The plugin.
        name: String,
        /// Its version.
        version: String,
        /// What it needs.
        required: String,
        /// What this program has.
        ours: String,
        /// What it could take.
        range: String,
    },
    /// Two plugins have the same kind and name.
    #[error("two plugins are {kind} `{name}`: {first} and {second}")]
    Duplicate {
        /// Their kind.
        kind: Kind,
        /// Their name.
        name: String,
        /// Version and origin of the first.
        first: String,
        /// Version and origin of the second.
        second: String,
    },
    /// Settings are wrong.
    #[error("{}", listing(.0))]
    Configuration(Vec<FieldError>),
    /// Processors come after each other in a circle.
    #[error("processors wait for each other: {}", .0.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(" -> "))]
    Circular(Vec<String>),
    /// A processor comes after one that is not configured.
    #[error("processor `{name}` comes after `{dependency}`, which is not configured{hint}")]
    MissingDependency {
        /// The processor.
        name: String,
        /// What it comes after.
        dependency: String,
        /// The nearest name, and those that are configured.
        hint: String,
    },
}

fn listing(errors: &[FieldError]) -> String {
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    texts.join("; ")
}
