//! A ledger of runs: one line each, in a file.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use veracity_processor::{
    ConfigError, Outcome, Plugin, ProcessContext, Processor, ProcessorError, Report,
    ResultProcessor, async_trait, printable, register,
};

register!(
    Plugin::processor::<Ledger>("ledger", env!("CARGO_PKG_VERSION"))
        .description("Writes a line for each run into a file")
        .author("you")
        .example("ledger: {path: runs.txt}")
);

/// What stands in the suite under `ledger:`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The file, to which lines are appended.
    #[schemars(extend("format" = "path"))]
    path: PathBuf,
}

/// Writes a line for each run into a file.
#[derive(Debug)]
pub struct Ledger(Settings);

impl Processor for Ledger {
    type Config = Settings;

    fn build(settings: Settings) -> Result<Self, ConfigError> {
        Ok(Self(settings))
    }
}

#[async_trait]
impl ResultProcessor for Ledger {
    async fn process(
        &self,
        report: &Report,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        // A report may come twice, for instance after a crash.
        let key = context.idempotency_key.as_str();
        if context.state.get("last").is_some_and(|last| last == key) {
            return Ok(Outcome::skipped("it is in the ledger"));
        }
        let (date, suite) = (&report.run.key.date, printable(&report.run.suite));
        let (failed, declared) = (report.summary.failed, report.summary.declared);
        let line = format!(
            "{date} {suite}: {}, {failed} of {declared} failed\n",
            report.verdict
        );
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.0.path)
            .and_then(|mut file| file.write_all(line.as_bytes()))
            .map_err(|error| ProcessorError::retryable(error.to_string()))?;
        context.state.set("last", key);
        Ok(Outcome::done())
    }
}
