//! The settings.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use veracity_processor::Secret;

/// Settings of the `openlineage` processor. Without `url`, `path` and `console`, the
/// variables of the OpenLineage clients say where events go.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where events are posted: `http://` or `https://`, without the endpoint. It is kept
    /// secret.
    #[serde(default)]
    pub url: Option<Secret>,
    /// The path of the API below `url`; `api/v1/lineage` by default.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Key that is sent as `Authorization: Bearer`.
    #[serde(default)]
    pub api_key: Option<Secret>,
    /// File to which events are appended as JSON lines.
    #[serde(default)]
    #[schemars(extend("format" = "path"))]
    pub path: Option<PathBuf>,
    /// Whether events are written to standard error, one a line.
    #[serde(default)]
    pub console: bool,
    /// Seconds that a run may lose to a receiver that does not answer.
    #[serde(default = "default_timeout")]
    #[schemars(range(min = 0.1, max = 60.0))]
    pub timeout: f64,
    /// The namespace of the job, whose name is that of the suite; `veracity` by default.
    #[serde(default)]
    pub namespace: Option<String>,
    /// What the datasets of the suite are called elsewhere, by their name in the suite.
    #[serde(default)]
    pub dataset_names: BTreeMap<String, Dataset>,
    /// The namespace of the datasets that `dataset_names` does not name.
    #[serde(default = "default_dataset_namespace")]
    pub dataset_namespace: String,
    /// Whether `url` may lead to an address that is not public: loopback, private,
    /// link-local and the like. What comes from the environment may.
    #[serde(default)]
    pub allow_private: bool,
    /// File with certificates (PEM) of authorities that are trusted beside those of the
    /// system.
    #[serde(default)]
    #[schemars(extend("format" = "path"))]
    pub tls_ca_file: Option<PathBuf>,
    /// The most bytes of tests, assertions and metrics in one event, at least 16384.
    /// Results are left out of an event that would be larger: passed ones first.
    #[serde(default = "default_max_bytes")]
    #[schemars(range(min = 16384))]
    pub max_bytes: usize,
}

/// What a dataset is called in OpenLineage.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dataset {
    /// Where it lives: `file`, `s3://bucket`, `postgres://host:5432`.
    pub namespace: String,
    /// Its name there: a path, `database.schema.table`.
    pub name: String,
}

fn default_timeout() -> f64 {
    5.0
}

fn default_dataset_namespace() -> String {
    "inmemory://".to_owned()
}

fn default_max_bytes() -> usize {
    1024 * 1024
}
