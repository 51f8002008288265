//! The processor.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use veracity_http::header::CONTENT_TYPE;
use veracity_http::{
    Answer, HeaderName, HeaderValue, Method as HttpMethod, Request, StatusCode, within,
};
use veracity_processor::{
    Capability, ConfigError, Health, Message, Outcome, Plugin, ProcessContext, Processor,
    ProcessorError, Report, ResultProcessor, Stage, StartContext, async_trait, register,
};

use crate::check::Checked;
use crate::reduce::{Body, fit, summary};
use crate::settings::{Method, Settings};

/// How long a connection may take that shows whether the receiver is there.
const HEALTH_PATIENCE: Duration = Duration::from_secs(4);

register!(
    Plugin::processor::<Webhook>("webhook", env!("CARGO_PKG_VERSION"))
        .description("Posts the report to a URL as JSON, CloudEvents or by template, signed")
        .author("the veracity authors")
        .capabilities(&[Capability::Messages])
        .stages(&[Stage::AfterRun, Stage::OnError, Stage::DeadLetter])
        .example("webhook: {url: \"https://hooks.example.org/dq\", secret: \"${secret:HOOK}\"}")
);

/// Posts reports to a URL.
pub struct Webhook(Checked);

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Webhook").field(&self.0.endpoint).finish()
    }
}

impl Processor for Webhook {
    type Config = Settings;

    fn build(settings: Settings) -> Result<Self, ConfigError> {
        Checked::new(settings).map(Self)
    }
}

#[async_trait]
impl ResultProcessor for Webhook {
    async fn startup(&self, _context: &StartContext) -> Result<(), ProcessorError> {
        self.0.endpoint.prepare()
    }

    async fn process(
        &self,
        report: &Report,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let delivery = self.deliver(report, &context.idempotency_key);
        let ended = within(context, delivery).await;
        ended.map_err(|error| self.0.endpoint.named(error))
    }

    /// In the form of a report: its check is called `message`, each line is a result.
    async fn notify(
        &self,
        message: &Message,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        self.process(&message.to_report(), context).await
    }

    async fn health(&self) -> Result<Health, ProcessorError> {
        self.0.endpoint.health(HEALTH_PATIENCE).await
    }
}

impl Webhook {
    async fn deliver(&self, report: &Report, id: &str) -> Result<Outcome, ProcessorError> {
        let render = |report: &serde_json::Value| self.0.content.render(report, id);
        let unmade = |reason| ProcessorError::permanent(format!("cannot make the body: {reason}"));
        let max_bytes = self.0.max_bytes;
        let mut body = fit(report, max_bytes, render).map_err(unmade)?;
        if body.bytes.len() > max_bytes {
            let size = body.bytes.len();
            return Err(ProcessorError::permanent(format!(
                "even a summary takes {size} bytes, more than `max_bytes: {max_bytes}`"
            )));
        }
        let mut answer = self.send(&body, id).await?;
        if answer.status == StatusCode::PAYLOAD_TOO_LARGE {
            let smaller = summary(report, render).map_err(unmade)?;
            if smaller.bytes.len() < body.bytes.len() {
                body = smaller;
                answer = self.send(&body, id).await?;
            }
        }
        self.settle(&answer)?;
        Ok(match body.left_out {
            Some(count) => Outcome::done().with_note(format!(
                "{count} of {} results were left out of the body, which would have been too large",
                report.results.len()
            )),
            None => Outcome::done(),
        })
    }

    /// Sends `body` once, signed for this moment.
    async fn send(&self, body: &Body, id: &str) -> Result<Answer, ProcessorError> {
        let request = self.request(body, id, SystemTime::now())?;
        self.0.endpoint.send(request).await
    }

    fn request(&self, body: &Body, id: &str, now: SystemTime) -> Result<Request, ProcessorError> {
        let settings = &self.0;
        // A dot would make it unclear what was signed.
        let id_header = HeaderValue::from_str(id).ok().filter(|_| !id.contains('.'));
        let id_header = id_header.ok_or_else(|| {
            ProcessorError::permanent("the idempotency key cannot be sent as `webhook-id`")
        })?;
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let content_type = HeaderValue::from_str(settings.content.content_type())
            .expect("it was checked when the webhook was built");
        let mut request = Request::new(match settings.method {
            Method::Post => HttpMethod::POST,
            Method::Put => HttpMethod::PUT,
        });
        request.headers = settings.headers.clone();
        request = request
            .header(CONTENT_TYPE, content_type)
            .header(HeaderName::from_static("webhook-id"), id_header)
            .header(HeaderName::from_static("webhook-timestamp"), seconds.into());
        if !settings.keys.is_empty() {
            let keys = settings.keys.iter();
            let signatures: Vec<String> =
                keys.map(|key| key.sign(id, seconds, &body.bytes)).collect();
            let signatures = HeaderValue::try_from(signatures.join(" "))
                .expect("base64 and spaces are printable ASCII");
            request = request.header(HeaderName::from_static("webhook-signature"), signatures);
        }
        request.body = body.bytes.clone();
        request.reads_answer = settings.expect.is_some();
        Ok(request)
    }

    /// Whether `answer` says that the report was taken.
    fn settle(&self, answer: &Answer) -> Result<(), ProcessorError> {
        let Checked {
            endpoint, expect, ..
        } = &self.0;
        if let Some(fault) = answer.fault(endpoint) {
            return Err(fault);
        }
        match expect {
            Some(expect) if !expect.holds(&answer.body) => {
                let (code, said) = (answer.status.as_u16(), answer.excerpt(endpoint));
                Err(ProcessorError::retryable(format!(
                    "answered {code}, but not what `expect` asks for{said}"
                )))
            }
            _ => Ok(()),
        }
    }
}
