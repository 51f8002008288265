//! The settings.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use veracity_http::{Endpoint, Hints, Link, Options};
use veracity_processor::{ConfigError, FieldError, Secret};

/// The most results that a card may show.
const MOST_FINDINGS: usize = 100;

const HINTS: Hints = Hints {
    denied: Some(
        "`webhook_url` may be incomplete or replaced: copy it again from the flow, which anyone \
         must be allowed to trigger, which needs an owner, and which must post as a user in a \
         private channel",
    ),
    not_found: Some(
        "the flow may have been deleted, or have lost its owner: make a new one and change \
         `webhook_url`",
    ),
    too_large: Some("`max_findings` may be smaller"),
};

/// Settings of the `teams` processor.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// URL of a flow that begins "when a Teams webhook request is received". Kept secret:
    /// it carries its own signature.
    pub webhook_url: Secret,
    /// URL where people find more: `{run}`, `{suite}` and `{date}` stand for what the run is.
    #[serde(default)]
    #[schemars(regex(pattern = r"^https?://"))]
    pub link: Option<String>,
    /// The most results that a card shows, 1 to 100, if they fit; the others are counted.
    #[serde(default = "default_max_findings")]
    #[schemars(range(min = 1, max = 100))]
    pub max_findings: usize,
    /// Whether the flow may be at an address that is not public: loopback, private,
    /// link-local and the like.
    #[serde(default)]
    pub allow_private: bool,
    /// File with certificates (PEM) of authorities that are trusted beside those of the
    /// system.
    #[serde(default)]
    #[schemars(extend("format" = "path"))]
    pub tls_ca_file: Option<PathBuf>,
}

fn default_max_findings() -> usize {
    20
}

/// Settings that were checked.
pub(crate) struct Checked {
    pub endpoint: Endpoint,
    /// Whose turns are taken: four messages a second.
    pub pace: String,
    pub wording: Wording,
}

/// How cards are worded.
#[derive(Debug)]
pub(crate) struct Wording {
    pub max_findings: usize,
    pub link: Option<Link>,
}

impl Settings {
    /// Checks them, looking nothing up.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them; no secret is quoted.
    pub(crate) fn check(self) -> Result<Checked, ConfigError> {
        let mut faults = Vec::new();
        let link = self.link.as_deref().map(|link| Link::new(link, "/link"));
        let link = link.transpose().unwrap_or_else(|fault| {
            faults.push(fault);
            None
        });
        if !(1..=MOST_FINDINGS).contains(&self.max_findings) {
            let message = format!("must be between 1 and {MOST_FINDINGS}");
            faults.push(FieldError::new("/max_findings", message));
        }
        let options = Options {
            allow_private: self.allow_private,
            ca_file: self.tls_ca_file,
            field: "/webhook_url".to_owned(),
            hints: HINTS,
            ..Options::default()
        };
        match Endpoint::new(&self.webhook_url, options) {
            Ok(endpoint) if faults.is_empty() => {
                let url = endpoint.url();
                let pace = format!("{}{}", url.origin().ascii_serialization(), url.path());
                let max_findings = self.max_findings;
                Ok(Checked {
                    endpoint,
                    pace,
                    wording: Wording { max_findings, link },
                })
            }
            Ok(_) => Err(ConfigError(faults)),
            Err(fault) => {
                faults.push(fault);
                Err(ConfigError(faults))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn everything_wrong_with_the_settings_is_said_at_once_without_a_secret() {
        let config = json!({
            "webhook_url": "ftp://c4nary",
            "link": "dq.example.org",
            "max_findings": 101,
        });
        let settings: Settings = serde_json::from_value(config).unwrap();
        let error = settings.check().err().unwrap();
        insta::assert_snapshot!(error.to_string().replace("; ", "\n"), @r"
        link: must begin with `https://` or `http://`
        max_findings: must be between 1 and 100
        webhook_url: must begin with `https://` or `http://`
        ");
    }

    /// The host reads from the schema what to strike out, which paths to complete, and
    /// the defaults.
    #[test]
    fn the_schema_tells_secrets_paths_and_defaults() {
        let schema = schemars::schema_for!(Settings).to_value();
        let at = |pointer: &str| schema.pointer(pointer).cloned().unwrap_or(Value::Null);
        assert_eq!(at("/properties/webhook_url/writeOnly"), json!(true));
        assert_eq!(at("/properties/tls_ca_file/format"), json!("path"));
        assert_eq!(at("/properties/max_findings/default"), json!(20));
        assert_eq!(at("/required"), json!(["webhook_url"]));
    }
}
