//! Options that several commands share.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::NaiveDate;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use veracity_processor::{Capability, Plugin, PluginInfo};

use super::quantity;
use crate::engine::{Engine, EngineBuilder};
use crate::error::{Error, Result, did_you_mean, listed};
use crate::suite::VerificationSuite;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Text for people.
    Table,
    /// JSON for programs.
    Json,
}

/// How the report is shown.
#[derive(Debug, Args)]
pub struct Showing {
    /// How to print the report.
    #[arg(
        long,
        value_enum,
        value_name = "table|json",
        hide_possible_values = true,
        env = "VERACITY_FORMAT",
        hide_env_values = true
    )]
    pub format: Option<Format>,
    /// Also write the report as FORMAT (junit, sarif, markdown, ..) to PATH; repeatable.
    #[arg(short, long, value_name = "FORMAT=PATH", value_parser = quantity::output)]
    pub output: Vec<(String, String)>,
    /// Only what did not pass, and the verdict.
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Also every metric value, and where it came from.
    #[arg(short, long)]
    pub verbose: bool,
}

impl Showing {
    /// The processors that write what `--output` asks for, by how it was said. Their paths
    /// are relative to the current folder.
    ///
    /// # Errors
    ///
    /// If there is no such format. With `more` plugins than those linked in, that is found
    /// out later.
    pub fn outputs(&self, more: bool) -> Result<Vec<(String, Value)>> {
        let linked = Plugin::linked().map(Plugin::info);
        let writes = |info: &PluginInfo| info.capabilities.contains(&Capability::Output);
        let formats: Vec<String> = linked.filter(writes).map(|info| info.name).collect();
        let names = || formats.iter().map(String::as_str);
        for (format, _) in &self.output {
            if !more && names().all(|known| known != format) {
                let hint = did_you_mean(format, names());
                let message = format!("`--output` knows no format `{format}`{hint}");
                let advice = format!("the formats are {}", listed(names()));
                return Err(Error::configuration(message).with_help(advice));
            }
        }
        for (number, (format, path)) in self.output.iter().enumerate() {
            let other = self.output[..number]
                .iter()
                .find(|(_, other)| other == path);
            if let Some((other, _)) = other {
                let message = format!("`--output {format}={path}` would replace `{other}={path}`");
                let advice = "give each format a file of its own";
                return Err(Error::configuration(message).with_help(advice));
            }
        }
        let output = |(format, path): &(String, String)| {
            let absolute = std::path::absolute(path);
            let absolute = absolute.map(|path| path.to_string_lossy().into_owned());
            let settings = json!({
                "use": format,
                "path": absolute.as_ref().unwrap_or(path),
                "required": true,
            });
            (format!("--output {format}={path}"), settings)
        };
        Ok(self.output.iter().map(output).collect())
    }
}

/// How the outcome of a command is printed.
#[derive(Debug, Args)]
pub struct Printing {
    /// How to print the outcome.
    #[arg(
        long,
        value_enum,
        value_name = "table|json",
        hide_possible_values = true,
        default_value = "table",
        env = "VERACITY_FORMAT",
        hide_env_values = true
    )]
    pub format: Format,
}

/// What the run is about.
#[derive(Debug, Args)]
pub struct About {
    /// Date of the data, `{date}` in paths; default: today.
    #[arg(
        long,
        value_name = "YYYY-MM-DD",
        value_parser = quantity::date,
        env = "VERACITY_DATE",
        hide_env_values = true
    )]
    pub date: Option<NaiveDate>,
    /// Value of `{NAME}` in paths and of `${NAME}`; repeatable.
    #[arg(long, value_name = "NAME=VALUE", value_parser = quantity::pair)]
    pub var: Vec<(String, String)>,
    /// Label of the run, shown in the report; repeatable.
    #[arg(long, value_name = "NAME=VALUE", value_parser = quantity::pair)]
    pub tag: Vec<(String, String)>,
}

/// Which assertions are evaluated.
#[derive(Debug, Args)]
pub struct Selection {
    /// Only assertions with this tag or of this check; repeatable.
    #[arg(long, value_name = "TAG|CHECK")]
    pub only: Vec<String>,
}

/// What the run may use.
#[derive(Debug, Args)]
pub struct Limits {
    /// Memory of queries, e.g. 256MiB; then disk.
    #[arg(
        long,
        value_name = "SIZE",
        value_parser = quantity::bytes,
        env = "VERACITY_MEMORY_LIMIT",
        hide_env_values = true
    )]
    pub memory_limit: Option<usize>,
    /// Threads; default: one for each core.
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=1024),
        env = "VERACITY_CORES",
        hide_env_values = true
    )]
    pub cores: Option<u16>,
}

/// How long the run may take.
#[derive(Debug, Args)]
pub struct Patience {
    /// Longest time, e.g. 30s; the rest is skipped.
    #[arg(
        long,
        value_name = "TIME",
        value_parser = quantity::duration,
        env = "VERACITY_TIME_LIMIT",
        hide_env_values = true
    )]
    pub time_limit: Option<Duration>,
}

impl About {
    /// The variables by name.
    pub fn variables(&self) -> BTreeMap<String, String> {
        self.var.iter().cloned().collect()
    }

    /// An engine for this.
    pub fn engine(&self) -> EngineBuilder {
        let mut engine = Engine::builder();
        if let Some(date) = self.date {
            engine = engine.date(date);
        }
        for (name, value) in &self.var {
            engine = engine.variable(name, value);
        }
        for (name, value) in &self.tag {
            engine = engine.run_tag(name, value);
        }
        engine
    }
}

impl Selection {
    /// Tells `engine` what is selected of `suite`.
    ///
    /// # Errors
    ///
    /// If one of the names is neither a tag nor a check.
    pub fn apply(
        &self,
        mut engine: EngineBuilder,
        suite: &VerificationSuite,
    ) -> Result<EngineBuilder> {
        let checks = || suite.checks.iter().map(|check| check.name.as_str());
        let tags = || {
            suite.checks.iter().flat_map(|check| {
                let of_assertions = check.assertions.iter().flat_map(|one| &one.tags);
                check.tags.iter().chain(of_assertions).map(String::as_str)
            })
        };
        for name in &self.only {
            if checks().chain(tags()).all(|known| known != name) {
                let hint = did_you_mean(name, checks().chain(tags()));
                let tags = match tags().next() {
                    Some(_) => format!("the tags {}", listed(tags())),
                    None => "no tags".to_owned(),
                };
                let message = format!("`--only {name}` selects nothing{hint}");
                let advice = format!("the suite has {tags} and the checks {}", listed(checks()));
                return Err(Error::configuration(message).with_help(advice));
            }
            engine = engine.only(name);
        }
        Ok(engine)
    }
}

impl Limits {
    /// Tells `engine` what it may use.
    pub fn apply(&self, mut engine: EngineBuilder) -> EngineBuilder {
        if let Some(bytes) = self.memory_limit {
            engine = engine.memory_limit(bytes);
        }
        if let Some(cores) = self.cores {
            engine = engine.cores(usize::from(cores));
        }
        engine
    }
}

impl Patience {
    /// Tells `engine` how long it may take.
    pub fn apply(&self, engine: EngineBuilder) -> EngineBuilder {
        match self.time_limit {
            Some(limit) => engine.time_limit(limit),
            None => engine,
        }
    }
}
