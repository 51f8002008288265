//! The report as JUnit XML, as a processor.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use veracity_processor::{
    Capability, ConfigError, Message, Outcome, Plugin, ProcessContext, Processor, ProcessorError,
    Report, ResultProcessor, Severity, async_trait, register, write_file,
};

use crate::{Options, render};

register!(
    Plugin::processor::<Junit>("junit", env!("CARGO_PKG_VERSION"))
        .description("Writes the report as JUnit XML, which CI systems read")
        .author("the veracity authors")
        .capabilities(&[Capability::Output])
        .example("junit: {path: junit.xml}")
);

/// Settings of the `junit` processor.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The file, which is replaced by each report.
    #[schemars(extend("format" = "path"))]
    pub path: PathBuf,
    /// Severities at which a failed assertion is a passed test case with a warning, because
    /// JUnit has no word for warnings. With `[]` every failed assertion is a failure.
    #[serde(default = "warn_severities")]
    pub warn_severities: Vec<Severity>,
    /// Writes only what the schema `junit-10.xsd` of Jenkins' xUnit plugin knows: test cases
    /// without file, line and properties.
    #[serde(default)]
    pub strict: bool,
}

fn warn_severities() -> Vec<Severity> {
    Options::default().warn_severities
}

/// Writes reports as JUnit XML to a file.
#[derive(Debug)]
pub struct Junit {
    path: PathBuf,
    options: Options,
}

impl Processor for Junit {
    type Config = Settings;

    fn build(settings: Settings) -> Result<Self, ConfigError> {
        Ok(Self {
            path: settings.path,
            options: Options {
                warn_severities: settings.warn_severities,
                strict: settings.strict,
            },
        })
    }
}

#[async_trait]
impl ResultProcessor for Junit {
    async fn process(
        &self,
        report: &Report,
        _: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        write_file(&self.path, render(report, &self.options).as_bytes())?;
        Ok(Outcome::done())
    }

    async fn notify(&self, _: &Message, _: &ProcessContext) -> Result<Outcome, ProcessorError> {
        Ok(Outcome::skipped("a message would replace the report"))
    }
}
