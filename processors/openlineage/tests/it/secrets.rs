//! Nothing that is said holds a secret.

use serde_json::json;
use veracity_http::testing::{Answer, Server};
use veracity_openlineage::Settings;
use veracity_processor::{ResultProcessor, StartContext};

use crate::{LIMIT, Place, plugin, report};

const CANARY: &str = "c4nary";

fn place(address: &str) -> Place {
    Place::new(json!({
        "url": format!("http://user-c4nary:pw-c4nary@{address}/c4nary-path?key=c4nary-query"),
        "api_key": "c4nary-token", "allow_private": true, "timeout": 2.0
    }))
}

#[tokio::test]
async fn errors_hold_no_secret_even_if_the_receiver_repeats_the_request() {
    let said = "key c4nary-query: pw-c4nary, c4nary-path, user-c4nary, Bearer c4nary-token";
    let refused = json!({"summary": {"failed": 1}, "failed_events": [{"reason": said}]});
    let answers = [
        Answer::Echo,
        Answer::new(302, "Location: /c4nary-path?key=c4nary-query\r\n", ""),
        Answer::new(500, "", said),
        Answer::json(200, &refused),
        Answer::new(200, "Content-Type: text/html\r\n", said),
        Answer::Close,
        Answer::Reset,
        Answer::Silent,
    ];
    for answer in answers {
        let server = Server::start(vec![answer]);
        let mut place = place(&server.address.to_string());
        let error = place.end(&report(1)).await.unwrap_err();
        let said = format!("{error} {error:?} {:?}", place.state);
        assert!(!said.contains(CANARY), "{said}");
        let requests = server.requests();
        assert!(requests[0].path().contains("c4nary-query"), "it was sent");
        assert_eq!(requests[0].headers["authorization"], "Bearer c4nary-token");
    }
}

#[tokio::test]
async fn neither_debug_nor_health_nor_state_nor_the_description_shows_a_secret() {
    let server = Server::start(vec![Answer::new(201, "", "")]);
    let mut place = place(&server.address.to_string());
    let variables = [
        ("OPENLINEAGE_API_KEY", "c4nary-key"),
        ("OPENLINEAGE_URL", "https://c4nary.example.org/"),
    ];
    for (name, text) in variables {
        place.variables.insert(name.into(), text.into());
    }
    place.begin(&report(1)).await.unwrap();
    let settings: Settings = serde_json::from_value(place.config.clone()).unwrap();
    let processor = place.processor();
    processor
        .startup(&StartContext::new("openlineage", LIMIT))
        .await
        .unwrap();
    let health = processor.health().await.unwrap();
    let mut said = format!(
        "{settings:?} {health:?} {:?} {:?}",
        place.state,
        plugin().info()
    );
    // The variables are not shown either, and the receivers only by their host.
    let shown = format!("{processor:?}");
    said.push_str(&shown);
    assert!(!said.contains(CANARY), "{said}");
    assert!(shown.contains("127.0.0.1"), "{shown}");
}
