//! A host that calls one plugin and writes everything down.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

use super::faults::Clock;
use super::request::Request;
use super::thread::{Plugged, Thread};
use super::{Answer, Answered, Call, Delivered, Fault, config};
use crate::{
    Capability, Channel, ConfigError, DeadLetter, Event, EventHook, Health, Kind, Message, Metric,
    Mode, Outcome, Parcel, Plugin, PluginInfo, Report, ResultProcessor, Stage, StartContext,
    Upcoming,
};

/// The longest that a call of a processor may take, unless told otherwise; as in a suite.
pub(super) const LIMIT: Duration = Duration::from_secs(30);
/// The longest limit that is told apart from none; adding it to any instant is safe.
pub(super) const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Calls a plugin as the real host does, one call at a time, and records everything.
///
/// The plugin lives on a thread of its own, in a runtime of its own that turns only during
/// calls, under a time limit; panics are caught. It is started with the first call. Its
/// state goes through JSON from call to call, 64 KiB at most. A retryable error is tried
/// again up to three times, with the same idempotency key and counted attempts, and nobody
/// sleeps: the waits are recorded, and the [`Clock`], if there is one, is advanced by them.
/// A wait is what the plugin asked for, or the longest that the real host would choose.
/// When the waits of a delivery exceed a minute it is deferred, as it is when nothing
/// helps; delivering the same again goes on where that ended.
///
/// What it does not do: circuit breakers, filters, waves, striking out of secrets, and
/// making relative paths absolute.
///
/// ```
/// use std::time::Duration;
/// use veracity_processor::testing::{RecordingHost, ReportBuilder, assert_delivered};
/// use veracity_processor::{Outcome, ProcessContext, ProcessorError, Report, ResultProcessor};
///
/// /// Is throttled twice.
/// struct Throttled;
///
/// #[veracity_processor::async_trait]
/// impl ResultProcessor for Throttled {
///     async fn process(
///         &self,
///         _: &Report,
///         context: &ProcessContext,
///     ) -> Result<Outcome, ProcessorError> {
///         match context.attempt {
///             1 | 2 => Err(ProcessorError::retryable("slow down").after(Duration::from_secs(20))),
///             _ => Ok(Outcome::done()),
///         }
///     }
/// }
///
/// let mut host = RecordingHost::processor(Box::new(Throttled));
/// let delivered = host.deliver(&ReportBuilder::new("orders").build());
/// assert_delivered(&delivered);
/// assert_eq!(delivered.waits, [Duration::from_secs(20); 2]);
///
/// let keys: Vec<&str> = host.calls_of("process").map(|call| &*call.idempotency_key).collect();
/// assert_eq!(keys, [keys[0]; 3]);
/// ```
pub struct RecordingHost {
    pub(super) instance: String,
    info: Option<PluginInfo>,
    pub(super) config: Value,
    pub(super) limit: Duration,
    pub(super) retries: u32,
    batch: usize,
    pub(super) stage: Option<Stage>,
    pub(super) metrics: Vec<Metric>,
    pub(super) clock: Option<Clock>,
    kind: Kind,
    pub(super) thread: Thread,
    started: bool,
    pub(super) states: BTreeMap<String, BTreeMap<String, Value>>,
    /// How often something was tried, by idempotency key.
    pub(super) attempts: BTreeMap<String, u32>,
    published: u64,
    suite: String,
    pub(super) calls: Vec<Call>,
}

impl RecordingHost {
    /// A host of `plugin`, which must be a processor, a hook or a channel, configured by
    /// `config` under its own name.
    ///
    /// # Errors
    ///
    /// What is wrong with `config`, by the plugin's schema or by its `build`.
    pub fn new(plugin: &Plugin, config: Value) -> Result<Self, ConfigError> {
        let info = plugin.info();
        let config = config::filled(config, &info)?;
        config::check(&config, &info)?;
        let plugged = match plugin.kind() {
            Kind::Processor => Plugged::Processor(plugin.build_processor(config.clone())?),
            Kind::Hook => Plugged::Hook(plugin.build_hook(config.clone())?),
            Kind::Channel => Plugged::Channel(plugin.build_channel(config.clone())?),
            Kind::Secrets => {
                let message = "a provider of secrets is not called by a host of this kind";
                return Err(ConfigError::field("", message));
            }
        };
        let mut host = Self::of(plugged);
        info.name.clone_into(&mut host.instance);
        (host.config, host.info) = (config, Some(info));
        Ok(host)
    }

    /// A host of a processor that is registered nowhere, without configuration.
    pub fn processor(processor: Box<dyn ResultProcessor>) -> Self {
        Self::of(Plugged::Processor(processor))
    }

    /// A host of a hook that is registered nowhere, without configuration; it gets every
    /// event.
    pub fn hook(hook: Box<dyn EventHook>) -> Self {
        Self::of(Plugged::Hook(hook))
    }

    /// A host of a channel that is registered nowhere, without configuration.
    pub fn channel(channel: Box<dyn Channel>) -> Self {
        Self::of(Plugged::Channel(channel))
    }

    fn of(plugged: Plugged) -> Self {
        let kind = match &plugged {
            Plugged::Processor(_) => Kind::Processor,
            Plugged::Hook(_) => Kind::Hook,
            Plugged::Channel(_) => Kind::Channel,
        };
        Self {
            instance: "tested".to_owned(),
            info: None,
            config: Value::Object(serde_json::Map::new()),
            limit: match kind {
                Kind::Hook => Duration::from_secs(5),
                Kind::Channel => Duration::from_secs(10),
                _ => LIMIT,
            },
            retries: 3,
            batch: 256,
            stage: None,
            metrics: Vec::new(),
            clock: None,
            kind,
            thread: Thread::new(plugged),
            started: false,
            states: BTreeMap::new(),
            attempts: BTreeMap::new(),
            published: 0,
            suite: String::new(),
            calls: Vec::new(),
        }
    }

    /// The name that the plugin is configured under.
    #[must_use]
    pub fn instance(mut self, name: impl Into<String>) -> Self {
        self.instance = name.into();
        self
    }

    /// The longest that a call may take. Otherwise as in a suite that says nothing: 30 s for
    /// a processor, 10 s for a channel, 5 s for a hook.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit.min(LONGEST);
        self
    }

    /// How often a failed attempt is repeated. 3 otherwise.
    #[must_use]
    pub fn retries(mut self, count: u32) -> Self {
        self.retries = count;
        self
    }

    /// The most events that a queued hook gets at once. 256 otherwise.
    #[must_use]
    pub fn batch(mut self, events: usize) -> Self {
        self.batch = events.max(1);
        self
    }

    /// The stage at which reports are delivered, if it is not `after_run`.
    #[must_use]
    pub fn stage(mut self, stage: Stage) -> Self {
        self.stage = Some(stage);
        self
    }

    /// A metric that was stated in the run so far. A registered plugin without the
    /// capability `metrics` does not see it.
    #[must_use]
    pub fn metric(mut self, metric: Metric) -> Self {
        self.metrics.push(metric);
        self
    }

    /// The clock that is advanced by the waits between attempts.
    #[must_use]
    pub fn clock(mut self, clock: &Clock) -> Self {
        self.clock = Some(clock.clone());
        self
    }

    /// Lets the plugin remember `value` of `suite`, as if from an earlier run.
    #[must_use]
    pub fn remembering(mut self, suite: &str, name: &str, value: impl Into<Value>) -> Self {
        let state = self.states.entry(suite.to_owned()).or_default();
        state.insert(name.to_owned(), value.into());
        self
    }

    /// The configuration, defaults filled in.
    pub fn config(&self) -> &Value {
        &self.config
    }

    /// All that the plugin remembers of `suite`.
    pub fn state(&self, suite: &str) -> BTreeMap<String, Value> {
        self.states.get(suite).cloned().unwrap_or_default()
    }

    /// Every call, in order.
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// The calls of `method`, in order.
    pub fn calls_of<'h>(&'h self, method: &'h str) -> impl Iterator<Item = &'h Call> {
        self.calls.iter().filter(move |call| call.method == method)
    }

    /// All that the plugin said and asked to be kept: reasons, notes, errors, panics,
    /// actions, state. The URLs and headers of webhooks are not in it. For
    /// [`assert_no_secret`](super::assert_no_secret).
    pub fn said(&self) -> String {
        let mut said = String::new();
        for call in &self.calls {
            // Writing to a text does not fail.
            let _ = writeln!(said, "{}: {}", call.method, call.answer.came());
            for action in call.answer.iter().flat_map(|outcome| &outcome.actions) {
                let _ = writeln!(said, "{}: {action:?}", call.method);
            }
            for (name, value) in &call.state {
                let _ = writeln!(said, "state {name}: {value}");
            }
        }
        said
    }

    /// Starts the plugin, if it is not started yet.
    ///
    /// # Errors
    ///
    /// Why it did not start; the next call tries again.
    pub fn startup(&mut self) -> Result<(), Fault> {
        if self.started {
            return Ok(());
        }
        let (instance, limit) = (self.instance.clone(), self.limit);
        let result = self.thread.call(limit, async move |plugged| {
            let context = StartContext::new(instance, limit);
            match plugged {
                Plugged::Processor(processor) => processor.startup(&context).await,
                Plugged::Hook(hook) => hook.startup(&context).await,
                Plugged::Channel(channel) => channel.startup(&context).await,
            }
        });
        self.started = result.is_ok();
        self.record_plain("startup", result.clone().map(|()| Outcome::done()));
        result
    }

    /// Delivers `report` to a processor. Without the capability `raw_rows` a registered
    /// one does not see sample rows.
    pub fn deliver(&mut self, report: &Report) -> Delivered {
        let mut report = report.clone();
        if !self.may(Capability::RawRows) {
            report
                .results
                .iter_mut()
                .for_each(|result| result.sample.clear());
        }
        let (id, suite) = (report.run.id, report.run.suite.clone());
        self.carry(Request::Process(Arc::new(report)), suite, id)
    }

    /// Tells people something through a processor.
    pub fn notify(&mut self, message: &Message) -> Delivered {
        let (id, suite) = (message.id, message.run.suite.clone());
        self.carry(Request::Notify(Arc::new(message.clone())), suite, id)
    }

    /// Hands a processor a report that was given up elsewhere.
    pub fn dead_letter(&mut self, letter: &DeadLetter) -> Delivered {
        let run = &letter.report.run;
        let id = Uuid::new_v5(&run.id, letter.delivery.processor.as_bytes());
        let suite = run.suite.clone();
        self.carry(Request::DeadLetter(Arc::new(letter.clone())), suite, id)
    }

    /// Hands a message to a channel.
    pub fn publish(&mut self, parcel: &Parcel) -> Delivered {
        self.published += 1;
        let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, &self.published.to_be_bytes());
        let suite = parcel.suite.clone();
        self.carry(Request::Publish(Arc::new(parcel.clone())), suite, id)
    }

    /// Asks a processor whether a run may begin. It is asked once: an error lets the run go
    /// on.
    pub fn before_run(&mut self, run: &Upcoming) -> Answer {
        let (id, suite) = (run.run.id, run.run.suite.clone());
        self.once(Request::BeforeRun(Arc::new(run.clone())), suite, Some(id))
    }

    /// Hands events to a hook: those that a registered one subscribed to, one at a time if
    /// it is synchronous, else in batches. One answer for each call that was made.
    pub fn handle(&mut self, events: &[Arc<Event>]) -> Vec<Answer> {
        let subscription = self.info.as_ref().map(|info| info.subscription.clone());
        let taken: Vec<Arc<Event>> = events
            .iter()
            .filter(|event| subscription.as_ref().is_none_or(|one| one.takes(event)))
            .cloned()
            .collect();
        let size = match subscription {
            Some(subscription) if subscription.mode == Mode::Synchronous => 1,
            _ => self.batch,
        };
        let chunks = taken.chunks(size).map(<[_]>::to_vec);
        chunks
            .map(|chunk| {
                let run = Arc::clone(&chunk[0].run);
                self.suite.clone_from(&run.suite);
                self.once(Request::Handle(chunk), run.suite.clone(), None)
            })
            .collect()
    }

    /// Tells a hook that nothing more is waiting for it, in the suite whose events it had
    /// last.
    pub fn flush(&mut self) -> Answer {
        let suite = self.suite.clone();
        self.once(Request::Flush, suite, None)
    }

    /// Asks a processor whether it could deliver.
    ///
    /// # Errors
    ///
    /// Whatever came instead.
    pub fn health(&mut self) -> Result<Health, Fault> {
        self.expect(Kind::Processor, "health");
        let result = self.startup().and_then(|()| {
            self.thread.call(self.limit, async |plugged| match plugged {
                Plugged::Processor(processor) => processor.health().await,
                _ => unreachable!("the kind was checked"),
            })
        });
        let told = result.clone().map(|health| {
            let detail = health.detail.unwrap_or_default();
            Outcome::done().with_note(detail)
        });
        self.record_plain("health", told);
        result
    }

    /// Shuts the plugin down and drops it; later calls are [`Fault::Unavailable`]. One that
    /// was never started is only dropped.
    ///
    /// # Errors
    ///
    /// Whatever came instead. It is dropped all the same.
    pub fn shutdown(&mut self) -> Result<(), Fault> {
        let mut result = Ok(());
        if self.started {
            result = self.thread.call(self.limit, async |plugged| match plugged {
                Plugged::Processor(processor) => processor.shutdown().await,
                Plugged::Hook(hook) => hook.shutdown().await,
                Plugged::Channel(channel) => channel.shutdown().await,
            });
        }
        let result = result.and(self.thread.end(self.limit));
        self.started = false;
        self.record_plain("shutdown", result.clone().map(|()| Outcome::done()));
        result
    }

    pub(super) fn may(&self, capability: Capability) -> bool {
        let info = self.info.as_ref();
        info.is_none_or(|info| info.capabilities.contains(&capability))
    }

    #[track_caller]
    pub(super) fn expect(&self, kind: Kind, method: &str) {
        let ours = self.kind;
        assert!(ours == kind, "`{method}` is for a {kind}; this is a {ours}");
    }

    fn record_plain(&mut self, method: &'static str, answer: Answer) {
        self.calls.push(Call {
            method,
            attempt: 1,
            idempotency_key: String::new(),
            answer,
            state: BTreeMap::new(),
            state_error: None,
            wait: None,
        });
    }
}
