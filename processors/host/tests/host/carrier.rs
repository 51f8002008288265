//! Channels that write down what they carry, and do what their configuration says; and a
//! processor that writes a file.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use veracity_processor::{
    Capability, Channel, ConfigError, Outcome, Parcel, Plugin, ProcessContext, Processor,
    ProcessorError, Publisher, Report, ResultProcessor, Secret, StartContext, async_trait,
    register,
};

use crate::acts::{actions, does, jot, told};

/// What it does; nothing unusual where nothing stands.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Part {
    startup: String,
    publish: String,
    shutdown: String,
    /// Where it writes down what it carries.
    carried: String,
    /// How long it blocks or waits, where it shall.
    millis: u64,
    /// Attempts before this one fail for now.
    until: u32,
    /// What the real one has.
    url: Option<Secret>,
    headers: BTreeMap<String, Secret>,
    raw: bool,
}

pub struct Carrier(Part);

register!(
    Plugin::channel::<Carrier>("carrier", "1.0.0").description("Does what it is told, however bad")
);

register!(
    Plugin::channel::<Carrier>("webhook", "1.0.0").description("Stands for the one that posts")
);

impl Publisher for Carrier {
    type Config = Part;

    fn build(part: Part) -> Result<Self, ConfigError> {
        if let Some(url) = &part.url
            && !url.expose().starts_with("http")
        {
            return Err(ConfigError::field("/url", format!("not {}", url.expose())));
        }
        Ok(Self(part))
    }
}

#[async_trait]
impl Channel for Carrier {
    async fn startup(&self, _: &StartContext) -> Result<(), ProcessorError> {
        does(&self.0.startup, self.0.millis).await
    }

    async fn publish(
        &self,
        parcel: &Parcel,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let part = &self.0;
        let mut called = told("publish", context);
        called["parcel"] = json!(parcel);
        if let Some(url) = &part.url {
            let headers = part.headers.iter();
            let headers: BTreeMap<&String, &str> = headers
                .map(|(name, value)| (name, value.expose()))
                .collect();
            called["request"] = json!({"url": url.expose(), "headers": headers, "raw": part.raw});
        }
        jot(&part.carried, &called);
        if context.attempt < part.until {
            let url = part.url.as_ref().map_or("", Secret::expose);
            return Err(ProcessorError::retryable(format!("not yet {url}")));
        }
        does(&part.publish, part.millis).await?;
        // Nobody does that: it would have no end.
        let mut outcome = Outcome::done();
        outcome.actions = actions(&[json!({"type": "log", "message": "in return"})]);
        Ok(outcome)
    }

    async fn shutdown(&self) -> Result<(), ProcessorError> {
        does(&self.0.shutdown, self.0.millis).await
    }
}

/// Writes which run it was into a file.
pub struct Scribe(Page);

/// Settings of `scribe`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// The file.
    path: String,
}

register!(
    Plugin::processor::<Scribe>("scribe", "1.0.0")
        .description("Writes which run it was")
        .capabilities(&[Capability::Output])
);

impl Processor for Scribe {
    type Config = Page;

    fn build(page: Page) -> Result<Self, ConfigError> {
        Ok(Self(page))
    }
}

#[async_trait]
impl ResultProcessor for Scribe {
    async fn process(
        &self,
        report: &Report,
        _: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let written = std::fs::write(&self.0.path, report.run.id.to_string());
        written.map_err(|error| ProcessorError::permanent(error.to_string()))?;
        Ok(Outcome::done())
    }
}
