//! The report as SARIF, as a processor.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use veracity_processor::{
    Capability, ConfigError, Message, Outcome, Plugin, ProcessContext, Processor, ProcessorError,
    Report, ResultProcessor, async_trait, register, write_file,
};

use crate::{Options, render};

register!(
    Plugin::processor::<Sarif>("sarif", env!("CARGO_PKG_VERSION"))
        .description("Writes the report as SARIF 2.1.0, which code scanning and editors read")
        .author("the veracity authors")
        .capabilities(&[Capability::Output])
        .example("sarif: {path: veracity.sarif}")
);

/// Settings of the `sarif` processor.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The file, which is replaced by each report.
    #[schemars(extend("format" = "path"))]
    pub path: PathBuf,
    /// Whether assertions that passed or were skipped are results too. GitHub shows every
    /// result as an alert, so it is not meant for GitHub.
    #[serde(default)]
    pub include_passed: bool,
}

/// Writes reports as SARIF to a file.
#[derive(Debug)]
pub struct Sarif {
    path: PathBuf,
    options: Options,
}

impl Processor for Sarif {
    type Config = Settings;

    fn build(settings: Settings) -> Result<Self, ConfigError> {
        Ok(Self {
            path: settings.path,
            options: Options {
                include_passed: settings.include_passed,
            },
        })
    }
}

#[async_trait]
impl ResultProcessor for Sarif {
    async fn process(
        &self,
        report: &Report,
        _: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        write_file(&self.path, &render(report, &self.options))?;
        Ok(Outcome::done())
    }

    async fn notify(&self, _: &Message, _: &ProcessContext) -> Result<Outcome, ProcessorError> {
        Ok(Outcome::skipped("a message would replace the report"))
    }
}
