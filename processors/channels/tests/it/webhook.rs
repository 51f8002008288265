//! The channel `webhook` against a server on loopback.

use std::time::Duration;

use serde_json::{Value, json};
use veracity_http::testing::{Answer, Server};
use veracity_processor::{Channel, Outcome, ProcessContext, ProcessorError, StartContext};

use crate::{ID, LIMIT, assert_carries, block_on, build, hostile, megabyte, parcel, publish};

/// Settings for `server`, and `more`.
fn to(server: &Server, more: Value) -> Box<dyn Channel> {
    let mut config = json!({"url": server.at("/c4nary-path"), "allow_private": true});
    let settings = config.as_object_mut().unwrap();
    settings.extend(more.as_object().unwrap().clone());
    build("webhook", config)
}

fn post(server: &Server, message: impl Into<Value>) -> Result<Outcome, ProcessorError> {
    block_on(publish(&*to(server, json!({})), ID, message))
}

#[test]
fn a_message_is_posted_with_what_is_known_about_it() {
    let server = Server::start(vec![Answer::new(202, "", "")]);
    let headers = json!({"headers": {"Authorization": "Bearer c4nary", "X-Team": "dq"}});
    let channel = to(&server, headers);
    let mut messages = hostile();
    messages.push(megabyte());
    block_on(async {
        channel
            .startup(&StartContext::new("ops", LIMIT))
            .await
            .unwrap();
        for message in &messages {
            publish(&*channel, ID, message.clone()).await.unwrap();
        }
        channel.shutdown().await.unwrap();
    });
    let requests = server.requests();
    assert_eq!(requests.len(), messages.len());
    for (request, message) in requests.iter().zip(&messages) {
        assert_eq!(request.line, "POST /c4nary-path HTTP/1.1");
        assert_eq!(request.headers["content-type"], "application/json");
        assert_eq!(request.headers["idempotency-key"], ID);
        assert_eq!(request.headers["authorization"], "Bearer c4nary");
        assert_eq!(request.headers["x-team"], "dq");
        assert_carries(&request.json(), ID, message);
    }
}

#[test]
fn a_raw_message_is_posted_as_it_is() {
    let server = Server::start(vec![Answer::new(200, "", "")]);
    let channel = to(&server, json!({"raw": true}));
    let cloud = json!({"raw": true, "headers": {
        "Content-Type": "application/cloudevents+json",
    }});
    let event = to(&server, cloud);
    block_on(async {
        for message in hostile() {
            publish(&*channel, ID, message).await.unwrap();
        }
        publish(&*event, ID, json!({"specversion": "1.0"}))
            .await
            .unwrap();
    });
    let mut requests = server.requests();
    let last = requests.pop().unwrap();
    assert_eq!(last.headers["content-type"], "application/cloudevents+json");
    assert_eq!(last.body, br#"{"specversion":"1.0"}"#);
    let messages = hostile();
    assert_eq!(requests.len(), messages.len());
    for (request, message) in requests.iter().zip(messages) {
        assert_eq!(request.json(), message);
        assert_eq!(request.headers["content-type"], "application/json");
        assert_eq!(request.headers["idempotency-key"], ID);
    }
}

#[test]
fn answers_decide_whether_it_is_tried_again() {
    let other = Server::start(vec![Answer::new(200, "", "")]);
    let redirect = format!("Location: {}\r\n", other.url());
    let cases = [
        (Answer::new(200, "", ""), "taken"),
        (Answer::new(204, "", ""), "taken"),
        (
            Answer::new(302, &redirect, ""),
            "never: `127.0.0.1`: answered 302, a redirect",
        ),
        (
            Answer::new(400, "", "no"),
            "never: `127.0.0.1`: answered 400 Bad Request: no",
        ),
        (
            Answer::new(401, "", ""),
            "never: `127.0.0.1`: answered 401 Unauthorized; the credentials in `url` or \
             `headers` may be wrong",
        ),
        (
            Answer::new(404, "", ""),
            "never: `127.0.0.1`: answered 404 Not Found; `url` may be wrong",
        ),
        (
            Answer::new(413, "", ""),
            "never: `127.0.0.1`: answered 413 Payload Too Large; publish a smaller message",
        ),
        (
            Answer::new(429, "Retry-After: 7\r\n", ""),
            "after 7s: `127.0.0.1`: answered 429 Too Many Requests",
        ),
        (
            Answer::new(503, "", "busy"),
            "again: `127.0.0.1`: answered 503 Service Unavailable: busy",
        ),
        (Answer::Close, "again: `127.0.0.1`: "),
        (Answer::Reset, "again: `127.0.0.1`: "),
    ];
    for (answer, expected) in cases {
        let server = Server::start(vec![answer]);
        let found = match post(&server, "x") {
            Ok(_) => "taken".to_owned(),
            Err(ProcessorError::Retryable {
                message,
                retry_after: Some(wait),
            }) => {
                format!("after {wait:?}: {message}")
            }
            Err(error) if error.is_retryable() => format!("again: {error}"),
            Err(error) => format!("never: {error}"),
        };
        assert!(found.starts_with(expected), "{found}");
    }
    assert_eq!(other.requests().len(), 0, "a redirect was followed");
}

#[test]
fn nothing_that_is_said_holds_a_secret() {
    let server = Server::start(vec![Answer::Echo, Answer::Close]);
    let headers = json!({"headers": {"X-Token": "c4nary-token"}});
    let channel = to(&server, headers);
    for _ in 0..2 {
        let error = block_on(publish(&*channel, ID, "x")).unwrap_err();
        assert!(!format!("{error:?}").contains("c4nary"), "{error:?}");
    }
    let config = json!({"url": "http://c4nary@h/c4nary", "headers": {"X-Token": "c4nary"}});
    let settings: veracity_channels::WebhookSettings = serde_json::from_value(config).unwrap();
    let mut said = format!("{settings:?}");
    let built = <veracity_channels::Webhook as veracity_processor::Publisher>::build(settings);
    said.push_str(&format!("{:?}", built.unwrap()));
    assert!(!said.contains("c4nary"), "{said}");
}

#[test]
fn a_server_that_never_answers_is_given_up_in_time() {
    let server = Server::start(vec![Answer::Silent]);
    let channel = to(&server, json!({}));
    let context = ProcessContext::new("ops", ID, Duration::from_millis(800));
    let error = block_on(channel.publish(&parcel("x"), &context)).unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(
        error.message().contains("no complete answer within"),
        "{error}"
    );
}

#[test]
fn nobody_there_can_be_tried_again() {
    let config = json!({"url": "http://127.0.0.1:1/", "allow_private": true});
    let error = block_on(publish(&*build("webhook", config), ID, "x")).unwrap_err();
    assert!(error.is_retryable(), "{error}");
}

#[test]
fn a_key_that_is_no_header_is_refused() {
    let server = Server::start(vec![Answer::new(200, "", "")]);
    let channel = to(&server, json!({}));
    let error = block_on(publish(&*channel, "a\r\nX-Other: 1", "x")).unwrap_err();
    assert!(!error.is_retryable(), "{error}");
    assert_eq!(server.requests().len(), 0);
}
