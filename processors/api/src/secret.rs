//! Values that must not be seen.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

use crate::ProcessorError;

/// A text that cannot be printed: a password, a token, a URL that holds one.
///
/// It has no `Display` and no `Serialize`; `Debug` shows `***`. In a config schema it is
/// `writeOnly`, by which the host knows that its text must be struck out of everything a
/// processor says.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

impl JsonSchema for Secret {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "password", "writeOnly": true})
    }
}

/// Gives the values of `${secret:NAME}`.
pub trait SecretsProvider: Send + Sync {
    /// The secret called `name`; `None` if this provider does not have it, so that the
    /// next one is asked.
    ///
    /// It may block; the host calls it on a thread of its own, with a time limit.
    ///
    /// # Errors
    ///
    /// If it may have the secret but cannot give it: no permission, not reachable.
    fn secret(&self, name: &str) -> Result<Option<Secret>, ProcessorError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_nothing_of_itself() {
        let secret: Secret = serde_json::from_str("\"hunter2\"").unwrap();
        assert_eq!(
            (secret.expose(), format!("{secret:?}")),
            ("hunter2", "***".into())
        );
        assert_eq!(format!("{:?}", Some(secret)), "Some(***)");
    }
}
