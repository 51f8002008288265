//! The report as Markdown, as a processor.

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use veracity_processor::{
    Capability, ConfigError, Message, Outcome, Plugin, ProcessContext, Processor, ProcessorError,
    Report, ResultProcessor, async_trait, register, write_file,
};

use crate::summary::{self, Appended};
use crate::{Dialect, Environment, Options, annotations, render};

register!(
    Plugin::processor::<MarkdownProcessor>("markdown", env!("CARGO_PKG_VERSION"))
        .description("Writes the report as Markdown, into step summaries and annotations too")
        .author("the veracity authors")
        .capabilities(&[Capability::Output])
        .example("markdown: {path: report.md}")
);

/// Settings of the `markdown` processor.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The file, which is replaced by each report. Default: none.
    #[schemars(extend("format" = "path"))]
    pub path: Option<PathBuf>,
    /// Whether the report is appended to the step summary of GitHub Actions.
    #[serde(default)]
    pub step_summary: StepSummary,
    /// Whether what did not pass is shown at its line in the suite file. Annotations go to
    /// standard error.
    #[serde(default)]
    pub annotations: Annotations,
    /// Whether metrics and their values are listed.
    #[serde(default)]
    pub symbols: bool,
}

/// Whether there is a step summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StepSummary {
    /// In GitHub Actions.
    #[default]
    Auto,
    /// Yes; without `GITHUB_STEP_SUMMARY` that is an error.
    Always,
    /// No.
    Never,
}

/// For whom there are annotations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Annotations {
    /// For the system the program runs in, if it is one of those below.
    #[default]
    Auto,
    /// For GitHub Actions.
    Github,
    /// For Azure Pipelines.
    Azure,
    /// For nobody.
    Off,
}

/// The name under which the state keeps the report that was annotated last.
const ANNOTATED: &str = "annotated";

/// Writes reports as Markdown, to a file and for CI systems.
pub struct MarkdownProcessor {
    settings: Settings,
    /// That of the process, unless another is given.
    environment: Option<Environment>,
    sink: Mutex<Box<dyn Write + Send>>,
}

impl MarkdownProcessor {
    /// A processor that takes `environment` for that of its process, and writes annotations
    /// to `sink`.
    pub fn new(
        settings: Settings,
        environment: Environment,
        sink: impl Write + Send + 'static,
    ) -> Self {
        Self {
            settings,
            environment: Some(environment),
            sink: Mutex::new(Box::new(sink)),
        }
    }

    /// Whether the report stands in the step summary, if it is to be there.
    fn summarise(
        &self,
        report: &Report,
        environment: &Environment,
        context: &ProcessContext,
    ) -> Result<Option<Appended>, ProcessorError> {
        let path = match (self.settings.step_summary, &environment.step_summary) {
            (StepSummary::Never, _) | (StepSummary::Auto, None) => return Ok(None),
            (StepSummary::Auto, _) if !environment.github_actions => return Ok(None),
            (StepSummary::Always, None) => {
                let message = "there is no step summary: `GITHUB_STEP_SUMMARY` is not set; \
                    `step_summary: auto` takes one where there is one";
                return Err(ProcessorError::permanent(message));
            }
            (_, Some(path)) => path,
        };
        let key = &context.idempotency_key;
        summary::append(path, report, key, self.options()).map(Some)
    }

    fn options(&self) -> Options {
        Options {
            symbols: self.settings.symbols,
            ..Options::default()
        }
    }

    fn dialect(&self, environment: &Environment) -> Option<Dialect> {
        match self.settings.annotations {
            Annotations::Off => None,
            Annotations::Github => Some(Dialect::GitHub),
            Annotations::Azure => Some(Dialect::Azure),
            Annotations::Auto if environment.github_actions => Some(Dialect::GitHub),
            Annotations::Auto if environment.azure_pipelines => Some(Dialect::Azure),
            Annotations::Auto => None,
        }
    }

    /// Annotates the findings of `report`, once; how many have no annotation.
    fn annotate(
        &self,
        report: &Report,
        dialect: Dialect,
        context: &ProcessContext,
    ) -> io::Result<usize> {
        let (commands, left_out) = annotations(report, dialect);
        let key = context.idempotency_key.as_str();
        let before = context.state.get(ANNOTATED);
        if commands.is_empty() || before.is_some_and(|before| before == key) {
            return Ok(left_out);
        }
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        // In one piece, so that no other line comes between, and none is cut in two.
        sink.write_all((commands.join("\n") + "\n").as_bytes())?;
        sink.flush()?;
        context.state.set(ANNOTATED, key);
        Ok(left_out)
    }
}

impl fmt::Debug for MarkdownProcessor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("MarkdownProcessor");
        debug.field("settings", &self.settings);
        debug.finish_non_exhaustive()
    }
}

impl Processor for MarkdownProcessor {
    type Config = Settings;

    fn build(settings: Settings) -> Result<Self, ConfigError> {
        let silent =
            settings.step_summary == StepSummary::Never && settings.annotations == Annotations::Off;
        if settings.path.is_none() && silent {
            let message = "nothing would be written: give a `path`, or let there be a step \
                summary or annotations";
            return Err(ConfigError::field("", message));
        }
        Ok(Self {
            settings,
            environment: None,
            sink: Mutex::new(Box::new(io::stderr())),
        })
    }
}

#[async_trait]
impl ResultProcessor for MarkdownProcessor {
    async fn process(
        &self,
        report: &Report,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let environment = self.environment.clone();
        let environment = environment.unwrap_or_else(Environment::of_process);
        // What fails keeps nothing else from being written.
        let path = self.settings.path.as_ref();
        let written = path.map(|path| {
            let text = render(report, &self.options());
            write_file(path, text.as_bytes())
        });
        let summary = self.summarise(report, &environment, context);
        let dialect = self.dialect(&environment);
        let annotated = dialect.map(|dialect| self.annotate(report, dialect, context));

        let idle = written.is_none() && dialect.is_none();
        written.transpose()?;
        let summary = summary?;
        if idle && summary.is_none() {
            let reason = "there is no `path`, and no CI system that takes summaries or annotations";
            return Ok(Outcome::skipped(reason));
        }
        let mut notes = Vec::new();
        if summary == Some(Appended::Full) {
            notes.push("the step summary is full (1 MiB), nothing was added to it".to_owned());
        }
        match annotated {
            Some(Err(error)) => notes.push(format!("annotations cannot be written: {error}")),
            Some(Ok(left_out)) if left_out > 0 => {
                notes.push(format!("{left_out} findings have no annotation"));
            }
            _ => {}
        }
        Ok(match notes.is_empty() {
            true => Outcome::done(),
            false => Outcome::done().with_note(notes.join("; ")),
        })
    }

    async fn notify(&self, _: &Message, _: &ProcessContext) -> Result<Outcome, ProcessorError> {
        Ok(Outcome::skipped("a message would replace the report"))
    }
}
