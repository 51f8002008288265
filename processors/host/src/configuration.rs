//! What a suite says about its processors, checked before anything runs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Value};
use veracity_processor::{Capability, ConfigError, FieldError, Kind, Secret};

use crate::actions::ChannelSettings;
use crate::capable;
use crate::error::PluginError;
use crate::hooks::{self, HookSettings, Watcher};
use crate::instance::{Given, Instance};
use crate::names::{did_you_mean, listed};
use crate::order::{self, Node, OrderError};
use crate::registry::{Broken, Registry};
use crate::shared::Shared;

/// What a suite says about its processors.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Configuration {
    /// The suite's name.
    pub suite: String,
    /// The suite's file, as an absolute path; empty if there is none.
    pub origin: String,
    /// The folder that relative paths are relative to.
    pub base: PathBuf,
    /// The settings of each instance, by its name.
    pub processors: Vec<(String, Value)>,
    /// Files that the report of this run is written to, as well: the settings of the
    /// processors that do so, by a name. They have the capability `output`, and what they
    /// cannot write is not kept for later.
    pub outputs: Vec<(String, Value)>,
    /// The settings of each hook, by its name.
    pub hooks: Vec<(String, Value)>,
    /// The settings of each channel, by its name.
    pub channels: Vec<(String, Value)>,
    /// Settings of requests to URLs that plugins name themselves: `allow_private`,
    /// `tls_ca_file`.
    pub webhooks: Map<String, Value>,
    /// Folders of executable plugins.
    pub directories: Vec<PathBuf>,
    /// Plugins and instances that are not to be used.
    pub disabled: Vec<String>,
    /// Names of the suite's checks, if they are known: `checks:` may name no other.
    pub checks: Option<Vec<String>>,
    /// Tags in the suite, if they are known: `tags:` may name no other.
    pub tags: Option<Vec<String>>,
    /// URL of the store.
    pub store: Option<Secret>,
    /// Where a report is left when the store cannot be reached.
    pub spool: PathBuf,
    /// Texts to be struck out of everything a plugin says.
    pub secrets: Vec<String>,
}

impl std::fmt::Debug for Configuration {
    /// Without settings and secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.processors.iter().map(|(name, _)| &**name).collect();
        f.debug_struct("Configuration")
            .field("suite", &self.suite)
            .field("origin", &self.origin)
            .field("processors", &names)
            .field("directories", &self.directories)
            .field("disabled", &self.disabled)
            .finish_non_exhaustive()
    }
}

/// The instances of a configuration, in waves.
#[derive(Debug)]
pub struct Prepared {
    /// By wave; those of a wave may run at the same time.
    pub waves: Vec<Vec<Instance>>,
    /// Those that watch, in no particular order.
    pub hooks: Vec<Watcher>,
    /// Those that carry what others publish, by name.
    pub channels: BTreeMap<String, Arc<Instance>>,
    /// Plugins that were found but cannot be used.
    pub broken: Vec<Broken>,
}

impl Configuration {
    /// All plugins there are: those linked in, and those in the plugin directories.
    ///
    /// # Errors
    ///
    /// If two linked plugins have the same name.
    pub fn registry(&self) -> Result<Registry, PluginError> {
        let registry = Registry::linked()?;
        for directory in &self.directories {
            registry.add_directory(&self.base.join(directory));
        }
        for entry in registry.list_all() {
            if self.disabled.contains(&entry.name) {
                entry.set_enabled(false);
            }
        }
        Ok(registry)
    }

    /// The instances, checked: names, settings, versions, dependencies. Opens nothing.
    ///
    /// # Errors
    ///
    /// Everything that is wrong; the first part of each path is the name of an instance.
    pub fn prepare(&self, registry: &Registry) -> Result<Prepared, ConfigError> {
        let mut instances: BTreeMap<String, Instance> = BTreeMap::new();
        let mut places: BTreeMap<&str, Place> = BTreeMap::new();
        let mut errors = Vec::new();
        let outputs = self.outputs.iter().map(|output| (true, output));
        let processors = self.processors.iter().map(|processor| (false, processor));
        for (is_output, (name, config)) in processors.chain(outputs) {
            let at = pointer(name);
            if places.contains_key(&**name) {
                errors.push(FieldError::new(at, format!("`{name}` is configured twice")));
                continue;
            }
            let given = Given {
                name,
                config: config.clone(),
                base: &self.base,
                secrets: &self.secrets,
            };
            match Instance::new(registry, given) {
                Ok(mut instance) => {
                    if self.disabled.contains(name) {
                        instance.disable(format!("`{name}` is disabled"));
                    }
                    if is_output && !instance.capabilities.contains(&Capability::Output) {
                        let message = format!(
                            "`{}` writes no report into a file; those that do are {}",
                            instance.plugin,
                            listed(capable::outputs_of(registry).iter().map(String::as_str))
                        );
                        errors.push(FieldError::new(at, message));
                    }
                    instance.is_output = is_output;
                    places.insert(name, Place::of(&instance));
                    instances.insert(name.clone(), instance);
                }
                Err(wrong) => {
                    places.insert(name, Place::said(name, config));
                    errors.extend(wrong.into_iter().map(|error| {
                        FieldError::new(format!("{at}{}", error.path), error.message)
                    }));
                }
            }
        }
        for (name, config) in &self.processors {
            errors.extend(unmatched(name, config, "check", self.checks.as_deref()));
            errors.extend(unmatched(name, config, "tag", self.tags.as_deref()));
        }
        errors.extend(self.not_there(registry));
        let hooks = self.hooks(registry, &mut errors);
        let channels = self.channels(registry, &mut errors);
        let named = hooks.iter().map(|hook| &*hook.instance);
        let named = named.chain(channels.values().map(|channel| &**channel));
        for instance in named.chain(instances.values()) {
            let configured = |name: &str| places.contains_key(name);
            let untold = capable::untold(registry, instance, &instances, configured);
            errors.extend(at(instance.kind, &instance.name, untold));
        }
        let nodes = nodes(&places, &mut errors);
        let order = order::waves(&nodes).unwrap_or_else(|wrong| {
            errors.extend(in_words(&wrong, &nodes));
            Vec::new()
        });
        if !errors.is_empty() {
            return Err(ConfigError(errors));
        }
        let waves = order.into_iter().map(|wave| {
            let wave = wave.into_iter();
            wave.filter_map(|name| instances.remove(&name)).collect()
        });
        Ok(Prepared {
            waves: waves.collect(),
            hooks,
            channels,
            broken: registry.broken(),
        })
    }

    fn hooks(&self, registry: &Registry, errors: &mut Vec<FieldError>) -> Vec<Watcher> {
        let made = self.others::<HookSettings>(registry, Kind::Hook, &self.hooks, errors);
        let mut watchers = Vec::new();
        for (instance, settings) in made {
            let unfit = hooks::unfit(&settings.subscription(&instance.subscription));
            errors.extend(at(Kind::Hook, &instance.name, unfit));
            watchers.push(Watcher::new(instance, &settings));
        }
        watchers
    }

    fn channels(
        &self,
        registry: &Registry,
        errors: &mut Vec<FieldError>,
    ) -> BTreeMap<String, Arc<Instance>> {
        let made = self.others::<ChannelSettings>(registry, Kind::Channel, &self.channels, errors);
        made.into_iter()
            .map(|(instance, _)| (instance.name.clone(), Arc::new(instance)))
            .collect()
    }

    /// The instances of `configured`, of a `kind` that has no order.
    fn others<S: Shared>(
        &self,
        registry: &Registry,
        kind: Kind,
        configured: &[(String, Value)],
        errors: &mut Vec<FieldError>,
    ) -> Vec<(Instance, S)> {
        let mut made: Vec<(Instance, S)> = Vec::new();
        for (name, config) in configured {
            if made.iter().any(|(instance, _)| &instance.name == name) {
                let message = format!("`{name}` is configured twice");
                errors.extend(at(kind, name, vec![FieldError::new("", message)]));
                continue;
            }
            let given = Given {
                name,
                config: config.clone(),
                base: &self.base,
                secrets: &self.secrets,
            };
            match Instance::of_kind::<S>(registry, kind, given) {
                Ok((instance, shared)) => {
                    if self.disabled.contains(name) {
                        instance.disable(format!("`{name}` is disabled"));
                    }
                    made.push((instance, shared));
                }
                Err(wrong) => errors.extend(at(kind, name, wrong)),
            }
        }
        made
    }

    /// Names in `disabled` that are neither an instance nor a plugin.
    fn not_there(&self, registry: &Registry) -> Vec<FieldError> {
        let (mut entries, broken) = (registry.list_all(), registry.broken());
        entries.retain(|entry| entry.kind != Kind::Secrets);
        let instances = self
            .processors
            .iter()
            .chain(&self.hooks)
            .chain(&self.channels);
        let instances = instances.map(|(name, _)| name.as_str());
        let plugins = entries.iter().map(|entry| entry.name.as_str());
        let broken = broken.iter().map(|broken| broken.name.as_str());
        let known = instances.chain(plugins).chain(broken);
        let disabled = self.disabled.iter();
        let gone = disabled.filter(|name| !known.clone().any(|one| one == *name));
        gone.map(|name| {
            let hint = hint(name, known.clone());
            let message = format!("there is no plugin `{name}` to be disabled{hint}");
            FieldError::new("", message)
        })
        .collect()
    }
}

/// What the settings of `instance` name that is none of the suite's `known` checks or tags:
/// it would never match. `what` is `check` or `tag`.
fn unmatched(
    instance: &str,
    config: &Value,
    what: &str,
    known: Option<&[String]>,
) -> Vec<FieldError> {
    let Some(known) = known else {
        return Vec::new();
    };
    let known = || known.iter().map(String::as_str);
    let names = config[format!("{what}s")].as_array().into_iter().flatten();
    let names = names.enumerate();
    let names = names.filter_map(|(index, name)| Some((index, name.as_str()?)));
    names
        .filter(|(_, name)| !known().any(|one| one == *name))
        .map(|(index, name)| {
            let hint = hint(name, known());
            FieldError::new(
                format!("{}/{what}s/{index}", pointer(instance)),
                format!("the suite has no {what} `{name}`{hint}"),
            )
        })
        .collect()
}

/// The one of `names` that may be meant by `name`, and which there are.
fn hint<'n>(name: &str, names: impl Iterator<Item = &'n str> + Clone) -> String {
    let near = did_you_mean(name, names.clone());
    match listed(names) {
        none if none.is_empty() => "; there are none".to_owned(),
        listed => format!("{near}; there are {listed}"),
    }
}

/// `errors` of the instance `name` of a `kind`, with their whole path.
fn at(kind: Kind, name: &str, errors: Vec<FieldError>) -> Vec<FieldError> {
    let at = match kind {
        Kind::Processor => pointer(name),
        kind => format!("/{kind}s{}", pointer(name)),
    };
    let errors = errors.into_iter();
    errors
        .map(|error| FieldError::new(format!("{at}{}", error.path), error.message))
        .collect()
}

/// The path of an instance.
fn pointer(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// What decides where an instance comes in the order.
struct Place {
    plugin: String,
    after: Vec<String>,
    depends_on: Vec<String>,
    priority: i64,
}

impl Place {
    fn of(instance: &Instance) -> Self {
        Self {
            plugin: instance.plugin.clone(),
            after: instance.settings.after.clone(),
            depends_on: instance.depends_on.clone(),
            priority: instance.settings.priority,
        }
    }

    /// That of an instance whose `config` is wrong, as far as it can be read.
    fn said(name: &str, config: &Value) -> Self {
        let after = config["after"].as_array().into_iter().flatten();
        let after = after.filter_map(Value::as_str).map(str::to_owned);
        Self {
            plugin: config["use"].as_str().unwrap_or(name).to_owned(),
            after: after.collect(),
            depends_on: Vec::new(),
            priority: 0,
        }
    }
}

/// What is to be put in order; which plugins are missing goes to `errors`.
fn nodes(places: &BTreeMap<&str, Place>, errors: &mut Vec<FieldError>) -> Vec<Node> {
    let node = |(&name, place): (&&str, &Place)| {
        let mut after = place.after.clone();
        for plugin in &place.depends_on {
            let of_plugin = places.iter().filter(|(_, other)| &other.plugin == plugin);
            let before = after.len();
            after.extend(of_plugin.map(|(&other, _)| other.to_owned()));
            if after.len() == before {
                let message = format!(
                    "processor `{}` needs processor `{plugin}`, which is not configured",
                    place.plugin
                );
                errors.push(FieldError::new(pointer(name), message));
            }
        }
        Node {
            name: name.to_owned(),
            after,
            priority: place.priority,
        }
    };
    places.iter().map(node).collect()
}

fn in_words(errors: &[OrderError], nodes: &[Node]) -> Vec<FieldError> {
    let names = || nodes.iter().map(|node| node.name.as_str());
    let errors = errors.iter().map(|error| match error {
        OrderError::Circular(circle) => {
            let error = PluginError::Circular(circle.clone());
            FieldError::new(pointer(&circle[0]), error.to_string())
        }
        OrderError::Missing { name, dependency } => {
            let near = did_you_mean(dependency, names());
            let error = PluginError::MissingDependency {
                name: name.clone(),
                dependency: dependency.clone(),
                hint: format!("{near}; there are {}", listed(names())),
            };
            FieldError::new(format!("{}/after", pointer(name)), error.to_string())
        }
    });
    errors.collect()
}
