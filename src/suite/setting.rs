//! Settings whose meaning only their plugin knows: any value, with the places of its parts.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use veracity_processor::Location;

use super::schema::Placed;

/// Any value of a suite file.
#[derive(Debug, Clone)]
pub(super) enum Setting {
    Scalar(Value),
    List(Vec<Placed<Setting>>),
    Map(Vec<(Placed<String>, Placed<Setting>)>),
}

impl Placed<Setting> {
    /// The value as JSON. The places of its parts are added to `places` by their JSON
    /// pointers below `path`; that of a key stands for its value.
    pub fn value(self, path: &str, file: &str, places: &mut BTreeMap<String, Location>) -> Value {
        let location = self.location(file);
        places.entry(path.to_owned()).or_insert(location);
        match self.value {
            Setting::Scalar(value) => value,
            Setting::List(items) => {
                let items = items.into_iter().enumerate();
                let values =
                    items.map(|(n, item)| item.value(&format!("{path}/{n}"), file, places));
                Value::Array(values.collect())
            }
            Setting::Map(entries) => {
                let mut fields = Map::new();
                for (key, value) in entries {
                    let path = format!("{path}/{}", escaped(&key.value));
                    places.insert(path.clone(), key.location(file));
                    let value = value.value(&path, file, places);
                    fields.insert(key.value, value);
                }
                Value::Object(fields)
            }
        }
    }
}

/// `name` as a part of a JSON pointer.
pub(super) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

impl<'de> Deserialize<'de> for Setting {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SettingVisitor)
    }
}

struct SettingVisitor;

impl<'de> Visitor<'de> for SettingVisitor {
    type Value = Setting;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("settings")
    }

    fn visit_unit<E>(self) -> Result<Setting, E> {
        Ok(Setting::Scalar(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Setting, E> {
        Ok(Setting::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Setting, E> {
        Ok(Setting::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Setting, E> {
        Ok(Setting::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Setting, E> {
        Ok(Setting::Scalar(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Setting, E> {
        Ok(Setting::Scalar(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Setting, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Setting::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Setting, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Setting::Map(entries))
    }
}

impl JsonSchema for Setting {
    fn schema_name() -> Cow<'static, str> {
        "Settings".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Settings of a processor: those every processor has, and its own.",
            "type": ["object", "null"],
        })
    }
}
