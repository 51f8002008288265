//! A processor in a runtime of its own, on the thread that calls it.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use veracity_processor::{
    ConfigError, Health, ProcessContext, ProcessorError, StartContext, State,
};

use super::{Attempt, Built, Call, Fault, LONGEST, Task, panics};

/// A processor whose panics are caught and whose waiting is limited.
///
/// Its runtime turns only during calls: tasks that it spawns rest in between. What blocks
/// the thread is not limited here.
pub(super) struct Resident {
    instance: String,
    runtime: Option<Runtime>,
    plugin: Option<Built>,
}

impl Resident {
    /// Builds the processor on this thread, and will be called on it alone. `name` is that
    /// of the threads on which it may block.
    pub(super) fn build(
        instance: &str,
        name: &str,
        build: impl FnOnce() -> Result<Built, ConfigError>,
    ) -> Result<Self, Fault> {
        panics::watch_this_thread();
        let plugin = panics::catch(build)
            .map_err(|message| Fault::Panicked { message })?
            .map_err(|error| Fault::Failed(ProcessorError::permanent(error.to_string())))?;
        let mut resident = Self {
            instance: instance.to_owned(),
            runtime: None,
            plugin: Some(plugin),
        };
        let runtime = Builder::new_current_thread()
            .enable_all()
            .thread_name(name)
            .on_thread_start(panics::watch_this_thread)
            .build();
        let runtime = runtime
            .map_err(|error| Fault::unavailable(format!("cannot make a runtime: {error}")))?;
        resident.runtime = Some(runtime);
        Ok(resident)
    }

    pub(super) fn startup(&self, limit: Duration) -> Result<(), Fault> {
        let context = StartContext::new(&self.instance, limit.min(LONGEST));
        self.run(limit, async |plugin| plugin.startup(&context).await)
    }

    pub(super) fn does(&self, task: &Task, call: Call, limit: Duration) -> Attempt {
        self.does_until(task, call, limit, limit)
    }

    /// Has the plugin do `task`; it is told that it has `told`, and is stopped after
    /// `limit`.
    pub(super) fn does_until(
        &self,
        task: &Task,
        call: Call,
        told: Duration,
        limit: Duration,
    ) -> Attempt {
        let told = told.min(LONGEST);
        let mut context = ProcessContext::new(call.instance, call.idempotency_key, told);
        context.config = call.config;
        context.attempt = call.attempt;
        context.stage = call.stage;
        context.metrics = call.metrics;
        context.state = State::new(call.state);
        let does = async |plugin: &Built| {
            let context = &context;
            plugin.does(task, context).await
        };
        let result = self.run(limit, does);
        Attempt {
            result,
            state: context.state.is_changed().then(|| context.state.values()),
            stderr: None,
        }
    }

    pub(super) fn health(&self, limit: Duration) -> Result<Health, Fault> {
        self.run(limit, async |plugin| plugin.health().await)
    }

    /// Shuts the processor down and drops it.
    pub(super) fn shutdown(&mut self, limit: Duration) -> Result<(), Fault> {
        let ended = self.run(limit, async |plugin| plugin.shutdown().await);
        ended.and(self.close())
    }

    fn run<T>(
        &self,
        limit: Duration,
        call: impl AsyncFnOnce(&Built) -> Result<T, ProcessorError>,
    ) -> Result<T, Fault> {
        let (Some(runtime), Some(plugin)) = (&self.runtime, &self.plugin) else {
            return Err(Fault::unavailable("it was shut down"));
        };
        let ended =
            panics::catch(|| runtime.block_on(async { timeout(limit, call(plugin)).await }));
        match ended {
            Ok(Ok(result)) => result.map_err(Fault::Failed),
            Ok(Err(_)) => Err(Fault::Hung { limit }),
            Err(message) => Err(Fault::Panicked { message }),
        }
    }

    /// Drops the processor and then its runtime, whose threads are not waited for.
    fn close(&mut self) -> Result<(), Fault> {
        let (plugin, runtime) = (self.plugin.take(), self.runtime.take());
        let dropped = panics::catch(|| {
            let _inside = runtime.as_ref().map(Runtime::enter);
            drop(plugin);
        });
        // Its tasks are dropped here, and they are the plugin's.
        let ended = panics::catch(|| runtime.map(Runtime::shutdown_background));
        let ended = dropped.and(ended.map(|_| ()));
        ended.map_err(|message| Fault::Panicked { message })
    }
}

impl Drop for Resident {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = self.close();
    }
}
