//! Nothing that is said holds a secret.

use serde_json::{Value, json};
use veracity_http::testing::{Answer, Server};
use veracity_processor::{Processor, ResultProcessor, sample_report};
use veracity_prometheus::{Prometheus, Settings};

use crate::{Kept, plugin};

const CANARY: &str = "c4nary";

fn config(address: &str) -> Value {
    json!({"pushgateway": {
        "url": format!("http://{address}/c4nary-path?key=c4nary-query"),
        "username": "prom", "password": "c4nary-password", "allow_private": true, "timeout": 2.0
    }})
}

#[tokio::test]
async fn errors_hold_no_secret_even_if_the_gateway_repeats_the_request() {
    let answers = [
        Answer::Echo,
        Answer::new(
            400,
            "",
            "c4nary-password: prom:c4nary-password at c4nary-path",
        ),
        Answer::new(302, "Location: /c4nary-path?key=c4nary-query\r\n", ""),
        Answer::new(200, "Content-Type: text/html\r\n", "c4nary-query"),
        Answer::Close,
        Answer::Silent,
    ];
    for answer in answers {
        let server = Server::start(vec![answer]);
        let mut kept = Kept::default();
        let config = config(&server.address.to_string());
        let error = kept.deliver(&config, &sample_report()).await.unwrap_err();
        let said = format!("{error} {error:?} {:?}", kept.state);
        assert!(!said.contains(CANARY), "{said}");
        // The password as it is sent.
        assert!(!said.contains("cHJvbTpj"), "{said}");
        let requests = server.requests();
        assert!(requests[0].path().contains("c4nary-path"), "it was sent");
        assert!(
            requests[0].headers["authorization"].contains("cHJvbTpj"),
            "it was sent"
        );
    }
}

#[tokio::test]
async fn neither_debug_nor_health_nor_the_description_shows_a_secret() {
    let server = Server::start(vec![Answer::new(202, "", "")]);
    let config = config(&server.address.to_string());
    let settings: Settings = serde_json::from_value(config).unwrap();
    let mut said = format!("{settings:?} {:?}", plugin().info());
    let processor = Prometheus::build(settings).unwrap();
    said.push_str(&format!("{processor:?} {:?}", processor.health().await));
    assert!(!said.contains(CANARY), "{said}");
    assert!(said.contains("127.0.0.1"), "{said}");
}
