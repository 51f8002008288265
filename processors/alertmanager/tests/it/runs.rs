//! Alerts over several runs, and several Alertmanagers.

use serde_json::json;
use veracity_processor::Status::{Failed, Passed, Skipped};
use veracity_processor::{Outcome, ProcessorError, State};

use crate::{Cluster, many, report, taken};
use veracity_http::testing::Answer;

#[tokio::test]
async fn what_fails_fires_again_and_is_ended_when_it_passes() {
    let mut cluster = Cluster::new(vec![vec![taken()]]);
    let first = report(1, &[("id", Failed), ("sku", Failed), ("date", Passed)]);
    cluster.tell(json!({}), &first, "1").await.unwrap();
    let fired = cluster.alerts(0);
    assert_eq!(fired.len(), 2);
    cluster.now = 3600;
    let second = report(2, &[("id", Failed), ("sku", Passed), ("date", Skipped)]);
    cluster.tell(json!({}), &second, "2").await.unwrap();
    let alerts = cluster.alerts(0);
    assert_eq!(
        alerts[0]["labels"], fired[0]["labels"],
        "the same alert, which goes on"
    );
    assert_eq!(alerts[0]["endsAt"], "2026-11-21T08:00:04Z");
    assert_eq!(
        alerts[1]["labels"], fired[1]["labels"],
        "the same alert, which is over"
    );
    assert_eq!(alerts[1]["endsAt"], "2026-11-20T06:59:34Z");
    assert_eq!(alerts[1]["annotations"], json!({}));
    let third = report(3, &[("id", Passed), ("sku", Passed), ("date", Passed)]);
    let outcome = cluster.tell(json!({}), &third, "3").await.unwrap();
    assert_eq!(cluster.names(0), ["-id"]);
    assert_eq!(outcome.note.as_deref(), Some("0 firing, 1 over"));
    let outcome = cluster
        .tell(json!({}), &report(4, &[("id", Passed)]), "4")
        .await
        .unwrap();
    assert_eq!(
        outcome,
        Outcome::skipped("nothing fires and nothing is over")
    );
    assert_eq!(cluster.requests(0).len(), 0);
}

#[tokio::test]
async fn what_ended_by_itself_is_not_ended_again() {
    let mut cluster = Cluster::new(vec![vec![taken()]]);
    let settings = json!({"expires_after": "1h"});
    cluster
        .tell(settings.clone(), &report(1, &[("a", Failed)]), "1")
        .await
        .unwrap();
    cluster.names(0);
    cluster.now = 3600;
    let outcome = cluster
        .tell(settings, &report(2, &[("a", Passed)]), "2")
        .await
        .unwrap();
    assert_eq!(
        outcome,
        Outcome::skipped("nothing fires and nothing is over")
    );
}

#[tokio::test]
async fn an_alertmanager_that_is_down_hears_of_it_later_and_the_other_hears_it_once() {
    let down = Answer::new(503, "Retry-After: 9\r\n", "starting");
    let mut cluster = Cluster::new(vec![
        vec![taken()],
        vec![down.clone(), taken(), down, taken()],
    ]);
    let failed = report(1, &[("a", Failed), ("b", Failed)]);
    let error = cluster.tell(json!({}), &failed, "1").await.unwrap_err();
    assert_eq!(
        error.message(),
        "1 of 2 Alertmanagers did not take the alerts: `127.0.0.1`: answered 503 Service \
         Unavailable: starting"
    );
    assert!(
        matches!(error, ProcessorError::Retryable { retry_after: Some(wait), .. } if wait.as_secs() == 9)
    );
    assert_eq!(cluster.names(0), ["a", "b"]);
    cluster.requests(1);
    cluster.tell(json!({}), &failed, "1").await.unwrap();
    assert_eq!(cluster.names(0), Vec::<String>::new(), "it has them");
    assert_eq!(cluster.names(1), ["a", "b"]);

    let passed = report(2, &[("a", Passed), ("b", Failed)]);
    cluster.tell(json!({}), &passed, "2").await.unwrap_err();
    assert_eq!(cluster.names(0), ["b", "-a"]);
    cluster.requests(1);
    cluster.tell(json!({}), &passed, "2").await.unwrap();
    assert_eq!(cluster.names(0), Vec::<String>::new());
    assert_eq!(
        cluster.names(1),
        ["b", "-a"],
        "the one that was down hears that it is over"
    );
}

#[tokio::test]
async fn one_that_is_silent_does_not_keep_the_other_waiting() {
    let mut cluster = Cluster::new(vec![vec![Answer::Silent], vec![taken()]]);
    let processor = crate::build(cluster.config(json!({})));
    use veracity_processor::{ProcessContext, ResultProcessor};
    let context = ProcessContext::new("alertmanager", "1", std::time::Duration::from_secs(2));
    let error = processor
        .process(&report(1, &[("a", Failed)]), &context)
        .await
        .unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(
        error.message().contains("no complete answer within"),
        "{error}"
    );
    assert_eq!(cluster.names(1).len(), 1);
    cluster.state = context.state.values();
    assert!(
        cluster.state.contains_key("told"),
        "it is remembered who has them"
    );
}

/// The Alertmanager that took the alert may be all that was reached.
#[tokio::test]
async fn what_may_fire_is_ended() {
    let mut cluster = Cluster::new(vec![vec![Answer::Close, taken()]]);
    cluster
        .tell(json!({}), &report(1, &[("a", Failed)]), "1")
        .await
        .unwrap_err();
    cluster.requests(0);
    cluster
        .tell(json!({}), &report(2, &[("a", Passed)]), "2")
        .await
        .unwrap();
    assert_eq!(cluster.names(0), ["-a"]);
}

#[tokio::test]
async fn a_report_that_comes_late_fires_nothing() {
    let mut cluster = Cluster::new(vec![vec![taken()]]);
    cluster
        .tell(json!({}), &report(2, &[("a", Passed)]), "2")
        .await
        .unwrap();
    let outcome = cluster
        .tell(json!({}), &report(1, &[("a", Failed)]), "1")
        .await
        .unwrap();
    assert_eq!(
        outcome,
        Outcome::skipped("a newer run of the suite has been told already")
    );
    assert_eq!(cluster.requests(0).len(), 0);
}

#[tokio::test]
async fn ten_thousand_alerts_come_and_go_and_the_state_stays_small() {
    let mut cluster = Cluster::new(vec![vec![taken()]]);
    let one = many(1, 10_000, "a", Failed);
    cluster.tell(json!({}), &one, "1").await.unwrap();
    assert_eq!(cluster.names(0).len(), 1001);
    let other = many(2, 10_000, "b", Failed);
    cluster.tell(json!({}), &other, "2").await.unwrap();
    assert_eq!(cluster.names(0).len(), 1000, "as many as can be remembered");
    let third = many(3, 10_000, "c", Failed);
    cluster.tell(json!({}), &third, "3").await.unwrap();
    assert_eq!(cluster.names(0), ["VeracityMoreAssertionsFailed"]);
    let bytes = serde_json::to_string(&cluster.state).unwrap().len();
    assert!(
        bytes > State::MAX_BYTES / 2,
        "{bytes}: it was put to the test"
    );
    let passed = many(4, 10_000, "b", Passed);
    cluster.tell(json!({}), &passed, "4").await.unwrap();
    let names = cluster.names(0);
    assert!(names.iter().all(|name| name.starts_with('-')));
    assert!(names.contains(&"-VeracityMoreAssertionsFailed".to_owned()));
    cluster.now = 26 * 3600;
    let outcome = cluster
        .tell(json!({}), &many(5, 1, "a", Passed), "5")
        .await
        .unwrap();
    assert_eq!(
        outcome,
        Outcome::skipped("nothing fires and nothing is over")
    );
    let names: Vec<&String> = cluster.state.keys().collect();
    assert_eq!(
        names,
        ["run", "skipped", "told", "version"],
        "the others ended by themselves"
    );
}
