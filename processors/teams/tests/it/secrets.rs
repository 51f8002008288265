//! Nothing that is said holds a secret.

use std::time::Duration;

use serde_json::{Value, json};
use veracity_http::testing::{Answer, Server};
use veracity_processor::{ProcessContext, Processor};
use veracity_teams::{Settings, Teams};

use crate::{KEY, build, plugin, report};

const CANARY: &str = "c4nary";

/// Settings whose URL is full of secrets, each with the canary in it.
fn config(address: &str) -> Value {
    json!({
        "webhook_url": format!(
            "http://{address}/workflows/c4naryflow/triggers/manual/paths/invoke\
             ?sp=%2Ftriggers&sig=c4narysignature"
        ),
        "allow_private": true,
    })
}

#[tokio::test]
async fn errors_hold_no_secret_even_if_the_request_is_repeated() {
    let all = "no workflow c4naryflow with sig=c4narysignature: c4narysignature";
    let refusal = json!({"error": {"code": "WorkflowNotFound", "message": all}});
    let answers = [
        Answer::Echo,
        Answer::json(404, &refusal),
        Answer::new(400, "", all),
        Answer::new(413, "", all),
        Answer::new(200, "", &format!("{all} returned HTTP error 429")),
        Answer::new(302, "Location: /workflows/c4naryflow\r\n", ""),
        Answer::new(500, "", all),
        Answer::new(429, "Retry-After: 600\r\n", all),
        Answer::Close,
        Answer::Silent,
        Answer::Bytes(b"c4narysignature".to_vec()),
    ];
    for answer in answers {
        let server = Server::start(vec![answer]);
        let config = config(&server.address.to_string());
        let context = ProcessContext::new("teams", KEY, Duration::from_secs(3));
        let ended = build(&config).process(&report(), &context).await;
        let error = ended.unwrap_err();
        let said = format!("{error} {error:?} {context:?}");
        assert!(!said.contains(CANARY), "{said}");
        assert!(server.requests()[0].line.contains("c4narysignature"));
    }
}

#[tokio::test]
async fn neither_debug_nor_health_nor_refused_settings_show_a_secret() {
    let config = config("127.0.0.1:1");
    let settings: Settings = serde_json::from_value(config.clone()).unwrap();
    let mut said = format!("{settings:?}");
    let teams = Teams::build(settings).unwrap();
    said.push_str(&format!("{teams:?} {:?}", plugin().info()));
    said.push_str(&format!("{:?}", build(&config).health().await));
    let mut context = ProcessContext::new("teams", KEY, Duration::from_secs(5));
    context.config.0 = config;
    said.push_str(&format!("{context:?}"));
    assert!(!said.contains(CANARY), "{said}");
    assert!(said.contains("127.0.0.1"), "the host is named");
    for url in ["c4nary", "ftp://c4nary", "http://[c4nary]/"] {
        let refused = plugin().build_processor(json!({"webhook_url": url}));
        let error = refused.err().unwrap();
        assert!(!format!("{error} {error:?}").contains(CANARY), "{error}");
    }
}
