//! One hook of a suite, fed with events.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use veracity_processor::{Event, EventName, Mode, Outcome, Subscription};

use super::queue::Queue;
use super::settings::HookSettings;
use crate::attempt::clean;
use crate::instance::Instance;
use crate::isolation::exclusive::Exclusive;
use crate::isolation::{Call, Fault, Task};
use crate::keep::Keep;

/// With so many faults one after the other a hook is left alone for the rest of the run.
const MOST_FAULTS: u32 = 10;

/// How long a hook is waited for that was waited for in vain.
const MOMENT: Duration = Duration::from_millis(200);

/// One hook of a suite.
pub struct Watcher {
    /// The hook.
    pub instance: Arc<Instance>,
    /// Which events it gets.
    pub subscription: Subscription,
    /// Where its events wait, if it is queued.
    pub queue: Queue,
    /// The most events it gets at once.
    pub batch: usize,
    names: Vec<EventName>,
    /// Who has it calls the hook: a call begins with the state that the last one left.
    turn: Exclusive<()>,
    /// Who has it saves the state.
    saving: Mutex<()>,
    course: Mutex<Course>,
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher")
            .field("instance", &self.instance)
            .field("subscription", &self.subscription)
            .finish_non_exhaustive()
    }
}

/// How it has done so far.
#[derive(Debug, Default)]
struct Course {
    /// What it remembers.
    state: BTreeMap<String, Value>,
    /// What the store has of that.
    kept: BTreeMap<String, Value>,
    handled: u64,
    /// Events that were lost while it was left alone.
    lost: u64,
    /// Events in calls that failed.
    failed: u64,
    /// Calls that failed one after the other.
    faults: u32,
    error: Option<String>,
    note: Option<String>,
    /// Why it gets no more events.
    off: Option<String>,
    /// Whether it got something since it was flushed.
    stirred: bool,
    /// Whether it was waited for in vain.
    overdue: bool,
}

/// What became of the events for a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HookRecord {
    /// The name it is configured under.
    pub hook: String,
    /// Events it handled.
    pub handled: u64,
    /// Events that were lost because its queue was full or it was left alone.
    pub dropped: u64,
    /// Events in calls that failed.
    pub failed: u64,
    /// The most events that ever waited.
    pub most: usize,
    /// The last thing that went wrong.
    pub error: Option<String>,
    /// The last thing that it found worth knowing.
    pub note: Option<String>,
}

impl HookRecord {
    /// What people are told, if something was lost or went wrong.
    pub fn warning(&self) -> Option<String> {
        let name = &self.hook;
        let because = self.error.as_ref().map(|error| format!(": {error}"));
        let because = because.unwrap_or_default();
        let lost = match (self.dropped, self.failed) {
            (0, 0) if self.error.is_some() => format!("hook `{name}` failed"),
            (0, 0) => {
                let note = self.note.as_ref()?;
                return Some(format!("hook `{name}`: {note}"));
            }
            (0, failed) => format!("hook `{name}` failed at {failed} events"),
            (dropped, 0) => format!("hook `{name}` lost {dropped} events"),
            (dropped, failed) => {
                format!("hook `{name}` lost {dropped} events and failed at {failed}")
            }
        };
        Some(format!("{lost}{because}"))
    }
}

impl Watcher {
    /// The hook `instance`, by its `settings`.
    pub fn new(instance: Instance, settings: &HookSettings) -> Self {
        let subscription = settings.subscription(&instance.subscription);
        let wanted = |name: &EventName| {
            let mut patterns = subscription.events.iter();
            patterns.any(|pattern| name.matches(pattern))
        };
        Self {
            names: EventName::all().filter(wanted).collect(),
            queue: Queue::new(settings.capacity, settings.overflow),
            batch: settings.batch.max(1),
            turn: Exclusive::new(()),
            saving: Mutex::default(),
            course: Mutex::default(),
            instance: Arc::new(instance),
            subscription,
        }
    }

    fn course(&self) -> MutexGuard<'_, Course> {
        // Nothing can panic while it is locked.
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it wants events of `name`.
    pub fn wants(&self, name: EventName) -> bool {
        self.names.contains(&name) && self.instance.disabled().is_none()
    }

    /// Whether the run waits for it.
    pub fn is_synchronous(&self) -> bool {
        self.subscription.mode == Mode::Synchronous
    }

    /// Takes up what it remembers of `suite`. Blocks on the store.
    pub fn remember(&self, keep: &Keep, suite: &str) {
        let state = keep.state(suite, &self.memory());
        let mut course = self.course();
        course.kept.clone_from(&state);
        course.state = state;
    }

    /// Keeps what it wants to remember of `suite`. Blocks on the store.
    pub fn keep_state(&self, keep: &Keep, suite: &str) {
        let _saving = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let (kept, state) = {
            let course = self.course();
            if course.kept == course.state {
                return;
            }
            (course.kept.clone(), course.state.clone())
        };
        let saved = keep.save_state(suite, &self.memory(), &kept, state.clone());
        let refused = match saved {
            Ok(refused) if refused.is_empty() => {
                self.course().kept = state;
                return;
            }
            Ok(refused) => refused,
            Err(error) => {
                self.course().error = Some(format!("its state was not kept: {error}"));
                return;
            }
        };
        // What somebody else has set stays as it is, here too.
        let present = keep.state(suite, &self.memory());
        let mut course = self.course();
        for name in &refused {
            if course.state.get(name) == state.get(name) {
                match present.get(name) {
                    Some(value) => drop(course.state.insert(name.clone(), value.clone())),
                    None => drop(course.state.remove(name)),
                }
            }
        }
        course.kept = present;
        course.note = Some(crate::keep::refusal(&refused));
    }

    /// The name under which its state is kept.
    fn memory(&self) -> String {
        format!("hook:{}", self.instance.name)
    }

    /// Hands it `events`; what it asks for in return.
    pub fn hand(&self, events: Vec<Arc<Event>>, limit: Duration) -> Option<Outcome> {
        let count = events.len() as u64;
        let outcome = self.call(Task::Events(Arc::new(events)), limit);
        let mut course = self.course();
        course.stirred = true;
        match outcome {
            Ok(outcome) => {
                course.handled += count;
                Some(outcome)
            }
            Err(Unheard::Off) => {
                course.lost += count;
                None
            }
            Err(Unheard::Failed) => {
                course.failed += count;
                None
            }
        }
    }

    /// Tells it that nothing more waits; `None` if it got nothing since it was told so.
    pub fn flush(&self, limit: Duration) -> Option<Outcome> {
        if limit.is_zero() || !std::mem::take(&mut self.course().stirred) {
            return None;
        }
        self.call(Task::Flush, limit).ok()
    }

    /// Waits until it has handled what waits for it; false if that takes longer than
    /// `limit`. Who was waited for in vain is waited for no more than a moment.
    pub fn settles(&self, limit: Duration) -> bool {
        let limit = match self.course().overdue {
            true => limit.min(MOMENT),
            false => limit,
        };
        let settled = self.queue.settle(limit);
        self.course().overdue = !settled;
        settled
    }

    fn call(&self, task: Task, limit: Duration) -> Result<Outcome, Unheard> {
        let begun = Instant::now();
        let left = || limit.saturating_sub(begun.elapsed());
        if limit.is_zero() {
            let error = || "the run was asked to end".to_owned();
            self.course().error.get_or_insert_with(error);
            return Err(Unheard::Off);
        }
        let Some(_turn) = self.turn.take(limit) else {
            self.course().error = Some(format!("another call took more than {limit:?}"));
            return Err(Unheard::Failed);
        };
        let state = {
            let course = self.course();
            if course.off.is_some() {
                return Err(Unheard::Off);
            }
            course.state.clone()
        };
        let instance = &self.instance;
        if let Err(fault) = instance.start(left()) {
            self.leave_alone(clean(instance, &fault.to_string()));
            return Err(Unheard::Off);
        }
        let call = Call {
            instance: instance.name.clone(),
            config: veracity_processor::Config(instance.config.clone()),
            state,
            ..Call::default()
        };
        let attempt = instance.call(task, call, left());
        let mut course = self.course();
        if let Some(state) = attempt.state {
            course.state = state;
        }
        let fault = match attempt.result {
            Ok(outcome) => {
                course.faults = 0;
                let note = outcome.note.as_deref().map(|note| clean(instance, note));
                course.note = note.or(course.note.take());
                return Ok(outcome);
            }
            // All the time it had, not what was left of it.
            Err(Fault::Hung { .. }) => Fault::Hung { limit },
            Err(fault) => fault,
        };
        course.faults += 1;
        let error = clean(instance, &fault.to_string());
        let hopeless = matches!(fault, Fault::Hung { .. } | Fault::Unavailable { .. })
            || course.faults >= MOST_FAULTS;
        course.error = Some(error.clone());
        drop(course);
        if hopeless {
            self.leave_alone(error);
        }
        Err(Unheard::Failed)
    }

    /// Whether it gets no more events.
    pub fn is_off(&self) -> bool {
        self.course().off.is_some()
    }

    /// It gets no more events in this run.
    fn leave_alone(&self, error: String) {
        let mut course = self.course();
        course.error = Some(error.clone());
        course.off.get_or_insert(error);
        drop(course);
        self.queue.abandon();
    }

    /// What became of its events.
    pub fn record(&self) -> HookRecord {
        let course = self.course();
        HookRecord {
            hook: self.instance.name.clone(),
            handled: course.handled,
            dropped: course.lost + self.queue.dropped(),
            failed: course.failed,
            most: self.queue.most(),
            error: course.error.clone(),
            note: course.note.clone(),
        }
    }
}

/// Why a call gave nothing.
enum Unheard {
    /// It was not called.
    Off,
    /// It failed.
    Failed,
}
