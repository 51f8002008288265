//! What each answer of Alertmanager means.

use std::time::Duration;

use serde_json::json;
use veracity_processor::Status::Failed;
use veracity_processor::{HealthStatus, ProcessContext, ProcessorError, ResultProcessor};

use crate::{Cluster, LIMIT, build, report, taken, to};
use veracity_http::testing::{Answer, Server};

async fn one(answer: Answer) -> Result<(), ProcessorError> {
    let mut cluster = Cluster::new(vec![vec![answer]]);
    let told = cluster
        .tell(json!({}), &report(1, &[("a", Failed)]), "1")
        .await;
    assert_eq!(cluster.requests(0).len(), 1, "one attempt is one request");
    told.map(drop)
}

#[tokio::test]
async fn an_answer_tells_whether_to_try_again() {
    let page = "<!doctype html><title>Log in</title>";
    let html = "Content-Type: text/html\r\n";
    let cases = [
        (taken(), "ok"),
        (Answer::new(202, "", ""), "ok"),
        (
            Answer::new(400, "", "\"start time must be before end time\"\n"),
            "never: `127.0.0.1`: answered 400 Bad Request: \"start time must be before end time\"",
        ),
        (
            Answer::new(401, "", "Unauthorized"),
            "never: `127.0.0.1`: answered 401 Unauthorized: Unauthorized; `username` and \
             `password`, or `bearer_token`, may be wrong",
        ),
        (
            Answer::new(404, "", "404 page not found"),
            "never: `127.0.0.1`: answered 404 Not Found: 404 page not found; the URL may lack \
             the path that Alertmanager is served under, or be that of something else",
        ),
        (
            Answer::new(413, html, page),
            "never: `127.0.0.1`: answered 413 Payload Too Large: <!doctype html><title>Log \
             in</title>; `max_alerts` may be smaller",
        ),
        (
            Answer::new(429, "Retry-After: 7\r\n", ""),
            "after 7s: `127.0.0.1`: answered 429 Too Many Requests",
        ),
        (
            Answer::new(429, "Retry-After: Fri, 20 Nov 2099 06:00:00 GMT\r\n", ""),
            "after 900s: `127.0.0.1`: answered 429 Too Many Requests",
        ),
        (
            Answer::new(500, "", "boom"),
            "again: `127.0.0.1`: answered 500 Internal Server Error: boom",
        ),
        (
            Answer::new(200, html, page),
            "again: `127.0.0.1`: answered 200 with a page for people, so it is not Alertmanager \
             that answered",
        ),
        (
            Answer::new(302, "Location: /login\r\n", page),
            "never: `127.0.0.1`: answered 302, a redirect to another path, which is not \
             followed; put the new address into `urls[0]`",
        ),
    ];
    for (answer, expected) in cases {
        let said = match one(answer).await {
            Ok(()) => "ok".to_owned(),
            Err(ProcessorError::Retryable {
                message,
                retry_after: Some(wait),
            }) => {
                format!("after {wait:?}: {message}")
            }
            Err(error) if error.is_retryable() => format!("again: {error}"),
            Err(error) => format!("never: {error}"),
        };
        assert_eq!(said, expected);
    }
}

#[tokio::test]
async fn a_connection_that_breaks_is_tried_again() {
    for answer in [Answer::Close, Answer::Reset] {
        let error = one(answer).await.unwrap_err();
        assert!(error.is_retryable(), "{error}");
    }
    let context = ProcessContext::new("alertmanager", "1", LIMIT);
    let nobody = build(to(&["http://127.0.0.1:1/"]));
    let error = nobody
        .process(&report(1, &[("a", Failed)]), &context)
        .await
        .unwrap_err();
    assert!(error.is_retryable(), "{error}");
}

#[tokio::test]
async fn health_asks_every_alertmanager() {
    let status = Answer::json(200, &json!({"versionInfo": {"version": "0.34.0"}}));
    let up = || Server::start(vec![status.clone()]);
    let down = || Server::start(vec![Answer::new(500, "", "")]);
    let down_says = "`127.0.0.1`: answered 500 Internal Server Error";
    let up_says = "`127.0.0.1` runs Alertmanager 0.34.0";
    let cases = [
        (
            up(),
            up(),
            HealthStatus::Healthy,
            format!("{up_says}; {up_says}"),
        ),
        (
            up(),
            down(),
            HealthStatus::Degraded,
            format!("{up_says}; {down_says}"),
        ),
        (
            down(),
            down(),
            HealthStatus::Unhealthy,
            format!("{down_says}; {down_says}"),
        ),
    ];
    for (one, other, status, detail) in cases {
        let processor = build(to(&[&one.at(""), &other.at("/am")]));
        let health = processor.health().await.unwrap();
        assert_eq!((health.status, health.detail), (status, Some(detail)));
        assert_eq!(one.requests()[0].line, "GET /api/v2/status HTTP/1.1");
        assert_eq!(other.requests()[0].line, "GET /am/api/v2/status HTTP/1.1");
    }
    let silent = Server::start(vec![Answer::Silent]);
    let health = build(to(&[&silent.at("")])).health().await.unwrap();
    assert_eq!(health.status, HealthStatus::Unhealthy, "{health:?}");
    let page = Answer::new(200, "", "<!doctype html>");
    let page = Server::start(vec![page]);
    let health = build(to(&[&page.at("")])).health().await.unwrap();
    assert_eq!(health.status, HealthStatus::Unhealthy, "{health:?}");
}

#[tokio::test]
async fn credentials_go_with_every_request() {
    let cases = [
        (
            json!({"username": "dq", "password": "pä:ß"}),
            "Basic ZHE6cMOkOsOf",
        ),
        (json!({"bearer_token": "t0ken"}), "Bearer t0ken"),
    ];
    for (settings, expected) in cases {
        let mut cluster = Cluster::new(vec![vec![taken()]]);
        let failed = report(1, &[("a", Failed)]);
        cluster.tell(settings.clone(), &failed, "1").await.unwrap();
        build(cluster.config(settings)).health().await.unwrap();
        let requests = cluster.requests(0);
        assert_eq!(requests.len(), 2);
        for request in requests {
            assert_eq!(request.headers["authorization"], expected);
        }
    }
    let server = Server::start(vec![taken()]);
    let url = format!("http://dq:pw@{}", server.address);
    let context = ProcessContext::new("alertmanager", "1", Duration::from_secs(60));
    let processor = build(to(&[&url]));
    processor
        .process(&report(1, &[("a", Failed)]), &context)
        .await
        .unwrap();
    assert_eq!(
        server.requests()[0].headers["authorization"],
        "Basic ZHE6cHc="
    );
}
