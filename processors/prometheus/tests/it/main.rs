//! Metrics: held against the text format, in files and at a gateway.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod contract;
mod gateway;
mod hostile;
mod metrics;
mod secrets;
mod text;
mod textfile;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use veracity_processor::{Metric, Outcome, Plugin, ProcessContext, ProcessorError, Report, State};
use veracity_prometheus as _;

const KEY: &str = "6f1c02d7-3b6e-5a4c-8d2e-000000000001";

/// Ample for a loaded machine; tests of time limits have their own.
const LIMIT: Duration = Duration::from_secs(60);

fn plugin() -> &'static Plugin {
    Plugin::linked()
        .find(|plugin| plugin.name() == "prometheus")
        .expect("the crate registers it")
}

/// What a host keeps for an instance.
#[derive(Default)]
struct Kept {
    state: BTreeMap<String, Value>,
    metrics: Vec<Metric>,
}

impl Kept {
    /// One attempt of a new instance to show `report`.
    async fn deliver(
        &mut self,
        config: &Value,
        report: &Report,
    ) -> Result<Outcome, ProcessorError> {
        let mut context = ProcessContext::new("prometheus", KEY, LIMIT);
        context.state = State::new(self.state.clone());
        context.metrics = self.metrics.clone();
        let processor = plugin().build_processor(config.clone()).unwrap();
        let ended = processor.process(report, &context).await;
        self.state = context.state.values();
        ended
    }
}
