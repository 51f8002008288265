//! The webhook against real servers on loopback, good and bad ones.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod answers;
mod body;
mod health;
mod hostile;
mod proxy;
mod secrets;
mod signature;
mod tls;

use std::time::Duration;

use serde_json::{Value, json};
use veracity_processor::{
    Outcome, Plugin, ProcessContext, ProcessorError, Report, ResultProcessor, sample_report,
};
use veracity_webhook as _;

const ID: &str = "6f1c02d7-3b6e-5a4c-8d2e-000000000001";

/// Ample for a loaded machine; tests of time limits have their own.
const LIMIT: Duration = Duration::from_secs(60);

fn plugin() -> &'static Plugin {
    Plugin::linked()
        .find(|plugin| plugin.name() == "webhook")
        .expect("the crate registers it")
}

fn build(config: Value) -> Box<dyn ResultProcessor> {
    plugin().build_processor(config).unwrap()
}

/// Settings for the loopback address `url`.
fn to(url: &str) -> Value {
    json!({"url": url, "allow_private": true})
}

/// `config` with `more` settings.
fn with(mut config: Value, more: Value) -> Value {
    let settings = config.as_object_mut().unwrap();
    settings.extend(more.as_object().unwrap().clone());
    config
}

/// One attempt to deliver `report`.
async fn attempt(
    config: Value,
    report: &Report,
    limit: Duration,
) -> Result<Outcome, ProcessorError> {
    let context = ProcessContext::new("webhook", ID, limit);
    build(config).process(report, &context).await
}

/// One attempt to deliver the sample report.
async fn deliver(config: Value) -> Result<Outcome, ProcessorError> {
    attempt(config, &sample_report(), LIMIT).await
}
