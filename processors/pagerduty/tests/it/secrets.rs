//! Nothing that is said holds the routing key, or a secret of the URL.

use std::time::Duration;

use serde_json::{Value, json};
use veracity_pagerduty::{PagerDuty, Settings};
use veracity_processor::Status::Failed;
use veracity_processor::{ProcessContext, Processor};

use crate::{build, plugin, refused, report};
use veracity_http::testing::{Answer, Server};

const CANARY: &str = "c4nary";
const KEY: &str = "c4nary00000000000000000000c4nary";

fn config(address: &str) -> Value {
    json!({
        "routing_key": KEY,
        "url": format!("http://user-c4nary:pw-c4nary@{address}/c4nary-path?key=c4nary-query"),
        "allow_private": true,
    })
}

#[tokio::test]
async fn errors_hold_no_secret_even_if_the_receiver_repeats_it() {
    let answers = [
        Answer::Echo,
        refused(&format!("unknown routing key {KEY}")),
        Answer::new(500, "", "pw-c4nary c4nary-path user-c4nary c4nary-query"),
        Answer::new(302, "Location: /c4nary-path\r\n", ""),
        Answer::Close,
        Answer::Silent,
    ];
    for answer in answers {
        let server = Server::start(vec![answer]);
        let processor = build(config(&server.address.to_string()));
        let context = ProcessContext::new("pagerduty", "1", Duration::from_secs(2));
        let failed = report(1, &[("a", Failed)]);
        let error = processor.process(&failed, &context).await.unwrap_err();
        let said = format!("{error} {error:?} {:?}", context.state.values());
        assert!(!said.contains(CANARY), "{said}");
        assert_eq!(
            server.requests()[0].json()["routing_key"],
            KEY,
            "it was sent"
        );
    }
}

#[tokio::test]
async fn neither_debug_nor_health_nor_the_description_shows_a_secret() {
    let settings: Settings = serde_json::from_value(config("127.0.0.1:1")).unwrap();
    let mut said = format!("{settings:?}");
    let processor = PagerDuty::build(settings).unwrap();
    said.push_str(&format!("{processor:?} {:?}", plugin().info()));
    said.push_str(&format!(
        "{:?}",
        build(config("127.0.0.1:1")).health().await
    ));
    assert!(!said.contains(CANARY), "{said}");
    assert!(said.contains("127.0.0.1"), "the host is named");
}

#[test]
fn settings_that_are_refused_are_not_quoted() {
    let cases = [
        (
            json!({"routing_key": CANARY}),
            "routing_key: must be 32 letters and digits",
        ),
        (
            json!({"routing_key": format!("{CANARY}\n0000000000000000000000000")}),
            "routing_key: must be 32 letters and digits",
        ),
        (
            json!({"routing_key": KEY, "url": CANARY}),
            "url: is no URL: relative URL without a base",
        ),
        (
            json!({"routing_key": KEY, "url": "https://a.org", "region": "eu"}),
            "region: says where events go, and so does `url`; leave out one of them",
        ),
        (
            json!({"routing_key": "x", "max_events": 101, "link": "{date}"}),
            "routing_key: must be 32 letters and digits; max_events: must be 1 to 100; link: must \
             begin with `https://` or `http://`",
        ),
    ];
    for (config, expected) in cases {
        let error = plugin().build_processor(config).err().unwrap();
        assert_eq!(error.to_string(), expected);
    }
}
