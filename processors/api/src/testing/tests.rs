//! The recording host, held against plugins of every kind and manner.

use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::faults::{Clock, Flaky, Server, Step};
use super::*;
use crate::{
    Action, ActionKind, Capability, Channel, ConfigError, DeadLetter, Delivery, DeliveryStatus,
    Event, EventHook, Health, HealthStatus, Hook, Message, Metric, MetricKind, Mode, Outcome,
    Parcel, ProcessContext, Processor, ProcessorError, Report, ResultProcessor, Secret, Stage,
    StartContext, State, Subscription, async_trait, register,
};

/// A processor that does what its closure does, with the report.
struct Does<F>(F);

#[async_trait]
impl<F> ResultProcessor for Does<F>
where
    F: Fn(&Report, &ProcessContext) -> Result<Outcome, ProcessorError> + Send + Sync,
{
    async fn process(
        &self,
        report: &Report,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        (self.0)(report, context)
    }
}

fn does<F>(call: F) -> RecordingHost
where
    F: Fn(&Report, &ProcessContext) -> Result<Outcome, ProcessorError> + Send + Sync + 'static,
{
    RecordingHost::processor(Box::new(Does(call)))
}

fn report() -> Report {
    ReportBuilder::new("orders").failed("keys", "a = b").build()
}

/// The methods that were called, with the numbers of their attempts.
fn told(host: &RecordingHost) -> Vec<String> {
    let calls = host.calls().iter();
    calls
        .map(|call| format!("{} {}", call.method, call.attempt))
        .collect()
}

#[test]
fn retryable_errors_are_tried_again_under_one_key_without_sleeping() {
    let clock = Clock::at("2026-11-20T06:00:00Z");
    let seen = clock.clone();
    let times: Arc<Mutex<Vec<SystemTime>>> = Arc::default();
    let noted = Arc::clone(&times);
    let mut host = does(move |_, context| {
        noted.lock().unwrap().push(seen.now());
        match context.attempt {
            1 => Err(ProcessorError::retryable("busy")),
            2 => Err(ProcessorError::retryable("slow down").after(Duration::from_secs(30))),
            _ => Ok(Outcome::done()),
        }
    })
    .clock(&clock);
    let delivered = host.deliver(&report());
    assert_delivered(&delivered);
    assert_eq!(delivered.status, DeliveryStatus::Delivered);
    let waits = [Duration::from_millis(500), Duration::from_secs(30)];
    assert_eq!((delivered.attempts, &delivered.waits[..]), (3, &waits[..]));
    assert_eq!(
        told(&host),
        ["startup 1", "process 1", "process 2", "process 3"]
    );
    let calls: Vec<&Call> = host.calls_of("process").collect();
    assert_eq!(calls[0].idempotency_key, calls[2].idempotency_key);
    assert_eq!(calls[1].wait, Some(waits[1]));
    assert_eq!(calls[2].wait, None);
    assert_eq!(clock.to_string(), "2026-11-20T06:00:30.500000Z");
    let times = times.lock().unwrap();
    assert_eq!(times[2].duration_since(times[1]).unwrap(), waits[1]);
    drop(times);
    let other = ReportBuilder::new("orders").run(2).build();
    host.deliver(&other);
    let keys: Vec<&str> = host
        .calls_of("process")
        .map(|call| &*call.idempotency_key)
        .collect();
    assert_ne!(keys[0], keys[3], "another run has another key");
}

#[test]
fn what_does_not_help_is_deferred_and_goes_on_later() {
    let mut host =
        does(|_, context| Err(ProcessorError::retryable(format!("no {}", context.attempt))));
    let delivered = host.deliver(&report());
    assert_retryable(&delivered, "no 4");
    assert_eq!(delivered.status, DeliveryStatus::Deferred);
    assert_eq!(delivered.again_in, Some(Duration::from_secs(4)));
    assert_retryable(&host.deliver(&report()), "no 8");

    let mut impatient = does(|_, _| {
        let hour = Duration::from_secs(3600);
        Err(ProcessorError::retryable("come back tomorrow").after(hour))
    });
    let delivered = impatient.deliver(&report());
    assert_eq!((delivered.attempts, &delivered.waits[..]), (1, &[][..]));
    assert_eq!(delivered.again_in, Some(Duration::from_secs(15 * 60)));

    let mut once = does(|_, _| Err(ProcessorError::retryable("busy"))).retries(0);
    assert_eq!(once.deliver(&report()).attempts, 1);
}

#[test]
fn permanent_errors_panics_and_skips_are_final() {
    let mut refused = does(|_, _| Err(ProcessorError::permanent("unknown recipient")));
    let delivered = refused.deliver(&report());
    assert_permanent(&delivered, "unknown recipient");
    assert_eq!(
        (delivered.status, delivered.attempts),
        (DeliveryStatus::Dead, 1)
    );

    let mut panics = does(|_, _| panic!("no luck"));
    let delivered = panics.deliver(&report());
    assert_eq!(
        (delivered.status, delivered.attempts),
        (DeliveryStatus::Panicked, 1)
    );
    let message = "no luck".to_owned();
    assert_eq!(delivered.answer, Err(Fault::Panicked { message }));

    let mut skips = does(|_, _| Ok(Outcome::skipped("it is in the ledger")));
    let delivered = skips.deliver(&report());
    assert_skipped(&delivered, "ledger");
    assert_eq!(delivered.status, DeliveryStatus::Skipped);
}

/// Waits for ever, in the way its field says.
struct Waits {
    blocks: bool,
}

#[async_trait]
impl ResultProcessor for Waits {
    async fn process(
        &self,
        _: &Report,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        context.state.set("begun", true);
        while self.blocks {
            std::thread::sleep(Duration::from_millis(20));
        }
        std::future::pending().await
    }
}

#[test]
fn a_hang_ends_at_the_limit_and_only_one_that_blocks_is_not_called_again() {
    let limit = Duration::from_millis(50);
    for blocks in [false, true] {
        let mut host = RecordingHost::processor(Box::new(Waits { blocks })).limit(limit);
        let delivered = host.deliver(&report());
        assert_eq!(
            (delivered.status, delivered.attempts),
            (DeliveryStatus::Hung, 1)
        );
        assert_eq!(delivered.answer, Err(Fault::Hung { limit }));
        assert_eq!(host.state("orders")["begun"], true, "kept all the same");
        let again = host.deliver(&report()).answer.unwrap_err();
        assert_eq!(
            matches!(again, Fault::Unavailable { .. }),
            blocks,
            "{again}"
        );
    }
}

#[test]
fn the_state_goes_from_call_to_call_for_each_suite_by_itself() {
    let mut host = does(|_, context| {
        let seen = context.state.get("seen").and_then(|seen| seen.as_u64());
        context.state.set("seen", seen.unwrap_or(0) + 1);
        if context.attempt == 1 {
            return Err(ProcessorError::retryable("busy"));
        }
        Ok(Outcome::done())
    })
    .remembering("flights", "seen", 40);
    host.deliver(&report());
    assert_eq!(host.state("orders")["seen"], 2, "also after an error");
    host.deliver(&ReportBuilder::new("flights").build());
    assert_eq!(host.state("flights")["seen"], 42);
    assert_eq!(host.state("orders")["seen"], 2);
    assert_eq!(host.calls()[1].state["seen"], 1);

    let mut greedy = does(|_, context| {
        context.state.set("all", "x".repeat(State::MAX_BYTES));
        Ok(Outcome::done())
    })
    .remembering("orders", "before", 1);
    assert_delivered(&greedy.deliver(&report()));
    let error = greedy.calls()[1].state_error.as_deref();
    assert_eq!(
        error,
        Some("it is 65557 bytes of JSON; it may be 65536"),
        "it is told"
    );
    assert_eq!(greedy.state("orders")["before"], 1, "and not kept");
}

/// Opens something at the second attempt, and says what is asked of it.
#[derive(Default)]
struct Lives {
    starts: AtomicU32,
}

#[async_trait]
impl ResultProcessor for Lives {
    async fn startup(&self, context: &StartContext) -> Result<(), ProcessorError> {
        match self.starts.fetch_add(1, Ordering::Relaxed) {
            0 => Err(ProcessorError::retryable(format!(
                "{} is not up yet",
                context.instance
            ))),
            _ => Ok(()),
        }
    }

    async fn process(
        &self,
        report: &Report,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let told = format!("{} at {}", report.results.len(), context.stage);
        Ok(Outcome::done().with_note(told))
    }

    async fn before_run(
        &self,
        run: &crate::Upcoming,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let stage = context.stage;
        Ok(Outcome::stop(format!("{} at {stage}", run.run.suite)))
    }

    async fn health(&self) -> Result<Health, ProcessorError> {
        Ok(Health::degraded("slow"))
    }

    async fn shutdown(&self) -> Result<(), ProcessorError> {
        Err(ProcessorError::permanent("it would not close"))
    }
}

#[test]
fn a_processor_is_called_at_every_stage_of_its_life() {
    let mut host = RecordingHost::processor(Box::new(Lives::default())).instance("lives");
    let delivered = host.deliver(&report());
    assert_eq!(delivered.attempts, 2, "the first did not start");
    let upcoming = UpcomingBuilder::new("orders").build();
    assert_stops(&host.before_run(&upcoming), "orders at before_run");
    let note = |delivered: Delivered| delivered.answer.unwrap().note.unwrap();
    let mut message = Message::new("look at this", report().run);
    message.lines = vec!["one".into(), "two".into()];
    assert_eq!(note(host.notify(&message)), "2 at after_run");
    let letter = DeadLetter::new(Delivery::new("email", DeliveryStatus::Dead), report());
    assert_eq!(note(host.dead_letter(&letter)), "1 at dead_letter");
    assert_eq!(host.health().unwrap().status, HealthStatus::Degraded);
    let error = host.shutdown().unwrap_err();
    assert_eq!(
        error,
        ProcessorError::permanent("it would not close").into()
    );
    let over = host.deliver(&report()).answer.unwrap_err();
    assert_eq!(over.to_string(), "it was shut down");
    let order = told(&host);
    assert_eq!(
        order,
        [
            "startup 1",
            "startup 1",
            "process 2",
            "before_run 1",
            "notify 1",
            "dead_letter 1",
            "health 1",
            "shutdown 1",
            "startup 1"
        ]
    );
    assert!(
        host.said().contains("lives is not up yet"),
        "{}",
        host.said()
    );
    let mut on_error = RecordingHost::processor(Box::new(Lives::default())).stage(Stage::OnError);
    assert_eq!(note(on_error.deliver(&report())), "1 at on_error");
}

#[test]
#[should_panic(expected = "`flush` is for a hook; this is a processor")]
fn a_call_that_is_for_another_kind_is_told() {
    let _ = does(|_, _| Ok(Outcome::done())).flush();
}

register!(
    Plugin::processor::<Registered>("registered", "1.0.0")
        .description("Tells what it was given")
        .author("the veracity authors")
        .example("registered: {token: x}")
);
register!(
    Plugin::processor::<Registered>("privileged", "1.0.0")
        .description("Tells what it was given")
        .author("the veracity authors")
        .example("privileged: {token: x}")
        .capabilities(&[Capability::RawRows, Capability::Metrics])
);

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// What nobody is to see.
    token: Secret,
    /// How loud.
    #[serde(default = "ten")]
    volume: u32,
}

fn ten() -> u32 {
    10
}

struct Registered(Settings);

impl Processor for Registered {
    type Config = Settings;

    fn build(settings: Settings) -> Result<Self, ConfigError> {
        match settings.volume {
            0..=11 => Ok(Self(settings)),
            _ => Err(ConfigError::field("/volume", "it goes to eleven")),
        }
    }
}

#[async_trait]
impl ResultProcessor for Registered {
    async fn process(
        &self,
        report: &Report,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let rows = report.results[0].sample.len();
        let (metrics, volume) = (context.metrics.len(), self.0.volume);
        let note = format!("{} {rows} {metrics} {volume}", context.instance);
        match context.config.get("/volume") {
            Some(volume) if volume == 0 => Err(ProcessorError::permanent(format!(
                "{} was refused",
                self.0.token.expose()
            ))),
            _ => Ok(Outcome::done().with_note(note)),
        }
    }
}

#[test]
fn a_registered_processor_gets_its_defaults_and_what_it_may_see() {
    for (name, note) in [
        ("registered", "registered 0 0 10"),
        ("privileged", "privileged 1 1 10"),
    ] {
        let plugin = linked(Kind::Processor, name);
        let mut host = RecordingHost::new(plugin, json!({"token": "hunter2"}))
            .unwrap()
            .metric(Metric {
                name: "rows".into(),
                value: 1.0,
                kind: MetricKind::Gauge,
                help: String::new(),
                labels: [].into(),
            });
        assert_eq!(host.config()["volume"], 10);
        let report = ReportBuilder::new("orders")
            .failed("keys", "id > 0")
            .violations(1, [json!({"id": 0})])
            .build();
        let told = host.deliver(&report).answer.unwrap().note;
        assert_eq!(told.as_deref(), Some(note));
        assert_no_secret(&host.said(), &["hunter2"]);
    }
}

#[test]
#[should_panic(expected = "the secret `hunter2` is told: ..")]
fn a_secret_that_a_plugin_tells_is_found() {
    let plugin = linked(Kind::Processor, "registered");
    let mut host = RecordingHost::new(plugin, json!({"token": "hunter2", "volume": 0})).unwrap();
    host.deliver(&report());
    assert_no_secret(&host.said(), &["hunter2"]);
}

#[test]
fn wrong_settings_are_told_by_field_and_without_values() {
    let cases = [
        (json!({}), "\"token\" is a required property"),
        (
            json!({"token": 7}),
            "token: value is not of type \"string\"",
        ),
        (
            json!({"token": "x", "volume": "loud"}),
            "volume: value is not of type \"integer\"",
        ),
        (
            json!({"token": "x", "volum": 1}),
            "Additional properties are not allowed ('volum' was unexpected)",
        ),
        (
            json!({"token": "x", "volume": 12}),
            "volume: it goes to eleven",
        ),
        (json!("x"), "expected a mapping of settings"),
    ];
    for (config, expected) in cases {
        let plugin = linked(Kind::Processor, "registered");
        let error = RecordingHost::new(plugin, config.clone()).err().unwrap();
        assert_eq!(error.to_string(), expected, "{config}");
    }
}

#[test]
#[should_panic(expected = "no hook `nothing` is linked; there are `deafened`, `watchful`")]
fn a_plugin_that_is_not_linked_is_told_with_those_that_are() {
    linked(Kind::Hook, "nothing");
}

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
    let mut subscription = Subscription::default();
    subscription.events = vec!["assertion.end".to_owned()];
    subscription.mode = mode;
    subscription
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
        vec![Step::hear("\n"), Step::say(faults::GARBAGE)],
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
    assert_eq!(
        server.heard()[..4],
        [
            b"{\"n\":1}\n".to_vec(),
            b"{\"n\":1}\n".to_vec(),
            b"{\"n\":1}\n".to_vec(),
            b"{\"n\":1}\n".to_vec()
        ]
    );

    let limit = Duration::from_millis(200);
    let mut hanging = RecordingHost::channel(Box::new(Lines(server.address()))).limit(limit);
    assert_eq!(hanging.publish(&parcel).status, DeliveryStatus::Hung);

    let refusing = Server::refusing();
    let mut refused = RecordingHost::channel(Box::new(Lines(refusing.address()))).retries(1);
    let delivered = refused.publish(&parcel);
    assert_retryable(&delivered, &ErrorKind::ConnectionRefused.to_string());
    assert_eq!(delivered.attempts, 2);
}

#[test]
fn a_processor_whose_disk_is_full_says_so() {
    let mut host = does(|report, _| {
        let mut disk = Flaky::new(Vec::new()).full_after(3);
        writeln!(disk, "{}", report.run.suite).map_err(|error| {
            ProcessorError::retryable(format!("cannot write: {}", error.kind()))
        })?;
        Ok(Outcome::done())
    })
    .retries(0);
    assert_retryable(&host.deliver(&report()), "cannot write: no storage space");
}

#[tokio::test]
async fn a_host_can_be_used_within_another_runtime() {
    let mut host = does(|_, _| Ok(Outcome::done()));
    assert_delivered(&host.deliver(&report()));
}

#[test]
fn hostile_reports_are_delivered_as_they_are() {
    let mut host = does(|report, _| Ok(Outcome::done().with_note(&*report.run.suite)));
    let hostile = hostile();
    let delivered = host.deliver(&hostile);
    assert_eq!(delivered.answer.unwrap().note, Some(hostile.run.suite));
}
