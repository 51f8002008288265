//! A processor on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use veracity_processor::{ConfigError, Health};

use super::exclusive::Exclusive;
use super::resident::Resident;
use super::{Attempt, Built, Call, Fault, Isolated, LONGEST, Task};

/// With more abandoned threads than this in the process no further processor is started.
pub const MAX_ABANDONED: usize = 8;

/// How long after its limit a call may come back by itself, before its thread is given up.
const GRACE: Duration = Duration::from_millis(200);

static ABANDONED: AtomicIsize = AtomicIsize::new(0);

/// How many threads of processors run on although nobody waits for them: they blocked
/// beyond a limit and have not come back.
pub fn abandoned_threads() -> usize {
    usize::try_from(ABANDONED.load(Ordering::Relaxed)).unwrap_or(0)
}

/// A processor on a thread of its own, which also builds it; both begin with the first call.
///
/// Panics are caught in build, in every call and in drop. A future that is not ready at
/// the limit is dropped, and the instance stays usable. One that blocks its thread cannot
/// be stopped: the thread is abandoned, and the instance quarantined.
///
/// What ends the process cannot be survived here: `abort`, `exit`, an overflowing stack,
/// exhausted memory, a panic in a `drop` while another panic unwinds.
///
/// The processor's runtime turns only during calls: background tasks rest in between.
///
/// Dropping it waits for nothing: the processor is dropped by its own thread.
pub struct Thread {
    instance: String,
    grace: Duration,
    late: Arc<AtomicU64>,
    stage: Exclusive<Stage>,
}

type Build = Box<dyn FnOnce() -> Result<Built, ConfigError> + Send>;

enum Stage {
    New(Build),
    Running(Sender<Job>),
    Over(Fault),
}

/// Work for the processor's thread. Returns false if nobody waited for the answer any more.
type Job = Box<dyn FnOnce(&mut Result<Resident, Fault>) -> bool + Send>;

impl Thread {
    /// The plugin that `build` makes, for the instance called `instance`.
    pub fn new<B: Into<Built>>(
        instance: &str,
        build: impl FnOnce() -> Result<B, ConfigError> + Send + 'static,
    ) -> Self {
        Self {
            instance: instance.to_owned(),
            grace: GRACE,
            late: Arc::default(),
            stage: Exclusive::new(Stage::New(Box::new(|| build().map(Into::into)))),
        }
    }

    /// Gives calls `grace` after their limit to come back by themselves, before their
    /// thread is given up. 200 ms otherwise.
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    fn on_thread<T: Send + 'static>(
        &self,
        limit: Duration,
        call: impl FnOnce(&mut Resident, Duration) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let limit = limit.min(LONGEST);
        let deadline = Instant::now() + limit;
        let Some(mut stage) = self.stage.take(limit) else {
            return Err(Fault::unavailable(format!(
                "another call took more than {limit:?}"
            )));
        };
        if matches!(*stage, Stage::New(_)) {
            self.start(&mut stage)?;
        }
        let thread = match &*stage {
            Stage::Running(thread) => thread,
            Stage::Over(fault) => return Err(fault.clone()),
            Stage::New(_) => return Err(ended()),
        };

        let (answer, answered) = mpsc::sync_channel(1);
        // Whoever sets it first: the thread that answers, or this one that gives it up.
        let settled = Arc::new(AtomicBool::new(false));
        let (settles, late) = (Arc::clone(&settled), Arc::clone(&self.late));
        let job: Job = Box::new(move |resident| {
            let result = match resident {
                // Building it took its share.
                Ok(resident) => call(resident, remaining(deadline)),
                Err(fault) => Err(fault.clone()),
            };
            if settles.swap(true, Ordering::AcqRel) {
                late.fetch_add(1, Ordering::Relaxed);
                return false;
            }
            let _ = answer.send(result);
            true
        });
        let sent = thread.send(job);

        let received = match sent {
            Ok(()) => answered.recv_timeout(remaining(deadline) + self.grace),
            Err(_) => Err(RecvTimeoutError::Disconnected),
        };
        match received {
            Ok(Err(Fault::Hung { .. })) => Err(Fault::Hung { limit }),
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) if settled.swap(true, Ordering::AcqRel) => {
                // It answers at this very moment.
                answered.recv().unwrap_or_else(|_| Err(ended()))
            }
            Err(RecvTimeoutError::Timeout) => {
                ABANDONED.fetch_add(1, Ordering::Relaxed);
                *stage = Stage::Over(Fault::unavailable(format!(
                    "quarantined: an earlier call blocked its thread for more than {limit:?}"
                )));
                Err(Fault::Hung { limit })
            }
            Err(RecvTimeoutError::Disconnected) => {
                *stage = Stage::Over(ended());
                Err(ended())
            }
        }
    }

    fn start(&self, stage: &mut Stage) -> Result<(), Fault> {
        let abandoned = abandoned_threads();
        if abandoned > MAX_ABANDONED {
            return Err(Fault::unavailable(format!(
                "not started: {abandoned} threads of other processors are blocked"
            )));
        }
        let over = Stage::Over(ended());
        let Stage::New(build) = std::mem::replace(stage, over) else {
            return Ok(());
        };
        let (jobs, received) = mpsc::channel();
        let name = format!("vp:{}", self.instance.replace('\0', ""));
        let instance = self.instance.clone();
        let thread = std::thread::Builder::new().name(name.clone());
        *stage = match thread.spawn(move || serve(&instance, &name, build, &received)) {
            Ok(_) => Stage::Running(jobs),
            Err(error) => Stage::Over(Fault::unavailable(format!(
                "its thread cannot be started: {error}"
            ))),
        };
        Ok(())
    }
}

fn remaining(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// The life of a processor's thread.
fn serve(instance: &str, name: &str, build: Build, jobs: &Receiver<Job>) {
    let mut abandoned = false;
    let mut resident = Resident::build(instance, name, build);
    while let (false, Ok(job)) = (abandoned, jobs.recv()) {
        abandoned = !job(&mut resident);
    }
    drop(resident);
    if abandoned {
        ABANDONED.fetch_sub(1, Ordering::Relaxed);
    }
}

fn ended() -> Fault {
    Fault::Crashed {
        message: "its thread ended".to_owned(),
    }
}

impl Isolated for Thread {
    fn startup(&self, limit: Duration) -> Result<(), Fault> {
        self.on_thread(limit, |resident, limit| resident.startup(limit))
    }

    fn call(&self, task: Task, call: Call, limit: Duration) -> Attempt {
        let attempt = self.on_thread(limit, move |resident, limit| {
            Ok(resident.does(&task, call, limit))
        });
        let mut attempt = attempt.unwrap_or_else(Attempt::faulty);
        if let Err(Fault::Hung { limit: told }) = &mut attempt.result {
            // What was left of it when the call began.
            *told = limit.min(LONGEST);
        }
        attempt
    }

    fn health(&self, limit: Duration) -> Result<Health, Fault> {
        self.on_thread(limit, |resident, limit| resident.health(limit))
    }

    fn shutdown(&self, limit: Duration) -> Result<(), Fault> {
        if let Some(mut stage) = self.stage.take(limit.min(LONGEST))
            && matches!(*stage, Stage::New(_))
        {
            *stage = Stage::Over(Fault::unavailable("it was shut down"));
            return Ok(());
        }
        let ended = self.on_thread(limit, |resident, limit| resident.shutdown(limit));
        if let Some(mut stage) = self.stage.take(Duration::ZERO)
            && matches!(*stage, Stage::Running(_))
        {
            *stage = Stage::Over(Fault::unavailable("it was shut down"));
        }
        ended
    }

    fn late(&self) -> u64 {
        self.late.load(Ordering::Relaxed)
    }
}
