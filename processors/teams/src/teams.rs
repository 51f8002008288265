//! The processor.

use std::fmt;
use std::time::{Duration, Instant};

use veracity_http::{HeaderValue, Request, pace, within};
use veracity_processor::{
    Capability, ConfigError, Health, Message, Outcome, Plugin, ProcessContext, Processor,
    ProcessorError, Report, ResultProcessor, Stage, StartContext, Trend, async_trait, register,
};

use crate::answer::{Refusal, settle};
use crate::card::{Body, Card};
use crate::settings::{Checked, Settings};

/// Teams takes about four messages a second.
const EVERY: Duration = Duration::from_millis(250);

/// How long a connection may take that shows whether the flow is there.
const HEALTH_PATIENCE: Duration = Duration::from_secs(4);

register!(
    Plugin::processor::<Teams>("teams", env!("CARGO_PKG_VERSION"))
        .description("Posts the report to a Microsoft Teams channel")
        .author("the veracity authors")
        .capabilities(&[Capability::Messages])
        .stages(&[Stage::AfterRun, Stage::OnError, Stage::DeadLetter])
        .example("teams: {webhook_url: \"${secret:TEAMS_WEBHOOK_URL}\", on: change}")
);

/// Posts reports to Teams.
pub struct Teams(Checked);

impl fmt::Debug for Teams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Teams").field(&self.0.endpoint).finish()
    }
}

impl Processor for Teams {
    type Config = Settings;

    fn build(settings: Settings) -> Result<Self, ConfigError> {
        settings.check().map(Self)
    }
}

#[async_trait]
impl ResultProcessor for Teams {
    async fn startup(&self, _context: &StartContext) -> Result<(), ProcessorError> {
        self.0.endpoint.prepare()
    }

    async fn process(
        &self,
        report: &Report,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let trend = Trend::of(report, &context.state);
        let card = Card::report(report, trend.is_recovery(), &self.0.wording);
        let outcome = self.post(&card, context).await?;
        trend.remember(&context.state);
        Ok(outcome)
    }

    async fn notify(
        &self,
        message: &Message,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let card = Card::message(message, &self.0.wording);
        self.post(&card, context).await
    }

    async fn health(&self) -> Result<Health, ProcessorError> {
        self.0.endpoint.health(HEALTH_PATIENCE).await
    }
}

impl Teams {
    /// Posts `card`, and once more the least of it if it is too large for Teams.
    async fn post(&self, card: &Card, context: &ProcessContext) -> Result<Outcome, ProcessorError> {
        let ended = within(context, async {
            let body = card.fit();
            match self.attempt(&body, context).await {
                Ok(()) => Ok(outcome(&body)),
                Err(Refusal::TooLarge(error)) => {
                    let least = card.minimal();
                    if least.bytes.len() >= body.bytes.len() {
                        return Err(error);
                    }
                    self.attempt(&least, context).await?;
                    Ok(Outcome::done()
                        .with_note("the card was too large for Teams: a minimal one was posted"))
                }
                Err(Refusal::Other(error)) => Err(error),
            }
        });
        let ended = ended.await;
        ended.map_err(|error| self.0.endpoint.named(error))
    }

    /// Posts `body` when it is its turn.
    async fn attempt(&self, body: &Body, context: &ProcessContext) -> Result<(), Refusal> {
        let Checked { endpoint, pace, .. } = &self.0;
        // Without time for an answer a turn would be wasted.
        let last = Instant::now() + context.remaining().mul_f64(0.75);
        pace::turn(pace, EVERY, last)
            .await
            .map_err(Refusal::Other)?;
        let json = HeaderValue::from_static("application/json");
        let request = Request::post(json, body.bytes.clone()).reading_answer();
        let answer = endpoint.send(request).await.map_err(Refusal::Other)?;
        if let Some(wait) = answer.retry_after {
            pace::pause(pace, wait);
        }
        settle(&answer, endpoint)
    }
}

fn outcome(body: &Body) -> Outcome {
    match body.left_out {
        0 => Outcome::done(),
        count => Outcome::done().with_note(format!("{count} findings are not shown in the card")),
    }
}
