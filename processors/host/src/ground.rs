//! What calls to plugins need beside the plugins themselves.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use uuid::Uuid;
use veracity_processor::{
    Event, EventName, EventRun, EventSink, Kind, Metric, MetricKind, Moment, Report, RunKey,
    Subject,
};

use crate::actions::{Actions, Origin};
use crate::attempt::clean;
use crate::hooks::{HookRecord, Watcher};
use crate::instance::{Instance, Starting};
use crate::isolation::Fault;
use crate::keep::Keep;
use crate::stop::Stop;

/// The longest that hooks may take to handle what waits for them.
pub const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// What calls to plugins need beside the plugins themselves: what is remembered, who watches,
/// who is to be asked to end, what is to be done for them.
pub struct Ground {
    suite: String,
    /// The program's own ears, which are no plugins.
    taps: RwLock<Vec<Arc<dyn EventSink>>>,
    /// By priority.
    hooks: Vec<Watcher>,
    pub(crate) actions: Actions,
    pub(crate) stop: Stop,
    keep: RwLock<Arc<Keep>>,
    processors: RwLock<Vec<Arc<Instance>>>,
    run: Mutex<Arc<EventRun>>,
}

impl fmt::Debug for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ground")
            .field("suite", &self.suite)
            .field("hooks", &self.hooks)
            .finish_non_exhaustive()
    }
}

impl Ground {
    pub(crate) fn new(suite: &str, mut hooks: Vec<Watcher>, actions: Actions) -> Self {
        hooks.sort_by_key(|hook| (hook.subscription.priority, hook.instance.name.clone()));
        // Until a run begins, events are about none.
        let run = EventRun::new(Uuid::nil(), suite, RunKey::default());
        Self {
            suite: suite.to_owned(),
            taps: RwLock::default(),
            hooks,
            actions,
            stop: Stop::default(),
            keep: RwLock::new(Arc::new(Keep::in_memory())),
            processors: RwLock::default(),
            run: Mutex::new(Arc::new(run)),
        }
    }

    pub(crate) fn keep(&self) -> Arc<Keep> {
        Arc::clone(&self.keep.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_keep(&self, keep: Keep) {
        *self.keep.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keep);
    }

    pub(crate) fn processors(&self) -> Vec<Arc<Instance>> {
        let processors = self.processors.read();
        processors.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_processors(&self, processors: Vec<Arc<Instance>>) {
        let mut all = self.processors.write();
        **all.as_mut().unwrap_or_else(|poisoned| poisoned.get_mut()) = processors;
    }

    /// The run that events are about.
    pub(crate) fn run(&self) -> Arc<EventRun> {
        Arc::clone(&self.run.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on events are about `run`.
    pub(crate) fn begin(&self, run: EventRun) {
        *self.run.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(run);
    }

    /// The run of `report` for events: the one under way, or an earlier one.
    pub(crate) fn run_of(&self, report: &Report) -> Arc<EventRun> {
        let current = self.run();
        if current.id == report.run.id {
            return current;
        }
        Arc::new(EventRun {
            id: report.run.id,
            suite: report.run.suite.clone(),
            key: report.run.key.clone(),
            began: current.began,
        })
    }

    /// The hooks, in the order they get events.
    pub(crate) fn hooks(&self) -> &[Watcher] {
        &self.hooks
    }

    /// Tells the hooks what `event` makes, if one of them wants to know.
    pub(crate) fn tell(
        self: &Arc<Self>,
        subject: Subject,
        moment: Moment,
        event: impl FnOnce() -> Event,
    ) {
        let name = EventName { subject, moment };
        if self.is_wanted(name) {
            self.spread(vec![event()]);
        }
    }

    fn is_wanted(&self, name: EventName) -> bool {
        self.hooks.iter().any(|hook| hook.wants(name))
            || self.taps().iter().any(|tap| tap.wants(name))
    }

    /// Adds a sink that gets every event it wants, while those it happens to wait.
    pub(crate) fn tap(&self, tap: Arc<dyn EventSink>) {
        let mut taps = self.taps.write().unwrap_or_else(PoisonError::into_inner);
        taps.push(tap);
    }

    fn taps(&self) -> RwLockReadGuard<'_, Vec<Arc<dyn EventSink>>> {
        self.taps.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anybody watches.
    pub(crate) fn is_watched(&self) -> bool {
        !self.taps().is_empty()
            || self
                .hooks
                .iter()
                .any(|hook| hook.instance.disabled().is_none())
    }

    fn spread(self: &Arc<Self>, events: Vec<Event>) {
        for tap in self.taps().iter() {
            let wanted = events.iter().filter(|event| tap.wants(event.name));
            tap.emit(wanted.cloned().collect());
        }
        let events: Vec<Arc<Event>> = events.into_iter().map(Arc::new).collect();
        for hook in &self.hooks {
            let taken =
                |event: &&Arc<Event>| hook.wants(event.name) && hook.subscription.holds(event);
            let taken = events.iter().filter(taken).cloned();
            let limit = hook.instance.settings.time_limit;
            if hook.is_synchronous() {
                for event in taken {
                    self.hand(hook, vec![event]);
                }
            } else {
                hook.queue.push(taken, self.stop.cut(limit));
            }
        }
    }

    /// Hands `events` to `hook`, and does what it asks for.
    fn hand(self: &Arc<Self>, hook: &Watcher, events: Vec<Arc<Event>>) {
        let limit = self.stop.cut(hook.instance.settings.time_limit);
        if let Some(outcome) = hook.hand(events, limit) {
            self.act(&self.origin_of(hook), outcome.actions);
        }
    }

    fn origin_of(&self, hook: &Watcher) -> Origin {
        Origin {
            kind: Kind::Hook,
            name: hook.instance.name.clone(),
            idempotency_key: None,
            run: self.run(),
        }
    }

    /// Starts the threads that feed the hooks. Blocks on the store, if there is one.
    pub(crate) fn start_hooks(self: &Arc<Self>) {
        let keep = self.keep();
        for (number, hook) in self.hooks.iter().enumerate() {
            if hook.instance.disabled().is_some() {
                continue;
            }
            hook.remember(&keep, &self.suite);
            if hook.is_synchronous() {
                continue;
            }
            let ground = Arc::clone(self);
            let thread = std::thread::Builder::new().name("veracity-hook".to_owned());
            let spawned = thread.spawn(move || {
                let hook = &ground.hooks[number];
                while let Some(events) = hook.queue.take(hook.batch) {
                    ground.hand(hook, events);
                    hook.keep_state(&ground.keep(), &ground.suite);
                    hook.queue.done();
                }
            });
            if spawned.is_err() {
                // Nobody takes its events: they are counted as lost.
                hook.queue.abandon();
            }
        }
    }

    /// Waits until the hooks have handled what happened so far, and has them state what
    /// they measured and send what they gathered. Blocks on the store.
    pub(crate) fn flush(self: &Arc<Self>) {
        let active = |hook: &&Watcher| hook.instance.disabled().is_none();
        let hooks: Vec<&Watcher> = self.hooks.iter().filter(active).collect();
        match hooks.as_slice() {
            [] => return,
            [one] => self.flush_one(one),
            all => std::thread::scope(|scope| {
                for hook in all {
                    scope.spawn(move || self.flush_one(hook));
                }
            }),
        }
        for hook in hooks {
            let dropped = hook.record().dropped;
            if dropped > 0 {
                let metric = Metric {
                    name: "veracity_hook_events_dropped_total".to_owned(),
                    value: dropped as f64,
                    kind: MetricKind::Counter,
                    help: "Events of the run that a hook did not get".to_owned(),
                    labels: [
                        ("suite".to_owned(), self.suite.clone()),
                        ("hook".to_owned(), hook.instance.name.clone()),
                    ]
                    .into(),
                };
                // Its name is legal, and the table is not full of ours.
                let _ = self.actions.desk.state(metric);
            }
        }
    }

    fn flush_one(self: &Arc<Self>, hook: &Watcher) {
        let begun = Instant::now();
        let limit = self.stop.cut(FLUSH_LIMIT);
        if !hook.is_synchronous() && !hook.queue.settle(limit) {
            return;
        }
        let left = limit.saturating_sub(begun.elapsed());
        if let Some(outcome) = hook.flush(left.min(hook.instance.settings.time_limit)) {
            self.act(&self.origin_of(hook), outcome.actions);
        }
        hook.keep_state(&self.keep(), &self.suite);
    }

    /// Ends the hooks. Returns what did not end well.
    pub(crate) fn end_hooks(self: &Arc<Self>) -> Vec<String> {
        let mut warnings = Vec::new();
        for hook in self.hooks.iter().rev() {
            hook.queue.close();
            let instance = &hook.instance;
            if let Err(fault) = instance.end(self.stop.cut(instance.lifecycle_limit())) {
                let fault = clean(instance, &fault.to_string());
                warnings.push(format!(
                    "hook `{}` did not end well: {fault}",
                    instance.name
                ));
            }
        }
        warnings
    }

    /// What became of the events for each hook.
    pub(crate) fn hook_records(&self) -> Vec<HookRecord> {
        self.hooks.iter().map(Watcher::record).collect()
    }

    /// Starts `instance`, if it is not started yet, and tells the hooks.
    pub(crate) fn start(
        self: &Arc<Self>,
        instance: &Arc<Instance>,
        limit: Duration,
    ) -> Result<(), Fault> {
        let run = self.run();
        instance.start_watched(limit, |starting| {
            if instance.kind != Kind::Processor {
                return;
            }
            let (moment, reason) = match starting {
                Starting::Begun => (Moment::Start, None),
                Starting::Failed(fault) => {
                    (Moment::Error, Some(clean(instance, &fault.to_string())))
                }
            };
            self.tell(Subject::Processor, moment, || {
                let event = Event::new(&run, Subject::Processor, moment);
                let event = event
                    .processor(instance.name.as_str())
                    .with("plugin", instance.plugin.as_str());
                match reason {
                    Some(reason) => event.with("reason", reason),
                    None => event,
                }
            });
        })
    }

    /// Ends `instance`, if it was started, and tells the hooks.
    pub(crate) fn end(self: &Arc<Self>, instance: &Instance, limit: Duration) -> Result<(), Fault> {
        let begun = Instant::now();
        let was_started = instance.is_started();
        let ended = instance.end(limit);
        let moment = match &ended {
            Ok(()) => Moment::End,
            Err(_) => Moment::Error,
        };
        if was_started {
            let run = self.run();
            self.tell(Subject::Processor, moment, || {
                let event = Event::new(&run, Subject::Processor, moment);
                let event = event
                    .processor(instance.name.as_str())
                    .with("plugin", instance.plugin.as_str())
                    .with("duration_ms", milliseconds(begun.elapsed()));
                match &ended {
                    Err(fault) => event.with("reason", clean(instance, &fault.to_string())),
                    Ok(()) => event,
                }
            });
        }
        ended
    }
}

/// Milliseconds with three decimals, for events.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

/// The way of events from an engine to the hooks.
pub struct Sink(pub Arc<Ground>);

impl EventSink for Sink {
    fn wants(&self, name: EventName) -> bool {
        self.0.is_wanted(name)
    }

    fn emit(&self, events: Vec<Event>) {
        self.0.spread(events);
    }

    fn run(&self) -> Option<Arc<EventRun>> {
        Some(self.0.run())
    }
}
