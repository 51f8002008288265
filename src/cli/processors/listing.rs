//! What is told of processors.

use std::fmt::Write;

use serde::Serialize;
use serde_json::Value;
use veracity_host::{Broken, Host, Registry, Settings, Shared};
use veracity_processor::{Capability, Health, HealthStatus, Kind, PluginInfo, printable};

use super::Shown;
use crate::error::Error;

/// The version of what is printed as JSON.
const VERSION: u32 = 1;

/// The processors there are.
#[derive(Debug, Serialize)]
pub struct Listing {
    schema_version: u32,
    processors: Vec<Listed>,
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
    let mut processors = Vec::new();
    for entry in registry.list(Kind::Processor) {
        match entry.info() {
            Ok(info) => processors.push(Listed {
                name: info.name.clone(),
                version: info.version.clone(),
                description: info.description.clone(),
                origin: entry.origin(),
                enabled: entry.is_enabled(),
                capabilities: info.capabilities.clone(),
            }),
            Err(error) => broken.push(BrokenPlugin {
                name: entry.name.clone(),
                origin: entry.origin(),
                error: error.to_string(),
            }),
        }
    }
    Listing {
        schema_version: VERSION,
        processors,
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
        let mut rows = Vec::new();
        for one in &self.processors {
            let state = if one.enabled { "" } else { "  (disabled)" };
            rows.push([
                one.name.clone(),
                one.version.clone(),
                format!("{}{state}", one.description),
            ]);
        }
        let mut text = aligned(&rows);
        for one in &self.broken {
            line(
                &mut text,
                &format!("broken: {} ({}): {}", one.name, one.origin, one.error),
            );
        }
        text
    }
}

/// One processor.
#[derive(Debug, Serialize)]
pub struct Info {
    schema_version: u32,
    #[serde(flatten)]
    info: PluginInfo,
    origin: String,
    common_settings: Value,
}

/// The processor called `name`.
pub fn info(registry: &Registry, name: &str) -> Result<Info, Error> {
    let wrong = |error: veracity_host::PluginError| Error::configuration(error.to_string());
    let entry = registry.get(Kind::Processor, name).map_err(wrong)?;
    Ok(Info {
        schema_version: VERSION,
        info: entry.info().map_err(wrong)?.clone(),
        origin: entry.origin(),
        common_settings: Settings::schema().clone(),
    })
}

impl Shown for Info {
    fn text(&self) -> String {
        let info = &self.info;
        let mut text = String::new();
        line(
            &mut text,
            &format!("{} {}  {}", info.name, info.version, info.description),
        );
        let mut about = vec![format!("needs plugin API {}", info.requires_api)];
        if !info.author.is_empty() {
            about.insert(0, format!("by {}", info.author));
        }
        if !info.depends_on.is_empty() {
            about.push(format!("comes after {}", info.depends_on.join(", ")));
        }
        for capability in &info.capabilities {
            about.push(match capability {
                Capability::RawRows => "sees sample rows".to_owned(),
                Capability::Health => "answers health checks".to_owned(),
                other => format!("{other:?}"),
            });
        }
        about.push(format!("from {}", self.origin));
        line(&mut text, &format!("  {}", about.join("; ")));
        for (title, schema) in [
            ("Settings", &info.config_schema),
            ("Settings that every processor has", &self.common_settings),
        ] {
            line(&mut text, &format!("\n{title}"));
            text.push_str(&settings(schema));
        }
        if !info.example_config.is_empty() {
            line(&mut text, "\nExample");
            text.push_str("  processors:\n");
            for one in info.example_config.lines() {
                line(&mut text, &format!("    {one}"));
            }
        }
        text
    }
}

/// The settings that `schema` describes, one a paragraph.
fn settings(schema: &Value) -> String {
    let required = schema["required"].as_array();
    let is_required = |name: &str| required.is_some_and(|names| names.iter().any(|n| n == name));
    let mut rows = Vec::new();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let kind = kind(schema, property);
        let description = property["description"].as_str().unwrap_or_default();
        let mut meaning = description.replace('\n', " ");
        if is_required(name) {
            meaning.push_str(" Required.");
        }
        match property.get("default") {
            Some(default) if !default.is_null() && !meaning.contains("efault:") => {
                meaning.push_str(&format!(" Default: {default}."));
            }
            _ => {}
        }
        rows.push([name.clone(), kind, meaning]);
    }
    if rows.is_empty() {
        return "  none\n".to_owned();
    }
    aligned(&rows)
}

/// What kind of value `property` is, in a word or two.
fn kind(root: &Value, property: &Value) -> String {
    if property["writeOnly"] == true {
        return "secret".to_owned();
    }
    if let Some(target) = property["$ref"].as_str() {
        let found = target.strip_prefix('#').and_then(|at| root.pointer(at));
        return found.map_or_else(|| "value".to_owned(), |found| kind(root, found));
    }
    let word = |name: &str| match name {
        "string" => "text",
        "integer" | "number" => "number",
        "boolean" => "true, false",
        "array" => "list",
        "object" => "mapping",
        _ => "",
    };
    let mut words: Vec<String> = match &property["type"] {
        Value::String(name) => vec![word(name).to_owned()],
        Value::Array(names) => names
            .iter()
            .filter_map(Value::as_str)
            .map(|n| word(n).to_owned())
            .collect(),
        _ => Vec::new(),
    };
    for key in ["anyOf", "oneOf"] {
        let alternatives = property[key].as_array().into_iter().flatten();
        words.extend(
            alternatives.map(|alternative| match alternative["const"].as_str() {
                Some(name) => name.to_owned(),
                None => kind(root, alternative),
            }),
        );
    }
    let names = property["enum"].as_array().into_iter().flatten();
    let names: Vec<String> = names.filter_map(Value::as_str).map(str::to_owned).collect();
    if !names.is_empty() {
        words = names;
    }
    words.retain(|word| !word.is_empty());
    words.dedup();
    words.join(", ")
}

/// The processors of a suite, whose settings are right.
#[derive(Debug, Serialize)]
pub struct Validated {
    schema_version: u32,
    valid: bool,
    processors: Vec<ValidatedProcessor>,
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
    Validated {
        schema_version: VERSION,
        valid: !processors.iter().any(ValidatedProcessor::is_missed),
        processors,
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
        let mut text = aligned(&rows);
        for one in &self.broken {
            line(
                &mut text,
                &format!("broken: {} ({}): {}", one.name, one.origin, one.error),
            );
        }
        let mut missed = 0;
        for one in self.processors.iter().filter(|one| one.is_missed()) {
            missed += 1;
            let why = one.error.as_deref().unwrap_or_default();
            line(&mut text, &format!("cannot be used: {}: {why}", one.name));
        }
        let total = self.processors.len();
        let verdict = match missed {
            0 => format!("{total} processors, nothing wrong with their settings"),
            _ => format!("{missed} of {total} processors cannot be used"),
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
fn aligned(rows: &[[String; 3]]) -> String {
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

fn line(text: &mut String, content: &str) {
    for part in content.split('\n') {
        // A String takes all there is memory for.
        let _ = writeln!(text, "{}", printable(part.trim_end()));
    }
}
