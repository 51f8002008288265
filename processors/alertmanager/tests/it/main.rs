//! The processor against scripted Alertmanagers on loopback.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod answers;
mod contract;
mod messages;
mod runs;
mod secrets;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use uuid::Uuid;
use veracity_alertmanager::{Alertmanager, Settings};
use veracity_http::testing::{Answer, Request, Server};
use veracity_processor::{
    AssertionResult, Outcome, Plugin, ProcessContext, Processor, ProcessorError, Report,
    ResultProcessor, Run, RunKey, State, Status, Summary, Verdict,
};

/// Ample for a loaded machine; tests of time limits have their own.
const LIMIT: Duration = Duration::from_secs(60);

/// 2026-11-20T06:00:04Z, when the runs of these tests end.
const END: u64 = 1_795_154_404;

fn plugin() -> &'static Plugin {
    Plugin::linked()
        .find(|plugin| plugin.name() == "alertmanager")
        .expect("the crate registers it")
}

/// Settings for the loopback addresses `urls`.
fn to(urls: &[&str]) -> Value {
    json!({"urls": urls, "allow_private": true})
}

/// `config` with `more` settings.
fn with(mut config: Value, more: Value) -> Value {
    let settings = config.as_object_mut().unwrap();
    settings.extend(more.as_object().unwrap().clone());
    config
}

fn build(config: Value) -> Alertmanager {
    let settings: Settings = serde_json::from_value(config).unwrap();
    Alertmanager::build(settings).unwrap()
}

/// So many seconds after the runs of these tests end.
fn after(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(END + seconds)
}

/// What Alertmanager answers to alerts that it takes.
fn taken() -> Answer {
    Answer::new(200, "", "")
}

/// Alertmanagers that have been told of some runs, and what is remembered between them.
struct Cluster {
    servers: Vec<Server>,
    state: BTreeMap<String, Value>,
    seen: Vec<usize>,
    /// Seconds after the end of the runs.
    now: u64,
}

impl Cluster {
    /// One Alertmanager for each list of answers.
    fn new(answers: Vec<Vec<Answer>>) -> Self {
        Self {
            seen: vec![0; answers.len()],
            servers: answers.into_iter().map(Server::start).collect(),
            state: BTreeMap::new(),
            now: 0,
        }
    }

    fn config(&self, more: Value) -> Value {
        let urls: Vec<String> = self
            .servers
            .iter()
            .map(|server| server.at("/am/"))
            .collect();
        let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
        with(to(&urls), more)
    }

    /// One attempt to deliver `report` under the key `delivery`.
    async fn tell(
        &mut self,
        more: Value,
        report: &Report,
        delivery: &str,
    ) -> Result<Outcome, ProcessorError> {
        let mut context = ProcessContext::new("alertmanager", delivery, LIMIT);
        context.state = State::new(std::mem::take(&mut self.state));
        let now = after(self.now);
        let processor = build(self.config(more)).with_clock(move || now);
        let told = processor.process(report, &context).await;
        self.state = context.state.values();
        let bytes = serde_json::to_string(&self.state).unwrap().len();
        assert!(bytes <= State::MAX_BYTES, "{bytes}");
        told
    }

    /// The requests to the Alertmanager `which` since the last time.
    fn requests(&mut self, which: usize) -> Vec<Request> {
        let requests = self.servers[which].requests();
        let new = requests[self.seen[which]..].to_vec();
        self.seen[which] = requests.len();
        new
    }

    /// The alerts sent to the Alertmanager `which` since the last time.
    fn alerts(&mut self, which: usize) -> Vec<Value> {
        let requests = self.requests(which).into_iter();
        let lists = requests.flat_map(|request| request.json().as_array().unwrap().clone());
        lists.collect()
    }

    /// The same, each as its assertion, with a sign before those that are over.
    fn names(&mut self, which: usize) -> Vec<String> {
        let now = humantime::format_rfc3339_seconds(after(self.now)).to_string();
        let alerts = self.alerts(which).into_iter();
        let name = |alert: Value| {
            let labels = &alert["labels"];
            let name = labels.get("assertion").unwrap_or(&labels["alertname"]);
            let sign = match alert["endsAt"].as_str().unwrap() > &*now {
                true => "",
                false => "-",
            };
            format!("{sign}{}", name.as_str().unwrap())
        };
        alerts.map(name).collect()
    }
}

/// An identifier of a run that begins at `time`.
fn id(time: u128) -> Uuid {
    Uuid::from_u128((time << 80) | 0x7000_8000_0000_0000_0000)
}

/// The run of `orders` that begins at `time`, with assertions by name and status.
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

/// A report with `count` assertions of `status` whose names begin with `name`.
fn many(time: u128, count: usize, name: &str, status: Status) -> Report {
    let names: Vec<String> = (0..count)
        .map(|number| format!("{name} {number}"))
        .collect();
    let results: Vec<_> = names.iter().map(|name| (&**name, status)).collect();
    report(time, &results)
}
