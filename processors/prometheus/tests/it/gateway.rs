//! The Pushgateway: requests, answers, silence.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use veracity_http::testing::{Answer, Server};
use veracity_processor::{HealthStatus, ProcessorError, sample_report};

use crate::text::parse;
use crate::{Kept, plugin};

/// Settings for the loopback address `url`.
fn to(url: &str) -> Value {
    json!({"pushgateway": {"url": url, "allow_private": true, "timeout": 30}})
}

fn with(mut config: Value, name: &str, value: Value) -> Value {
    config["pushgateway"][name] = value;
    config
}

#[tokio::test]
async fn the_group_of_the_suite_is_replaced() {
    let server = Server::start(vec![Answer::new(202, "", ""), Answer::new(200, "", "")]);
    let config = to(&server.at(""));
    Kept::default()
        .deliver(&config, &sample_report())
        .await
        .unwrap();
    let mut report = sample_report();
    report.run.suite = "sales/orders".into();
    let config = with(config, "method", json!("post"));
    let config = with(config, "grouping", json!({"env": "prod"}));
    let config = with(config, "username", json!("me"));
    let config = with(config, "password", json!("pw"));
    Kept::default().deliver(&config, &report).await.unwrap();
    let requests = server.requests();
    let lines: Vec<&str> = requests
        .iter()
        .map(|request| request.line.as_str())
        .collect();
    let expected = [
        "PUT /metrics/job/veracity/suite/nycflights HTTP/1.1",
        "POST /metrics/job/veracity/env/prod/suite@base64/c2FsZXMvb3JkZXJz HTTP/1.1",
    ];
    assert_eq!(lines, expected);
    for request in &requests {
        let kind = &request.headers["content-type"];
        assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
        let families = parse(std::str::from_utf8(&request.body).unwrap()).unwrap();
        // The gateway puts the labels of the group in the place of others.
        let samples = families.iter().flat_map(|family| &family.samples);
        for (labels, _) in samples {
            assert!(
                !labels.contains_key("job") && !labels.contains_key("env"),
                "{labels:?}"
            );
        }
    }
    assert!(!requests[0].headers.contains_key("authorization"));
    assert_eq!(requests[1].headers["authorization"], "Basic bWU6cHc=");
}

#[tokio::test]
async fn answers_mean_what_they_are_documented_to_mean() {
    let inconsistent = "pushed metrics are invalid or inconsistent with existing metrics";
    let cases = [
        ("taken", Answer::new(202, "", ""), "taken"),
        ("taken and checked", Answer::new(200, "", ""), "taken"),
        (
            "inconsistent",
            Answer::new(400, "", inconsistent),
            "never: 400 Bad Request: pushed metrics are invalid",
        ),
        (
            "401",
            Answer::new(401, "", ""),
            "never: `username` and `password` may be wrong",
        ),
        (
            "404",
            Answer::new(404, "", ""),
            "never: `pushgateway.url` may be wrong",
        ),
        (
            "a login page",
            Answer::new(200, "Content-Type: text/html\r\n", "<html>"),
            "never: a page for people",
        ),
        (
            "a redirect",
            Answer::new(301, "Location: https://example.org/\r\n", ""),
            "never: into `pushgateway.url`",
        ),
        (
            "429",
            Answer::new(429, "Retry-After: 3\r\n", ""),
            "again 3: 429",
        ),
        ("500", Answer::new(500, "", ""), "again: 500"),
        ("503", Answer::new(503, "", ""), "again: 503"),
        ("nothing", Answer::Close, "again: the connection broke"),
        ("a reset", Answer::Reset, "again: "),
    ];
    for (label, answer, expected) in cases {
        let server = Server::start(vec![answer]);
        let ended = Kept::default()
            .deliver(&to(&server.at("")), &sample_report())
            .await;
        let (kind, message) = match &ended {
            Ok(_) => ("taken".to_owned(), "taken"),
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
async fn a_gateway_that_is_dead_costs_a_run_no_more_than_its_timeout() {
    let server = Server::start(vec![Answer::Silent]);
    let config = with(to(&server.at("")), "timeout", json!(1.0));
    let began = Instant::now();
    let error = Kept::default()
        .deliver(&config, &sample_report())
        .await
        .unwrap_err();
    let took = began.elapsed();
    assert!(
        (Duration::from_secs(1)..Duration::from_secs(20)).contains(&took),
        "{took:?}"
    );
    assert_eq!(
        error.message(),
        "`127.0.0.1`: no complete answer within 1.0s"
    );
    // So long that the host leaves it to a later run.
    let ProcessorError::Retryable {
        retry_after: Some(rest),
        ..
    } = error
    else {
        panic!("{error}");
    };
    assert!(rest > Duration::from_secs(60), "{rest:?}");
    let nobody = to("http://127.0.0.1:1");
    let error = Kept::default()
        .deliver(&nobody, &sample_report())
        .await
        .unwrap_err();
    assert!(
        error.is_retryable() && error.message().contains("cannot connect"),
        "{error}"
    );
}

#[tokio::test]
async fn the_file_is_written_even_if_the_gateway_is_dead() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orders.prom");
    let mut config = to("http://127.0.0.1:1");
    config["path"] = json!(path);
    let mut kept = Kept::default();
    kept.deliver(&config, &sample_report()).await.unwrap_err();
    assert!(path.exists());
    config["path"] = json!(folder.path());
    let both = kept.deliver(&config, &sample_report()).await.unwrap_err();
    assert!(both.is_retryable(), "{both}");
    assert!(both.message().contains("cannot be written"), "{both}");
    assert!(both.message().contains("cannot connect"), "{both}");
}

#[tokio::test]
async fn health_tells_whether_somebody_is_there() {
    let server = Server::start(vec![Answer::new(202, "", "")]);
    let cases = [
        (to(&server.at("")), HealthStatus::Healthy),
        (to("http://127.0.0.1:1"), HealthStatus::Unhealthy),
        (json!({"path": "x.prom"}), HealthStatus::Healthy),
    ];
    for (config, expected) in cases {
        let health = plugin()
            .build_processor(config)
            .unwrap()
            .health()
            .await
            .unwrap();
        assert_eq!(health.status, expected, "{health:?}");
    }
    assert!(server.requests().is_empty(), "nothing was sent");
}
