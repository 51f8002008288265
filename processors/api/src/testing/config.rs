//! A configuration, filled and checked as the real host does it.

use serde_json::{Map, Value};

use crate::{ConfigError, FieldError, PluginInfo};

/// `config` with the defaults of the plugin where it says nothing.
pub(super) fn filled(config: Value, info: &PluginInfo) -> Result<Value, ConfigError> {
    let own = match config {
        Value::Object(fields) => fields,
        Value::Null => Map::new(),
        _ => return Err(ConfigError::field("", "expected a mapping of settings")),
    };
    let mut filled = info.default_config.as_object().cloned().unwrap_or_default();
    filled.extend(own);
    Ok(Value::Object(filled))
}

/// What is wrong with `config` by the plugin's schema, sorted by field. Values are not
/// repeated.
pub(super) fn check(config: &Value, info: &PluginInfo) -> Result<(), ConfigError> {
    let validator = jsonschema::options()
        .build(&info.config_schema)
        .map_err(|error| {
            let message = format!("the config schema is unusable: {}", error.masked());
            ConfigError::field("", message)
        })?;
    let errors = validator.iter_errors(config);
    let mut errors: Vec<FieldError> = errors
        .map(|error| {
            let message = error.masked().to_string();
            FieldError::new(error.instance_path().to_string(), message)
        })
        .collect();
    errors.sort_by(|a, b| a.path.cmp(&b.path));
    match errors.is_empty() {
        true => Ok(()),
        false => Err(ConfigError(errors)),
    }
}
