//! Strikes secrets out of texts.

use std::sync::Arc;

use serde_json::Value;

/// Shorter secrets would strike out half the alphabet; they are too short to be secrets.
const LEAST: usize = 4;

/// Knows the secrets of a configuration and strikes them out of whatever a plugin says.
#[derive(Clone, Default)]
pub struct Redactor {
    /// The longest first, so that a secret within a secret leaves no rest.
    secrets: Arc<Vec<String>>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redactor of {} secrets", self.secrets.len())
    }
}

impl Redactor {
    /// Strikes out `secrets`, and what they look like in URLs and JSON; of a secret that
    /// is a URL, also its password.
    pub fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let mut all: Vec<String> = Vec::new();
        for secret in secrets {
            if let Ok(url) = url::Url::parse(&secret)
                && url.has_host()
            {
                all.extend(url.password().map(str::to_owned));
                for (_, value) in url.query_pairs() {
                    // Options (`tls=none`) are no secrets; tokens are longer.
                    all.extend((value.len() >= 12).then(|| value.into_owned()));
                }
                if let Some(password) = url.password() {
                    all.push(percent_decoded(password));
                }
            }
            all.push(secret);
        }
        let mut forms = Vec::new();
        for secret in all {
            let quoted = Value::from(secret.as_str()).to_string();
            forms.push(quoted[1..quoted.len() - 1].to_owned());
            forms.push(percent_encoded(&secret));
            forms.push(secret);
        }
        forms.retain(|form| form.chars().count() >= LEAST);
        forms.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        forms.dedup();
        Self {
            secrets: Arc::new(forms),
        }
    }

    /// `text` with `***` in place of every secret.
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in self.secrets.iter() {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), "***");
            }
        }
        text
    }
}

/// The texts in `config` that `schema` calls `writeOnly`.
pub fn secrets_in(schema: &Value, config: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect(schema, schema, config, 0, &mut found);
    found
}

fn collect(root: &Value, schema: &Value, config: &Value, depth: usize, found: &mut Vec<String>) {
    // Schemas may refer to themselves.
    if depth > 32 {
        return;
    }
    let mut go = |schema: &Value, config: &Value| collect(root, schema, config, depth + 1, found);
    if let Some(reference) = schema["$ref"].as_str()
        && let Some(target) = reference.strip_prefix('#').and_then(|at| root.pointer(at))
    {
        go(target, config);
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        for alternative in schema[key].as_array().into_iter().flatten() {
            go(alternative, config);
        }
    }
    match config {
        Value::Object(fields) => {
            for (name, value) in fields {
                let own = &schema["properties"][name];
                go(
                    if own.is_null() {
                        &schema["additionalProperties"]
                    } else {
                        own
                    },
                    value,
                );
            }
        }
        Value::Array(items) => {
            for item in items {
                go(&schema["items"], item);
            }
        }
        _ => {}
    }
    if schema["writeOnly"] == true {
        strings(config, found);
    }
}

/// Every text in `value`.
fn strings(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| strings(item, found)),
        Value::Object(fields) => fields.values().for_each(|value| strings(value, found)),
        _ => {}
    }
}

fn percent_encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes())
        .collect::<String>()
        .replace('+', "%20")
}

fn percent_decoded(text: &str) -> String {
    let pairs = format!("x={}", text.replace('+', "%2B"));
    url::form_urlencoded::parse(pairs.as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_struck_out_in_every_form() {
        let redactor = Redactor::new([
            "p@ss word".to_owned(),
            "smtp://user:hunt%2Ber2@mail:25?tls=none".to_owned(),
            "https://h/x?token=0123456789ab".to_owned(),
            "abc".to_owned(),
        ]);
        let cases = [
            ("login with p@ss word failed", "login with *** failed"),
            ("in a URL: p%40ss%20word", "in a URL: ***"),
            ("hunt+er2 or hunt%2Ber2", "*** or ***"),
            (
                "to smtp://user:hunt%2Ber2@mail:25?tls=none now",
                "to *** now",
            ),
            ("token 0123456789ab", "token ***"),
            ("tls=none stays, abc stays", "tls=none stays, abc stays"),
        ];
        for (text, expected) in cases {
            assert_eq!(redactor.redact(text), expected);
        }
        assert!(!format!("{redactor:?}").contains("hunter"));
    }

    #[test]
    fn a_secret_within_a_secret_leaves_no_rest() {
        let redactor = Redactor::new(["hunter".to_owned(), "hunter22".to_owned()]);
        assert_eq!(redactor.redact("hunter22 hunter"), "*** ***");
    }

    #[test]
    fn write_only_texts_are_found_wherever_they_stand() {
        let schema = json!({
            "properties": {
                "url": {"$ref": "#/$defs/Secret"},
                "keys": {"anyOf": [{"$ref": "#/$defs/Secret"}, {"type": "array", "items": {"$ref": "#/$defs/Secret"}}]},
                "headers": {"additionalProperties": {"writeOnly": true}},
                "name": {"type": "string"},
            },
            "$defs": {"Secret": {"type": "string", "writeOnly": true}},
        });
        let config =
            json!({"url": "one", "keys": ["two"], "headers": {"a": "three"}, "name": "four"});
        let mut found = secrets_in(&schema, &config);
        found.sort();
        found.dedup();
        assert_eq!(found, ["one", "three", "two"]);
    }
}
