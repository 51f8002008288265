//! What each answer of PagerDuty means.

use std::time::{Duration, Instant};

use serde_json::json;
use veracity_processor::Status::Failed;
use veracity_processor::{HealthStatus, ProcessContext, ProcessorError};

use crate::{LIMIT, Service, build, queued, refused, report, to};
use veracity_http::testing::{Answer, Server};

async fn one(answer: Answer) -> Result<(), ProcessorError> {
    let mut service = Service::new(vec![answer]);
    let told = service
        .tell(json!({}), &report(1, &[("a", Failed)]), "1")
        .await;
    assert_eq!(service.actions().len(), 1, "one attempt is one request");
    told.map(drop)
}

#[tokio::test]
async fn an_answer_tells_whether_to_try_again() {
    let page = "<!doctype html><title>Log in</title>";
    let html = "Content-Type: text/html\r\n";
    let cases = [
        (queued(), "ok"),
        (Answer::new(202, "", ""), "ok"),
        (
            refused("Length of 'routing_key' is incorrect (should be 32 characters)"),
            "never: `127.0.0.1`: answered 400 Bad Request: Event object is invalid; Length of \
             'routing_key' is incorrect (should be 32 characters); `routing_key` must be the \
             integration key of a service, of the integration \"Events API v2\"",
        ),
        (
            Answer::new(400, "", "what?\r\n\u{1b}[2J"),
            "never: `127.0.0.1`: answered 400 Bad Request: what? \\u{1b}[2J; `routing_key` must \
             be the integration key of a service, of the integration \"Events API v2\"",
        ),
        (
            Answer::new(403, "", "no"),
            "never: `127.0.0.1`: answered 403 Forbidden: no; `routing_key` may be wrong",
        ),
        (
            Answer::new(429, "Retry-After: 7\r\n", "slow down"),
            "after 7s: `127.0.0.1`: answered 429 Too Many Requests: slow down",
        ),
        (
            Answer::new(500, "", "{\"status\": \"error\"}"),
            "again: `127.0.0.1`: answered 500 Internal Server Error: {\"status\": \"error\"}",
        ),
        (
            Answer::new(503, "Retry-After: 60\r\n", ""),
            "after 60s: `127.0.0.1`: answered 503 Service Unavailable",
        ),
        (
            Answer::new(200, html, page),
            "again: `127.0.0.1`: answered 200 with a page for people, so it is not PagerDuty \
             that answered",
        ),
        (
            Answer::new(302, "Location: https://login.example.org/\r\n", page),
            "never: `127.0.0.1`: answered 302, a redirect to `https://login.example.org`, which \
             is not followed; put the new address into `url`",
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
async fn a_date_to_wait_for_is_obeyed() {
    let busy = Answer::new(429, "Retry-After: Fri, 20 Nov 2099 06:00:00 GMT\r\n", "");
    let error = one(busy).await.unwrap_err();
    let ProcessorError::Retryable {
        retry_after: Some(wait),
        ..
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!(wait, Duration::from_secs(15 * 60), "and no longer");
}

#[tokio::test]
async fn a_connection_that_breaks_is_tried_again() {
    for answer in [Answer::Close, Answer::Reset] {
        let error = one(answer).await.unwrap_err();
        assert!(error.is_retryable(), "{error}");
    }
    let context = ProcessContext::new("pagerduty", "1", LIMIT);
    let nobody = build(to("http://127.0.0.1:1/"));
    let error = nobody
        .process(&report(1, &[("a", Failed)]), &context)
        .await
        .unwrap_err();
    assert!(error.is_retryable(), "{error}");
}

#[tokio::test]
async fn silence_costs_the_time_limit_and_no_more() {
    let server = Server::start(vec![Answer::Silent]);
    let began = Instant::now();
    let context = ProcessContext::new("pagerduty", "1", Duration::from_secs(2));
    let processor = build(to(&server.url()));
    let error = processor
        .process(&report(1, &[("a", Failed)]), &context)
        .await
        .unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(
        error.message().contains("no complete answer within"),
        "{error}"
    );
    assert!(began.elapsed() < LIMIT / 2, "{:?}", began.elapsed());
}

#[tokio::test]
async fn one_event_that_is_refused_does_not_hold_up_the_others() {
    let mut service = Service::new(vec![queued()]);
    service.server = Server::answering(|request| {
        match request.json()["dedup_key"]
            .as_str()
            .unwrap()
            .ends_with("/b")
        {
            true => refused("odd"),
            false => queued(),
        }
    });
    let failed = report(1, &[("a", Failed), ("b", Failed), ("c", Failed)]);
    let error = service.tell(json!({}), &failed, "1").await.unwrap_err();
    assert!(
        !error.is_retryable() && error.message().contains("odd"),
        "{error}"
    );
    assert_eq!(service.actions().len(), 3);
    assert!(service.state.contains_key("veracity/orders/orders/keys/c"));
    assert!(
        !service.state.contains_key("veracity/orders/orders/keys/b"),
        "it is not open"
    );
}

#[tokio::test]
async fn a_key_that_is_wrong_costs_three_requests() {
    let mut service = Service::new(vec![refused("no such key")]);
    let error = service
        .tell(json!({}), &crate::many(1, 100, "a"), "1")
        .await
        .unwrap_err();
    assert!(!error.is_retryable(), "{error}");
    assert_eq!(service.actions().len(), 3);
    assert!(
        !service
            .state
            .keys()
            .any(|name| name.starts_with("veracity/"))
    );
}

#[tokio::test]
async fn health_connects_and_sends_nothing() {
    let server = Server::start(vec![Answer::new(500, "", "")]);
    let health = build(to(&server.url())).health().await.unwrap();
    assert_eq!(health.status, HealthStatus::Healthy, "{health:?}");
    assert_eq!(server.requests().len(), 0);
    let health = build(to("http://127.0.0.1:1/")).health().await.unwrap();
    assert_eq!(health.status, HealthStatus::Unhealthy, "{health:?}");
}
