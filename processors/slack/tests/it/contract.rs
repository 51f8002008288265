//! The contract of processors.

use serde_json::json;
use veracity_http::testing::Answer;
use veracity_processor::{HealthStatus, Stage, conformance};

use crate::{api, build, ok, plugin, webhook};

#[test]
fn it_keeps_to_the_contract() {
    let (_server, config) = webhook(vec![ok()]);
    assert_eq!(conformance::check(plugin(), &config), Vec::<String>::new());
}

#[test]
fn it_serves_after_runs_and_dead_letters() {
    let stages = [Stage::AfterRun, Stage::OnError, Stage::DeadLetter];
    assert_eq!(plugin().info().stages, stages);
}

#[tokio::test]
async fn health_sends_no_message() {
    let nowhere = json!({"webhook_url": "http://127.0.0.1:1/s3cr3t", "allow_private": true});
    for (server, config) in [
        webhook(vec![ok()]),
        api(vec![Answer::json(200, &json!({}))]),
    ] {
        let health = build(&config).health().await.unwrap();
        assert_eq!(health.status, HealthStatus::Healthy, "{health:?}");
        assert_eq!(server.requests().len(), 0);
    }
    let health = build(&nowhere).health().await.unwrap();
    assert_eq!(health.status, HealthStatus::Unhealthy, "{health:?}");
}
