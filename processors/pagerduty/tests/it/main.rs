//! The processor against a scripted PagerDuty on loopback.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod answers;
mod contract;
mod messages;
mod runs;
mod secrets;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;
use veracity_http::testing::{Answer, Request, Server};
use veracity_pagerduty as _;
use veracity_processor::{
    AssertionResult, Outcome, Plugin, ProcessContext, ProcessorError, Report, ResultProcessor, Run,
    RunKey, State, Status, Summary, Verdict,
};

/// That of the vectors.
const ROUTING_KEY: &str = "00000000000000000000000000000000";

/// Ample for a loaded machine; tests of time limits have their own.
const LIMIT: Duration = Duration::from_secs(60);

fn plugin() -> &'static Plugin {
    Plugin::linked()
        .find(|plugin| plugin.name() == "pagerduty")
        .expect("the crate registers it")
}

/// Settings for the loopback address `url`.
fn to(url: &str) -> Value {
    json!({"routing_key": ROUTING_KEY, "url": url, "allow_private": true})
}

/// `config` with `more` settings.
fn with(mut config: Value, more: Value) -> Value {
    let settings = config.as_object_mut().unwrap();
    settings.extend(more.as_object().unwrap().clone());
    config
}

fn build(config: Value) -> Box<dyn ResultProcessor> {
    plugin().build_processor(config).unwrap()
}

/// What PagerDuty answers to an event that it queues.
fn queued() -> Answer {
    let body = json!({"status": "success", "message": "Event processed", "dedup_key": "x"});
    Answer::json(202, &body)
}

/// What it answers to one that it does not want.
fn refused(reason: &str) -> Answer {
    let body = json!({"status": "invalid event", "message": "Event object is invalid", "errors": [reason]});
    Answer::json(400, &body)
}

/// A service of PagerDuty that has been told of some runs, and what is remembered between
/// them.
struct Service {
    server: Server,
    state: BTreeMap<String, Value>,
    seen: usize,
}

impl Service {
    fn new(answers: Vec<Answer>) -> Self {
        Self {
            server: Server::start(answers),
            state: BTreeMap::new(),
            seen: 0,
        }
    }

    /// One attempt to deliver `report` under the key `delivery`.
    async fn tell(
        &mut self,
        more: Value,
        report: &Report,
        delivery: &str,
    ) -> Result<Outcome, ProcessorError> {
        let mut context = ProcessContext::new("pagerduty", delivery, LIMIT);
        context.state = State::new(std::mem::take(&mut self.state));
        let config = with(to(&self.server.url()), more);
        let told = build(config).process(report, &context).await;
        self.state = context.state.values();
        let bytes = serde_json::to_string(&self.state).unwrap().len();
        assert!(bytes <= State::MAX_BYTES, "{bytes}");
        told
    }

    /// The events since the last time.
    fn events(&mut self) -> Vec<Value> {
        let requests = self.server.requests();
        let new = requests[self.seen..].iter().map(Request::json).collect();
        self.seen = requests.len();
        new
    }

    /// The events since the last time, each as `action key`.
    fn actions(&mut self) -> Vec<String> {
        let events = self.events().into_iter();
        events
            .map(|event| {
                let key = event["dedup_key"].as_str().unwrap();
                format!("{} {key}", event["event_action"].as_str().unwrap())
            })
            .collect()
    }
}

/// An identifier of a run that begins at `time`.
fn id(time: u128) -> Uuid {
    Uuid::from_u128((time << 80) | 0x7000_8000_0000_0000_0000)
}

/// The run of `suite` that begins at `time`, with assertions by name and status.
fn report(time: u128, results: &[(&str, Status)]) -> Report {
    let mut run = Run::new(
        id(time),
        "orders",
        RunKey::default(),
        "2026-11-20T06:00:00Z",
    );
    run.finished_at = "2026-11-20T06:00:04Z".into();
    let mut report = Report::new(run);
    report.results = results
        .iter()
        .map(|&(name, status)| {
            let mut result = AssertionResult::new("keys", name);
            (result.dataset, result.status) = ("orders".into(), status);
            result
        })
        .collect();
    report.summary = Summary::of(&report.results);
    report.verdict = match report.summary.failed {
        0 => Verdict::Passed,
        _ => Verdict::Failed,
    };
    report
}

/// A report with `count` failed assertions whose names begin with `name`.
fn many(time: u128, count: usize, name: &str) -> Report {
    let names: Vec<String> = (0..count)
        .map(|number| format!("{name} {number}"))
        .collect();
    let results: Vec<_> = names.iter().map(|name| (&**name, Status::Failed)).collect();
    report(time, &results)
}
