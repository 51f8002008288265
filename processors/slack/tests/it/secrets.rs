//! Nothing that is said holds a secret.

use std::time::Duration;

use serde_json::{Value, json};
use veracity_http::testing::{Answer, Server};
use veracity_processor::{ProcessContext, Processor};
use veracity_slack::{Settings, Slack};

use crate::{KEY, build, plugin, report};

const CANARY: &str = "c4nary";

/// Settings that are full of secrets, each with the canary in it.
fn configs(address: &str) -> [Value; 2] {
    let url = format!("http://{address}/services/T0c4nary/B0c4nary/c4narytoken?k=c4naryquery");
    let api_url = format!("http://{address}/api");
    [
        json!({"webhook_url": url, "allow_private": true}),
        json!({
            "token": "xoxb-c4nary-token", "channel": "#dq", "api_url": api_url,
            "allow_private": true,
        }),
    ]
}

#[tokio::test]
async fn errors_hold_no_secret_even_if_the_request_is_repeated() {
    for kind in 0..2 {
        let all = [
            "T0c4nary/B0c4nary/c4narytoken c4narytoken c4naryquery",
            "xoxb-c4nary-token, Bearer xoxb-c4nary-token",
        ][kind];
        let answers = [
            Answer::Echo,
            Answer::new(200, "", all),
            Answer::json(200, &json!({"ok": false, "error": all})),
            Answer::json(
                200,
                &json!({"ok": false, "error": "x", "response_metadata": {"messages": [all]}}),
            ),
            Answer::new(302, "Location: /services/c4narytoken\r\n", ""),
            Answer::new(404, "", all),
            Answer::new(500, "", all),
            Answer::new(429, "Retry-After: 600\r\n", all),
            Answer::Close,
            Answer::Silent,
            Answer::Bytes(b"c4narytoken".to_vec()),
        ];
        for answer in answers {
            let server = Server::start(vec![answer]);
            let config = &configs(&server.address.to_string())[kind];
            let context = ProcessContext::new("slack", KEY, Duration::from_secs(3));
            let ended = build(config).process(&report(), &context).await;
            let error = ended.unwrap_err();
            let said = format!("{error} {error:?} {context:?}");
            assert!(!said.contains(CANARY), "{said}");
            assert!(!server.requests().is_empty());
        }
    }
}

#[tokio::test]
async fn neither_debug_nor_health_nor_refused_settings_show_a_secret() {
    for config in configs("127.0.0.1:1") {
        let settings: Settings = serde_json::from_value(config.clone()).unwrap();
        let mut said = format!("{settings:?}");
        let slack = Slack::build(settings).unwrap();
        said.push_str(&format!("{slack:?} {:?}", plugin().info()));
        said.push_str(&format!("{:?}", build(&config).health().await));
        let mut context = ProcessContext::new("slack", KEY, Duration::from_secs(5));
        context.config.0 = config.clone();
        said.push_str(&format!("{context:?}"));
        assert!(!said.contains(CANARY), "{said}");
        assert!(said.contains("127.0.0.1"), "the host is named");
    }
    let refused = [
        json!({"webhook_url": "c4nary"}),
        json!({"webhook_url": "https://hooks.slack.com/triggers/c4nary"}),
        json!({"token": "c4nary\n", "channel": ""}),
        json!({"webhook_url": "https://a.org/c4nary", "token": "c4nary"}),
    ];
    for config in refused {
        let error = plugin().build_processor(config).err().unwrap();
        assert!(!format!("{error} {error:?}").contains(CANARY), "{error}");
    }
}
