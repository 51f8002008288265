//! Settings that all plugins of a kind share, beside which each has its own.

use std::time::Duration;

use jsonschema::Validator;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use veracity_processor::FieldError;

use crate::settings::Settings;

/// Settings that all plugins of a kind share.
pub trait Shared: JsonSchema + DeserializeOwned + Default + 'static {
    /// Their JSON Schema, without references.
    fn schema() -> &'static Value;

    /// What checks values by that schema.
    fn validator() -> &'static Validator;

    /// What of them isolates and limits calls.
    fn settings(&self) -> Settings;

    /// Their names.
    fn names() -> Vec<&'static str> {
        let properties = Self::schema()["properties"].as_object();
        let properties = properties.into_iter().flatten();
        properties.map(|(name, _)| name.as_str()).collect()
    }

    /// Takes the shared settings out of `config`; the rest is the plugin's own.
    fn split(config: Map<String, Value>) -> (Map<String, Value>, Map<String, Value>) {
        let known = &Self::schema()["properties"];
        config
            .into_iter()
            .partition(|(name, _)| known.get(name).is_some())
    }

    /// Reads them; `fields` fits the schema.
    ///
    /// # Errors
    ///
    /// Every time limit and size that cannot be read.
    fn read(fields: &Map<String, Value>) -> Result<Self, Vec<FieldError>> {
        let whole = serde_json::from_value(Value::Object(fields.clone()));
        let error = match whole {
            Ok(settings) => return Ok(settings),
            Err(error) => error,
        };
        let mut errors = Vec::new();
        for (name, value) in fields {
            // One by one, because serde does not say where.
            let one = Value::Object(Map::from_iter([(name.clone(), value.clone())]));
            if let Err(error) = serde_json::from_value::<Self>(one) {
                errors.push(FieldError::new(format!("/{name}"), error.to_string()));
            }
        }
        if errors.is_empty() {
            errors.push(FieldError::new("", error.to_string()));
        }
        Err(errors)
    }
}

/// The JSON Schema of `S`, without references.
pub fn schema_of<S: JsonSchema>() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    let mut schema = settings
        .into_generator()
        .into_root_schema_for::<S>()
        .to_value();
    // The defaults are in the descriptions, as people write them.
    for (_, property) in schema["properties"].as_object_mut().into_iter().flatten() {
        if let Some(property) = property.as_object_mut() {
            property.remove("default");
        }
    }
    schema
}

/// What checks values by the schema of `S`.
pub fn validator_of<S: Shared>() -> Validator {
    let built = jsonschema::options().build(S::schema());
    built.expect("the schema that is made from a type of ours is one")
}

/// A time as people write it: `10s`.
pub fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let limit = humantime::parse_duration(&text).map_err(|_| {
        serde::de::Error::custom(format!("`{text}` is no time, write `10s` or `2min`"))
    })?;
    if limit.is_zero() || limit > Duration::from_secs(24 * 3600) {
        let message = format!("`{text}` is not between 1ms and 1day");
        return Err(serde::de::Error::custom(message));
    }
    Ok(limit)
}

/// A size as people write it: `512MiB`.
pub fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong =
        || serde::de::Error::custom(format!("`{text}` is no size, write `512MiB` or `2GiB`"));
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor: u64 = match unit.trim() {
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(factor).map(Some).ok_or_else(wrong)
}
