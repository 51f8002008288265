//! The settings.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use veracity_processor::Secret;

/// Settings of the `slack` processor.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// URL of an incoming webhook, which belongs to one channel. Kept secret: who has it
    /// can post.
    #[serde(default)]
    pub webhook_url: Option<Secret>,
    /// Token of an app with the scope `chat:write` (`xoxb-..`), instead of `webhook_url`.
    #[serde(default)]
    pub token: Option<Secret>,
    /// Where the app posts: the id of a channel (`C0123456789`), or `#name`.
    #[serde(default)]
    pub channel: Option<String>,
    /// Where Slack's API is; GovSlack has its own.
    #[serde(default = "default_api_url")]
    pub api_url: String,
    /// Whether the message that all is well again is a reply to the message about the
    /// failure. Needs `token`.
    #[serde(default)]
    pub threads: bool,
    /// URL where people find more: `{run}`, `{suite}` and `{date}` stand for what the run is.
    #[serde(default)]
    #[schemars(regex(pattern = r"^https?://"))]
    pub link: Option<String>,
    /// Who is mentioned when a run did not pass: ids of users (`U..`) and user groups
    /// (`S..`), `here`, `channel`.
    #[serde(default)]
    pub mention: Vec<String>,
    /// The most results that a message shows, 1 to 40; the others are counted.
    #[serde(default = "default_max_findings")]
    #[schemars(range(min = 1, max = 40))]
    pub max_findings: usize,
    /// Whether Slack may be at an address that is not public: loopback, private,
    /// link-local and the like.
    #[serde(default)]
    pub allow_private: bool,
    /// File with certificates (PEM) of authorities that are trusted beside those of the
    /// system.
    #[serde(default)]
    #[schemars(extend("format" = "path"))]
    pub tls_ca_file: Option<PathBuf>,
}

fn default_api_url() -> String {
    "https://slack.com/api".to_owned()
}

fn default_max_findings() -> usize {
    20
}
