//! A configuration held against its schema: everything that is wrong, by field.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{ValidationError, Validator};
use serde_json::Value;
use veracity_processor::FieldError;

use crate::names::{did_you_mean, listed};
use crate::shared::Shared;

/// What is wrong with `config`, by `schema`; sorted by field. Values are not repeated in
/// messages, except where a name has to be one of several.
///
/// `others` are names that may stand beside the schema's own properties.
pub fn check(schema: &Value, config: &Value, others: &[&str]) -> Vec<FieldError> {
    match jsonschema::options().build(schema) {
        Ok(validator) => errors(&validator, schema, config, others),
        Err(error) => {
            let message = format!("the plugin's config schema is unusable: {}", error.masked());
            vec![FieldError::new("", message)]
        }
    }
}

/// What is wrong with the settings that all plugins of a kind share.
pub fn check_shared<S: Shared>(config: &Value) -> Vec<FieldError> {
    errors(S::validator(), S::schema(), config, &[])
}

fn errors(
    validator: &Validator,
    schema: &Value,
    config: &Value,
    others: &[&str],
) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for error in validator.iter_errors(config) {
        describe(&error, schema, others, &mut errors);
    }
    errors.sort_by(|a, b| a.path.cmp(&b.path));
    errors.dedup();
    errors
}

fn describe(
    error: &ValidationError<'_>,
    schema: &Value,
    others: &[&str],
    errors: &mut Vec<FieldError>,
) {
    let path = error.instance_path().to_string();
    let mut add = |path: &str, message: String| errors.push(FieldError::new(path, message));
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            let mut known: Vec<&str> = Vec::new();
            if path.is_empty() {
                known.extend(
                    schema["properties"]
                        .as_object()
                        .into_iter()
                        .flatten()
                        .map(|(name, _)| name.as_str()),
                );
                known.extend(others);
            }
            for name in unexpected {
                let near = did_you_mean(name, known.iter().copied());
                let exist = match known.is_empty() {
                    true => String::new(),
                    false => format!("; the keys here are {}", listed(known.iter().copied())),
                };
                let pointer = format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
                add(&pointer, format!("unknown key{near}{exist}"));
            }
        }
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            add(&path, format!("key `{name}` is missing"));
        }
        ValidationErrorKind::Type { kind } => {
            let expected = match kind {
                TypeKind::Single(kind) => type_name(&kind.to_string()).to_owned(),
                TypeKind::Multiple(kinds) => {
                    let names: Vec<String> = kinds
                        .iter()
                        .map(|kind| type_name(&kind.to_string()).to_owned())
                        .filter(|name| name != "nothing")
                        .collect();
                    names.join(" or ")
                }
            };
            let found = kind_of(error.instance());
            add(&path, format!("expected {expected}, found {found}"));
        }
        ValidationErrorKind::Enum { options } => {
            let options = options.as_array().into_iter().flatten();
            let names: Vec<&str> = options.filter_map(Value::as_str).collect();
            one_of(&names, error.instance(), &path, &mut add);
        }
        ValidationErrorKind::OneOfNotValid { context } | ValidationErrorKind::AnyOf { context } => {
            // Enums whose variants are described are a choice of constants.
            let mut names = Vec::new();
            for inner in context.iter().flatten() {
                if let ValidationErrorKind::Constant { expected_value } = inner.kind() {
                    names.extend(expected_value.as_str().map(str::to_owned));
                }
            }
            if names.is_empty() {
                let nearest = context.iter().min_by_key(|errors| depth(errors));
                for inner in nearest.into_iter().flatten() {
                    describe(inner, schema, others, errors);
                }
            } else {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                one_of(&names, error.instance(), &path, &mut add);
            }
        }
        _ => add(&path, error.masked().to_string()),
    }
}

/// Alternatives that fail deeper inside were more likely meant.
fn depth(errors: &[ValidationError<'_>]) -> std::cmp::Reverse<usize> {
    let depth =
        |error: &ValidationError<'_>| error.instance_path().to_string().matches('/').count();
    std::cmp::Reverse(errors.iter().map(depth).max().unwrap_or(0))
}

fn one_of(names: &[&str], found: &Value, path: &str, add: &mut impl FnMut(&str, String)) {
    let message = match found.as_str() {
        Some(text) => format!(
            "expected one of {}, found `{text}`{}",
            listed(names.iter().copied()),
            did_you_mean(text, names.iter().copied())
        ),
        None => format!(
            "expected one of {}, found {}",
            listed(names.iter().copied()),
            kind_of(found)
        ),
    };
    add(path, message);
}

fn type_name(json: &str) -> &str {
    match json {
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "`true` or `false`",
        "array" => "a list",
        "object" => "a mapping",
        "null" => "nothing",
        other => other,
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "`true` or `false`",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(schema: &Value, config: Value) -> Vec<String> {
        let errors = check(schema, &config, &["required", "retries"]);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn everything_wrong_is_told_by_field_without_values() {
        let schema = json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["url"],
            "properties": {
                "url": {"type": "string"},
                "to": {"type": "array", "items": {"type": "string"}},
                "tls": {"type": ["string", "null"]},
                "port": {"type": "integer", "minimum": 1},
                "format": {"enum": ["json", "text"]},
            }
        });
        assert_eq!(
            told(
                &schema,
                json!({"to": ["a", 7], "port": 0, "tls": 5, "format": "jsno", "ulr": "hunter2", "retrys": 1})
            ),
            [
                "key `url` is missing",
                "format: expected one of `json`, `text`, found `jsno`, did you mean `json`?",
                "port: value is less than the minimum of 1",
                "retrys: unknown key, did you mean `retries`?; the keys here are `format`, `port`, `required`, `retries`, `tls`, `to`, `url`",
                "tls: expected text, found a number",
                "to[1]: expected text, found a number",
                "ulr: unknown key, did you mean `url`?; the keys here are `format`, `port`, `required`, `retries`, `tls`, `to`, `url`",
            ]
        );
        assert!(told(&schema, json!({"url": "x"})).is_empty());
    }

    #[test]
    fn enums_with_described_variants_name_them() {
        let config = json!({"on": "failur", "severities": ["P9"], "isolation": 3});
        assert_eq!(
            told(crate::Settings::schema(), config),
            [
                "isolation: expected one of `process`, `thread`, found a number",
                "on: expected one of `always`, `change`, `failure`, found `failur`, did you mean `failure`?",
                "severities[0]: expected one of `P0`, `P1`, `P2`, `P3`, found `P9`, did you mean `P0`?",
            ]
        );
    }
}
