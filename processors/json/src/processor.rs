//! The report as JSON, as a processor.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use veracity_processor::{
    Capability, ConfigError, Outcome, Plugin, ProcessContext, Processor, ProcessorError, Report,
    ResultProcessor, Stage, async_trait, register, write_file,
};

use crate::Json;

register!(
    Plugin::processor::<JsonProcessor>("json", env!("CARGO_PKG_VERSION"))
        .description("Writes the report as JSON for programs")
        .author("the veracity authors")
        .capabilities(&[Capability::RawRows, Capability::Output])
        .stages(&[Stage::AfterRun, Stage::OnError])
        .example("json: {path: report.json}")
);

/// Settings of the `json` processor.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The file, which is replaced by each report. Default: standard output, which in the
    /// `veracity` command is how the report is printed, if no `console` is configured too.
    #[schemars(extend("format" = "path"))]
    pub path: Option<PathBuf>,
    /// Whether it is indented. Default: true.
    pub pretty: Option<bool>,
}

/// Writes reports as JSON to a file or to standard output.
#[derive(Debug)]
pub struct JsonProcessor(Settings);

impl Processor for JsonProcessor {
    type Config = Settings;

    fn build(settings: Settings) -> Result<Self, ConfigError> {
        Ok(Self(settings))
    }
}

#[async_trait]
impl ResultProcessor for JsonProcessor {
    async fn process(
        &self,
        report: &Report,
        _: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let json = Json {
            pretty: self.0.pretty.unwrap_or(true),
        };
        let mut text = Vec::new();
        json.render(report, &mut text)
            .map_err(|error| ProcessorError::permanent(error.to_string()))?;
        let path = self.0.path.clone().unwrap_or_else(|| "-".into());
        write_file(&path, &text)?;
        Ok(Outcome::done())
    }
}
