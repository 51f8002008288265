//! The processor.

use std::fmt;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::header::{CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};
use veracity_processor::{
    ConfigError, Health, Outcome, Plugin, ProcessContext, Processor, ProcessorError, Report,
    ResultProcessor, StartContext, async_trait, register,
};

use crate::answer::{Answer, excerpt, retry_after};
use crate::check::Checked;
use crate::reduce::{Body, fit, summary};
use crate::settings::{Method, Settings};
use crate::{guard, transport};

/// The most bytes of an answer that are read.
const ANSWER_BYTES: usize = 64 * 1024;

/// How long the body of an answer is waited for when its status says everything.
const BODY_PATIENCE: Duration = Duration::from_secs(2);

/// How long a connection may take that shows whether the receiver is there.
const HEALTH_PATIENCE: Duration = Duration::from_secs(4);

register!(
    Plugin::processor::<Webhook>("webhook", env!("CARGO_PKG_VERSION"))
        .description("Posts the report to a URL as JSON, CloudEvents or by template, signed")
        .author("the veracity authors")
        .example("webhook: {url: \"https://hooks.example.org/dq\", secret: \"${secret:HOOK}\"}")
);

/// Posts reports to a URL.
pub struct Webhook {
    settings: Checked,
    client: OnceLock<Client>,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("host", &self.settings.host)
            .finish_non_exhaustive()
    }
}

impl Processor for Webhook {
    type Config = Settings;

    fn build(settings: Settings) -> Result<Self, ConfigError> {
        Ok(Self {
            settings: Checked::new(settings)?,
            client: OnceLock::new(),
        })
    }
}

#[async_trait]
impl ResultProcessor for Webhook {
    async fn startup(&self, _context: &StartContext) -> Result<(), ProcessorError> {
        self.client().map(drop)
    }

    async fn process(
        &self,
        report: &Report,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let began = Instant::now();
        // The host stops what does not return in time; a moment before, it can be said
        // why.
        let left = context.remaining();
        let limit = began + (left - (left / 10).min(Duration::from_millis(500)));
        let delivery = self.deliver(report, &context.idempotency_key);
        let ended = timeout_at(limit, delivery).await.unwrap_or_else(|_| {
            let waited = began.elapsed();
            let message = format!("no complete answer within {waited:.1?}");
            Err(ProcessorError::retryable(message))
        });
        ended.map_err(|error| self.named(error))
    }

    async fn health(&self) -> Result<Health, ProcessorError> {
        self.client()?;
        let (url, host) = (&self.settings.url, &self.settings.host);
        if transport::is_proxied(url) {
            return Ok(Health::degraded(format!(
                "requests to `{host}` go through a proxy, so only a delivery shows whether \
                 they arrive"
            )));
        }
        Ok(match timeout(HEALTH_PATIENCE, self.connect()).await {
            Ok(Ok(address)) => Health::healthy().with_detail(format!("`{host}` is at {address}")),
            Ok(Err(reason)) => Health::unhealthy(format!("`{host}`: {reason}")),
            Err(_) => Health::unhealthy(format!(
                "`{host}`: no connection within {HEALTH_PATIENCE:?}"
            )),
        })
    }
}

impl Webhook {
    /// The client; made when it is first needed.
    fn client(&self) -> Result<&Client, ProcessorError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let settings = &self.settings;
        let ca_file = settings.ca_file.as_deref();
        let client = transport::client(&settings.url, settings.allow_private, ca_file)?;
        Ok(self.client.get_or_init(|| client))
    }

    async fn deliver(&self, report: &Report, id: &str) -> Result<Outcome, ProcessorError> {
        let render = |report: &serde_json::Value| self.settings.content.render(report, id);
        let unmade = |reason| ProcessorError::permanent(format!("cannot make the body: {reason}"));
        let max_bytes = self.settings.max_bytes;
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
        let now = SystemTime::now();
        let request = self.request(body, id, now)?;
        let response = request.send().await.map_err(transport::fault)?;
        self.read(response).await
    }

    fn request(
        &self,
        body: &Body,
        id: &str,
        now: SystemTime,
    ) -> Result<RequestBuilder, ProcessorError> {
        let settings = &self.settings;
        let method = match settings.method {
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
        };
        // A dot would make it unclear what was signed.
        let id_header = HeaderValue::from_str(id).ok().filter(|_| !id.contains('.'));
        let id_header = id_header.ok_or_else(|| {
            ProcessorError::permanent("the idempotency key cannot be sent as `webhook-id`")
        })?;
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut request = self
            .client()?
            .request(method, settings.url.clone())
            .headers(settings.headers.clone())
            .header(CONTENT_TYPE, settings.content.content_type())
            .header("webhook-id", id_header)
            .header("webhook-timestamp", seconds);
        if !settings.keys.is_empty() {
            let keys = settings.keys.iter();
            let signatures: Vec<String> =
                keys.map(|key| key.sign(id, seconds, &body.bytes)).collect();
            request = request.header("webhook-signature", signatures.join(" "));
        }
        Ok(request.body(body.bytes.clone()))
    }

    /// Reads of `response` what decides, and no more.
    async fn read(&self, mut response: Response) -> Result<Answer, ProcessorError> {
        let text = |name| {
            let value = response.headers().get(name)?;
            Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let mut answer = Answer {
            status: response.status(),
            location: text(LOCATION),
            retry_after: text(RETRY_AFTER).and_then(|text| retry_after(&text, SystemTime::now())),
            body: Vec::new(),
        };
        let read = read_body(&mut response, &mut answer.body);
        if self.settings.expect.is_some() && answer.status.is_success() {
            read.await.map_err(transport::fault)?;
        } else {
            // What is missing is missing in a message at most.
            let _ = timeout(BODY_PATIENCE, read).await;
        }
        Ok(answer)
    }

    /// Whether `answer` says that the report was taken.
    fn settle(&self, answer: &Answer) -> Result<(), ProcessorError> {
        let settings = &self.settings;
        let redact = |text: &str| settings.redaction.apply(text);
        if let Some(fault) = answer.fault(&settings.url, redact) {
            return Err(fault);
        }
        match &settings.expect {
            Some(expect) if !expect.holds(&answer.body) => {
                let (code, said) = (answer.status.as_u16(), excerpt(&answer.body, redact));
                Err(ProcessorError::retryable(format!(
                    "answered {code}, but not what `expect` asks for{said}"
                )))
            }
            _ => Ok(()),
        }
    }

    /// `error`, with the receiver's name and without secrets.
    fn named(&self, error: ProcessorError) -> ProcessorError {
        let message = self.settings.redaction.apply(error.message());
        let clean = match &error {
            ProcessorError::Retryable { retry_after, .. } => {
                let clean = ProcessorError::retryable(message);
                retry_after.map_or(clean.clone(), |wait| clean.after(wait))
            }
            _ => ProcessorError::permanent(message),
        };
        clean.context(format_args!("`{}`", self.settings.host))
    }

    /// Connects to the receiver, says nothing and leaves.
    async fn connect(&self) -> Result<SocketAddr, String> {
        let url = &self.settings.url;
        // An IPv6 address stands in brackets in a URL, and only there.
        let host = self.settings.host.trim_matches(['[', ']']);
        let port = url.port_or_known_default().unwrap_or(443);
        let resolved = lookup_host((host, port)).await.map_err(|e| e.to_string())?;
        let mut addresses: Vec<SocketAddr> = resolved.collect();
        if !self.settings.allow_private {
            addresses = guard::permitted(host, addresses).map_err(|refused| refused.to_string())?;
        }
        let stream = TcpStream::connect(&addresses[..]).await;
        let stream = stream.map_err(|error| error.to_string())?;
        stream.peer_addr().map_err(|error| error.to_string())
    }
}

/// Reads the first [`ANSWER_BYTES`] into `body`.
async fn read_body(response: &mut Response, body: &mut Vec<u8>) -> Result<(), reqwest::Error> {
    while body.len() < ANSWER_BYTES
        && let Some(chunk) = response.chunk().await?
    {
        let room = ANSWER_BYTES - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    Ok(())
}
