//! The way of events to those who watch.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLockReadGuard};
use std::time::{Duration, Instant};

use veracity_processor::{Event, EventName, EventSink, Metric, MetricKind, Moment, Subject};

use crate::actions::Origin;
use crate::attempt::clean;
use crate::ground::Ground;
use crate::hooks::{HookRecord, Watcher};
use crate::host::each;
use crate::instance::Instance;

/// The longest that hooks may take to handle what waits for them.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// Events on their way, and the hook that caused them by what it asked for.
type Batch = (Vec<Event>, Option<Arc<Instance>>);

impl Ground {
    /// Tells those who watch what `event` makes, if one of them wants to know.
    pub(crate) fn tell(
        self: &Arc<Self>,
        subject: Subject,
        moment: Moment,
        event: impl FnOnce() -> Event,
    ) {
        let name = EventName { subject, moment };
        if self.is_wanted(name) {
            self.spread((vec![event()], None));
        }
    }

    pub(crate) fn is_wanted(&self, name: EventName) -> bool {
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
        !self.taps().is_empty() || self.active().next().is_some()
    }

    fn active(&self) -> impl Iterator<Item = &Watcher> {
        let hooks = self.hooks.iter();
        hooks.filter(|hook| hook.instance.disabled().is_none())
    }

    /// The longest that telling something may take.
    pub(crate) fn patience(&self) -> Duration {
        let waited_for = self.active().filter(|hook| hook.is_synchronous());
        waited_for
            .filter(|hook| !hook.is_off())
            .map(|hook| hook.instance.settings.time_limit)
            .sum()
    }

    /// Hands `batch` to all who want it, and then what happens in response, one after the
    /// other: a hook whose actions make another one ask for actions costs no stack.
    pub(crate) fn spread(self: &Arc<Self>, batch: Batch) {
        let mut batches = VecDeque::from([batch]);
        while let Some((events, by)) = batches.pop_front() {
            if events.is_empty() {
                continue;
            }
            for tap in self.taps().iter() {
                let wanted = events.iter().filter(|event| tap.wants(event.name));
                tap.emit(wanted.cloned().collect());
            }
            let events: Vec<Arc<Event>> = events.into_iter().map(Arc::new).collect();
            for hook in &self.hooks {
                // It knows what it asked for; being told of it, it might ask again.
                if by
                    .as_ref()
                    .is_some_and(|by| Arc::ptr_eq(by, &hook.instance))
                {
                    continue;
                }
                let taken =
                    |event: &&Arc<Event>| hook.wants(event.name) && hook.subscription.holds(event);
                let taken = events.iter().filter(taken).cloned();
                if !hook.is_synchronous() {
                    // Of two hooks that wait for each other's room none would get it.
                    let patience = match by {
                        None => self.stop.cut(hook.instance.settings.time_limit),
                        Some(_) => Duration::ZERO,
                    };
                    hook.queue.push(taken, patience);
                    continue;
                }
                let taken: Vec<Arc<Event>> = taken.collect();
                for part in taken.chunks(hook.batch) {
                    let events = self.hand(hook, part.to_vec());
                    batches.push_back((events, Some(Arc::clone(&hook.instance))));
                }
            }
        }
    }

    /// Hands `events` to `hook`, and does what it asks for; what happens by that.
    fn hand(self: &Arc<Self>, hook: &Watcher, events: Vec<Arc<Event>>) -> Vec<Event> {
        let limit = self.stop.cut(hook.instance.settings.time_limit);
        match hook.hand(events, limit) {
            Some(outcome) => self.act(&self.origin_of(hook), outcome.actions),
            None => Vec::new(),
        }
    }

    fn origin_of(&self, hook: &Watcher) -> Origin {
        Origin {
            instance: Arc::clone(&hook.instance),
            idempotency_key: None,
            run: self.run(),
        }
    }

    /// Starts the threads that feed the hooks, once. Blocks on the store, if there is one
    /// and a hook is synchronous.
    pub(crate) fn start_hooks(self: &Arc<Self>) {
        if self.fed.swap(true, Ordering::AcqRel) {
            return;
        }
        for (number, hook) in self.hooks.iter().enumerate() {
            if hook.instance.disabled().is_some() {
                continue;
            }
            if hook.is_synchronous() {
                hook.remember(&self.keep(), &self.suite);
                continue;
            }
            let ground = Arc::clone(self);
            let thread = std::thread::Builder::new().name("veracity-hook".to_owned());
            let spawned = thread.spawn(move || {
                let hook = &ground.hooks[number];
                hook.remember(&ground.keep(), &ground.suite);
                while let Some(events) = hook.queue.take(hook.batch) {
                    let events = ground.hand(hook, events);
                    ground.spread((events, Some(Arc::clone(&hook.instance))));
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
        let hooks: Vec<&Watcher> = self.active().collect();
        each(&hooks, |hook| self.flush_one(hook));
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
        if !hook.is_synchronous() && !hook.settles(limit) {
            return;
        }
        let left = limit.saturating_sub(begun.elapsed());
        if let Some(outcome) = hook.flush(left.min(hook.instance.settings.time_limit)) {
            let events = self.act(&self.origin_of(hook), outcome.actions);
            self.spread((events, Some(Arc::clone(&hook.instance))));
        }
        hook.keep_state(&self.keep(), &self.suite);
    }

    /// Ends the hooks; what they have not handled by now is lost. Returns what did not end
    /// well.
    pub(crate) fn end_hooks(self: &Arc<Self>) -> Vec<String> {
        let ended = each(&self.hooks, |hook| {
            let (instance, begun) = (&hook.instance, Instant::now());
            let limit = self.stop.cut(instance.lifecycle_limit());
            hook.queue.close();
            hook.settles(limit);
            hook.queue.abandon();
            let ended = instance.end(limit.saturating_sub(begun.elapsed()));
            hook.keep_state(&self.keep(), &self.suite);
            // Of one that is left alone it was told why.
            ended.err().filter(|_| !hook.is_off()).map(|fault| {
                let fault = clean(instance, &fault.to_string());
                format!("hook `{}` did not end well: {fault}", instance.name)
            })
        });
        ended.into_iter().flatten().collect()
    }

    /// What became of the events for each hook.
    pub(crate) fn hook_records(&self) -> Vec<HookRecord> {
        self.hooks.iter().map(Watcher::record).collect()
    }

    /// What people are told of the hooks, as far as it is new.
    pub(crate) fn news_of_hooks(&self) -> Vec<String> {
        let records = self.hook_records();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let known = |record: &HookRecord| said.iter().any(|old| old.warning() == record.warning());
        let news = records.iter().filter(|record| !known(record));
        let news = news.filter_map(HookRecord::warning).collect();
        *said = records;
        news
    }
}

/// The way of events from an engine to the hooks.
pub struct Sink(pub Arc<Ground>);

impl EventSink for Sink {
    fn wants(&self, name: EventName) -> bool {
        self.0.is_wanted(name)
    }

    fn emit(&self, events: Vec<Event>) {
        self.0.spread((events, None));
    }
}
