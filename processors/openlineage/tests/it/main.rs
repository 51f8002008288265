//! The events of OpenLineage: against their schemas, at real receivers, over the life of runs.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod answers;
mod contract;
mod hostile;
mod life;
mod schemas;
mod secrets;
mod vectors;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use veracity_openlineage::OpenLineage;
use veracity_processor::{
    Outcome, Plugin, ProcessContext, ProcessorError, Report, ResultProcessor, State, Upcoming,
    sample_report,
};

const KEY: &str = "6f1c02d7-3b6e-5a4c-8d2e-000000000001";

/// Ample for a loaded machine; tests of time limits have their own.
const LIMIT: Duration = Duration::from_secs(60);

fn plugin() -> &'static Plugin {
    Plugin::linked()
        .find(|plugin| plugin.name() == "openlineage")
        .expect("the crate registers it")
}

/// An instance, the state that a host would keep for it, and a file it may write to.
struct Place {
    folder: TempDir,
    config: Value,
    variables: BTreeMap<String, String>,
    state: BTreeMap<String, Value>,
}

impl Place {
    /// One that writes its events to the file.
    fn file() -> Self {
        let mut place = Self::new(json!({}));
        place.config["path"] = json!(place.path());
        place
    }

    /// One that sends its events to the loopback address `url`.
    fn http(url: &str) -> Self {
        Self::new(json!({"url": url, "allow_private": true, "timeout": 30}))
    }

    fn new(config: Value) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            config,
            variables: BTreeMap::new(),
            state: BTreeMap::new(),
        }
    }

    /// With another setting.
    fn with(mut self, name: &str, value: Value) -> Self {
        self.config[name] = value;
        self
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("lineage.jsonl")
    }

    /// A new instance: whatever an old one knew is in the state or lost.
    fn processor(&self) -> OpenLineage {
        let settings = serde_json::from_value(self.config.clone()).unwrap();
        OpenLineage::with_environment(settings, self.variables.clone()).unwrap()
    }

    fn context(&self) -> ProcessContext {
        let mut context = ProcessContext::new("openlineage", KEY, LIMIT);
        context.state = State::new(self.state.clone());
        context
    }

    /// The run of `report` begins.
    async fn begin(&mut self, report: &Report) -> Result<Outcome, ProcessorError> {
        let context = self.context();
        let upcoming = Upcoming::of(report);
        let ended = self.processor().before_run(&upcoming, &context).await;
        self.state = context.state.values();
        ended
    }

    /// The run of `report` is over.
    async fn end(&mut self, report: &Report) -> Result<Outcome, ProcessorError> {
        let context = self.context();
        let ended = self.processor().process(report, &context).await;
        self.state = context.state.values();
        ended
    }

    /// The events in the file, each held against its schema.
    fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path()).unwrap_or_default();
        let events: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        events.iter().for_each(schemas::check);
        events
    }
}

/// `START 1; COMPLETE 1`: the kinds of `events`, and the last digit of the run's id.
fn shown(events: &[Value]) -> String {
    let one = |event: &Value| {
        let id = event["run"]["runId"].as_str().unwrap();
        format!(
            "{} {}",
            event["eventType"].as_str().unwrap(),
            &id[id.len() - 1..]
        )
    };
    events.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// The report of run number `number`, a day after that before.
fn report(number: u8) -> Report {
    let mut report = sample_report();
    report.run.id = uuid::Uuid::from_u128(u128::from(number));
    report.run.started_at = format!("2026-11-{number:02}T06:00:00Z");
    report.run.finished_at = format!("2026-11-{number:02}T06:00:09.5Z");
    report
}
