//! One hook of a suite, fed with events.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use veracity_processor::{Event, EventName, Mode, Outcome, Subscription};

use super::queue::Queue;
use super::settings::HookSettings;
use crate::attempt::clean;
use crate::instance::Instance;
use crate::isolation::{Call, Fault, Task};
use crate::keep::Keep;

/// With so many faults one after the other a hook is left alone for the rest of the run.
const MOST_FAULTS: u32 = 10;

/// One hook of a suite.
#[derive(Debug)]
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
    course: Mutex<Course>,
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
    /// Why it gets no more events.
    off: Option<String>,
    /// Whether it got something since it was flushed.
    stirred: bool,
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
    /// The last thing that went wrong.
    pub error: Option<String>,
}

impl HookRecord {
    /// What people are told, if something was lost or went wrong.
    pub fn warning(&self) -> Option<String> {
        let name = &self.hook;
        let because = self.error.as_ref().map(|error| format!(": {error}"));
        let because = because.unwrap_or_default();
        let lost = match (self.dropped, self.failed) {
            (0, 0) if self.error.is_some() => format!("hook `{name}` failed"),
            (0, 0) => return None,
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
            batch: settings.batch,
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
        let (kept, state) = {
            let course = self.course();
            if course.kept == course.state {
                return;
            }
            (course.kept.clone(), course.state.clone())
        };
        let saved = keep.save_state(suite, &self.memory(), &kept, state.clone());
        let mut course = self.course();
        match saved {
            Ok(refused) if refused.is_empty() => course.kept = state,
            Ok(refused) => course.error = Some(crate::keep::refusal(&refused)),
            Err(error) => course.error = Some(format!("its state was not kept: {error}")),
        }
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
        if !std::mem::take(&mut self.course().stirred) {
            return None;
        }
        self.call(Task::Flush, limit).ok()
    }

    fn call(&self, task: Task, limit: Duration) -> Result<Outcome, Unheard> {
        let state = {
            let course = self.course();
            if course.off.is_some() {
                return Err(Unheard::Off);
            }
            course.state.clone()
        };
        let instance = &self.instance;
        if let Err(fault) = instance.start(limit) {
            self.leave_alone(clean(instance, &fault.to_string()));
            return Err(Unheard::Off);
        }
        let call = Call {
            instance: instance.name.clone(),
            config: veracity_processor::Config(instance.config.clone()),
            state,
            ..Call::default()
        };
        let attempt = instance.call(task, call, limit);
        let mut course = self.course();
        if let Some(state) = attempt.state {
            course.state = state;
        }
        match attempt.result {
            Ok(outcome) => {
                course.faults = 0;
                Ok(outcome)
            }
            Err(fault) => {
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
        }
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
            error: course.error.clone(),
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
