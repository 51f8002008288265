//! Every answer a receiver may give.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use veracity_http::testing::{Answer, Server};
use veracity_processor::{HealthStatus, ProcessorError, ResultProcessor};

use crate::{Place, report};

/// What comes of `answer` to the terminal event.
async fn outcome(answer: Answer) -> Result<(), ProcessorError> {
    let server = Server::start(vec![Answer::new(201, "", ""), answer]);
    let mut place = Place::http(&server.at(""));
    place.begin(&report(1)).await.unwrap();
    place.end(&report(1)).await.map(drop)
}

fn partial(retriable: bool) -> Value {
    json!({
        "status": "partial_success",
        "summary": {
            "received": 1, "successful": 0, "failed": 1,
            "retriable": u8::from(retriable), "non_retriable": u8::from(!retriable)
        },
        "failed_events": [{"index": 0, "reason": "no such job", "retriable": retriable}]
    })
}

#[tokio::test]
async fn an_event_is_posted_as_json_with_its_key() {
    let server = Server::start(vec![Answer::new(201, "", "")]);
    let mut place = Place::http(&server.at("/ol")).with("api_key", json!("k3y"));
    place.end(&report(1)).await.unwrap();
    for request in server.requests() {
        assert_eq!(
            (request.method(), request.path()),
            ("POST", "/ol/api/v1/lineage")
        );
        assert_eq!(request.headers["content-type"], "application/json");
        assert_eq!(request.headers["authorization"], "Bearer k3y");
    }
    let mut place = Place::http(&server.at("/")).with("endpoint", json!("/api/v2/x"));
    place.end(&report(1)).await.unwrap();
    let last = server.requests().pop().unwrap();
    assert_eq!(last.path(), "/api/v2/x");
    assert!(!last.headers.contains_key("authorization"));
}

#[tokio::test]
async fn answers_mean_what_they_are_documented_to_mean() {
    let success = json!({"status": "success", "summary": {
        "received": 1, "successful": 1, "failed": 0, "retriable": 0, "non_retriable": 0
    }, "failed_events": []});
    let counted = json!({"status": "partial_success", "summary": {"failed": 1, "retriable": 1}});
    let html = "<!DOCTYPE html><title>Log in</title>";
    let cases = [
        ("200", Answer::new(200, "", ""), "taken"),
        ("201", Answer::new(201, "", ""), "taken"),
        (
            "204",
            Answer::Bytes(b"HTTP/1.1 204 X\r\n\r\n".to_vec()),
            "taken",
        ),
        ("another JSON", Answer::json(200, &json!(["x"])), "taken"),
        ("success", Answer::json(200, &success), "taken"),
        (
            "refused for now",
            Answer::json(200, &partial(true)),
            "again: but refused the event",
        ),
        (
            "refused",
            Answer::json(200, &partial(false)),
            "never: but refused the event",
        ),
        (
            "counted only",
            Answer::json(200, &counted),
            "again: but refused the event",
        ),
        (
            "a login page",
            Answer::new(200, "Content-Type: text/html\r\n", html),
            "never: a page for people",
        ),
        (
            "a redirect",
            Answer::new(302, "Location: https://sso.example.org/\r\n", ""),
            "never: put the new address into `url`",
        ),
        (
            "400",
            Answer::new(400, "", "bad event"),
            "never: 400 Bad Request: bad event",
        ),
        (
            "401",
            Answer::new(401, "", ""),
            "never: `api_key` may be wrong",
        ),
        (
            "404",
            Answer::new(404, "", ""),
            "never: `url` or `endpoint` may be wrong",
        ),
        (
            "413",
            Answer::new(413, "", ""),
            "never: `max_bytes` makes events smaller",
        ),
        ("422", Answer::new(422, "", ""), "never: 422"),
        (
            "429",
            Answer::new(429, "Retry-After: 7\r\n", ""),
            "again 7: 429",
        ),
        ("500", Answer::new(500, "", ""), "again: 500"),
        ("503", Answer::new(503, "", ""), "again: 503"),
        ("nothing", Answer::Close, "again: the connection broke"),
        ("a reset", Answer::Reset, "again: "),
        (
            "no HTTP",
            Answer::Bytes(b"220 mail\r\n".to_vec()),
            "again: ",
        ),
    ];
    for (label, answer, expected) in cases {
        let ended = outcome(answer).await;
        let (kind, message) = match &ended {
            Ok(()) => ("taken".to_owned(), "taken"),
            Err(ProcessorError::Retryable {
                message,
                retry_after: Some(wait),
            }) => (format!("again {}", wait.as_secs()), message.as_str()),
            Err(error) if error.is_retryable() => ("again".to_owned(), error.message()),
            Err(error) => ("never".to_owned(), error.message()),
        };
        let (expected_kind, text) = expected.split_once(": ").unwrap_or((expected, expected));
        assert_eq!(kind, expected_kind, "{label}: {message}");
        assert!(message.contains(text), "{label}: {message}");
    }
}

#[tokio::test]
async fn retry_after_may_be_a_date() {
    let busy = Answer::new(429, "Retry-After: Sun, 20 Nov 2095 06:00:00 GMT\r\n", "");
    let error = outcome(busy).await.unwrap_err();
    let ProcessorError::Retryable {
        retry_after: Some(wait),
        ..
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!(wait, Duration::from_secs(900), "no longer than that");
}

#[tokio::test]
async fn the_body_of_a_success_is_not_waited_for_for_ever() {
    let head = "HTTP/1.1 200 X\r\nContent-Length: 100000000\r\n\r\n";
    outcome(Answer::Slow(head.as_bytes().to_vec()))
        .await
        .unwrap();
    let endless = Answer::Endless(head.as_bytes().to_vec(), vec![b' '; 4096]);
    outcome(endless).await.unwrap();
}

/// Five seconds by default, here two.
#[tokio::test]
async fn a_receiver_that_is_dead_costs_a_run_no_more_than_its_timeout() {
    let server = Server::start(vec![Answer::Silent]);
    let place = Place::http(&server.at("")).with("timeout", json!(2.0));
    let processor = place.processor();
    let upcoming = veracity_processor::Upcoming::of(&report(1));
    let began = Instant::now();
    let before = processor
        .before_run(&upcoming, &place.context())
        .await
        .unwrap_err();
    let after = processor
        .process(&report(1), &place.context())
        .await
        .unwrap_err();
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(2), "{took:?}");
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert_eq!(before.message(), "no complete answer within 800.0ms");
    assert_eq!(
        after.message(),
        "no complete answer within 1.2s",
        "the rest of the two seconds"
    );
    // So long that the host leaves it to a later run.
    let ProcessorError::Retryable {
        retry_after: Some(rest),
        ..
    } = after
    else {
        panic!("{after}");
    };
    assert!(rest > Duration::from_secs(60), "{rest:?}");
    // Another run has its own time.
    let another = processor
        .process(&report(2), &place.context())
        .await
        .unwrap_err();
    assert_eq!(another.message(), "no complete answer within 2.0s");
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_told_at_once() {
    let mut place = Place::http("http://127.0.0.1:1");
    let error = place.begin(&report(1)).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(error.message().contains("cannot connect"), "{error}");
}

#[tokio::test]
async fn health_tells_whether_somebody_is_there() {
    let server = Server::start(vec![Answer::new(201, "", "")]);
    let cases = [
        (Place::http(&server.at("")), HealthStatus::Healthy),
        (Place::http("http://127.0.0.1:1"), HealthStatus::Unhealthy),
        (Place::file(), HealthStatus::Healthy),
    ];
    for (place, expected) in cases {
        let health = place.processor().health().await.unwrap();
        assert_eq!(health.status, expected, "{health:?}");
    }
    assert!(server.requests().is_empty(), "nothing was sent");
    let nowhere = Place::new(json!({}))
        .processor()
        .health()
        .await
        .unwrap_err();
    assert!(nowhere.message().contains("`OPENLINEAGE_URL`"), "{nowhere}");
}
