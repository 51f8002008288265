//! The settings.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use veracity_processor::{Secret, Severity};

/// Settings of the `pagerduty` processor.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The integration key of a service, of the integration "Events API v2": 32 letters and
    /// digits.
    pub routing_key: Secret,
    /// Where the account is: `us`, which is the default, or `eu`.
    #[serde(default)]
    pub region: Option<Region>,
    /// Where events go, instead of the address of a region: for a proxy of your own.
    #[serde(default)]
    pub url: Option<Secret>,
    /// A page about the run, which alerts link to: `https://dq.example.org/runs/{run}`.
    /// `{run}` is the id of the run, `{suite}` the name of the suite, `{date}` the date of the
    /// data.
    #[serde(default)]
    pub link: Option<String>,
    /// The logical group that alerts are said to belong to.
    #[serde(default)]
    pub group: Option<String>,
    /// Which severity of PagerDuty stands for which of veracity.
    #[serde(default)]
    pub severity_map: SeverityMap,
    /// The most assertions that have an alert of their own, 1 to 100. What exceeds it has
    /// one alert together.
    #[serde(default = "default_max_events")]
    #[schemars(range(min = 1, max = 100))]
    pub max_events: usize,
    /// File with certificates (PEM) of authorities that are trusted beside those of the
    /// system.
    #[serde(default)]
    #[schemars(extend("format" = "path"))]
    pub tls_ca_file: Option<PathBuf>,
    /// Whether `url` may lead to an address that is not public: loopback, private,
    /// link-local and the like.
    #[serde(default)]
    pub allow_private: bool,
}

fn default_max_events() -> usize {
    50
}

/// A service region of PagerDuty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Region {
    /// `events.pagerduty.com`
    Us,
    /// `events.eu.pagerduty.com`
    Eu,
}

impl Region {
    pub(crate) fn url(self) -> &'static str {
        match self {
            Self::Us => "https://events.pagerduty.com/v2/enqueue",
            Self::Eu => "https://events.eu.pagerduty.com/v2/enqueue",
        }
    }
}

/// A severity of PagerDuty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The worst.
    Critical,
    /// An error.
    Error,
    /// A warning.
    Warning,
    /// For information.
    Info,
}

/// Which severity of PagerDuty stands for which of veracity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SeverityMap {
    /// That of P0.
    #[serde(rename = "P0")]
    pub p0: Level,
    /// That of P1.
    #[serde(rename = "P1")]
    pub p1: Level,
    /// That of P2.
    #[serde(rename = "P2")]
    pub p2: Level,
    /// That of P3.
    #[serde(rename = "P3")]
    pub p3: Level,
}

impl Default for SeverityMap {
    fn default() -> Self {
        Self {
            p0: Level::Critical,
            p1: Level::Error,
            p2: Level::Warning,
            p3: Level::Info,
        }
    }
}

impl SeverityMap {
    pub(crate) fn of(self, severity: Severity) -> Level {
        match severity {
            Severity::P0 => self.p0,
            Severity::P1 => self.p1,
            Severity::P2 => self.p2,
            Severity::P3 => self.p3,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The host reads from the schema what to strike out, which paths to complete, and
    /// the defaults.
    #[test]
    fn the_schema_tells_secrets_paths_and_defaults() {
        let schema = schemars::schema_for!(Settings).to_value();
        let at = |name: &str, what: &str| {
            let property = schema["properties"][name].get(what);
            property.unwrap_or(&Value::Null).clone()
        };
        assert_eq!(at("routing_key", "writeOnly"), json!(true));
        assert_eq!(at("url", "writeOnly"), json!(true));
        assert_eq!(at("tls_ca_file", "format"), json!("path"));
        assert_eq!(at("max_events", "default"), json!(50));
        assert_eq!(
            at("severity_map", "default"),
            json!({"P0": "critical", "P1": "error", "P2": "warning", "P3": "info"})
        );
    }
}
