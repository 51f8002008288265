//! What calls to plugins need beside the plugins themselves.

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use uuid::Uuid;
use veracity_processor::{Event, EventRun, EventSink, Kind, Moment, Report, RunKey, Subject};

use crate::actions::Actions;
use crate::attempt::clean;
use crate::hooks::{HookRecord, Watcher};
use crate::instance::{Instance, Starting};
use crate::isolation::Fault;
use crate::keep::Keep;
use crate::stop::Stop;

/// What calls to plugins need beside the plugins themselves: what is remembered, who watches,
/// who is to be asked to end, what is to be done for them.
pub struct Ground {
    pub(crate) suite: String,
    /// The program's own ears, which are no plugins.
    pub(crate) taps: RwLock<Vec<Arc<dyn EventSink>>>,
    /// By priority.
    pub(crate) hooks: Vec<Watcher>,
    /// Whether the hooks have their threads.
    pub(crate) fed: AtomicBool,
    /// What was said of the hooks so far.
    pub(crate) said: Mutex<Vec<HookRecord>>,
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
            fed: AtomicBool::new(false),
            said: Mutex::default(),
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

    /// From now on events are about `run`, of which nothing was measured yet.
    pub(crate) fn begin(&self, run: EventRun) {
        *self.run.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(run);
        self.actions.desk.forget();
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

    /// Starts `instance`, if it is not started yet, and tells the hooks.
    pub(crate) fn start(
        self: &Arc<Self>,
        instance: &Arc<Instance>,
        limit: Duration,
    ) -> Result<(), Fault> {
        let run = self.run();
        // Who waits until another has started it must not suffer from those who are told.
        instance.start_watched(limit, self.patience(), |starting| {
            if instance.kind != Kind::Processor {
                return;
            }
            let mut life = instance.life();
            match starting {
                Starting::Begun => {
                    *life = true;
                    self.tell_of_life(instance, &run, Moment::Start, |event| event);
                }
                Starting::Failed(fault) if *life => {
                    *life = false;
                    let reason = clean(instance, &fault.to_string());
                    self.tell_of_life(instance, &run, Moment::Error, |event| {
                        event.with("reason", reason)
                    });
                }
                // Nobody waited for that any more.
                Starting::Failed(_) => {}
            }
        })
    }

    /// Ends `instance`, if it was started, and tells the hooks.
    pub(crate) fn end(self: &Arc<Self>, instance: &Instance, limit: Duration) -> Result<(), Fault> {
        let begun = Instant::now();
        let ended = instance.end(limit);
        let mut life = instance.life();
        if std::mem::take(&mut *life) {
            let (moment, reason) = match &ended {
                Ok(()) => (Moment::End, None),
                Err(fault) => (Moment::Error, Some(clean(instance, &fault.to_string()))),
            };
            self.tell_of_life(instance, &self.run(), moment, |event| {
                let event = event.with("duration_ms", milliseconds(begun.elapsed()));
                match reason {
                    Some(reason) => event.with("reason", reason),
                    None => event,
                }
            });
        }
        ended
    }

    /// Tells the hooks that `instance` is not used, because of `reason`.
    pub(crate) fn leave_out(self: &Arc<Self>, instance: &Instance, reason: &str) {
        self.tell_of_life(instance, &self.run(), Moment::Skip, |event| {
            event.with("reason", reason)
        });
    }

    fn tell_of_life(
        self: &Arc<Self>,
        instance: &Instance,
        run: &Arc<EventRun>,
        moment: Moment,
        more: impl FnOnce(Event) -> Event,
    ) {
        self.tell(Subject::Processor, moment, || {
            let event = Event::new(run, Subject::Processor, moment)
                .processor(instance.name.as_str())
                .with("plugin", instance.plugin.as_str());
            more(event)
        });
    }
}

/// Milliseconds with three decimals, for events.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}
