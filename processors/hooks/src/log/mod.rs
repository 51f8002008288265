//! Writes what happens during runs to a log.

mod journal;
mod level;
mod line;

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use veracity_json::Json;
use veracity_processor::{
    ConfigError, Event, EventHook, Hook, Level, Outcome, Plugin, ProcessContext, ProcessorError,
    StartContext, Subscription, async_trait, register,
};

use self::journal::Journal;

register!(
    Plugin::hook::<Log>("log", env!("CARGO_PKG_VERSION"))
        .description("Writes what happens during runs to a log, as text or JSON lines")
        .author("the veracity authors")
        .subscribes(Subscription::default)
        .example("log: {format: json, level: info, path: veracity.log}")
);

/// Settings of the `log` hook.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// What a line is.
    #[serde(default)]
    pub format: Format,
    /// Only events that matter at least that much: `debug`, `info`, `warn`, `error`.
    #[serde(default)]
    pub level: Level,
    /// The file to which lines are appended. Default: standard error.
    #[serde(default)]
    #[schemars(extend("format" = "path"))]
    pub path: Option<PathBuf>,
    /// The file is moved to the same name with `.1`, which is replaced, before it would be
    /// larger than so many bytes. Default: 100 MiB.
    #[serde(default = "default_max_bytes")]
    #[schemars(range(min = 1))]
    pub max_bytes: u64,
    /// Whether lines of text begin with the time. JSON always has it.
    #[serde(default = "yes")]
    pub timestamps: bool,
}

fn default_max_bytes() -> u64 {
    100 * 1024 * 1024
}

fn yes() -> bool {
    true
}

/// What a line of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Text for people: time, level, event, and `name=value`.
    #[default]
    Text,
    /// The event's JSON with its `level`.
    Json,
}

/// Writes events to a log.
pub struct Log {
    format: Format,
    level: Level,
    timestamps: bool,
    output: Mutex<Output>,
}

enum Output {
    Stream(Box<dyn Write + Send>),
    File(Journal, PathBuf),
}

impl Hook for Log {
    type Config = LogSettings;

    fn build(settings: LogSettings) -> Result<Self, ConfigError> {
        if settings.max_bytes == 0 {
            return Err(ConfigError::field("/max_bytes", "must be at least 1"));
        }
        let output = match settings.path.as_ref().map(|path| (path, path.to_str())) {
            None | Some((_, Some("/dev/stderr"))) => Output::Stream(Box::new(io::stderr())),
            Some((_, Some("-" | "/dev/stdout"))) => Output::Stream(Box::new(io::stdout())),
            Some((path, _)) => {
                let journal = Journal::new(path.clone(), settings.max_bytes);
                Output::File(journal, path.clone())
            }
        };
        Ok(Self::with(&settings, output))
    }
}

impl Log {
    /// A log that is written to `out`, wherever the settings say.
    pub fn to(settings: &LogSettings, out: Box<dyn Write + Send>) -> Self {
        Self::with(settings, Output::Stream(out))
    }

    fn with(settings: &LogSettings, output: Output) -> Self {
        Self {
            format: settings.format,
            level: settings.level,
            timestamps: settings.timestamps,
            output: Mutex::new(output),
        }
    }

    fn output(&self) -> MutexGuard<'_, Output> {
        // A writer that panicked is no worse than one that fails.
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lines for `events`.
    fn lines(&self, events: &[Arc<Event>]) -> Vec<u8> {
        let (mut text, mut json) = (String::new(), Vec::new());
        for event in events {
            let level = level::level(event);
            if level < self.level {
                continue;
            }
            match self.format {
                Format::Text => line::text(event, level, self.timestamps, &mut text),
                Format::Json => {
                    let line = Leveled { level, event };
                    // Neither the line nor the memory it goes to can fail.
                    let _ = Json::default().write(&line, &mut json);
                }
            }
        }
        match self.format {
            Format::Text => text.into_bytes(),
            Format::Json => json,
        }
    }
}

#[derive(Serialize)]
struct Leveled<'e> {
    level: Level,
    #[serde(flatten)]
    event: &'e Event,
}

impl Output {
    fn write(&mut self, lines: &[u8]) -> Result<Outcome, ProcessorError> {
        match self {
            Self::Stream(out) => {
                let written = out.write_all(lines).and_then(|()| out.flush());
                written.map_err(|error| cannot("the log", &error))?;
            }
            Self::File(journal, path) => {
                let name = format!("`{}`", path.display());
                let unmoved = journal
                    .append(lines)
                    .map_err(|error| cannot(&name, &error))?;
                if let Some(error) = unmoved {
                    let note = format!("{name} is full and cannot be moved away: {error}");
                    return Ok(Outcome::done().with_note(note));
                }
            }
        }
        Ok(Outcome::done())
    }
}

fn cannot(name: &str, error: &io::Error) -> ProcessorError {
    ProcessorError::retryable(format!("{name} cannot be written: {error}"))
}

#[async_trait]
impl EventHook for Log {
    async fn startup(&self, _: &StartContext) -> Result<(), ProcessorError> {
        match &mut *self.output() {
            Output::Stream(_) => Ok(()),
            Output::File(journal, path) => match journal.open() {
                Ok(_) => Ok(()),
                Err(error) => Err(cannot(&format!("`{}`", path.display()), &error)),
            },
        }
    }

    async fn handle(
        &self,
        events: &[Arc<Event>],
        _: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let lines = self.lines(events);
        if lines.is_empty() {
            return Ok(Outcome::done());
        }
        self.output().write(&lines)
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("format", &self.format)
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}
