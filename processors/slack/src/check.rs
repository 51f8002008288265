//! From settings to what a delivery needs; everything that is wrong is found at once.

use veracity_http::{Endpoint, HeaderValue, Hints, Link, Options, secret_value};
use veracity_processor::{ConfigError, FieldError, Secret};

use crate::blocks::Wording;
use crate::settings::Settings;

/// The most results that a message may show; Slack takes 50 blocks.
const MOST_FINDINGS: usize = 40;

/// The most people and groups that are mentioned.
const MOST_MENTIONS: usize = 20;

const WEBHOOK_HINTS: Hints = Hints {
    denied: Some("the webhook may have been revoked: make a new one and change `webhook_url`"),
    not_found: Some("the webhook may have been removed: make a new one and change `webhook_url`"),
    too_large: Some("`max_findings` may be smaller"),
};

const API_HINTS: Hints = Hints {
    denied: Some("`token` may be wrong"),
    not_found: Some("`api_url` may be wrong"),
    too_large: Some("`max_findings` may be smaller"),
};

/// Settings that were checked.
pub(crate) struct Checked {
    pub endpoint: Endpoint,
    pub target: Target,
    /// Whose turns are taken: one message a second.
    pub pace: String,
    pub wording: Wording,
}

/// What is posted to.
pub(crate) enum Target {
    /// An incoming webhook.
    Webhook,
    /// A channel, as an app.
    Channel {
        channel: String,
        authorization: HeaderValue,
        threads: bool,
    },
}

impl Checked {
    /// Checks `settings`, looking nothing up.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them; no secret is quoted.
    pub fn new(settings: Settings) -> Result<Self, ConfigError> {
        let mut faults = Vec::new();
        let link = settings
            .link
            .as_deref()
            .map(|link| Link::new(link, "/link"));
        let link = link.transpose().unwrap_or_else(|fault| {
            faults.push(fault);
            None
        });
        let mut mentions = Vec::new();
        for (place, who) in settings.mention.iter().enumerate() {
            match mention(who) {
                Ok(mention) => mentions.push(mention),
                Err(message) => faults.push(FieldError::new(format!("/mention/{place}"), message)),
            }
        }
        if mentions.len() > MOST_MENTIONS {
            let message = format!("has more than {MOST_MENTIONS} entries: a user group is one");
            faults.push(FieldError::new("/mention", message));
        }
        if !(1..=MOST_FINDINGS).contains(&settings.max_findings) {
            let message = format!("must be between 1 and {MOST_FINDINGS}");
            faults.push(FieldError::new("/max_findings", message));
        }
        let wording = Wording {
            max_findings: settings.max_findings,
            link,
            mentions,
        };
        let reached = match (&settings.webhook_url, &settings.token) {
            (Some(url), None) => webhook(url, &settings, &mut faults),
            (None, Some(token)) => channel(token, &settings, &mut faults),
            (Some(_), Some(_)) => {
                let message = "cannot be set together with `webhook_url`";
                faults.push(FieldError::new("/token", message));
                None
            }
            (None, None) => {
                let message = "`webhook_url`, or `token` and `channel`, must be set";
                faults.push(FieldError::new("", message));
                None
            }
        };
        match reached {
            Some((endpoint, target, pace)) if faults.is_empty() => Ok(Self {
                endpoint,
                target,
                pace,
                wording,
            }),
            _ => Err(ConfigError(faults)),
        }
    }
}

type Reached = (Endpoint, Target, String);

fn webhook(url: &Secret, settings: &Settings, faults: &mut Vec<FieldError>) -> Option<Reached> {
    if settings.channel.is_some() {
        let message = "needs `token`: a webhook belongs to one channel";
        faults.push(FieldError::new("/channel", message));
    }
    if settings.threads {
        let message = "needs `token`: a webhook cannot reply";
        faults.push(FieldError::new("/threads", message));
    }
    let options = options(settings, "/webhook_url", WEBHOOK_HINTS);
    let endpoint = collect(faults, Endpoint::new(url, options))?;
    let url = endpoint.url();
    if url.path().starts_with("/triggers/") && endpoint.host().ends_with("slack.com") {
        let message = "is of a workflow, which takes no messages: make an incoming webhook \
                       (`https://hooks.slack.com/services/..`)";
        faults.push(FieldError::new("/webhook_url", message));
    }
    let pace = format!("{}{}", url.origin().ascii_serialization(), url.path());
    Some((endpoint, Target::Webhook, pace))
}

fn channel(token: &Secret, settings: &Settings, faults: &mut Vec<FieldError>) -> Option<Reached> {
    let channel = settings.channel.as_deref().unwrap_or_default().trim();
    if channel.is_empty() {
        let message = "must be set with `token`: the id of a channel, or `#name`";
        faults.push(FieldError::new("/channel", message));
    }
    let text = token.expose().trim();
    let authorization = secret_value(&format!("Bearer {text}")).filter(|_| !text.is_empty());
    if authorization.is_none() {
        let message = "is no token, which begins with `xoxb-` as a rule";
        faults.push(FieldError::new("/token", message));
    }
    let mut options = options(settings, "/api_url", API_HINTS);
    options.secrets.push(Secret::new(text));
    let url = Secret::new(settings.api_url.as_str());
    let endpoint = collect(faults, Endpoint::new(&url, options))?;
    let target = Target::Channel {
        channel: channel.to_owned(),
        authorization: authorization?,
        threads: settings.threads,
    };
    let pace = format!("{} {text} {channel}", endpoint.url());
    Some((endpoint, target, pace))
}

fn options(settings: &Settings, field: &str, hints: Hints) -> Options {
    Options {
        allow_private: settings.allow_private,
        ca_file: settings.tls_ca_file.clone(),
        field: field.to_owned(),
        hints,
        ..Options::default()
    }
}

fn collect<T>(faults: &mut Vec<FieldError>, checked: Result<T, FieldError>) -> Option<T> {
    checked.map_err(|fault| faults.push(fault)).ok()
}

/// `who` as Slack writes a mention.
fn mention(who: &str) -> Result<String, &'static str> {
    let is_id = who.len() > 2
        && who
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    match who.chars().next() {
        _ if matches!(who, "here" | "channel") => Ok(format!("<!{who}>")),
        Some('U' | 'W') if is_id => Ok(format!("<@{who}>")),
        Some('S') if is_id => Ok(format!("<!subteam^{who}>")),
        _ => Err(
            "is neither the id of a user (`U..`) or user group (`S..`), nor `here` or `channel`",
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn errors(config: Value) -> String {
        let settings: Settings = serde_json::from_value(config).unwrap();
        match Checked::new(settings) {
            Ok(_) => String::new(),
            Err(error) => error.to_string().replace("; ", "\n"),
        }
    }

    #[test]
    fn everything_wrong_with_the_settings_is_said_at_once_without_a_secret() {
        insta::assert_snapshot!(
            errors(json!({
                "webhook_url": "c4nary",
                "channel": "#dq",
                "threads": true,
                "link": "dq.example.org",
                "mention": ["here", "everyone", "<@U123>", "@dq", "U012AB", "S012AB"],
                "max_findings": 0,
            })),
            @r"
        link: must begin with `https://` or `http://`
        mention[1]: is neither the id of a user (`U..`) or user group (`S..`), nor `here` or `channel`
        mention[2]: is neither the id of a user (`U..`) or user group (`S..`), nor `here` or `channel`
        mention[3]: is neither the id of a user (`U..`) or user group (`S..`), nor `here` or `channel`
        max_findings: must be between 1 and 40
        channel: needs `token`: a webhook belongs to one channel
        threads: needs `token`: a webhook cannot reply
        webhook_url: is no URL: relative URL without a base
        "
        );
        insta::assert_snapshot!(
            errors(json!({"token": "xoxb-c4nary\r\n-x", "api_url": "ftp://c4nary"})),
            @r"
        channel: must be set with `token`: the id of a channel, or `#name`
        token: is no token, which begins with `xoxb-` as a rule
        api_url: must begin with `https://` or `http://`
        "
        );
        let cases = [
            (
                json!({}),
                "`webhook_url`, or `token` and `channel`, must be set",
            ),
            (
                json!({"webhook_url": "https://a.org/x", "token": "x"}),
                "token: cannot be set together with `webhook_url`",
            ),
            (
                json!({"webhook_url": "https://hooks.slack.com/triggers/T0/1/x"}),
                "webhook_url: is of a workflow, which takes no messages: make an incoming \
                 webhook (`https://hooks.slack.com/services/..`)",
            ),
            (
                json!({"webhook_url": "https://hooks.slack.com/services/T0/B0/x"}),
                "",
            ),
            (
                json!({"token": "xoxb-1", "channel": "#dq", "threads": true}),
                "",
            ),
        ];
        for (config, expected) in cases {
            assert_eq!(errors(config.clone()), expected, "{config}");
        }
    }

    /// The host reads from the schema what to strike out, which paths to complete, and
    /// the defaults.
    #[test]
    fn the_schema_tells_secrets_paths_and_defaults() {
        let schema = schemars::schema_for!(Settings).to_value();
        let at = |pointer: &str| schema.pointer(pointer).cloned().unwrap_or_default();
        for secret in ["webhook_url", "token"] {
            let property = at(&format!("/properties/{secret}")).to_string();
            assert!(property.contains(r#""writeOnly":true"#), "{property}");
        }
        assert_eq!(at("/properties/tls_ca_file/format"), json!("path"));
        assert_eq!(
            at("/properties/api_url/default"),
            json!("https://slack.com/api")
        );
        assert_eq!(at("/properties/max_findings/default"), json!(20));
    }
}
