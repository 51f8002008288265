//! One message a second.

use std::time::{Duration, Instant};

use serde_json::json;
use veracity_http::testing::Answer;

use crate::{api, build, context, ok, report, webhook, with};

#[tokio::test]
async fn instances_with_one_url_post_a_second_apart() {
    let (server, config) = webhook(vec![ok()]);
    let (one, two) = (
        build(&config),
        build(&with(config, json!({"max_findings": 3}))),
    );
    let (report, context) = (report(), context());
    let began = Instant::now();
    let ended = tokio::join!(
        one.process(&report, &context),
        two.process(&report, &context),
        one.process(&report, &context),
    );
    assert!(
        ended.0.is_ok() && ended.1.is_ok() && ended.2.is_ok(),
        "{ended:?}"
    );
    assert!(
        began.elapsed() >= Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn another_channel_has_turns_of_its_own() {
    let posted = json!({"ok": true, "channel": "C1", "ts": "1.2"});
    let limited = Answer::new(429, "Retry-After: 600\r\n", "");
    let (server, config) = api(vec![limited, Answer::json(200, &posted)]);
    let (report, context) = (report(), context());
    assert!(build(&config).process(&report, &context).await.is_err());
    let other = with(config, json!({"channel": "C9"}));
    assert!(build(&other).process(&report, &context).await.is_ok());
    assert_eq!(server.requests().len(), 2);
}
