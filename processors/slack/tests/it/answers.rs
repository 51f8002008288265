//! What becomes of a delivery by what Slack answers.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use veracity_http::testing::Answer;
use veracity_processor::{Outcome, ProcessContext, ProcessorError};

use crate::{KEY, api, build, deliver, ok, report, webhook};

fn wait(error: &ProcessorError) -> Option<u64> {
    match error {
        ProcessorError::Retryable { retry_after, .. } => retry_after.map(|wait| wait.as_secs()),
        _ => None,
    }
}

fn posted() -> Value {
    json!({"ok": true, "channel": "C0123", "ts": "1795154400.000100", "message": {}})
}

#[tokio::test]
async fn a_message_that_was_taken_is_delivered() {
    let (server, config) = webhook(vec![ok()]);
    assert_eq!(deliver(&config, &report()).await, Ok(Outcome::done()));
    assert_eq!(server.requests().len(), 1);

    // A long one is repeated in the answer, of which 64 KiB are read.
    let mut long = posted();
    long["message"]["text"] = Value::from("x".repeat(70_000));
    let (server, config) = api(vec![Answer::json(200, &posted()), Answer::json(200, &long)]);
    for _ in 0..2 {
        assert_eq!(deliver(&config, &report()).await, Ok(Outcome::done()));
    }
    let request = &server.requests()[1];
    assert_eq!(request.line, "POST /api/chat.postMessage HTTP/1.1");
    assert_eq!(request.headers["authorization"], "Bearer xoxb-s3cr3ts3cr3t");
    assert_eq!(
        request.headers["content-type"],
        "application/json; charset=utf-8"
    );
    assert_eq!(request.json()["channel"], "C0123");
    assert!(request.json().get("thread_ts").is_none());
}

#[tokio::test]
async fn a_webhook_that_refuses_says_what_would_help() {
    let refusals = [
        (400, "invalid_payload"),
        (400, "no_text"),
        (403, "action_prohibited"),
        (403, "invalid_token"),
        (404, "channel_not_found"),
        (404, "no_service"),
        (404, "what is this"),
        (410, "channel_is_archived"),
        (302, ""),
    ];
    let mut said = String::new();
    for (status, body) in refusals {
        let (server, config) = webhook(vec![Answer::new(status, "", body)]);
        let error = deliver(&config, &report()).await.unwrap_err();
        assert!(!error.is_retryable(), "{error}");
        assert_eq!(server.requests().len(), 1);
        said.push_str(&format!("{error}\n"));
    }
    insta::assert_snapshot!(said, @"
    `127.0.0.1`: answered 400 Bad Request: invalid_payload; this is a fault of veracity, please report it
    `127.0.0.1`: answered 400 Bad Request: no_text; this is a fault of veracity, please report it
    `127.0.0.1`: answered 403 Forbidden: action_prohibited; an administrator has restricted who may post there
    `127.0.0.1`: answered 403 Forbidden: invalid_token; the webhook was removed or disabled: make a new one and change `webhook_url`
    `127.0.0.1`: answered 404 Not Found: channel_not_found; check `channel`, and invite the app if the channel is private; a webhook's channel may have been deleted
    `127.0.0.1`: answered 404 Not Found: no_service; the webhook was removed or disabled: make a new one and change `webhook_url`
    `127.0.0.1`: answered 404 Not Found: what is this; the webhook may have been removed: make a new one and change `webhook_url`
    `127.0.0.1`: answered 410 Gone: channel_is_archived; the channel is archived: unarchive it or choose another one
    `127.0.0.1`: answered 302, a redirect, which is not followed; put the new address into `webhook_url`
    ");
}

#[tokio::test]
async fn the_api_refuses_with_a_success() {
    let cases = [
        json!({"ok": false, "error": "channel_not_found"}),
        json!({"ok": false, "error": "not_in_channel"}),
        json!({"ok": false, "error": "is_archived"}),
        json!({"ok": false, "error": "invalid_auth"}),
        json!({"ok": false, "error": "missing_scope", "needed": "chat:write"}),
        json!({"ok": false, "error": "msg_blocks_too_long"}),
        json!({"ok": false, "error": "invalid_arguments",
               "response_metadata": {"messages": ["[ERROR] missing required field: channel"]}}),
        json!({"ok": false, "error": "something_new"}),
        json!({"ok": false, "error": "no \u{1b}[2J word xoxb-s3cr3ts3cr3t"}),
        json!({"ok": false}),
        json!({"text": "hello"}),
    ];
    let mut said = String::new();
    for reply in cases {
        let (server, config) = api(vec![Answer::json(200, &reply)]);
        let error = deliver(&config, &report()).await.unwrap_err();
        assert!(!error.is_retryable(), "{error}");
        assert_eq!(server.requests().len(), 1);
        said.push_str(&format!("{error}\n"));
    }
    insta::assert_snapshot!(said, @r#"
    `127.0.0.1`: refused the message: `channel_not_found`; check `channel`, and invite the app if the channel is private; a webhook's channel may have been deleted
    `127.0.0.1`: refused the message: `not_in_channel`; invite the app to the channel (`/invite @app`)
    `127.0.0.1`: refused the message: `is_archived`; the channel is archived: unarchive it or choose another one
    `127.0.0.1`: refused the message: `invalid_auth`; `token` is not valid any more: install the app again and change it
    `127.0.0.1`: refused the message: `missing_scope`; the app needs the scope `chat:write`, and `token` must be its bot token (`xoxb-..`)
    `127.0.0.1`: refused the message: `msg_blocks_too_long`; `max_findings` may be smaller
    `127.0.0.1`: refused the message: `invalid_arguments`: {"ok":false,"error":"invalid_arguments","response_metadata":{"messages":["[ERROR] missing required field: channel"]}}
    `127.0.0.1`: refused the message: `something_new`
    `127.0.0.1`: refused the message: {"ok":false,"error":"no \u001b[2J word ***"}
    `127.0.0.1`: refused the message: {"ok":false}
    `127.0.0.1`: answered 200, but not as Slack does: {"text":"hello"}
    "#);
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    let transient = [
        "ratelimited",
        "rate_limited",
        "internal_error",
        "fatal_error",
        "service_unavailable",
        "request_timeout",
    ];
    for word in transient {
        let reply = json!({"ok": false, "error": word});
        let (_server, config) = api(vec![Answer::json(200, &reply)]);
        let error = deliver(&config, &report()).await.unwrap_err();
        assert!(error.is_retryable(), "{error}");
        assert_eq!(
            error.message(),
            format!("`127.0.0.1`: did not take the message: `{word}`")
        );
    }
    let broken = [
        Answer::new(500, "", "rollup_error"),
        Answer::new(503, "", "channel_not_found"),
        Answer::Reset,
        Answer::Close,
    ];
    for answer in broken {
        for (_server, config) in [webhook(vec![answer.clone()]), api(vec![answer.clone()])] {
            let error = deliver(&config, &report()).await.unwrap_err();
            assert!(error.is_retryable(), "{answer:?}: {error}");
        }
    }
}

#[tokio::test]
async fn slack_says_when_to_come_again() {
    let date = httpdate(Duration::from_secs(600));
    let cases = [("2".to_owned(), 2..=2), (date, 300..=600)];
    for (header, expected) in cases {
        let headers = format!("Retry-After: {header}\r\n");
        let limited = json!({"ok": false, "error": "ratelimited"});
        let answers = [
            Answer::new(429, &headers, "rate_limited"),
            Answer::new(429, &headers, &limited.to_string()),
            Answer::new(200, &headers, &limited.to_string()),
        ];
        for answer in answers {
            for (server, config) in [webhook(vec![answer.clone()]), api(vec![answer.clone()])] {
                let error = deliver(&config, &report()).await.unwrap_err();
                let wait = wait(&error).unwrap_or_default();
                assert!(expected.contains(&wait), "{header}: {wait} {error}");
                assert_eq!(server.requests().len(), 1);
            }
        }
    }
}

/// The time in `wait` as HTTP writes it.
fn httpdate(wait: Duration) -> String {
    httpdate::fmt_http_date(SystemTime::now() + wait)
}

#[tokio::test]
async fn a_receiver_that_asks_for_a_pause_is_not_asked_by_others_either() {
    let limited = Answer::new(429, "Retry-After: 600\r\n", "rate_limited");
    let (server, config) = webhook(vec![limited, ok()]);
    assert!(deliver(&config, &report()).await.is_err());
    let error = deliver(&config, &report()).await.unwrap_err();
    assert!(wait(&error).is_some_and(|wait| wait > 300), "{error}");
    assert_eq!(server.requests().len(), 1, "it was left alone");
}

#[tokio::test]
async fn a_page_for_people_is_no_success() {
    let page = "<!doctype html><title>Log in</title>";
    let pages = [
        Answer::new(200, "Content-Type: text/html\r\n", page),
        Answer::new(200, "", page),
        Answer::new(200, "Content-Type: text/html; charset=utf-8\r\n", "Welcome"),
    ];
    for answer in pages {
        for (_server, config) in [webhook(vec![answer.clone()]), api(vec![answer.clone()])] {
            let error = deliver(&config, &report()).await.unwrap_err();
            assert!(error.is_retryable(), "{error}");
            assert!(error.message().contains("a page for people"), "{error}");
        }
    }
}

#[tokio::test]
async fn another_success_than_slacks_is_none() {
    for body in ["", "1", "{\"success\": true}", "okay"] {
        for (_server, config) in [
            webhook(vec![Answer::new(200, "", body)]),
            api(vec![Answer::new(200, "", body)]),
        ] {
            let error = deliver(&config, &report()).await.unwrap_err();
            assert!(!error.is_retryable(), "{body}: {error}");
        }
    }
}

#[tokio::test]
async fn no_answer_costs_the_time_limit_and_no_more() {
    let (_server, config) = webhook(vec![Answer::Silent]);
    let context = ProcessContext::new("slack", KEY, Duration::from_secs(2));
    let error = build(&config)
        .process(&report(), &context)
        .await
        .unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(
        error.message().contains("no complete answer within"),
        "{error}"
    );
}
