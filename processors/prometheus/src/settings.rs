//! The settings.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use veracity_processor::Secret;

/// Settings of the `prometheus` processor. At least one of `path` and `pushgateway` is
/// needed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The file for the textfile collector, which is replaced by each run; its name ends
    /// with `.prom`, and every suite has one of its own. `-` is standard output.
    #[serde(default)]
    #[schemars(extend("format" = "path"))]
    pub path: Option<PathBuf>,
    /// The Pushgateway that gets the metrics.
    #[serde(default)]
    pub pushgateway: Option<Gateway>,
    /// The most series that are written; what is beyond is counted in
    /// `veracity_metrics_dropped`.
    #[serde(default = "default_max_series")]
    #[schemars(range(min = 20, max = 1_000_000))]
    pub max_series: usize,
}

/// A Pushgateway.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// Its address: `http://` or `https://`, without `/metrics`. It is kept secret.
    pub url: Secret,
    /// The label `job` of the group.
    #[serde(default = "default_job")]
    pub job: String,
    /// Further labels of the group, beside `suite`. What tells runs apart does not belong
    /// here: a Pushgateway never forgets.
    #[serde(default)]
    pub grouping: BTreeMap<String, String>,
    /// Whether the group is replaced, or only the metrics of the same names.
    #[serde(default)]
    pub method: Method,
    /// User name for `Authorization: Basic`.
    #[serde(default)]
    pub username: Option<String>,
    /// Password for `Authorization: Basic`.
    #[serde(default)]
    pub password: Option<Secret>,
    /// Seconds that a run may lose to a Pushgateway that does not answer.
    #[serde(default = "default_timeout")]
    #[schemars(range(min = 0.1, max = 60.0))]
    pub timeout: f64,
    /// Whether `url` may lead to an address that is not public: loopback, private,
    /// link-local and the like.
    #[serde(default)]
    pub allow_private: bool,
    /// File with certificates (PEM) of authorities that are trusted beside those of the
    /// system.
    #[serde(default)]
    #[schemars(extend("format" = "path"))]
    pub tls_ca_file: Option<PathBuf>,
}

/// What a push replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// All metrics of the group.
    #[default]
    Put,
    /// The metrics of the group that have the same names.
    Post,
}

fn default_max_series() -> usize {
    5_000
}

fn default_job() -> String {
    "veracity".to_owned()
}

fn default_timeout() -> f64 {
    5.0
}
