//! The channel `nats`: a message on a subject.

mod settings;

use std::fmt;
use std::future::Future;
use std::io;
use std::time::Duration;

use async_nats::client::PublishErrorKind;
use async_nats::{
    Client, ConnectError, ConnectErrorKind, ConnectOptions, Event, HeaderMap, HeaderValue, Request,
    RequestErrorKind, ServerError,
};
use async_trait::async_trait;
use futures::StreamExt;
use serde::Deserialize;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use veracity_http::within;
use veracity_processor::{
    Channel, ConfigError, Outcome, Parcel, Plugin, ProcessContext, ProcessorError, Publisher,
    Timestamp, chain, register,
};

use crate::envelope::Envelope;
pub use settings::NatsSettings;
use settings::{Login, Target};

register!(
    Plugin::channel::<Nats>("nats", env!("CARGO_PKG_VERSION"))
        .description("Publishes each message on a subject of NATS, or to a stream of JetStream (cargo feature `nats`)")
        .author("the veracity authors")
        .example("bus: {use: nats, url: \"nats://broker.example.org\", subject: dq.messages}")
);

/// How long a server may take until a connection is ready.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// Publishes to NATS.
///
/// Every message has a connection of its own: the client's would be mended behind our back,
/// and what it had taken from us before could be lost without a word.
pub struct Nats(Target);

impl fmt::Debug for Nats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Nats").field(&self.0.place).finish()
    }
}

impl Publisher for Nats {
    type Config = NatsSettings;

    fn build(settings: NatsSettings) -> Result<Self, ConfigError> {
        settings.check().map(Self)
    }
}

#[async_trait]
impl Channel for Nats {
    async fn publish(
        &self,
        parcel: &Parcel,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let body = Envelope::new(parcel, context, Timestamp::now()).json()?;
        let id: HeaderValue = context.idempotency_key.parse().map_err(|_| {
            ProcessorError::permanent("the idempotency key cannot be sent as a header")
        })?;
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", id);
        let sent = within(context, self.send(headers, body)).await;
        sent.map_err(|error| self.0.named(error))?;
        Ok(Outcome::done())
    }
}

impl Nats {
    async fn send(&self, headers: HeaderMap, body: String) -> Result<(), ProcessorError> {
        let (heard, events) = unbounded_channel();
        let client = self.connect(heard).await?;
        let mut link = Link {
            client,
            events,
            subject: &self.0.subject,
        };
        if self.0.jetstream {
            link.store(headers, body).await
        } else {
            link.publish(headers, body).await
        }
    }

    async fn connect(&self, heard: UnboundedSender<Event>) -> Result<Client, ProcessorError> {
        let target = &self.0;
        let mut options = ConnectOptions::new()
            .name("veracity")
            .connection_timeout(CONNECT_PATIENCE)
            .request_timeout(None)
            .ignore_discovered_servers()
            // The least there is; a lost connection is an error here.
            .max_reconnects(1)
            .event_callback(move |event| {
                // Nobody listens any more once the message is settled.
                let _ = heard.send(event);
                async {}
            });
        if let Some(path) = &target.ca_file {
            options = options.add_root_certificates(path.clone());
        }
        options = match &target.login {
            Login::None => options,
            Login::Password(user, password) => {
                options.user_and_password(user.clone(), password.expose().to_owned())
            }
            Login::Token(token) => options.token(token.expose().to_owned()),
            Login::Credentials(path) => {
                let unusable = |reason: &dyn fmt::Display| {
                    let path = path.display();
                    ProcessorError::permanent(format!("the credentials in `{path}`: {reason}"))
                };
                let text = std::fs::read_to_string(path).map_err(|error| unusable(&error))?;
                // The parser may quote what it reads.
                let parsed = options.credentials(&text);
                parsed.map_err(|_| unusable(&"this is no file of credentials (`.creds`)"))?
            }
        };
        let connected = options.connect(target.address.as_str()).await;
        connected.map_err(|error| unconnected(&error))
    }
}

/// Why there is no connection.
fn unconnected(error: &ConnectError) -> ProcessorError {
    use ConnectErrorKind as Kind;
    let source = std::error::Error::source(error);
    let refused_tls = source
        .and_then(|source| source.downcast_ref::<io::Error>())
        .is_some_and(|error| error.kind() == io::ErrorKind::InvalidData);
    let said = chain(error);
    match error.kind() {
        Kind::AuthorizationViolation | Kind::Authentication => {
            ProcessorError::permanent(format!("the server refuses the credentials: {said}"))
        }
        Kind::Tls => ProcessorError::permanent(format!("no TLS connection: {said}")),
        _ if refused_tls => ProcessorError::permanent(format!("no TLS connection: {said}")),
        Kind::ServerParse => ProcessorError::permanent(said),
        _ => ProcessorError::retryable(format!("no connection: {said}")),
    }
}

/// A connection for one message.
struct Link<'t> {
    client: Client,
    /// What happened to it, in the order in which it did.
    events: UnboundedReceiver<Event>,
    subject: &'t str,
}

impl Link<'_> {
    /// Publishes, and waits until the server has dealt with the message. It acknowledges
    /// none, but does one thing after the other: an empty message to ourselves comes back
    /// after it.
    async fn publish(&mut self, headers: HeaderMap, body: String) -> Result<(), ProcessorError> {
        let inbox = self.client.new_inbox();
        let subject = self.subject.to_owned();
        let published = self
            .client
            .publish_with_headers(subject, headers, body.into());
        self.taken(published).await?;
        let subscribed = self.client.subscribe(inbox.clone()).await;
        let mut echo = subscribed.map_err(|_| lost())?;
        let published = self.client.publish(inbox.clone(), Vec::new().into());
        self.taken(published).await?;
        loop {
            tokio::select! {
                back = echo.next() => match back {
                    Some(_) => break,
                    None => return Err(lost()),
                },
                event = self.events.recv() => match event {
                    // A user who may not talk to himself learns that after the message.
                    Some(event) if is_about(&event, &inbox) => break,
                    event => settle(event)?,
                },
            }
        }
        // What the server said before comes before the end.
        self.client.drain().await.map_err(|_| lost())?;
        loop {
            match self.events.recv().await {
                Some(Event::Closed) => return Ok(()),
                Some(event) if is_about(&event, &inbox) => {}
                event => settle(event)?,
            }
        }
    }

    /// Publishes, and waits until a stream has stored the message.
    async fn store(&mut self, headers: HeaderMap, body: String) -> Result<(), ProcessorError> {
        let request = Request::new()
            .headers(headers)
            .payload(body.into())
            .timeout(None);
        let subject = self.subject.to_owned();
        let stored = self.client.send_request(subject, request);
        let answer = tokio::select! {
            answer = stored => answer,
            fault = fault(&mut self.events) => return Err(fault),
        };
        let answer = answer.map_err(|error| match error.kind() {
            RequestErrorKind::NoResponders => ProcessorError::retryable(format!(
                "no stream of JetStream takes the subject `{}`",
                self.subject
            )),
            RequestErrorKind::MaxPayloadExceeded => ProcessorError::permanent(chain(&error)),
            RequestErrorKind::InvalidSubject => ProcessorError::permanent(chain(&error)),
            _ => lost(),
        })?;
        acknowledged(&answer.payload)
    }

    async fn taken(
        &self,
        publishing: impl Future<Output = Result<(), async_nats::PublishError>>,
    ) -> Result<(), ProcessorError> {
        publishing.await.map_err(|error| match error.kind() {
            PublishErrorKind::Send => lost(),
            _ => ProcessorError::permanent(chain(&error)),
        })
    }
}

fn lost() -> ProcessorError {
    ProcessorError::retryable("the connection was lost before the message was taken")
}

/// Whether `event` says that the user may not use `inbox`.
fn is_about(event: &Event, inbox: &str) -> bool {
    matches!(event, Event::ServerError(ServerError::Other(text)) if text.contains(inbox))
}

/// The first event that is a fault.
async fn fault(events: &mut UnboundedReceiver<Event>) -> ProcessorError {
    loop {
        if let Err(fault) = settle(events.recv().await) {
            return fault;
        }
    }
}

/// Whether `event` is a fault.
fn settle(event: Option<Event>) -> Result<(), ProcessorError> {
    match event {
        None | Some(Event::Disconnected | Event::Closed) => Err(lost()),
        Some(Event::ServerError(ServerError::Other(text))) => Err(complaint(&text)),
        Some(Event::ServerError(ServerError::AuthorizationViolation)) => {
            Err(complaint("Authorization Violation"))
        }
        Some(_) => Ok(()),
    }
}

/// What a server's `-ERR` means.
fn complaint(text: &str) -> ProcessorError {
    const FINAL: &[&str] = &[
        "permissions violation",
        "authorization violation",
        "user authentication",
        "account authentication",
        "maximum payload",
        "invalid",
        "unknown protocol",
        "parser error",
    ];
    let begin = text.to_lowercase();
    let message = format!("the server says: {text}");
    match FINAL.iter().any(|one| begin.starts_with(one)) {
        true => ProcessorError::permanent(message),
        false => ProcessorError::retryable(message),
    }
}

/// What a stream answers.
#[derive(Deserialize)]
#[serde(untagged)]
enum Acknowledgement {
    Refused { error: Refusal },
    Stored { stream: String, seq: u64 },
}

#[derive(Deserialize)]
struct Refusal {
    code: u16,
    #[serde(default)]
    description: String,
}

/// Whether `answer` says that a stream has stored the message, now or before.
fn acknowledged(answer: &[u8]) -> Result<(), ProcessorError> {
    match serde_json::from_slice(answer) {
        Ok(Acknowledgement::Stored { stream, seq }) if !stream.is_empty() && seq > 0 => Ok(()),
        Ok(Acknowledgement::Refused { error }) => {
            let Refusal { code, description } = error;
            let message = format!("the stream answered {code}: {description}");
            Err(match code {
                408 | 429 | 500..=599 => ProcessorError::retryable(message),
                _ => ProcessorError::permanent(message),
            })
        }
        _ => Err(ProcessorError::permanent(
            "what answered is no stream of JetStream; leave out `jetstream`, or change `subject`",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_tells_whether_the_message_is_stored() {
        let cases = [
            (r#"{"stream":"DQ","seq":7}"#, "stored"),
            (r#"{"stream":"DQ","seq":7,"duplicate":true}"#, "stored"),
            (
                r#"{"error":{"code":503,"err_code":10077,"description":"maximum messages exceeded"},"stream":"DQ","seq":0}"#,
                "again: the stream answered 503: maximum messages exceeded",
            ),
            (
                r#"{"error":{"code":400,"description":"no"}}"#,
                "never: the stream answered 400: no",
            ),
            (
                "hello",
                "never: what answered is no stream of JetStream; leave out `jetstream`, or \
                 change `subject`",
            ),
            (
                "",
                "never: what answered is no stream of JetStream; leave out `jetstream`, or \
                 change `subject`",
            ),
        ];
        for (answer, expected) in cases {
            let found = match acknowledged(answer.as_bytes()) {
                Ok(()) => "stored".to_owned(),
                Err(error) if error.is_retryable() => format!("again: {error}"),
                Err(error) => format!("never: {error}"),
            };
            assert_eq!(found, expected, "{answer}");
        }
    }

    #[test]
    fn a_complaint_tells_whether_another_attempt_makes_sense() {
        let cases = [
            ("Permissions Violation for Publish to \"a\"", false),
            ("User Authentication Expired", false),
            ("Maximum Payload Violation", false),
            ("Stale Connection", true),
            ("maximum connections exceeded", true),
            ("Server Shutdown", true),
        ];
        for (text, again) in cases {
            assert_eq!(complaint(text).is_retryable(), again, "{text}");
        }
    }
}
