//! What is sent.

use serde_json::{Value, json};
use veracity_processor::{Report, sample_report};

use crate::{ID, deliver, to, with};
use veracity_http::testing::{Answer, Request, Server};

async fn sent(more: Value) -> Request {
    let server = Server::start(vec![Answer::new(200, "", "")]);
    deliver(with(to(&server.url()), more)).await.unwrap();
    server.requests().remove(0)
}

#[tokio::test]
async fn the_default_is_the_report_by_post() {
    let request = sent(json!({})).await;
    assert_eq!(request.line, "POST /hook HTTP/1.1");
    assert_eq!(request.headers["content-type"], "application/json");
    let agent = concat!("veracity/", env!("CARGO_PKG_VERSION"));
    assert_eq!(request.headers["user-agent"], agent);
    let report: Report = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(report, sample_report());
}

#[tokio::test]
async fn an_event_of_cloudevents_is_valid_as_it_comes_over_the_wire() {
    let request = sent(json!({"format": "cloudevents"})).await;
    let kind = "application/cloudevents+json; charset=utf-8";
    assert_eq!(request.headers["content-type"], kind);
    let schema = include_str!("../vectors/cloudevents-schema.json");
    let schema = jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap();
    let event: Value = serde_json::from_slice(&request.body).unwrap();
    let faults: Vec<String> = schema.iter_errors(&event).map(|e| e.to_string()).collect();
    assert_eq!(faults, Vec::<String>::new());
    assert_eq!(
        (&event["id"], &event["source"]),
        (&json!(ID), &json!("/veracity/nycflights"))
    );
}

#[tokio::test]
async fn a_template_makes_the_body() {
    let request = sent(json!({
        "method": "PUT",
        "headers": {"X-Team": "data", "Authorization": "Bearer t0ken", "User-Agent": "dq"},
        "template": r#"{"text": {{ report.run.suite ~ " " ~ report.verdict }},
            "failed": {{ report.summary.failed }}, "id": {{ id }}}"#,
    }))
    .await;
    assert_eq!(request.line, "PUT /hook HTTP/1.1");
    let header = |name: &str| request.headers[name].as_str();
    assert_eq!(
        (
            header("x-team"),
            header("authorization"),
            header("user-agent"),
            header("content-type")
        ),
        ("data", "Bearer t0ken", "dq", "application/json")
    );
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let failed = sample_report().summary.failed;
    assert_eq!(
        body,
        json!({"text": "nycflights failed", "failed": failed, "id": ID})
    );

    let request = sent(json!({
        "template": "{{ report.run.suite }}: {{ report.verdict }}",
        "content_type": "text/plain; charset=utf-8",
    }))
    .await;
    assert_eq!(request.headers["content-type"], "text/plain; charset=utf-8");
    assert_eq!(request.body, b"nycflights: failed");
}
