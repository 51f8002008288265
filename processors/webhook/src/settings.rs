//! The settings of the webhook.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use veracity_processor::Secret;

/// Settings of the `webhook` processor.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where the report goes: `http://` or `https://`. It is kept secret, because such
    /// URLs often hold tokens.
    pub url: Secret,
    /// The method of the request.
    #[serde(default)]
    pub method: Method,
    /// Further headers, by name. Their values are kept secret.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// What the body is.
    #[serde(default)]
    pub format: Format,
    /// A template (minijinja) that makes the body of `report`, instead of `format`. Where
    /// `content_type` is JSON, `{{ value }}` writes the value as JSON, with its quotes.
    #[serde(default)]
    pub template: Option<String>,
    /// Content type of what the template makes; `application/json` by default.
    #[serde(default)]
    pub content_type: Option<String>,
    /// Key that signs requests, or several while keys are changed: `whsec_` and base64 of
    /// 24 to 64 bytes.
    #[serde(default)]
    pub secret: Option<Secrets>,
    /// Whether `url` may lead to an address that is not public: loopback, private,
    /// link-local and the like.
    #[serde(default)]
    pub allow_private: bool,
    /// File with certificates (PEM) of authorities that are trusted beside those of the
    /// system.
    #[serde(default)]
    #[schemars(extend("format" = "path"))]
    pub tls_ca_file: Option<PathBuf>,
    /// The most bytes a body may have, at least 4096. Results are left out of a report
    /// that is larger: passed ones first.
    #[serde(default = "default_max_bytes")]
    #[schemars(range(min = 4096))]
    pub max_bytes: usize,
    /// What a successful answer holds, for receivers that answer 200 to everything: a
    /// text that is in it, or a value at a place of its JSON.
    #[serde(default)]
    pub expect: Option<Expect>,
}

fn default_max_bytes() -> usize {
    256 * 1024
}

/// The method of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// POST.
    #[default]
    Post,
    /// PUT.
    Put,
}

/// What the body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// The Report's JSON.
    #[default]
    Report,
    /// The payload of Standard Webhooks: `type`, `timestamp`, and the Report as `data`.
    Standard,
    /// A structured event of CloudEvents 1.0, with the Report as `data`.
    CloudEvents,
}

/// One key or several.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Secrets {
    /// One key.
    One(Secret),
    /// Several keys, the newest first; there is a signature by each.
    Several(Vec<Secret>),
}

/// What a successful answer holds.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Expect {
    /// A text that is in it.
    Text(String),
    /// A value at a place of its JSON.
    Value(ExpectedValue),
}

/// A value at a place of a JSON answer.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectedValue {
    /// JSON pointer (`/ok`).
    pub pointer: String,
    /// The value there.
    pub equals: Value,
}

impl Expect {
    /// Whether `answer` is what was expected.
    pub(crate) fn holds(&self, answer: &[u8]) -> bool {
        match self {
            Self::Text(text) => String::from_utf8_lossy(answer).contains(text),
            Self::Value(expected) => serde_json::from_slice::<Value>(answer)
                .is_ok_and(|answer| answer.pointer(&expected.pointer) == Some(&expected.equals)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    /// The host reads from the schema what to strike out, which paths to complete, and
    /// the defaults.
    #[test]
    fn the_schema_tells_secrets_paths_and_defaults() {
        let schema = schemars::schema_for!(Settings).to_value();
        let at = |pointer: &str| schema.pointer(pointer).unwrap_or(&Value::Null).clone();
        assert_eq!(at("/properties/url/writeOnly"), json!(true));
        let header = at("/properties/headers/additionalProperties/writeOnly");
        assert_eq!(header, json!(true));
        let keys = "/$defs/Secrets/anyOf";
        assert_eq!(at(&format!("{keys}/0/writeOnly")), json!(true));
        assert_eq!(at(&format!("{keys}/1/items/writeOnly")), json!(true));
        assert_eq!(at("/properties/tls_ca_file/format"), json!("path"));
        assert_eq!(at("/properties/max_bytes/default"), json!(256 * 1024));
        assert_eq!(at("/properties/format/default"), json!("report"));
        assert_eq!(at("/properties/method/default"), json!("POST"));
    }

    #[test]
    fn an_answer_is_compared_with_what_was_expected() {
        let cases = [
            ("a text", json!("ok"), "all ok here", true),
            ("another text", json!("ok"), "<html>log in</html>", false),
            (
                "a value",
                json!({"pointer": "/ok", "equals": true}),
                r#"{"ok": true}"#,
                true,
            ),
            (
                "another value",
                json!({"pointer": "/ok", "equals": true}),
                r#"{"ok": false}"#,
                false,
            ),
            (
                "no JSON",
                json!({"pointer": "/ok", "equals": true}),
                "<html>",
                false,
            ),
            (
                "no such place",
                json!({"pointer": "/ok", "equals": null}),
                "{}",
                false,
            ),
        ];
        for (label, expect, answer, expected) in cases {
            let expect: Expect = from_value(expect).unwrap();
            assert_eq!(expect.holds(answer.as_bytes()), expected, "{label}");
        }
    }
}
