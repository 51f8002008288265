//! A plugin on a thread of its own, in a runtime of its own, as the real host keeps it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::Fault;
use crate::{Channel, EventHook, ProcessorError, ResultProcessor};

/// How long after its limit a call may come back by itself, on a busy machine.
const GRACE: Duration = Duration::from_secs(1);

/// What is called.
pub(super) enum Plugged {
    Processor(Box<dyn ResultProcessor>),
    Hook(Box<dyn EventHook>),
    Channel(Box<dyn Channel>),
}

/// The thread. Dropping it waits for nothing: the thread drops the plugin and ends.
pub(super) struct Thread {
    jobs: Sender<Job>,
    over: Option<Fault>,
}

type Job = Box<dyn FnOnce(&mut Option<Resident>) + Send>;

struct Resident {
    plugged: Plugged,
    runtime: Runtime,
}

impl Thread {
    pub(super) fn new(plugged: Plugged) -> Self {
        let (jobs, received) = mpsc::channel::<Job>();
        let life = move || {
            let runtime = Builder::new_current_thread().enable_all().build();
            let runtime = runtime.unwrap_or_else(|error| panic!("no runtime: {error}"));
            let mut resident = Some(Resident { plugged, runtime });
            while let Ok(job) = received.recv() {
                job(&mut resident);
            }
            // Nobody is left to tell.
            let _ = close(resident);
        };
        let spawned = std::thread::Builder::new()
            .name("recorded".to_owned())
            .spawn(life);
        let over = spawned.err().map(|error| Fault::Unavailable {
            message: format!("its thread cannot be started: {error}"),
        });
        Self { jobs, over }
    }

    /// What `call` gives within `limit`. A future that is not ready then is dropped; one
    /// that blocks is left to itself, with the plugin.
    pub(super) fn call<T: Send + 'static>(
        &mut self,
        limit: Duration,
        call: impl AsyncFnOnce(&Plugged) -> Result<T, ProcessorError> + Send + 'static,
    ) -> Result<T, Fault> {
        self.run(limit, move |resident| {
            let Some(Resident { plugged, runtime }) = resident else {
                return Err(shut_down());
            };
            let ended = catch(|| runtime.block_on(async { timeout(limit, call(plugged)).await }))?;
            match ended {
                Ok(result) => result.map_err(Fault::Failed),
                Err(_) => Err(Fault::Hung { limit }),
            }
        })
    }

    /// Drops the plugin; it is not called any more.
    pub(super) fn end(&mut self, limit: Duration) -> Result<(), Fault> {
        let ended = self.run(limit, |resident| close(resident.take()));
        self.over.get_or_insert_with(shut_down);
        ended
    }

    fn run<T: Send + 'static>(
        &mut self,
        limit: Duration,
        job: impl FnOnce(&mut Option<Resident>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        if let Some(fault) = &self.over {
            return Err(fault.clone());
        }
        let (answer, answered) = mpsc::sync_channel(1);
        let sent = self.jobs.send(Box::new(move |resident| {
            let _ = answer.send(job(resident));
        }));
        let received = match sent {
            Ok(()) => answered.recv_timeout(limit.saturating_add(GRACE)).ok(),
            Err(_) => None,
        };
        received.unwrap_or_else(|| {
            self.over = Some(Fault::Unavailable {
                message: format!("an earlier call blocked its thread for more than {limit:?}"),
            });
            Err(Fault::Hung { limit })
        })
    }
}

fn shut_down() -> Fault {
    Fault::Unavailable {
        message: "it was shut down".to_owned(),
    }
}

fn close(resident: Option<Resident>) -> Result<(), Fault> {
    let Some(Resident { plugged, runtime }) = resident else {
        return Ok(());
    };
    catch(|| {
        let inside = runtime.enter();
        drop(plugged);
        drop(inside);
        runtime.shutdown_background();
    })
}

fn catch<T>(call: impl FnOnce() -> T) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|payload| {
        let message = text_of(&*payload).to_owned();
        // Dropping a foreign payload may panic again.
        std::mem::forget(payload);
        Fault::Panicked { message }
    })
}

fn text_of(payload: &(dyn Any + Send)) -> &str {
    let owned = payload.downcast_ref::<String>().map(String::as_str);
    let text = owned.or_else(|| payload.downcast_ref::<&str>().copied());
    text.unwrap_or("a value that is no text")
}
