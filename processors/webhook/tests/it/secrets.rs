//! Nothing that is said holds a secret.

use std::time::Duration;

use serde_json::json;
use veracity_processor::{ProcessContext, Processor, sample_report};
use veracity_webhook::{Settings, Webhook};

use crate::{ID, attempt, build, plugin, to, with};
use veracity_http::testing::{Answer, Server};

const CANARY: &str = "c4nary";

/// Settings that are full of secrets, each with the canary in it.
fn config(address: &str) -> serde_json::Value {
    with(
        to(&format!(
            "http://user-c4nary:pw-c4nary@{address}/hook/c4nary-path?key=c4nary-query"
        )),
        json!({
            "headers": {"Authorization": "Bearer c4nary-token", "X-Key": "c4nary-key"},
            // "c4nary" is valid base64; the key ends with it.
            "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2c4nary",
        }),
    )
}

#[tokio::test]
async fn errors_hold_no_secret_even_if_the_receiver_repeats_the_request() {
    let answers = [
        Answer::Echo,
        Answer::new(302, "Location: /c4nary-path?key=c4nary-query\r\n", ""),
        Answer::new(
            500,
            "",
            "key c4nary-query: pw-c4nary, c4nary-path, user-c4nary",
        ),
        Answer::Close,
        Answer::Reset,
        Answer::Silent,
        Answer::Bytes(b"c4nary".to_vec()),
    ];
    for answer in answers {
        let server = Server::start(vec![answer]);
        let config = config(&server.address.to_string());
        let limit = Duration::from_secs(2);
        let error = attempt(config, &sample_report(), limit).await.unwrap_err();
        let said = format!("{error} {error:?}");
        assert!(!said.contains(CANARY), "{said}");
        // The receiver sees it as `Authorization: Basic`.
        assert!(!said.contains("dXNlci1jNG5hcnk6"), "{said}");
        for request in server.requests() {
            assert!(request.line.contains("c4nary-query"), "it was sent");
        }
    }
    let error = attempt(
        config("127.0.0.1:1"),
        &sample_report(),
        Duration::from_secs(5),
    )
    .await;
    assert!(!format!("{error:?}").contains(CANARY), "{error:?}");
}

#[tokio::test]
async fn neither_debug_nor_health_nor_the_description_shows_a_secret() {
    let server = Server::start(vec![Answer::new(200, "", "")]);
    let settings: Settings = serde_json::from_value(config(&server.address.to_string())).unwrap();
    let mut said = format!("{settings:?}");
    let webhook = Webhook::build(settings).unwrap();
    said.push_str(&format!("{webhook:?} {:?}", plugin().info()));
    for address in [server.address.to_string(), "127.0.0.1:1".to_owned()] {
        let webhook = build(config(&address));
        said.push_str(&format!("{:?}", webhook.health().await));
    }
    let mut context = ProcessContext::new("webhook", ID, Duration::from_secs(30));
    context.config.0 = config("127.0.0.1:1");
    said.push_str(&format!("{context:?}"));
    assert!(!said.contains(CANARY), "{said}");
    assert!(said.contains("127.0.0.1"), "the host is named");
}

#[test]
fn settings_that_are_refused_are_not_quoted() {
    let refused = [
        json!({"url": "gopher://c4nary"}),
        json!({"url": "c4nary"}),
        json!({"url": "http://[c4nary]/"}),
        json!({"url": "https://a.org", "headers": {"X": "c4nary\r\nY: z"}}),
        json!({"url": "https://a.org", "secret": "c4nary"}),
        json!({"url": "https://a.org", "secret": ["whsec_c4nary"]}),
    ];
    for config in refused {
        let error = plugin().build_processor(config).err().unwrap();
        assert!(!format!("{error} {error:?}").contains(CANARY), "{error}");
    }
}
