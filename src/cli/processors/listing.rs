//! What is told of plugins, and of the processors of a suite.

use std::fmt::Write;
use std::sync::Arc;

use serde::Serialize;
use veracity_host::{Broken, Host, Instance, Registry};
use veracity_processor::{Capability, Health, HealthStatus, Kind, Stage, printable};

use super::Shown;

/// The version of what is printed as JSON.
pub(super) const VERSION: u32 = 1;

/// The plugins there are.
#[derive(Debug, Serialize)]
pub struct Listing {
    schema_version: u32,
    processors: Vec<Listed>,
    hooks: Vec<Listed>,
    channels: Vec<Listed>,
    broken: Vec<BrokenPlugin>,
}

#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    version: String,
    description: String,
    origin: String,
    enabled: bool,
    capabilities: Vec<Capability>,
    stages: Vec<Stage>,
}

#[derive(Debug, Serialize)]
struct BrokenPlugin {
    name: String,
    origin: String,
    error: String,
}

/// What `registry` holds.
pub fn list(registry: &Registry) -> Listing {
    let mut broken: Vec<BrokenPlugin> = registry.broken().into_iter().map(Into::into).collect();
    let mut of_kind = |kind| {
        let mut listed = Vec::new();
        for entry in registry.list(kind) {
            match entry.info() {
                Ok(info) => listed.push(Listed {
                    name: info.name.clone(),
                    version: info.version.clone(),
                    description: info.description.clone(),
                    origin: entry.origin(),
                    enabled: entry.is_enabled(),
                    capabilities: info.capabilities.clone(),
                    stages: info.stages.clone(),
                }),
                Err(error) => broken.push(BrokenPlugin {
                    name: entry.name.clone(),
                    origin: entry.origin(),
                    error: error.to_string(),
                }),
            }
        }
        listed
    };
    let (processors, hooks) = (of_kind(Kind::Processor), of_kind(Kind::Hook));
    let channels = of_kind(Kind::Channel);
    Listing {
        schema_version: VERSION,
        processors,
        hooks,
        channels,
        broken,
    }
}

impl From<Broken> for BrokenPlugin {
    fn from(broken: Broken) -> Self {
        Self {
            name: broken.name,
            origin: broken.origin,
            error: broken.message,
        }
    }
}

impl Shown for Listing {
    fn text(&self) -> String {
        let sections = [
            ("Processors", &self.processors),
            ("Hooks", &self.hooks),
            ("Channels", &self.channels),
        ];
        let mut text = String::new();
        for (title, plugins) in sections {
            let row = |one: &Listed| {
                let state = if one.enabled { "" } else { "  (disabled)" };
                let meaning = format!("{}{state}", one.description);
                [one.name.clone(), one.version.clone(), meaning]
            };
            let rows: Vec<[String; 3]> = plugins.iter().map(row).collect();
            if !rows.is_empty() {
                line(&mut text, title);
                text.push_str(&aligned(&rows));
            }
        }
        for one in &self.broken {
            line(
                &mut text,
                &format!("broken: {} ({}): {}", one.name, one.origin, one.error),
            );
        }
        text
    }
}

/// The processors of a suite, whose settings are right.
#[derive(Debug, Serialize)]
pub struct Validated {
    schema_version: u32,
    valid: bool,
    processors: Vec<ValidatedProcessor>,
    hooks: Vec<ValidatedPlugin>,
    channels: Vec<ValidatedPlugin>,
    broken: Vec<BrokenPlugin>,
}

#[derive(Debug, Serialize)]
struct ValidatedProcessor {
    name: String,
    processor: String,
    wave: usize,
    disabled: Option<String>,
    /// Why it cannot be used.
    error: Option<String>,
}

/// A hook or a channel of a suite.
#[derive(Debug, Serialize)]
struct ValidatedPlugin {
    name: String,
    plugin: String,
    disabled: Option<String>,
    /// Why it cannot be used.
    error: Option<String>,
}

impl ValidatedPlugin {
    fn of(instance: &Arc<Instance>) -> Self {
        Self {
            name: instance.name.clone(),
            plugin: instance.plugin.clone(),
            disabled: instance.disabled().map(str::to_owned),
            error: instance.unusable(),
        }
    }

    fn row(&self, what: &str) -> [String; 3] {
        let disabled = self.disabled.as_deref().map(|why| format!("  ({why})"));
        let meaning = format!("{what}{}", disabled.unwrap_or_default());
        [self.name.clone(), self.plugin.clone(), meaning]
    }
}

/// The instances of `host`, in the order they get reports.
pub fn validated(host: &Host) -> Validated {
    let waves = host.waves().iter().enumerate();
    let processors: Vec<ValidatedProcessor> = waves
        .flat_map(|(number, wave)| {
            wave.iter().map(move |instance| ValidatedProcessor {
                name: instance.name.clone(),
                processor: instance.plugin.clone(),
                wave: number + 1,
                disabled: instance.disabled().map(str::to_owned),
                error: instance.unusable(),
            })
        })
        .collect();
    let hooks = host.hooks().count();
    let others = host.hooks().chain(host.channels());
    let mut others: Vec<ValidatedPlugin> = others.map(ValidatedPlugin::of).collect();
    Validated {
        schema_version: VERSION,
        valid: !processors.iter().any(ValidatedProcessor::is_missed)
            && others
                .iter()
                .all(|one| one.error.is_none() || one.disabled.is_some()),
        processors,
        channels: others.split_off(hooks),
        hooks: others,
        broken: host.broken().iter().cloned().map(Into::into).collect(),
    }
}

impl Validated {
    /// Whether all that are not switched off can be used.
    pub fn is_valid(&self) -> bool {
        self.valid
    }
}

impl ValidatedProcessor {
    /// Whether it should be used but cannot be.
    fn is_missed(&self) -> bool {
        self.error.is_some() && self.disabled.is_none()
    }
}

impl Shown for Validated {
    fn text(&self) -> String {
        let mut rows = Vec::new();
        for one in &self.processors {
            let disabled = one.disabled.as_deref().map(|why| format!("  ({why})"));
            rows.push([
                one.name.clone(),
                one.processor.clone(),
                format!("wave {}{}", one.wave, disabled.unwrap_or_default()),
            ]);
        }
        rows.extend(self.hooks.iter().map(|hook| hook.row("hook")));
        rows.extend(self.channels.iter().map(|channel| channel.row("channel")));
        let mut text = aligned(&rows);
        for one in &self.broken {
            line(
                &mut text,
                &format!("broken: {} ({}): {}", one.name, one.origin, one.error),
            );
        }
        let others = self.hooks.iter().chain(&self.channels);
        for one in others.filter(|one| one.disabled.is_none()) {
            if let Some(why) = &one.error {
                line(&mut text, &format!("cannot be used: {}: {why}", one.name));
            }
        }
        let mut missed = 0;
        for one in self.processors.iter().filter(|one| one.is_missed()) {
            missed += 1;
            let why = one.error.as_deref().unwrap_or_default();
            line(&mut text, &format!("cannot be used: {}: {why}", one.name));
        }
        let counts = [
            (self.processors.len(), "processor"),
            (self.hooks.len(), "hook"),
            (self.channels.len(), "channel"),
        ];
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        let counts: Vec<String> = counts
            .map(|(count, what)| format!("{count} {what}{}", if *count == 1 { "" } else { "s" }))
            .collect();
        let verdict = match (missed, counts.is_empty()) {
            (0, true) => "no processors".to_owned(),
            (0, false) => format!("{}: nothing wrong with their settings", counts.join(", ")),
            _ => format!(
                "{missed} of {} processors cannot be used",
                self.processors.len()
            ),
        };
        line(&mut text, &verdict);
        text
    }
}

/// How the processors of a suite are.
#[derive(Debug, Serialize)]
pub struct HealthListing {
    schema_version: u32,
    processors: Vec<ProcessorHealth>,
}

#[derive(Debug, Serialize)]
struct ProcessorHealth {
    name: String,
    processor: String,
    /// `None` if it is disabled.
    #[serde(flatten)]
    health: Option<Health>,
}

/// Asks the instances of `host`.
pub fn health(host: &Host) -> HealthListing {
    let processors = host.health().into_iter().map(|one| ProcessorHealth {
        name: one.instance,
        processor: one.plugin,
        health: one.health,
    });
    HealthListing {
        schema_version: VERSION,
        processors: processors.collect(),
    }
}

impl HealthListing {
    /// Whether none of them is unhealthy.
    pub fn all_could_deliver(&self) -> bool {
        let health = self.processors.iter().filter_map(|one| one.health.as_ref());
        health
            .into_iter()
            .all(|health| health.status != HealthStatus::Unhealthy)
    }
}

impl Shown for HealthListing {
    fn text(&self) -> String {
        let mut rows = Vec::new();
        for one in &self.processors {
            let (word, detail) = match &one.health {
                None => ("- disabled", String::new()),
                Some(health) => {
                    let word = match health.status {
                        HealthStatus::Healthy => "✓ healthy",
                        HealthStatus::Degraded => "! degraded",
                        _ => "✗ unhealthy",
                    };
                    (word, health.detail.clone().unwrap_or_default())
                }
            };
            rows.push([word.to_owned(), one.name.clone(), detail]);
        }
        aligned(&rows)
    }
}

/// A processor that was switched on or off.
#[derive(Debug, Serialize)]
pub struct Switched {
    /// Its name.
    pub processor: String,
    /// Whether it may be used from now on.
    pub enabled: bool,
}

impl Shown for Switched {
    fn text(&self) -> String {
        let word = if self.enabled { "enabled" } else { "disabled" };
        format!("`{}` is {word}\n", self.processor)
    }
}

/// `rows` with their first two columns aligned, indented.
pub(super) fn aligned(rows: &[[String; 3]]) -> String {
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or(0)
    };
    let (first, second) = (width(0), width(1));
    let mut text = String::new();
    for [a, b, c] in rows {
        line(&mut text, &format!("  {a:<first$}  {b:<second$}  {c}"));
    }
    text
}

pub(super) fn line(text: &mut String, content: &str) {
    for part in content.split('\n') {
        // A String takes all there is memory for.
        let _ = writeln!(text, "{}", printable(part.trim_end()));
    }
}
