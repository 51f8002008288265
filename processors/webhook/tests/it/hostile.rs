//! The contract, names that mean something to receivers, and reports that are too large.

use serde_json::{Value, json};
use veracity_processor::conformance::{check, hostile};
use veracity_processor::{AssertionResult, Report, Status, Summary, sample_report};

use crate::{LIMIT, attempt, plugin, to, with};
use veracity_http::testing::{Answer, Server};

#[test]
fn it_keeps_to_the_contract() {
    for format in ["report", "standard", "cloudevents"] {
        let server = Server::start(vec![Answer::new(200, "", "ok")]);
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let config = with(
            to(&server.url()),
            json!({"format": format, "secret": secret}),
        );
        assert_eq!(check(plugin(), &config), Vec::<String>::new(), "{format}");
        let requests = server.requests();
        assert_eq!(
            requests.len(),
            10,
            "five reports, each twice; health sends nothing"
        );
        for request in requests {
            serde_json::from_slice::<Value>(&request.body).unwrap();
            assert!(request.body.len() <= 256 * 1024);
        }
    }
}

#[tokio::test]
async fn hostile_names_arrive_as_they_are() {
    let server = Server::start(vec![Answer::new(200, "", "ok")]);
    attempt(to(&server.url()), &hostile(), LIMIT).await.unwrap();
    let request = &server.requests()[0];
    let report: Report = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(report, hostile());
    let names: Vec<&str> = request.headers.keys().map(String::as_str).collect();
    let ours = [
        "accept",
        "content-length",
        "content-type",
        "host",
        "user-agent",
        "webhook-id",
        "webhook-timestamp",
    ];
    assert_eq!(names, ours, "no name became a header");
}

#[tokio::test]
async fn ten_thousand_failures_are_cut_to_the_budget() {
    let mut report = sample_report();
    report.results = (0..10_000)
        .map(|number| {
            let mut result = AssertionResult::new("check", format!("assertion {number}"));
            result.status = if number < 5_000 {
                Status::Passed
            } else {
                Status::Failed
            };
            result
        })
        .collect();
    report.summary = Summary::of(&report.results);
    for max_bytes in [4096, 20_000, 1_000_000] {
        let server = Server::start(vec![Answer::new(200, "", "ok")]);
        let config = with(
            to(&server.url()),
            json!({"max_bytes": max_bytes, "format": "standard"}),
        );
        let outcome = attempt(config, &report, LIMIT).await.unwrap();
        let body = &server.requests()[0].body;
        assert!(body.len() <= max_bytes, "{} of {max_bytes}", body.len());
        let body: Value = serde_json::from_slice(body).unwrap();
        let sent: Report = serde_json::from_value(body["data"].clone()).unwrap();
        assert_eq!(
            (sent.verdict, sent.summary),
            (report.verdict, report.summary)
        );
        assert!(
            sent.results
                .iter()
                .all(|result| result.status == Status::Failed)
        );
        let left_out = 10_000 - sent.results.len();
        assert_eq!(
            body["data"]["truncated"],
            json!({"results_left_out": left_out})
        );
        let note = outcome.note.unwrap();
        assert!(
            note.starts_with(&format!("{left_out} of 10000 results")),
            "{note}"
        );
    }
}
