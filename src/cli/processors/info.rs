//! What a plugin says about itself, for people and programs.

use serde::Serialize;
use serde_json::Value;
use veracity_host::{ChannelSettings, HookSettings, Registry, Settings, Shared};
use veracity_processor::{Capability, Kind, Mode, PluginInfo};

use super::Shown;
use super::listing::{VERSION, aligned, line};
use crate::error::{Error, did_you_mean, listed};

/// The kinds of plugins that a suite configures, and the key it does so under.
pub const KINDS: [(Kind, &str); 3] = [
    (Kind::Processor, "processors"),
    (Kind::Hook, "hooks"),
    (Kind::Channel, "channels"),
];

/// One plugin.
#[derive(Debug, Serialize)]
pub struct Info {
    schema_version: u32,
    #[serde(flatten)]
    info: PluginInfo,
    origin: String,
    common_settings: Value,
    /// Other kinds of which there is one of the same name.
    #[serde(skip)]
    others: Vec<Kind>,
}

/// The plugin called `name`, of `kind` or else of the first kind that has one.
pub fn info(registry: &Registry, name: &str, kind: Option<Kind>) -> Result<Info, Error> {
    let wrong = |error: veracity_host::PluginError| Error::configuration(error.to_string());
    let kinds = KINDS.map(|(kind, _)| kind);
    let all = registry.list_all();
    let there = |kind: &Kind| {
        let mut all = all.iter();
        all.any(|entry| entry.kind == *kind && entry.name == name)
    };
    let found: Vec<Kind> = kinds.into_iter().filter(there).collect();
    let chosen = kind.or(found.first().copied());
    let Some(chosen) = chosen else {
        let names = || {
            let plugins = all.iter().filter(|entry| kinds.contains(&entry.kind));
            plugins.map(|entry| entry.name.as_str())
        };
        if !registry.broken().is_empty() {
            // It says what is wrong with them.
            registry.get(Kind::Processor, name).map_err(wrong)?;
        }
        let message = format!("unknown plugin `{name}`{}", did_you_mean(name, names()));
        let advice = format!("there are {}", listed(names()));
        return Err(Error::configuration(message).with_help(advice));
    };
    let entry = registry.get(chosen, name).map_err(wrong)?;
    Ok(Info {
        schema_version: VERSION,
        info: entry.info().map_err(wrong)?.clone(),
        origin: entry.origin(),
        common_settings: shared(chosen).clone(),
        others: found.into_iter().filter(|&other| other != chosen).collect(),
    })
}

/// The settings that every plugin of `kind` has.
pub fn shared(kind: Kind) -> &'static Value {
    match kind {
        Kind::Hook => HookSettings::schema(),
        Kind::Channel => ChannelSettings::schema(),
        _ => Settings::schema(),
    }
}

/// What is to be known of a plugin beside its settings, in short phrases.
pub fn facts(info: &PluginInfo) -> Vec<String> {
    let mut facts = Vec::new();
    if !info.depends_on.is_empty() {
        facts.push(format!("comes after {}", info.depends_on.join(", ")));
    }
    if !info.stages.is_empty() {
        let stages: Vec<String> = info.stages.iter().map(ToString::to_string).collect();
        facts.push(format!("stages: {}", stages.join(", ")));
    }
    if info.kind == Kind::Hook {
        let subscription = &info.subscription;
        let waits = match subscription.mode {
            Mode::Queued => "the run does not wait for it",
            Mode::Synchronous => "the run waits for it",
        };
        facts.push(format!(
            "events: {}; {waits}",
            subscription.events.join(", ")
        ));
    }
    let conditions = &info.conditions;
    for (what, names) in [
        ("suites", &conditions.suites),
        ("datasets", &conditions.datasets),
        ("tags", &conditions.tags),
    ] {
        if !names.is_empty() {
            facts.push(format!("only {what} {}", names.join(", ")));
        }
    }
    if !conditions.verdicts.is_empty() {
        let verdicts = conditions.verdicts.iter().map(ToString::to_string);
        let verdicts: Vec<String> = verdicts.collect();
        facts.push(format!("only verdicts {}", verdicts.join(", ")));
    }
    for capability in &info.capabilities {
        facts.push(match capability {
            Capability::RawRows => "sees sample rows".to_owned(),
            Capability::Health => "answers health checks".to_owned(),
            Capability::Metrics => "sees metrics of hooks and plugins".to_owned(),
            Capability::Messages => {
                "tells people messages of hooks, and of what was given up".to_owned()
            }
            Capability::Output => format!("can be asked for with `--output {}=PATH`", info.name),
            other => format!("{other:?}"),
        });
    }
    facts
}

impl Shown for Info {
    fn text(&self) -> String {
        let info = &self.info;
        let mut text = String::new();
        let kind = info.kind;
        line(
            &mut text,
            &format!(
                "{} {} ({kind})  {}",
                info.name, info.version, info.description
            ),
        );
        let mut about = vec![format!("needs plugin API {}", info.requires_api)];
        if !info.author.is_empty() {
            about.insert(0, format!("by {}", info.author));
        }
        about.push(format!("from {}", self.origin));
        line(&mut text, &format!("  {}", about.join("; ")));
        for fact in facts(info) {
            line(&mut text, &format!("  {fact}"));
        }
        for other in &self.others {
            let name = &info.name;
            line(
                &mut text,
                &format!("  there is a {other} `{name}` too: --kind {other}"),
            );
        }
        let shared = format!("Settings that every {kind} has");
        for (title, schema) in [
            ("Settings", &info.config_schema),
            (&*shared, &self.common_settings),
        ] {
            line(&mut text, &format!("\n{title}"));
            match settings(schema) {
                rows if rows.is_empty() => text.push_str("  none\n"),
                rows => text.push_str(&aligned(&rows)),
            }
        }
        if !info.example_config.is_empty() {
            line(&mut text, "\nExample");
            line(&mut text, &format!("  {kind}s:"));
            for one in info.example_config.lines() {
                line(&mut text, &format!("    {one}"));
            }
        }
        text
    }
}

/// The settings that `schema` describes: name, kind of value, meaning with its default.
pub fn settings(schema: &Value) -> Vec<[String; 3]> {
    let required = schema["required"].as_array();
    let is_required = |name: &str| required.is_some_and(|names| names.iter().any(|n| n == name));
    let mut rows = Vec::new();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let kind = kind(schema, property);
        let description = property["description"].as_str().unwrap_or_default();
        let mut meaning = description.replace('\n', " ");
        if !meaning.is_empty() && !meaning.ends_with(['.', '!', '?']) {
            meaning.push('.');
        }
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
    rows
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
