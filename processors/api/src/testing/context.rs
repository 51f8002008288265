//! Contexts for tests that call a plugin directly.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::{Config, Metric, ProcessContext, Stage, State};

/// Builds a [`ProcessContext`], for tests that call a plugin themselves rather than through
/// a [`RecordingHost`](super::RecordingHost).
///
/// ```
/// use veracity_processor::testing::{ContextBuilder, ReportBuilder, block_on};
/// use veracity_processor::{Outcome, ProcessContext, ProcessorError, Report, ResultProcessor};
///
/// struct Counter;
///
/// #[veracity_processor::async_trait]
/// impl ResultProcessor for Counter {
///     async fn process(
///         &self,
///         _: &Report,
///         context: &ProcessContext,
///     ) -> Result<Outcome, ProcessorError> {
///         let seen = context.state.get("seen").and_then(|seen| seen.as_u64());
///         context.state.set("seen", seen.unwrap_or(0) + 1);
///         Ok(Outcome::done())
///     }
/// }
///
/// let context = ContextBuilder::new("counter").state("seen", 41).attempt(2).build();
/// let report = ReportBuilder::new("orders").build();
/// block_on(Counter.process(&report, &context))?;
/// assert_eq!(context.state.get("seen"), Some(42.into()));
/// # Ok::<(), ProcessorError>(())
/// ```
#[derive(Debug)]
#[must_use]
pub struct ContextBuilder {
    instance: String,
    idempotency_key: String,
    limit: Duration,
    config: Value,
    attempt: u32,
    stage: Stage,
    metrics: Vec<Metric>,
    state: BTreeMap<String, Value>,
}

impl ContextBuilder {
    /// The first attempt to call the plugin configured as `instance`, with thirty seconds,
    /// without configuration and state.
    pub fn new(instance: impl Into<String>) -> Self {
        Self {
            instance: instance.into(),
            idempotency_key: "00000000-0000-5000-8000-000000000001".to_owned(),
            limit: super::host::LIMIT,
            config: Value::Object(serde_json::Map::new()),
            attempt: 1,
            stage: Stage::AfterRun,
            metrics: Vec::new(),
            state: BTreeMap::new(),
        }
    }

    /// What it is configured with, defaults filled in.
    pub fn config(mut self, config: Value) -> Self {
        self.config = config;
        self
    }

    /// The number of the attempt, from 1.
    pub fn attempt(mut self, number: u32) -> Self {
        self.attempt = number;
        self
    }

    /// What stays the same for all attempts.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = key.into();
        self
    }

    /// The time it has, from `build` on.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The stage at which it is called. After the run otherwise.
    pub fn stage(mut self, stage: Stage) -> Self {
        self.stage = stage;
        self
    }

    /// A metric that was stated in the run so far.
    pub fn metric(mut self, metric: Metric) -> Self {
        self.metrics.push(metric);
        self
    }

    /// Something it remembers.
    pub fn state(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.state.insert(name.into(), value.into());
        self
    }

    /// The context.
    pub fn build(self) -> ProcessContext {
        let limit = self.limit.min(super::host::LONGEST);
        let mut context = ProcessContext::new(self.instance, self.idempotency_key, limit);
        context.config = Config(self.config);
        context.attempt = self.attempt;
        context.stage = self.stage;
        context.metrics = self.metrics;
        context.state = State::new(self.state);
        context
    }
}
