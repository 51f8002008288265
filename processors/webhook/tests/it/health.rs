//! Health tells whether the receiver is there, without a request.

use serde_json::json;
use veracity_processor::HealthStatus;

use crate::{build, to, with};
use veracity_http::testing::{Answer, Server};

#[tokio::test]
async fn a_receiver_that_takes_connections_is_healthy() {
    let server = Server::start(vec![Answer::new(500, "", "")]);
    let port = server.address.port();
    for host in ["127.0.0.1", "localhost"] {
        let webhook = build(to(&format!("http://{host}:{port}/t0ken")));
        let health = webhook.health().await.unwrap();
        let detail = format!("`{host}` is at {}", server.address);
        assert_eq!(
            (health.status, health.detail),
            (HealthStatus::Healthy, Some(detail))
        );
    }
    assert_eq!(server.requests().len(), 0, "nothing was sent");
}

#[tokio::test]
async fn a_receiver_that_cannot_be_reached_is_unhealthy() {
    for url in [
        "http://127.0.0.1:1/t0ken",
        "http://no-such-host.invalid/t0ken",
    ] {
        let health = build(to(url)).health().await.unwrap();
        assert_eq!(health.status, HealthStatus::Unhealthy, "{health:?}");
        assert!(!health.detail.unwrap().contains("t0ken"));
    }
}

#[tokio::test]
async fn a_file_of_authorities_that_cannot_be_read_fails_at_startup() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let missing = file.path().with_extension("missing");
    for (path, reason) in [
        (missing.as_path(), "No such file"),
        (file.path(), "holds no certificate in PEM form"),
    ] {
        let config = with(to("https://localhost:1/"), json!({"tls_ca_file": path}));
        let webhook = build(config);
        let context = veracity_processor::StartContext::new("webhook", crate::LIMIT);
        let error = webhook.startup(&context).await.unwrap_err();
        assert!(!error.is_retryable(), "{error}");
        assert!(error.message().contains(reason), "{error}");
        assert_eq!(webhook.health().await, Err(error));
    }
}
