//! Relative paths in a configuration, made absolute.
//!
//! They are relative to the suite file's folder, which a processor does not know. A field
//! is a path if its schema says `format: path`, or may be an SQLite URL if it says
//! `format: database-url`.

use std::path::Path;

use serde_json::Value;

/// Makes the relative paths in `config` paths below `base`.
pub fn resolve(schema: &Value, config: &mut Value, base: &Path) {
    go(schema, schema, config, base, 0);
}

fn go(root: &Value, schema: &Value, config: &mut Value, base: &Path, depth: usize) {
    // Schemas may refer to themselves.
    if depth > 32 {
        return;
    }
    if let Some(reference) = schema["$ref"].as_str()
        && let Some(target) = reference.strip_prefix('#').and_then(|at| root.pointer(at))
    {
        go(root, target, config, base, depth + 1);
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        for alternative in schema[key].as_array().into_iter().flatten() {
            go(root, alternative, config, base, depth + 1);
        }
    }
    match config {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                let own = &schema["properties"][name];
                let schema = if own.is_null() {
                    &schema["additionalProperties"]
                } else {
                    own
                };
                go(root, schema, value, base, depth + 1);
            }
        }
        Value::Array(items) => {
            for item in items {
                go(root, &schema["items"], item, base, depth + 1);
            }
        }
        Value::String(text) => match schema["format"].as_str() {
            Some("path") => *text = absolute(text, base),
            Some("database-url") => *text = absolute_url(text, base),
            _ => {}
        },
        _ => {}
    }
}

fn absolute(path: &str, base: &Path) -> String {
    if path.is_empty() || path == "-" {
        return path.to_owned();
    }
    // An absolute path replaces the base.
    base.join(path).to_string_lossy().into_owned()
}

/// An SQLite URL with an absolute path; any other URL as it is.
fn absolute_url(url: &str, base: &Path) -> String {
    let Some(rest) = url.strip_prefix("sqlite:") else {
        return url.to_owned();
    };
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path.starts_with(":memory:") || path.is_empty() {
        return url.to_owned();
    }
    format!("sqlite://{}", absolute(path, base))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_are_relative_to_the_folder_of_the_suite() {
        let schema = json!({
            "properties": {
                "path": {"type": "string", "format": "path"},
                "ca": {"anyOf": [{"$ref": "#/$defs/File"}, {"type": "null"}]},
                "url": {"type": "string", "format": "database-url"},
                "files": {"items": {"format": "path"}},
                "name": {"type": "string"},
            },
            "$defs": {"File": {"type": "string", "format": "path"}},
        });
        let cases = [
            (
                json!({"path": "out.txt", "name": "x"}),
                json!({"path": "/s/out.txt", "name": "x"}),
            ),
            (json!({"path": "/out.txt"}), json!({"path": "/out.txt"})),
            (json!({"path": "-"}), json!({"path": "-"})),
            (json!({"ca": "ca.pem"}), json!({"ca": "/s/ca.pem"})),
            (
                json!({"url": "sqlite://v.db?mode=rwc"}),
                json!({"url": "sqlite:///s/v.db?mode=rwc"}),
            ),
            (
                json!({"url": "sqlite:///v.db"}),
                json!({"url": "sqlite:///v.db"}),
            ),
            (
                json!({"url": "sqlite::memory:"}),
                json!({"url": "sqlite::memory:"}),
            ),
            (
                json!({"url": "postgres://h/d"}),
                json!({"url": "postgres://h/d"}),
            ),
            (
                json!({"files": ["a", "/b"]}),
                json!({"files": ["/s/a", "/b"]}),
            ),
        ];
        for (mut config, expected) in cases {
            resolve(&schema, &mut config, Path::new("/s"));
            assert_eq!(config, expected);
        }
    }
}
