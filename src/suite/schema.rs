//! The keys of a suite file: the types it is read into, and its JSON Schema.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, json};
use veracity_host::{ChannelSettings, HookSettings, Settings, Shared};
use veracity_processor::{Kind, Location, Plugin, Severity};

use super::node::AT;
use super::setting::Setting;
use super::yaml::{self, Place};
use super::{Format, FormatOptions, Integrity, OnNull};

/// The JSON Schema of suite files, for editors. Processors configured under their own
/// names have the settings of the plugins linked into this program.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(SuiteKeys).to_value();
    let kinds = [
        (Kind::Processor, "processors", "", Settings::schema()),
        (Kind::Hook, "hooks", "hook-", HookSettings::schema()),
        (
            Kind::Channel,
            "channels",
            "channel-",
            ChannelSettings::schema(),
        ),
    ];
    for (kind, key, prefix, shared) in kinds {
        let instances = plugins_of(kind, prefix, shared, &mut schema);
        schema["properties"][key]["properties"] = Value::Object(instances);
    }
    if let Some(keys) = schema["$defs"].as_object_mut() {
        keys.sort_keys();
    }
    schema
}

/// The plugins of `kind` by name, each as a reference to its settings among the definitions
/// of `schema`, with the `shared` ones of its kind.
fn plugins_of(kind: Kind, prefix: &str, shared: &Value, schema: &mut Value) -> Map<String, Value> {
    let mut instances = Map::new();
    let mut plugins: Vec<_> = Plugin::linked()
        .filter(|plugin| plugin.kind() == kind)
        .map(Plugin::info)
        .collect();
    plugins.sort_by(|a, b| a.name.cmp(&b.name));
    for plugin in plugins {
        let mut settings = plugin.config_schema;
        let own = settings["properties"].as_object().cloned();
        let mut properties = own.unwrap_or_default();
        let common = shared["properties"].as_object().cloned();
        properties.extend(common.unwrap_or_default());
        // Nothing at all stands for no settings.
        if settings["required"].is_null() {
            settings["type"] = json!(["object", "null"]);
        }
        let name = format!("{prefix}{}", plugin.name);
        let places = format!("#/$defs/{name}/");
        settings["properties"] = Value::Object(properties);
        settings["description"] = plugin.description.into();
        if let Some(settings) = settings.as_object_mut() {
            settings.remove("$schema");
            settings.remove("title");
        }
        // What it refers to stands below it now.
        let text = settings.to_string().replace("\"#/", &format!("\"{places}"));
        let settings = serde_json::from_str(&text).unwrap_or_default();
        let refers = json!({"$ref": format!("#/$defs/{name}")});
        schema["$defs"][name] = settings;
        instances.insert(plugin.name, refers);
    }
    instances
}

/// A veracity suite: what must hold for some datasets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Suite")]
pub(super) struct SuiteKeys {
    /// The version of this format: 1.
    #[expect(dead_code, reason = "checked before the rest is read")]
    #[schemars(range(min = 1, max = 1))]
    version: u64,
    /// The suite's name, in reports and messages.
    pub suite: Placed<String>,
    /// The datasets by name: a path, or a mapping.
    pub datasets: Entries<DatasetEntry>,
    /// The least severity whose failures fail the run. Default: P1.
    pub fail_on: Option<Severity>,
    /// The checks, in the order of the report.
    pub checks: Vec<Placed<CheckKeys>>,
    /// What gets the report, by the names of its instances: processors with their
    /// settings (`veracity processors list`).
    pub processors: Option<Entries<Placed<Setting>>>,
    /// What watches the run, by the names of its instances: hooks with their settings
    /// (`veracity processors list`).
    pub hooks: Option<Entries<Placed<Setting>>>,
    /// Where plugins publish messages, by the names of its instances: channels with their
    /// settings (`veracity processors list`).
    pub channels: Option<Entries<Placed<Setting>>>,
    /// Where plugins that are programs of their own are found, which are not used, and what
    /// they may do.
    pub plugins: Option<PluginKeys>,
    /// URL of the database that keeps reports and what is to be delivered: `sqlite://`,
    /// `postgres://` or `mysql://`.
    pub store: Option<Placed<String>>,
}

/// Where plugins are found, which are not used, and what they may do.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PluginKeys {
    /// Folders whose folders hold a `plugin.yaml` each; relative to the suite file.
    pub directories: Option<Vec<String>>,
    /// Plugins, or names they are configured under, that are not used.
    pub disabled: Option<Vec<String>>,
    /// How requests are made to URLs that plugins name themselves.
    pub webhooks: Option<WebhookKeys>,
}

/// How requests are made to URLs that plugins name themselves.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookKeys {
    /// Whether they may go to addresses that are not public. Default: false.
    pub allow_private: Option<bool>,
    /// Certificates of authorities that are trusted beside those of the system, as PEM;
    /// relative to the suite file.
    pub tls_ca_file: Option<String>,
}

/// A dataset: its path, or a mapping.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename = "$text or keys")]
#[schemars(rename = "Dataset", untagged)]
pub(super) enum DatasetEntry {
    /// A file, a glob or a folder; relative to the suite file.
    Text(Placed<String>),
    /// A path or a query, with settings.
    Keys(Box<Placed<DatasetKeys>>),
}

/// A dataset with its settings: either `path` or `sql`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DatasetSettings")]
pub(super) struct DatasetKeys {
    /// A file, a glob or a folder; relative to the suite file. `{date}` is the date of the run.
    pub path: Option<Placed<String>>,
    /// A `select` over the other datasets.
    pub sql: Option<Placed<String>>,
    /// How the files are written, if their extension does not say so.
    pub format: Option<Placed<Format>>,
    /// Options of the reader.
    pub options: Option<Placed<FormatOptions>>,
    /// The zone of timestamps without one: `Europe/Amsterdam` or `+02:00`.
    pub timezone: Option<Placed<String>>,
    /// Columns whose values are masked in every output.
    pub sensitive: Option<Vec<String>>,
    /// How much of a file has to be read before it counts as verified. Default: metadata.
    pub integrity: Option<Integrity>,
}

/// A named group of assertions on one dataset.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Check")]
pub(super) struct CheckKeys {
    /// Its name; unique in the suite.
    pub check: Placed<String>,
    /// The dataset it is about. Needed where the suite has several.
    pub dataset: Option<Placed<String>>,
    /// The severity of its assertions. Default: P1.
    pub severity: Option<Severity>,
    /// Labels of all its assertions.
    pub tags: Option<Vec<String>>,
    /// What must hold.
    pub assertions: Vec<AssertionEntry>,
}

/// An assertion: a SQL expression over aggregates, or a mapping.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename = "$text or keys")]
#[schemars(rename = "Assertion", untagged)]
pub(super) enum AssertionEntry {
    /// A SQL expression over aggregates that must be true: `completeness(email) >= 0.95`.
    Text(Placed<String>),
    /// An expression with its settings.
    Keys(Box<Placed<AssertionKeys>>),
}

/// An assertion with its settings: either `expect` or `rows`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AssertionSettings")]
pub(super) struct AssertionKeys {
    /// A SQL expression over aggregates that must be true: `completeness(email) >= 0.95`.
    pub expect: Option<Placed<String>>,
    /// A SQL expression that must be true for each row: `ship_date <= receipt_date`.
    pub rows: Option<Placed<String>>,
    /// Its name; the expression if not given. Unique in its check.
    pub name: Option<Placed<String>>,
    /// Its severity, if not that of the check.
    pub severity: Option<Severity>,
    /// Labels beside those of the check.
    pub tags: Option<Vec<String>>,
    /// With `rows`: the least share of rows that must hold it, above 0 and at most 1. Default: 1.
    pub mostly: Option<Placed<f64>>,
    /// With `rows`: what a row means for which the expression is unknown. Default: skip.
    pub on_null: Option<Placed<OnNull>>,
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Placed<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub place: Place,
}

impl<T> Placed<T> {
    /// Its place as part of `file`.
    pub fn location(&self, file: &str) -> Location {
        self.place.location(file)
    }

    /// Where its first character stands in `file`, if it stands there as it is.
    pub fn start(&self, file: &str) -> Option<Location> {
        let (line, column) = self.place.start?;
        Some(yaml::location(file, line, column))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Placed<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple_struct(AT, 5, PlacedVisitor(PhantomData))
    }
}

struct PlacedVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for PlacedVisitor<T> {
    type Value = Placed<T>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a value with its place")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Placed<T>, A::Error> {
        let mut numbers = [0_u32; 4];
        for number in &mut numbers {
            *number = access.next_element()?.unwrap_or_default();
        }
        let value = access.next_element()?;
        let [line, column, start_line, start_column] = numbers;
        Ok(Placed {
            value: value.ok_or_else(|| serde::de::Error::custom("a place without a value"))?,
            place: Place {
                line,
                column,
                start: (start_line > 0).then_some((start_line, start_column)),
            },
        })
    }
}

impl<T: JsonSchema> JsonSchema for Placed<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// A mapping whose keys are free, in the order of the file.
#[derive(Debug)]
pub(super) struct Entries<T>(pub Vec<(Placed<String>, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor(PhantomData))
    }
}

struct EntriesVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for EntriesVisitor<T> {
    type Value = Entries<T>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a mapping")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Entries<T>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Entries(entries))
    }
}

impl<T: JsonSchema> JsonSchema for Entries<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        BTreeMap::<String, T>::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<BTreeMap<String, T>>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_schema_of_suite_files_is_stable_and_describes_every_key() {
        let schema = schema();
        let keys = ["processors", "hooks", "channels"];
        let plugins = keys.map(|key| schema["properties"][key]["properties"].as_object().unwrap());
        for (name, reference) in plugins.into_iter().flatten() {
            let target = reference["$ref"]
                .as_str()
                .unwrap()
                .strip_prefix('#')
                .unwrap();
            assert!(schema.pointer(target).is_some(), "{name}");
        }
        let mut objects = vec![&schema];
        objects.extend(schema["$defs"].as_object().unwrap().values());
        for object in objects {
            for (key, property) in object["properties"].as_object().into_iter().flatten() {
                assert!(
                    property["description"].is_string(),
                    "{key} has no description"
                );
            }
        }
        insta::assert_snapshot!(serde_json::to_string_pretty(&schema).unwrap());
    }
}
