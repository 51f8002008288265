//! What a plugin says about itself, and how it is registered.

use std::fmt;

use schemars::SchemaGenerator;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::hook::{Channel, EventHook, Hook, Publisher, Subscription};
use crate::stage::{Conditions, Stage};
use crate::{ConfigError, Processor, ResultProcessor, SecretsProvider};

/// The version of this contract.
///
/// A host takes plugins whose required version has the same major number and a minor
/// number that is not newer.
pub const PLUGIN_API_VERSION: &str = "1.0.0";

/// What a plugin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// Receives reports.
    Processor,
    /// Watches runs.
    Hook,
    /// Carries what other plugins publish.
    Channel,
    /// Gives secrets.
    Secrets,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Processor => "processor",
            Kind::Hook => "hook",
            Kind::Channel => "channel",
            Kind::Secrets => "secrets",
        })
    }
}

/// What a plugin needs beyond the ordinary; without it the host withholds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Capability {
    /// Sees the sample rows of failed assertions.
    RawRows,
    /// Answers `health` (executable plugins; those linked in always do).
    Health,
    /// Tells people messages that are no reports: what a hook has to say, a delivery that was
    /// given up. A setting of another plugin that names such a processor is a text of
    /// `format: messages` in its schema.
    Messages,
    /// Sees the metrics that plugins and hooks stated in the run so far.
    Metrics,
    /// Writes the report into the file that its setting `path` names, and nothing else: it
    /// can be asked for with `--output NAME=PATH`.
    Output,
}

/// What a plugin says about itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PluginInfo {
    /// What it is.
    pub kind: Kind,
    /// Its name, unique among its kind: lower-case letters, digits, `-` and `_`.
    pub name: String,
    /// Its version, as semver.
    pub version: String,
    /// What it does, in one line.
    pub description: String,
    /// Who wrote it.
    pub author: String,
    /// The version of this contract it needs (`1.0`).
    pub requires_api: String,
    /// Plugins of the same kind that must be configured too, and come before it.
    pub depends_on: Vec<String>,
    /// JSON Schema of its configuration. The host makes texts of `format: path` absolute,
    /// and SQLite URLs of `format: database-url`; they are relative to the suite file. Texts
    /// that are `writeOnly` are secrets.
    pub config_schema: Value,
    /// The values of fields that are left out.
    pub default_config: Value,
    /// What it needs beyond the ordinary.
    pub capabilities: Vec<Capability>,
    /// The stages it can serve; the first one, and `before_run` if it is among them, are
    /// served unless the configuration says `stages`. Empty for what is no processor.
    pub stages: Vec<Stage>,
    /// Under which conditions it is called.
    pub conditions: Conditions,
    /// For a hook: which events it gets, and how, unless the configuration says so.
    pub subscription: Subscription,
    /// A configuration to begin with, as YAML.
    pub example_config: String,
}

impl PluginInfo {
    /// A plugin of which only the essentials are known: no settings, this version of the
    /// contract.
    pub fn new(kind: Kind, name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            kind,
            name: name.into(),
            version: version.into(),
            description: String::new(),
            author: String::new(),
            requires_api: PLUGIN_API_VERSION.to_owned(),
            depends_on: Vec::new(),
            config_schema: serde_json::json!({"type": "object", "additionalProperties": false}),
            default_config: Value::Object(Map::new()),
            capabilities: Vec::new(),
            stages: match kind {
                Kind::Processor => vec![Stage::AfterRun],
                _ => Vec::new(),
            },
            conditions: Conditions::default(),
            subscription: Subscription::default(),
            example_config: String::new(),
        }
    }
}

/// A plugin that is linked into the program: what it says about itself, and how it is
/// built. All of it is constant, so that registering costs nothing and cannot fail.
///
/// ```
/// use async_trait::async_trait;
/// use veracity_processor::*;
///
/// /// Counts reports.
/// struct Counter;
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// #[serde(deny_unknown_fields)]
/// struct Settings {}
///
/// impl Processor for Counter {
///     type Config = Settings;
///     fn build(_: Settings) -> Result<Self, ConfigError> {
///         Ok(Counter)
///     }
/// }
///
/// #[async_trait]
/// impl ResultProcessor for Counter {
///     async fn process(
///         &self,
///         _: &Report,
///         context: &ProcessContext,
///     ) -> Result<Outcome, ProcessorError> {
///         let seen = context.state.get("seen").and_then(|seen| seen.as_u64());
///         context.state.set("seen", seen.unwrap_or(0) + 1);
///         Ok(Outcome::done())
///     }
/// }
///
/// register!(
///     Plugin::processor::<Counter>("counter", env!("CARGO_PKG_VERSION"))
///         .description("Counts reports")
///         .author("the counting house")
///         .example("counter: {}")
/// );
///
/// assert!(Plugin::linked().any(|plugin| plugin.info().name == "counter"));
/// ```
#[derive(Clone, Copy)]
pub struct Plugin {
    kind: Kind,
    name: &'static str,
    version: &'static str,
    origin: &'static str,
    description: &'static str,
    author: &'static str,
    requires_api: &'static str,
    depends_on: &'static [&'static str],
    capabilities: &'static [Capability],
    stages: &'static [Stage],
    conditions: fn() -> Conditions,
    subscription: fn() -> Subscription,
    example: &'static str,
    schema: fn() -> Value,
    build: Build,
}

#[derive(Clone, Copy)]
enum Build {
    Processor(fn(Value) -> Result<Box<dyn ResultProcessor>, ConfigError>),
    Hook(fn(Value) -> Result<Box<dyn EventHook>, ConfigError>),
    Channel(fn(Value) -> Result<Box<dyn Channel>, ConfigError>),
    Secrets(fn() -> Box<dyn SecretsProvider>),
}

inventory::collect!(Plugin);

/// Registers a [`Plugin`]: every program that links the crate has it.
///
/// A crate that is a dependency but is never named is not linked; one `use name as _;`
/// links it.
#[macro_export]
macro_rules! register {
    ($plugin:expr) => {
        $crate::inventory::submit! { $plugin.from_crate(module_path!()) }
    };
}

impl Plugin {
    /// The processor `P`, called `name`, of `version` (semver).
    pub const fn processor<P: Processor>(name: &'static str, version: &'static str) -> Self {
        Self::new(
            Kind::Processor,
            name,
            version,
            schema_of::<P::Config>,
            Build::Processor(build_processor::<P>),
        )
    }

    /// The hook `H`, called `name`, of `version` (semver).
    pub const fn hook<H: Hook>(name: &'static str, version: &'static str) -> Self {
        Self::new(
            Kind::Hook,
            name,
            version,
            schema_of::<H::Config>,
            Build::Hook(build_hook::<H>),
        )
    }

    /// The channel `C`, called `name`, of `version` (semver).
    pub const fn channel<C: Publisher>(name: &'static str, version: &'static str) -> Self {
        Self::new(
            Kind::Channel,
            name,
            version,
            schema_of::<C::Config>,
            Build::Channel(build_channel::<C>),
        )
    }

    /// A provider of secrets, called `name`, of `version` (semver). It has no
    /// configuration: it takes what it needs from its environment.
    pub const fn secrets(
        name: &'static str,
        version: &'static str,
        build: fn() -> Box<dyn SecretsProvider>,
    ) -> Self {
        Self::new(
            Kind::Secrets,
            name,
            version,
            no_settings,
            Build::Secrets(build),
        )
    }

    const fn new(
        kind: Kind,
        name: &'static str,
        version: &'static str,
        schema: fn() -> Value,
        build: Build,
    ) -> Self {
        Self {
            kind,
            name,
            version,
            origin: "",
            description: "",
            author: "",
            requires_api: PLUGIN_API_VERSION,
            depends_on: &[],
            capabilities: &[],
            stages: match kind {
                Kind::Processor => &[Stage::AfterRun],
                _ => &[],
            },
            conditions: Conditions::default,
            subscription: Subscription::default,
            example: "",
            schema,
            build,
        }
    }

    /// What it does, in one line.
    pub const fn description(mut self, text: &'static str) -> Self {
        self.description = text;
        self
    }

    /// Who wrote it.
    pub const fn author(mut self, name: &'static str) -> Self {
        self.author = name;
        self
    }

    /// The version of the contract it needs, if not this one.
    pub const fn requires_api(mut self, version: &'static str) -> Self {
        self.requires_api = version;
        self
    }

    /// Plugins of the same kind that must be configured too, and come before it.
    pub const fn depends_on(mut self, names: &'static [&'static str]) -> Self {
        self.depends_on = names;
        self
    }

    /// What it needs beyond the ordinary.
    pub const fn capabilities(mut self, capabilities: &'static [Capability]) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// The stages it can serve; the first one, and `before_run` if it is among them, are
    /// served unless the configuration says `stages`.
    pub const fn stages(mut self, stages: &'static [Stage]) -> Self {
        self.stages = stages;
        self
    }

    /// Under which conditions it is called, unless the configuration says so.
    pub const fn conditions(mut self, conditions: fn() -> Conditions) -> Self {
        self.conditions = conditions;
        self
    }

    /// Which events a hook gets, and how, unless the configuration says so.
    pub const fn subscribes(mut self, subscription: fn() -> Subscription) -> Self {
        self.subscription = subscription;
        self
    }

    /// A configuration to begin with: YAML as it stands under `processors:`, `hooks:` or
    /// `channels:`.
    pub const fn example(mut self, yaml: &'static str) -> Self {
        self.example = yaml;
        self
    }

    /// The module that registers it; [`register!`] says so.
    pub const fn from_crate(mut self, module: &'static str) -> Self {
        self.origin = module;
        self
    }

    /// All plugins linked into this program, in no particular order.
    pub fn linked() -> impl Iterator<Item = &'static Plugin> {
        inventory::iter::<Plugin>.into_iter()
    }

    /// What it says about itself.
    pub fn info(&self) -> PluginInfo {
        let config_schema = (self.schema)();
        PluginInfo {
            description: self.description.to_owned(),
            author: self.author.to_owned(),
            requires_api: self.requires_api.to_owned(),
            depends_on: self
                .depends_on
                .iter()
                .map(|&name| name.to_owned())
                .collect(),
            default_config: defaults_of(&config_schema),
            config_schema,
            capabilities: self.capabilities.to_vec(),
            stages: self.stages.to_vec(),
            conditions: (self.conditions)(),
            subscription: (self.subscription)(),
            example_config: self.example.to_owned(),
            ..PluginInfo::new(self.kind, self.name, self.version)
        }
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its version.
    pub fn version(&self) -> &'static str {
        self.version
    }

    /// The module that registered it.
    pub fn origin(&self) -> &'static str {
        self.origin
    }

    /// The processor, with `config`, if it is one.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with `config`; also if this is no processor.
    pub fn build_processor(&self, config: Value) -> Result<Box<dyn ResultProcessor>, ConfigError> {
        match self.build {
            Build::Processor(build) => build(config),
            _ => Err(self.is_no(Kind::Processor)),
        }
    }

    /// The hook, with `config`, if it is one.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with `config`; also if this is no hook.
    pub fn build_hook(&self, config: Value) -> Result<Box<dyn EventHook>, ConfigError> {
        match self.build {
            Build::Hook(build) => build(config),
            _ => Err(self.is_no(Kind::Hook)),
        }
    }

    /// The channel, with `config`, if it is one.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with `config`; also if this is no channel.
    pub fn build_channel(&self, config: Value) -> Result<Box<dyn Channel>, ConfigError> {
        match self.build {
            Build::Channel(build) => build(config),
            _ => Err(self.is_no(Kind::Channel)),
        }
    }

    fn is_no(&self, kind: Kind) -> ConfigError {
        ConfigError::field("", format!("`{}` is no {kind}", self.name))
    }

    /// The provider of secrets, if it is one.
    pub fn build_secrets(&self) -> Option<Box<dyn SecretsProvider>> {
        match self.build {
            Build::Secrets(build) => Some(build()),
            _ => None,
        }
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin")
            .field("kind", &self.kind)
            .field("name", &self.name)
            .field("version", &self.version)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

fn schema_of<C: schemars::JsonSchema>() -> Value {
    SchemaGenerator::default()
        .into_root_schema_for::<C>()
        .to_value()
}

fn no_settings() -> Value {
    serde_json::json!({"type": "object", "additionalProperties": false})
}

fn build_processor<P: Processor>(config: Value) -> Result<Box<dyn ResultProcessor>, ConfigError> {
    Ok(Box::new(P::build(read::<P::Config>(config)?)?))
}

fn build_hook<H: Hook>(config: Value) -> Result<Box<dyn EventHook>, ConfigError> {
    Ok(Box::new(H::build(read::<H::Config>(config)?)?))
}

fn build_channel<C: Publisher>(config: Value) -> Result<Box<dyn Channel>, ConfigError> {
    Ok(Box::new(C::build(read::<C::Config>(config)?)?))
}

/// `config` as a `C`. Errors of serde do not say where; the schema, which is checked
/// first, does.
fn read<C: DeserializeOwned>(config: Value) -> Result<C, ConfigError> {
    // Nothing at all stands for no settings.
    let config = match config {
        Value::Null => Value::Object(Map::new()),
        config => config,
    };
    serde_json::from_value(config).map_err(|error| ConfigError::field("", error.to_string()))
}

/// The default values that the properties of `schema` state.
fn defaults_of(schema: &Value) -> Value {
    let properties = schema["properties"].as_object().into_iter().flatten();
    let stated = properties.filter_map(|(name, property)| {
        let default = property.get("default")?;
        (!default.is_null()).then(|| (name.clone(), default.clone()))
    });
    Value::Object(stated.collect())
}
