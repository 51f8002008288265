//! The `teams` processor against a server on loopback that answers as a flow does.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod answers;
mod card;
mod contract;
mod limits;
mod secrets;

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;
use veracity_http::testing::{Answer, Server};
use veracity_processor::{
    AssertionResult, Outcome, Plugin, ProcessContext, ProcessorError, Report, ResultProcessor, Run,
    RunKey, Status, Summary, Verdict,
};
use veracity_teams as _;

const KEY: &str = "6f1c02d7-3b6e-5a4c-8d2e-000000000004";

/// Ample for a loaded machine.
const LIMIT: Duration = Duration::from_secs(60);

fn plugin() -> &'static Plugin {
    Plugin::linked()
        .find(|plugin| plugin.name() == "teams")
        .expect("the crate registers it")
}

fn build(config: &Value) -> Box<dyn ResultProcessor> {
    plugin().build_processor(config.clone()).unwrap()
}

/// A flow that answers as `answers` say.
fn flow(answers: Vec<Answer>) -> (Server, Value) {
    let server = Server::start(answers);
    let config = json!({
        "webhook_url": server.at("/workflows/0a1b2c3d/triggers/manual/paths/invoke?sig=s3cr3ts3cr3t"),
        "allow_private": true,
    });
    (server, config)
}

fn accepted() -> Answer {
    Answer::new(202, "", "")
}

/// `config` with `more` settings.
fn with(mut config: Value, more: Value) -> Value {
    let settings = config.as_object_mut().unwrap();
    settings.extend(more.as_object().unwrap().clone());
    config
}

fn context() -> ProcessContext {
    ProcessContext::new("teams", KEY, LIMIT)
}

async fn deliver(config: &Value, report: &Report) -> Result<Outcome, ProcessorError> {
    build(config).process(report, &context()).await
}

/// The report of the vector: one of three assertions of `orders.daily` failed.
fn report() -> Report {
    report_of(1, &[Status::Failed, Status::Passed, Status::Passed])
}

/// The report of the run with the number `run`.
fn report_of(run: u16, statuses: &[Status]) -> Report {
    let id = Uuid::from_u128(0x0197_a2f0_0000_7000_8000_0000_0000_0000 + u128::from(run));
    let key = RunKey::new("2026-11-20", Default::default());
    let mut report = Report::new(Run::new(id, "orders.daily", key, "2026-11-20T06:00:00Z"));
    for (number, &status) in statuses.iter().enumerate() {
        let name = match number {
            0 => "orders.id is unique".to_owned(),
            _ => format!("orders.id {number}"),
        };
        let mut result = AssertionResult::new(&name, &name);
        result.status = status;
        result.actual = Some(json!(2));
        result.expected = Some("= 0".to_owned());
        report.results.push(result);
    }
    report.summary = Summary::of(&report.results);
    report.verdict = match report.summary {
        summary if summary.failed > 0 => Verdict::Failed,
        summary if summary.passed > 0 => Verdict::Passed,
        _ => Verdict::NotEvaluated,
    };
    report
}

/// The card in the last request.
fn card(server: &Server) -> Value {
    let body = server.requests().last().unwrap().json();
    body["attachments"][0]["content"].clone()
}

/// What people read on `card`, one block a line.
fn texts(card: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for block in card["body"].as_array().unwrap() {
        match block["type"].as_str().unwrap() {
            "TextBlock" => found.push(block["text"].as_str().unwrap().to_owned()),
            "FactSet" => {
                for fact in block["facts"].as_array().unwrap() {
                    let [name, value] = ["title", "value"].map(|key| fact[key].as_str().unwrap());
                    found.push(format!("{name} = {value}"));
                }
            }
            other => panic!("no such block: {other}"),
        }
    }
    found
}
