//! A configured plugin.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use veracity_processor::{
    Capability, Conditions, ConfigError, FieldError, Health, Kind, Plugin, PluginInfo, Stage,
    Subscription, Upcoming,
};

use crate::attempt::clean;
use crate::error::PluginError;
use crate::fields;
use crate::host::LIFECYCLE_LIMIT;
use crate::isolation::exclusive::Exclusive;
use crate::isolation::{
    Attempt, Built, Call, Child, Fault, Isolated, Program, Task, Thread, once, worker,
};
use crate::names::listed;
use crate::paths;
use crate::redact::{Redactor, secrets_in};
use crate::registry::{Entry, Registry, Source};
use crate::settings::{Isolation, Settings};
use crate::shared::Shared;

/// The longest that a processor may take to be built.
const BUILD_LIMIT: Duration = Duration::from_secs(10);
/// What startup or shutdown may take, however short the time limit is.
const LIFECYCLE_LEAST: Duration = Duration::from_secs(1);
/// The memory of a worker for which no limit is set.
const WORKER_MEMORY: u64 = 1 << 30;
/// Whether this system keeps processes to a limit of memory.
const LIMITS_MEMORY: bool = cfg!(any(
    target_os = "linux",
    target_os = "android",
    target_vendor = "apple"
));

/// A configured plugin.
pub struct Instance {
    /// What it is.
    pub kind: Kind,
    /// The name it is configured under.
    pub name: String,
    /// The name of its plugin.
    pub plugin: String,
    /// The settings that every processor has.
    pub settings: Settings,
    /// Plugins that must be configured too, and come before it.
    pub depends_on: Vec<String>,
    /// What its plugin needs beyond the ordinary.
    pub capabilities: Vec<Capability>,
    /// Whether it writes the report of this run alone: nothing of it is kept for later.
    pub is_output: bool,
    /// The stages at which it is called.
    pub stages: Vec<Stage>,
    /// Under which conditions it is called.
    pub conditions: Conditions,
    /// For a hook: which events its plugin asks for.
    pub subscription: Subscription,
    /// Its own configuration, defaults filled in.
    pub config: Value,
    /// Strikes its secrets out.
    pub redactor: Redactor,
    disabled: OnceLock<String>,
    /// Whether those who watch were told that it began, and not yet that it ended.
    life: Mutex<bool>,
    guarded: Result<Box<dyn Isolated>, String>,
    started: Exclusive<Started>,
}

#[derive(Debug, Clone, PartialEq)]
enum Started {
    Not,
    Yes,
    /// It shall not be started any more.
    Ended,
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance")
            .field("name", &self.name)
            .field("plugin", &self.plugin)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// How far a startup is.
#[derive(Debug)]
pub enum Starting<'f> {
    /// It begins.
    Begun,
    /// It failed.
    Failed(&'f Fault),
}

/// What an instance is made of.
#[derive(Debug)]
pub struct Given<'g> {
    /// The name it is configured under.
    pub name: &'g str,
    /// What stands there; nothing at all is no settings.
    pub config: Value,
    /// The folder that relative paths are relative to.
    pub base: &'g Path,
    /// Secrets of the whole suite, to be struck out as well.
    pub secrets: &'g [String],
}

impl Instance {
    /// The processor of `given`. A plugin that is there but cannot be used makes an instance
    /// that fails when it is called.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the configuration; paths are within it.
    pub fn new(registry: &Registry, given: Given<'_>) -> Result<Self, Vec<FieldError>> {
        let (instance, _) = Self::of_kind::<Settings>(registry, Kind::Processor, given)?;
        Ok(instance)
    }

    /// The plugin of `kind` of `given`, and the settings that all of its kind share.
    ///
    /// # Errors
    ///
    /// As for [`Instance::new`].
    pub fn of_kind<S: Shared>(
        registry: &Registry,
        kind: Kind,
        given: Given<'_>,
    ) -> Result<(Self, S), Vec<FieldError>> {
        let Given {
            name,
            config,
            base,
            secrets,
        } = given;
        let config = match config {
            Value::Object(fields) => fields,
            Value::Null => Map::new(),
            _ => return Err(vec![FieldError::new("", "expected a mapping of settings")]),
        };
        let (common, own) = S::split(config);
        let mut errors = fields::check_shared::<S>(&Value::Object(common.clone()));
        let shared = S::read(&common);
        let settings = match &shared {
            Ok(shared) => shared.settings(),
            Err(wrong) => {
                // What the schema says about a field says it better.
                let news =
                    |error: &FieldError| !errors.iter().any(|e| e.path.starts_with(&error.path));
                errors.extend(
                    wrong
                        .iter()
                        .filter(|e| news(e))
                        .cloned()
                        .collect::<Vec<_>>(),
                );
                // Which plugin it is matters for what else is wrong.
                Settings {
                    plugin: common.get("use").and_then(Value::as_str).map(str::to_owned),
                    ..Settings::default()
                }
            }
        };
        let plugin = settings.plugin.as_deref().unwrap_or(name).to_owned();
        let use_path = if settings.plugin.is_some() {
            "/use"
        } else {
            ""
        };
        let shared = shared.unwrap_or_default();
        let mut instance = Self {
            kind,
            name: name.to_owned(),
            plugin,
            depends_on: Vec::new(),
            settings,
            capabilities: Vec::new(),
            is_output: false,
            stages: Vec::new(),
            conditions: Conditions::default(),
            subscription: Subscription::default(),
            config: Value::Null,
            redactor: Redactor::new(secrets.iter().cloned()),
            disabled: OnceLock::new(),
            life: Mutex::default(),
            guarded: Err(String::new()),
            started: Exclusive::new(Started::Not),
        };
        if !instance.settings.enabled {
            instance.disable("`enabled` is false");
        }
        let found = registry.get(kind, &instance.plugin).and_then(|entry| {
            let info = entry.info()?.clone();
            Ok((entry, info))
        });
        let (entry, info) = match found {
            Ok(found) => found,
            Err(error @ PluginError::NotFound { .. }) => {
                errors.push(FieldError::new(use_path, error.to_string()));
                return Err(errors);
            }
            Err(_) if !errors.is_empty() => return Err(errors),
            Err(error) => {
                // It is to be told of where it would have been called.
                instance.stages = match (&*instance.settings.stages, kind) {
                    ([], Kind::Processor) => vec![Stage::AfterRun],
                    (asked, _) => asked.to_vec(),
                };
                instance.guarded = Err(error.to_string());
                return Ok((instance, shared));
            }
        };
        if !entry.is_enabled() {
            instance.disable(format!("{kind} `{}` is disabled", instance.plugin));
        }
        instance.capabilities = info.capabilities.clone();
        instance.depends_on = info.depends_on.clone();
        errors.extend(instance.serve(&info));
        instance.subscription = info.subscription.clone();
        let common = S::names();
        let mut config = filled(own, &info.default_config);
        errors.extend(fields::check(&info.config_schema, &config, &common));
        errors.extend(unenforceable(&instance.settings, &entry.source));
        if !errors.is_empty() {
            return Err(errors);
        }
        paths::resolve(&info.config_schema, &mut config, base);
        let secrets = secrets.iter().cloned();
        let secrets = secrets.chain(secrets_in(&info.config_schema, &config));
        instance.redactor = Redactor::new(secrets);
        instance.config = config;
        instance.guarded = instance.guard(&entry, &info)?;
        Ok((instance, shared))
    }

    /// Takes the stages and conditions of its plugin, narrowed by the settings; an error
    /// for each stage that its plugin cannot serve.
    fn serve(&mut self, info: &PluginInfo) -> Vec<FieldError> {
        let asked = &self.settings.stages;
        self.stages = match asked.is_empty() {
            true => {
                // Who may end a run is asked whether it may begin.
                let first = info.stages.first().copied();
                let gate = info
                    .stages
                    .iter()
                    .copied()
                    .find(|stage| *stage == Stage::BeforeRun);
                let mut stages: Vec<Stage> = first.into_iter().chain(gate).collect();
                stages.dedup();
                stages
            }
            false => asked.clone(),
        };
        self.conditions = info.conditions.clone();
        if !self.settings.suites.is_empty() {
            self.conditions.suites.clone_from(&self.settings.suites);
        }
        if !self.settings.verdicts.is_empty() {
            self.conditions.verdicts.clone_from(&self.settings.verdicts);
        }
        let stages = asked.iter().enumerate();
        let unserved = stages.filter(|(_, stage)| !info.stages.contains(stage));
        let served: Vec<String> = info.stages.iter().map(ToString::to_string).collect();
        unserved
            .map(|(index, stage)| {
                let message = format!(
                    "`{}` does not serve `{stage}`; it serves {}",
                    self.plugin,
                    listed(served.iter().map(String::as_str))
                );
                FieldError::new(format!("/stages/{index}"), message)
            })
            .collect()
    }

    /// Why it is not asked whether `run` may begin, if it is not: before a run its filters
    /// are about the suite.
    pub fn unmet_before(&self, run: &Upcoming) -> Option<String> {
        let mut conditions = self.conditions.clone();
        let settings = &self.settings;
        if !settings.datasets.is_empty() {
            conditions.datasets.clone_from(&settings.datasets);
        }
        if !settings.tags.is_empty() {
            conditions.tags.clone_from(&settings.tags);
        }
        let checks = &settings.checks;
        if !checks.is_empty() && !checks.iter().any(|check| run.checks.contains(check)) {
            return Some("the suite has none of its checks".to_owned());
        }
        conditions.unmet(run, None)
    }

    /// Whether it is called at `stage`.
    pub fn serves(&self, stage: Stage) -> bool {
        self.stages.contains(&stage)
    }

    fn guard(
        &self,
        entry: &Entry,
        info: &PluginInfo,
    ) -> Result<Result<Box<dyn Isolated>, String>, Vec<FieldError>> {
        let limit = self.settings.memory_limit;
        match &entry.source {
            Source::Executable(manifest) => {
                let program = Program::new(&manifest.command, &manifest.folder);
                let has_health = info.capabilities.contains(&Capability::Health);
                let mut child = Child::new(&self.name, program, self.config.clone(), has_health);
                if let Some(bytes) = limit {
                    child = child.with_memory_limit(bytes);
                }
                Ok(Ok(Box::new(child)))
            }
            Source::Linked(_) if self.settings.isolation == Isolation::Process => {
                let limit = limit.unwrap_or(WORKER_MEMORY);
                let worker = worker::worker(
                    &self.name,
                    self.kind,
                    &self.plugin,
                    self.config.clone(),
                    limit,
                );
                Ok(worker.map(|child| Box::new(child) as Box<dyn Isolated>))
            }
            Source::Linked(plugin) => {
                let plugin: &'static Plugin = plugin;
                match check_build(plugin, &self.config) {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return Err(self.without_secrets(error)),
                    Err(fault) => return Ok(Err(format!("it cannot be built: {fault}"))),
                }
                let config = self.config.clone();
                let thread = Thread::new(&self.name, move || Built::of(plugin, config));
                Ok(Ok(Box::new(thread)))
            }
        }
    }

    fn without_secrets(&self, error: ConfigError) -> Vec<FieldError> {
        let mut errors = error.0;
        for error in &mut errors {
            error.message = self.redactor.redact(&error.message);
        }
        errors
    }

    /// Switches it off; `reason` says who did, if it is the first.
    pub fn disable(&self, reason: impl Into<String>) {
        // The first reason stays.
        let _ = self.disabled.set(reason.into());
    }

    /// Why it is not used, if somebody switched it off.
    pub fn disabled(&self) -> Option<&str> {
        self.disabled.get().map(String::as_str)
    }

    /// Why it cannot be used, if it is known before it is started: its plugin is broken or
    /// needs another version of the contract, or it could not be built.
    pub fn unusable(&self) -> Option<String> {
        let message = self.guarded.as_ref().err()?;
        Some(clean(self, message))
    }

    /// The longest that its startup or its shutdown may take: its time limit, if that is
    /// shorter than [`LIFECYCLE_LIMIT`], but not less than a second.
    pub fn lifecycle_limit(&self) -> Duration {
        let limit = self.settings.time_limit;
        limit.clamp(LIFECYCLE_LEAST, LIFECYCLE_LIMIT)
    }

    /// Starts it, if it is not started yet.
    ///
    /// # Errors
    ///
    /// Why it cannot be started; the next call tries again.
    pub fn start(&self, limit: Duration) -> Result<(), Fault> {
        self.start_watched(limit, Duration::ZERO, |_| {})
    }

    /// Starts it, if it is not started yet, and then tells `watch` about it, which may take
    /// `watching` beyond the limit.
    ///
    /// # Errors
    ///
    /// As for [`Instance::start`].
    pub fn start_watched(
        &self,
        limit: Duration,
        watching: Duration,
        watch: impl Fn(Starting<'_>),
    ) -> Result<(), Fault> {
        let begun = Instant::now();
        let Some(mut started) = self.started.take(limit.saturating_add(watching)) else {
            let message = format!("it has been starting for more than {limit:?}");
            return Err(Fault::Unavailable { message });
        };
        match *started {
            Started::Yes => return Ok(()),
            Started::Ended => {
                let message = "it was shut down".to_owned();
                return Err(Fault::Unavailable { message });
            }
            Started::Not => {}
        }
        let left = limit.saturating_sub(begun.elapsed().saturating_sub(watching));
        watch(Starting::Begun);
        let ended = self.guarded().and_then(|guarded| guarded.startup(left));
        match &ended {
            Ok(()) => *started = Started::Yes,
            Err(fault) => watch(Starting::Failed(fault)),
        }
        ended
    }

    /// Whether those who watch were told that it began, and not yet that it ended.
    pub(crate) fn life(&self) -> MutexGuard<'_, bool> {
        // A flag is whole even if a thread panicked while it was locked.
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has it do `task`.
    pub fn call(&self, task: Task, call: Call, limit: Duration) -> Attempt {
        match self.guarded() {
            Ok(guarded) => guarded.call(task, call, limit),
            Err(fault) => Attempt {
                result: Err(fault),
                state: None,
                stderr: None,
            },
        }
    }

    /// Whether it could deliver.
    ///
    /// # Errors
    ///
    /// Why it does not say.
    pub fn health(&self, limit: Duration) -> Result<Health, Fault> {
        self.guarded()?.health(limit)
    }

    /// Ends it, as far as it runs: also after a startup that failed.
    ///
    /// # Errors
    ///
    /// Why it did not end well.
    pub fn end(&self, limit: Duration) -> Result<(), Fault> {
        let begun = Instant::now();
        let before = {
            let Some(mut started) = self.started.take(limit) else {
                let message = "it is still starting".to_owned();
                return Err(Fault::Unavailable { message });
            };
            std::mem::replace(&mut *started, Started::Ended)
        };
        if before == Started::Ended {
            return Ok(());
        }
        let ended = self
            .guarded()
            .and_then(|guarded| guarded.shutdown(limit.saturating_sub(begun.elapsed())));
        match ended {
            // Nothing of it runs, or its startup blocks, which was told.
            Err(Fault::Unavailable { .. }) if before == Started::Not => Ok(()),
            // All the time it had, not what was left of it.
            Err(Fault::Hung { .. }) => Err(Fault::Hung { limit }),
            ended => ended,
        }
    }

    fn guarded(&self) -> Result<&dyn Isolated, Fault> {
        match &self.guarded {
            Ok(guarded) => Ok(&**guarded),
            Err(message) => Err(Fault::Unavailable {
                message: message.clone(),
            }),
        }
    }
}

/// Which of `settings` cannot be enforced for a plugin of `source`.
fn unenforceable(settings: &Settings, source: &Source) -> Option<FieldError> {
    let is_linked = matches!(source, Source::Linked(_));
    let is_worker = is_linked && settings.isolation == Isolation::Process;
    let is_limited = settings.memory_limit.is_some();
    let no_worker = "this program cannot start itself as a worker: its `main` has to call `veracity_host::isolation::serve_if_worker()` first";
    if is_worker && !worker::is_available() {
        return Some(FieldError::new("/isolation", no_worker));
    }
    let message = match is_limited {
        false => return None,
        true if is_linked && !is_worker => "needs `isolation: process`",
        true if !LIMITS_MEMORY => "cannot be enforced on this system",
        // Only a worker, which becomes the plugin, limits it.
        true if !worker::is_available() => no_worker,
        true => return None,
    };
    Some(FieldError::new("/memory_limit", message))
}

/// `own` with the values of `defaults` where it has none.
fn filled(own: Map<String, Value>, defaults: &Value) -> Value {
    let mut config = defaults.as_object().cloned().unwrap_or_default();
    config.extend(own);
    Value::Object(config)
}

/// Builds a processor to see whether its configuration can be used, and drops it; where a
/// panic or a hang does no harm.
fn check_build(plugin: &'static Plugin, config: &Value) -> Result<Result<(), ConfigError>, Fault> {
    let config = config.clone();
    once(plugin.name(), BUILD_LIMIT, move || {
        Built::of(plugin, config).map(drop)
    })
}
