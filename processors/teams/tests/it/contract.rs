//! The contract of processors.

use std::time::{Duration, Instant};

use serde_json::json;
use veracity_processor::{HealthStatus, Stage, conformance};

use crate::{accepted, build, context, flow, plugin, report, with};

#[test]
fn it_keeps_to_the_contract() {
    let (_server, config) = flow(vec![accepted()]);
    assert_eq!(conformance::check(plugin(), &config), Vec::<String>::new());
}

#[test]
fn it_serves_after_runs_and_dead_letters() {
    let stages = [Stage::AfterRun, Stage::OnError, Stage::DeadLetter];
    assert_eq!(plugin().info().stages, stages);
}

#[tokio::test]
async fn health_sends_no_message() {
    let (server, config) = flow(vec![accepted()]);
    let health = build(&config).health().await.unwrap();
    assert_eq!(health.status, HealthStatus::Healthy, "{health:?}");
    assert_eq!(server.requests().len(), 0);
    let nowhere = json!({"webhook_url": "http://127.0.0.1:1/s3cr3t", "allow_private": true});
    let health = build(&nowhere).health().await.unwrap();
    assert_eq!(health.status, HealthStatus::Unhealthy, "{health:?}");
}

#[tokio::test]
async fn instances_with_one_url_post_four_times_a_second() {
    let (server, config) = flow(vec![accepted()]);
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
        two.process(&report, &context),
        one.process(&report, &context),
    );
    assert!(
        ended.0.is_ok() && ended.1.is_ok() && ended.4.is_ok(),
        "{ended:?}"
    );
    assert!(
        began.elapsed() >= Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(server.requests().len(), 5);
}
