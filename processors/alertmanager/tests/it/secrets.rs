//! Nothing that is said holds a secret.

use std::time::Duration;

use serde_json::{Value, json};
use veracity_alertmanager::Settings;
use veracity_processor::Status::Failed;
use veracity_processor::{ProcessContext, ResultProcessor};

use crate::{build, plugin, report, with};
use veracity_http::testing::{Answer, Server};

const CANARY: &str = "c4nary";

/// Three ways to say who one is, each full of secrets, which come with it.
fn configs(address: &str) -> [(Value, &'static str); 3] {
    let config = |user: &str| {
        let url = format!("http://{user}{address}/c4nary-path?key=c4nary-query");
        json!({"urls": [url], "allow_private": true})
    };
    let user = json!({"username": "user-c4nary", "password": "pw-c4nary"});
    let token = json!({"bearer_token": "c4nary-token"});
    [
        (config("user-c4nary:pw-c4nary@"), "user-c4nary pw-c4nary"),
        (with(config(""), user), "user-c4nary pw-c4nary"),
        (with(config(""), token), "c4nary-token"),
    ]
}

#[tokio::test]
async fn errors_and_state_hold_no_secret_even_if_the_receiver_repeats_it() {
    let answers: [fn(&str) -> Answer; 5] = [
        |_| Answer::Echo,
        |secrets| Answer::new(500, "", &format!("{secrets} c4nary-path c4nary-query")),
        |_| Answer::new(302, "Location: /c4nary-path\r\n", ""),
        |_| Answer::Close,
        |_| Answer::Silent,
    ];
    for answer in answers {
        for which in 0..3 {
            let secrets = configs("")[which].1;
            let server = Server::start(vec![answer(secrets)]);
            let config = configs(&server.address.to_string())[which].0.clone();
            let context = ProcessContext::new("alertmanager", "1", Duration::from_secs(2));
            let failed = report(1, &[("a", Failed)]);
            let error = build(config).process(&failed, &context).await.unwrap_err();
            let said = format!("{error} {error:?} {:?}", context.state.values());
            assert!(!said.contains(CANARY), "{said}");
            // The receiver sees it as `Authorization: Basic`.
            assert!(!said.contains("dXNlci1jNG5hcnk6"), "{said}");
            let sent = &server.requests()[0];
            assert!(sent.path().contains("c4nary-query"), "it was sent");
            assert!(
                sent.headers.contains_key("authorization"),
                "and so was the user"
            );
        }
    }
}

#[tokio::test]
async fn neither_debug_nor_health_nor_the_description_shows_a_secret() {
    for (config, _) in configs("127.0.0.1:1") {
        let settings: Settings = serde_json::from_value(config.clone()).unwrap();
        // The user's name is no secret of the settings.
        let mut said = format!("{:?} {:?}", settings.urls, settings.password);
        said.push_str(&format!("{:?}", settings.bearer_token));
        let processor = build(config);
        said.push_str(&format!("{processor:?} {:?}", plugin().info()));
        said.push_str(&format!("{:?}", processor.health().await));
        assert!(!said.contains(CANARY), "{said}");
        assert!(said.contains("127.0.0.1"), "the host is named");
    }
}

#[test]
fn settings_that_are_refused_are_not_quoted() {
    let url = "https://alertmanager.example.org";
    let cases = [
        (json!({"urls": []}), "urls: must name 1 to 32 Alertmanagers"),
        (
            json!({"urls": [url, CANARY]}),
            "urls[1]: is no URL: relative URL without a base",
        ),
        (json!({"urls": [url, url]}), "urls[1]: stands there twice"),
        (
            json!({"urls": ["https://a.org/c4nary/api/v2/alerts"]}),
            "urls[0]: must be the address of Alertmanager itself, without `/api/..`",
        ),
        (
            json!({"urls": ["http://10.0.0.1:9093"]}),
            "urls[0]: `10.0.0.1` is 10.0.0.1, a private address; `allow_private: true` permits it",
        ),
        (
            json!({"urls": ["https://c4nary:c4nary@a.org"], "username": "x", "password": "y"}),
            "urls[0]: holds a user, and so does `username`; leave out one of them",
        ),
        (
            json!({"urls": [url], "username": CANARY}),
            "username: needs a `password`",
        ),
        (
            json!({"urls": [url], "password": CANARY}),
            "password: needs a `username`",
        ),
        (
            json!({"urls": [url], "bearer_token": "c4nary\n"}),
            "bearer_token: must be printable ASCII on one line",
        ),
        (
            json!({"urls": [url], "username": "x", "password": "y", "bearer_token": CANARY}),
            "bearer_token: and `username` exclude each other",
        ),
        (
            json!({"urls": [url], "labels": {"a-b": "x", "severity": "y", "ok": "z", "": "w"}}),
            "labels.: is no name of a label: letters, digits and `_`, and no digit first; \
             labels.a-b: is no name of a label: letters, digits and `_`, and no digit first; \
             labels.severity: is set by veracity",
        ),
        (
            json!({"urls": [url], "expires_after": "soon", "max_alerts": 0, "link": "x"}),
            "expires_after: is no time such as `26h` or `45m`: expected number at 0; \
             max_alerts: must be 1 to 1000; link: must begin with `https://` or `http://`",
        ),
        (
            json!({"urls": [url], "expires_after": "59s"}),
            "expires_after: must be one minute to 366 days",
        ),
    ];
    for (config, expected) in cases {
        let error = plugin().build_processor(config).err().unwrap();
        assert_eq!(error.to_string(), expected);
    }
}
