//! The report as text, as a processor.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use veracity_processor::{
    Capability, ConfigError, Outcome, Plugin, ProcessContext, Processor, ProcessorError, Report,
    ResultProcessor, Stage, async_trait, register, write_file,
};

use crate::{Console, Verbosity};

register!(
    Plugin::processor::<ConsoleProcessor>("console", env!("CARGO_PKG_VERSION"))
        .description("Writes the report as text for people")
        .author("the veracity authors")
        .capabilities(&[Capability::Output])
        .stages(&[Stage::AfterRun, Stage::OnError])
        .example("console: {path: report.txt, verbosity: verbose}")
);

/// Settings of the `console` processor.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The file, which is replaced by each report. Default: standard output, which in the
    /// `veracity` command is how the report is printed anyway.
    #[schemars(extend("format" = "path"))]
    pub path: Option<PathBuf>,
    /// How much: `quiet`, `normal` or `verbose`. Default: normal.
    pub verbosity: Option<Verbosity>,
    /// Whether words and symbols are coloured with ANSI codes. Default: false.
    pub color: Option<bool>,
}

/// Writes reports as text to a file or to standard output.
#[derive(Debug)]
pub struct ConsoleProcessor(Settings);

impl Processor for ConsoleProcessor {
    type Config = Settings;

    fn build(settings: Settings) -> Result<Self, ConfigError> {
        Ok(Self(settings))
    }
}

#[async_trait]
impl ResultProcessor for ConsoleProcessor {
    async fn process(
        &self,
        report: &Report,
        _: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let console = Console {
            color: self.0.color.unwrap_or_default(),
            verbosity: self.0.verbosity.unwrap_or_default(),
            width: None,
        };
        let mut text = Vec::new();
        console
            .render(report, &mut text)
            .map_err(|error| ProcessorError::permanent(error.to_string()))?;
        let path = self.0.path.clone().unwrap_or_else(|| "-".into());
        write_file(&path, &text)?;
        Ok(Outcome::done())
    }
}
