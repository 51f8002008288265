//! The settings.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use veracity_processor::{Secret, Severity};

/// Settings of the `alertmanager` processor.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Every Alertmanager, each by its own address (`http://alertmanager-0:9093`) and not
    /// behind a balancer: all of them get all alerts. At most 32.
    #[schemars(length(min = 1, max = 32))]
    pub urls: Vec<Secret>,
    /// Further labels of all alerts.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// How long an alert fires unless a later run says that it still does: the time until
    /// the next run, and some more (`26h`, `45m`). One minute to 366 days.
    #[serde(default = "default_expires_after")]
    pub expires_after: String,
    /// A page about the run, which alerts link to: `https://dq.example.org/runs/{run}`.
    /// `{run}` is the id of the run, `{suite}` the name of the suite, `{date}` the date of the
    /// data.
    #[serde(default)]
    pub link: Option<String>,
    /// The label `severity` for each severity of veracity.
    #[serde(default)]
    pub severity_map: SeverityMap,
    /// The most assertions that have an alert of their own, 1 to 1000. What exceeds it has
    /// one alert together.
    #[serde(default = "default_max_alerts")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_alerts: usize,
    /// User name, with `password`.
    #[serde(default)]
    pub username: Option<String>,
    /// Password of `username`.
    #[serde(default)]
    pub password: Option<Secret>,
    /// Token that is sent as `Authorization: Bearer`, instead of `username` and `password`.
    #[serde(default)]
    pub bearer_token: Option<Secret>,
    /// File with certificates (PEM) of authorities that are trusted beside those of the
    /// system.
    #[serde(default)]
    #[schemars(extend("format" = "path"))]
    pub tls_ca_file: Option<PathBuf>,
    /// Whether `urls` may lead to addresses that are not public: loopback, private,
    /// link-local and the like.
    #[serde(default)]
    pub allow_private: bool,
}

fn default_expires_after() -> String {
    "25h".to_owned()
}

fn default_max_alerts() -> usize {
    1000
}

/// The label `severity` for each severity of veracity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SeverityMap {
    /// That of P0.
    #[serde(rename = "P0")]
    pub p0: String,
    /// That of P1.
    #[serde(rename = "P1")]
    pub p1: String,
    /// That of P2.
    #[serde(rename = "P2")]
    pub p2: String,
    /// That of P3.
    #[serde(rename = "P3")]
    pub p3: String,
}

impl Default for SeverityMap {
    fn default() -> Self {
        Self {
            p0: "critical".to_owned(),
            p1: "error".to_owned(),
            p2: "warning".to_owned(),
            p3: "info".to_owned(),
        }
    }
}

impl SeverityMap {
    pub(crate) fn of(&self, severity: Severity) -> &str {
        match severity {
            Severity::P0 => &self.p0,
            Severity::P1 => &self.p1,
            Severity::P2 => &self.p2,
            Severity::P3 => &self.p3,
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
        let at = |pointer: &str| {
            let property = schema["properties"].pointer(pointer);
            property.unwrap_or(&Value::Null).clone()
        };
        assert_eq!(at("/urls/items/writeOnly"), json!(true));
        assert_eq!(at("/password/writeOnly"), json!(true));
        assert_eq!(at("/bearer_token/writeOnly"), json!(true));
        assert_eq!(at("/tls_ca_file/format"), json!("path"));
        assert_eq!(at("/expires_after/default"), json!("25h"));
        assert_eq!(at("/max_alerts/default"), json!(1000));
        assert_eq!(
            at("/severity_map/default"),
            json!({"P0": "critical", "P1": "error", "P2": "warning", "P3": "info"})
        );
    }
}
