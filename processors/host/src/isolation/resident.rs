//! A processor in a runtime of its own, on the thread that calls it.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use veracity_processor::{
    ConfigError, Health, ProcessContext, ProcessorError, Report, ResultProcessor, StartContext,
    State,
};

use super::{Attempt, Call, Fault, LONGEST, panics};

/// A processor whose panics are caught and whose waiting is limited.
///
/// Its runtime turns only during calls: tasks that it spawns rest in between. What blocks
/// the thread is not limited here.
pub(super) struct Resident {
    instance: String,
    runtime: Option<Runtime>,
    processor: Option<Box<dyn ResultProcessor>>,
}

impl Resident {
    /// Builds the processor on this thread, and will be called on it alone. `name` is that
    /// of the threads on which it may block.
    pub(super) fn build(
        instance: &str,
        name: &str,
        build: impl FnOnce() -> Result<Box<dyn ResultProcessor>, ConfigError>,
    ) -> Result<Self, Fault> {
        panics::watch_this_thread();
        let processor = panics::catch(build)
            .map_err(|message| Fault::Panicked { message })?
            .map_err(|error| Fault::Failed(ProcessorError::permanent(error.to_string())))?;
        let mut resident = Self {
            instance: instance.to_owned(),
            runtime: None,
            processor: Some(processor),
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
        self.run(limit, async |processor| processor.startup(&context).await)
    }

    pub(super) fn process(&self, report: &Report, call: Call, limit: Duration) -> Attempt {
        self.process_until(report, call, limit, limit)
    }

    /// Attempts to deliver `report`; the processor is told that it has `told`, and is
    /// stopped after `limit`.
    pub(super) fn process_until(
        &self,
        report: &Report,
        call: Call,
        told: Duration,
        limit: Duration,
    ) -> Attempt {
        let told = told.min(LONGEST);
        let mut context = ProcessContext::new(call.instance, call.idempotency_key, told);
        context.config = call.config;
        context.attempt = call.attempt;
        context.state = State::new(call.state);
        let process = async |processor: &dyn ResultProcessor| {
            let context = &context;
            processor.process(report, context).await
        };
        let result = self.run(limit, process);
        Attempt {
            result,
            state: context.state.is_changed().then(|| context.state.values()),
            stderr: None,
        }
    }

    pub(super) fn health(&self, limit: Duration) -> Result<Health, Fault> {
        self.run(limit, async |processor| processor.health().await)
    }

    /// Shuts the processor down and drops it.
    pub(super) fn shutdown(&mut self, limit: Duration) -> Result<(), Fault> {
        let ended = self.run(limit, async |processor| processor.shutdown().await);
        ended.and(self.close())
    }

    fn run<T>(
        &self,
        limit: Duration,
        call: impl AsyncFnOnce(&dyn ResultProcessor) -> Result<T, ProcessorError>,
    ) -> Result<T, Fault> {
        let (Some(runtime), Some(processor)) = (&self.runtime, &self.processor) else {
            return Err(Fault::unavailable("it was shut down"));
        };
        let ended = panics::catch(|| {
            runtime.block_on(async { timeout(limit, call(processor.as_ref())).await })
        });
        match ended {
            Ok(Ok(result)) => result.map_err(Fault::Failed),
            Ok(Err(_)) => Err(Fault::Hung { limit }),
            Err(message) => Err(Fault::Panicked { message }),
        }
    }

    /// Drops the processor and then its runtime, whose threads are not waited for.
    fn close(&mut self) -> Result<(), Fault> {
        let (processor, runtime) = (self.processor.take(), self.runtime.take());
        let dropped = panics::catch(|| {
            let _inside = runtime.as_ref().map(Runtime::enter);
            drop(processor);
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
