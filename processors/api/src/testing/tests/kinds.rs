//! Hooks and channels.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::testing::faults::{GARBAGE, Server, Step};
use crate::testing::{
    RecordingHost, ReportBuilder, assert_action, assert_delivered, assert_permanent,
    assert_retryable, events, linked,
};
use crate::{
    Action, ActionKind, Channel, ConfigError, DeliveryStatus, Event, EventHook, Hook, Kind, Mode,
    Outcome, Parcel, Plugin, ProcessContext, ProcessorError, Subscription, async_trait, register,
};

register!(
    Plugin::hook::<Watchful>("watchful", "1.0.0")
        .description("Counts")
        .subscribes(|| subscription(Mode::Queued))
);
register!(
    Plugin::hook::<Watchful>("deafened", "1.0.0")
        .description("Counts")
        .subscribes(|| subscription(Mode::Synchronous))
);

fn subscription(mode: Mode) -> Subscription {
    Subscription {
        events: vec!["assertion.end".to_owned()],
        mode,
        ..Subscription::default()
    }
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Default)]
struct Watchful {
    events: AtomicU32,
}

impl Hook for Watchful {
    type Config = Nothing;

    fn build(_: Nothing) -> Result<Self, ConfigError> {
        Ok(Self::default())
    }
}

#[async_trait]
impl EventHook for Watchful {
    async fn handle(
        &self,
        events: &[Arc<Event>],
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let count = u32::try_from(events.len()).unwrap_or(u32::MAX);
        self.events.fetch_add(count, Ordering::Relaxed);
        context.state.set("last", events[0].name.to_string());
        Ok(Outcome::done())
    }

    async fn flush(&self, context: &ProcessContext) -> Result<Outcome, ProcessorError> {
        let count = self.events.load(Ordering::Relaxed);
        let last = context.state.get("last").unwrap_or_default();
        let action = Action::publish("events", format!("{count} up to {last}"));
        Ok(Outcome::done().with_action(action))
    }
}

#[test]
fn a_hook_gets_the_events_that_it_subscribed_to_in_batches_or_one_by_one() {
    let report = ReportBuilder::new("orders")
        .passed("keys", "a")
        .failed("keys", "b")
        .passed("keys", "c")
        .build();
    let events = events(&report);
    for (name, calls) in [("watchful", 2), ("deafened", 3)] {
        let mut host = RecordingHost::new(linked(Kind::Hook, name), json!(null))
            .unwrap()
            .batch(2);
        let answers = host.handle(&events);
        assert_eq!(answers.len(), calls, "{name}");
        answers.iter().for_each(assert_delivered);
        let flushed = host.flush();
        let action = assert_action(&flushed, ActionKind::Publish);
        let expected = Action::publish("events", "3 up to \"assertion.end\"");
        assert_eq!(action, &expected);
        assert_eq!(host.shutdown(), Ok(()));
    }
    let mut host = RecordingHost::hook(Box::new(Watchful::default()));
    assert_eq!(host.handle(&events).len(), 1, "all at once");
    let flushed = host.flush();
    assert!(format!("{flushed:?}").contains(&events.len().to_string()));
}

/// Sends what is published to a server, a line each, and waits for an `ok`.
struct Lines(SocketAddr);

#[async_trait]
impl Channel for Lines {
    async fn publish(
        &self,
        parcel: &Parcel,
        _: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let failed = |error: std::io::Error| ProcessorError::retryable(error.kind().to_string());
        let mut stream = TcpStream::connect(self.0).await.map_err(failed)?;
        let line = format!("{}\n", parcel.message);
        stream.write_all(line.as_bytes()).await.map_err(failed)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.map_err(failed)?;
        match &*answer {
            b"ok\n" => Ok(Outcome::done()),
            b"" => Err(ProcessorError::retryable("it says nothing")),
            _ => Err(ProcessorError::permanent("it does not speak our language")),
        }
    }
}

#[test]
fn a_channel_meets_a_server_that_resets_keeps_silent_and_then_takes_it() {
    let server = Server::start([
        vec![Step::hear("\n"), Step::Reset],
        vec![Step::hear("\n")],
        vec![Step::hear("\n"), Step::say("ok\n")],
        vec![Step::hear("\n"), Step::say(GARBAGE)],
        vec![Step::Hang],
    ]);
    let mut host = RecordingHost::channel(Box::new(Lines(server.address())));
    let parcel = Parcel::new(json!({"n": 1}), "tested", "orders");
    let delivered = host.publish(&parcel);
    assert_delivered(&delivered);
    assert_eq!(delivered.attempts, 3);
    let reset = &host.calls()[1].answer;
    assert_retryable(reset, &ErrorKind::ConnectionReset.to_string());
    assert_retryable(&host.calls()[2].answer, "it says nothing");
    assert_permanent(&host.publish(&parcel), "language");
    assert_eq!(server.heard()[..4], vec![b"{\"n\":1}\n".to_vec(); 4]);

    let limit = Duration::from_millis(200);
    let mut hanging = RecordingHost::channel(Box::new(Lines(server.address()))).limit(limit);
    assert_eq!(hanging.publish(&parcel).status, DeliveryStatus::Hung);

    let refusing = Server::refusing();
    let mut refused = RecordingHost::channel(Box::new(Lines(refusing.address()))).retries(1);
    let delivered = refused.publish(&parcel);
    assert_retryable(&delivered, &ErrorKind::ConnectionRefused.to_string());
    assert_eq!(delivered.attempts, 2);
}
