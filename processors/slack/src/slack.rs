//! The processor.

use std::fmt;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use veracity_http::header::{AUTHORIZATION, CONTENT_TYPE};
use veracity_http::{HeaderValue, Request, pace, within};
use veracity_processor::{
    Capability, ConfigError, Health, Message, Outcome, Plugin, ProcessContext, Processor,
    ProcessorError, Report, ResultProcessor, Stage, StartContext, Trend, Verdict, async_trait,
    register,
};

use crate::answer::{Refusal, Reply, of_api, of_webhook};
use crate::blocks::Post;
use crate::check::{Checked, Target};
use crate::settings::Settings;

/// Slack takes one message a second for a channel; who goes on regardless may lose the app.
const EVERY: Duration = Duration::from_secs(1);

/// How long a connection may take that shows whether Slack is there.
const HEALTH_PATIENCE: Duration = Duration::from_secs(4);

/// The name under which the state keeps the message about a failure.
const THREAD: &str = "thread";

register!(
    Plugin::processor::<Slack>("slack", env!("CARGO_PKG_VERSION"))
        .description("Posts the report to a Slack channel")
        .author("the veracity authors")
        .capabilities(&[Capability::Messages])
        .stages(&[Stage::AfterRun, Stage::OnError, Stage::DeadLetter])
        .example("slack: {webhook_url: \"${secret:SLACK_WEBHOOK_URL}\", on: change}")
);

/// Posts reports to Slack.
pub struct Slack(Checked);

impl fmt::Debug for Slack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Slack").field(&self.0.endpoint).finish()
    }
}

/// The message about a failure, to which the recovery is a reply.
#[derive(Debug, Serialize, Deserialize)]
struct Thread {
    /// Ids of runs sort by time.
    run: String,
    channel: String,
    ts: String,
}

impl Processor for Slack {
    type Config = Settings;

    fn build(settings: Settings) -> Result<Self, ConfigError> {
        Checked::new(settings).map(Self)
    }
}

#[async_trait]
impl ResultProcessor for Slack {
    async fn startup(&self, _context: &StartContext) -> Result<(), ProcessorError> {
        self.0.endpoint.prepare()
    }

    async fn process(
        &self,
        report: &Report,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let trend = Trend::of(report, &context.state);
        let recovered = trend.is_recovery();
        let post = Post::report(report, recovered, &self.0.wording);
        let known = context.state.get(THREAD);
        let known: Option<Thread> = known.and_then(|known| serde_json::from_value(known).ok());
        let thread = known.as_ref().filter(|_| recovered && self.threads());
        let reply = self.post(&post, thread, context).await?;
        trend.remember(&context.state);
        let newest = known.is_none_or(|known| known.run <= report.run.id.to_string());
        if self.threads()
            && report.verdict != Verdict::Passed
            && newest
            && let (Some(channel), Some(ts)) = (reply.channel, reply.ts)
        {
            let run = report.run.id.to_string();
            let thread = serde_json::to_value(Thread { run, channel, ts });
            context.state.set(THREAD, thread.unwrap_or_default());
        }
        Ok(outcome(&post))
    }

    async fn notify(
        &self,
        message: &Message,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let post = Post::message(message, &self.0.wording);
        self.post(&post, None, context).await?;
        Ok(outcome(&post))
    }

    async fn health(&self) -> Result<Health, ProcessorError> {
        self.0.endpoint.health(HEALTH_PATIENCE).await
    }
}

fn outcome(post: &Post) -> Outcome {
    match post.found - post.shown {
        0 => Outcome::done(),
        more => Outcome::done().with_note(format!(
            "{more} of {} findings are not shown in the message",
            post.found
        )),
    }
}

impl Slack {
    fn threads(&self) -> bool {
        matches!(self.0.target, Target::Channel { threads: true, .. })
    }

    /// Posts `post` when it is its turn, as a reply in `thread` if there is one.
    async fn post(
        &self,
        post: &Post,
        thread: Option<&Thread>,
        context: &ProcessContext,
    ) -> Result<Reply, ProcessorError> {
        let ended = within(context, async {
            match self.attempt(post, thread, context).await {
                // What was replied to may be gone.
                Err(Refusal {
                    reason: Some(reason),
                    ..
                }) if thread.is_some() && is_about_thread(&reason) => {
                    self.attempt(post, None, context).await
                }
                ended => ended,
            }
            .map_err(|refusal| refusal.error)
        });
        let ended = ended.await;
        ended.map_err(|error| self.0.endpoint.named(error))
    }

    async fn attempt(
        &self,
        post: &Post,
        thread: Option<&Thread>,
        context: &ProcessContext,
    ) -> Result<Reply, Refusal> {
        let Checked {
            endpoint,
            target,
            pace,
            ..
        } = &self.0;
        let request = self.request(post, thread).map_err(unsent)?;
        // Without time for an answer a turn would be wasted.
        let last = Instant::now() + context.remaining().mul_f64(0.75);
        pace::turn(pace, EVERY, last).await.map_err(unsent)?;
        let answer = endpoint.send(request).await.map_err(unsent)?;
        if let Some(wait) = answer.retry_after {
            pace::pause(pace, wait);
        }
        match target {
            Target::Webhook => of_webhook(&answer, endpoint).map(|()| Reply::default()),
            Target::Channel { .. } => of_api(&answer, endpoint),
        }
    }

    fn request(&self, post: &Post, thread: Option<&Thread>) -> Result<Request, ProcessorError> {
        let mut body = json!({
            "text": post.text,
            "blocks": post.blocks,
            "unfurl_links": false,
            "unfurl_media": false,
        });
        let request = match &self.0.target {
            Target::Webhook => Request::post_json(&body)?,
            Target::Channel {
                channel,
                authorization,
                ..
            } => {
                body["channel"] =
                    Value::from(thread.map_or(channel, |thread| &thread.channel).as_str());
                if let Some(thread) = thread {
                    body["thread_ts"] = Value::from(thread.ts.as_str());
                }
                Request::post_json(&body)?
                    .to(self.0.endpoint.at(["chat.postMessage"])?)
                    .header(AUTHORIZATION, authorization.clone())
            }
        };
        // Slack complains if it is not told the charset.
        let json = HeaderValue::from_static("application/json; charset=utf-8");
        Ok(request.header(CONTENT_TYPE, json).reading_answer())
    }
}

fn unsent(error: ProcessorError) -> Refusal {
    Refusal {
        reason: None,
        error,
    }
}

fn is_about_thread(reason: &str) -> bool {
    matches!(
        reason,
        "thread_not_found"
            | "message_not_found"
            | "cannot_reply_to_message"
            | "invalid_thread_ts"
            | "restricted_action_thread_locked"
    )
}
