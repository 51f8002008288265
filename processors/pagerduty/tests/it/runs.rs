//! Alerts over several runs.

use serde_json::{Value, json};
use veracity_processor::Status::{Failed, Passed, Skipped};
use veracity_processor::{Outcome, Severity, State};

use crate::{Service, many, queued, report};
use veracity_http::testing::Answer;

#[tokio::test]
async fn what_fails_is_triggered_again_and_resolved_once_when_it_passes() {
    let mut service = Service::new(vec![queued()]);
    let key = "veracity/orders/orders/keys/";
    let first = report(1, &[("id", Failed), ("sku", Failed), ("date", Passed)]);
    service.tell(json!({}), &first, "1").await.unwrap();
    assert_eq!(
        service.actions(),
        [format!("trigger {key}id"), format!("trigger {key}sku")]
    );
    let second = report(2, &[("id", Failed), ("sku", Passed), ("date", Skipped)]);
    service.tell(json!({}), &second, "2").await.unwrap();
    assert_eq!(
        service.actions(),
        [format!("trigger {key}id"), format!("resolve {key}sku")]
    );
    let third = report(3, &[("id", Passed), ("sku", Passed), ("date", Passed)]);
    let outcome = service.tell(json!({}), &third, "3").await.unwrap();
    assert_eq!(service.actions(), [format!("resolve {key}id")]);
    assert_eq!(outcome.note.as_deref(), Some("0 triggered, 1 resolved"));
    let fourth = report(4, &[("id", Passed)]);
    let outcome = service.tell(json!({}), &fourth, "4").await.unwrap();
    assert_eq!(
        outcome,
        Outcome::skipped("nothing to trigger and nothing to resolve")
    );
    assert_eq!(service.actions(), Vec::<String>::new());
}

#[tokio::test]
async fn an_attempt_goes_on_where_the_one_before_was_told_to_wait() {
    let busy = Answer::new(429, "Retry-After: 2\r\n", "slow down");
    let mut service = Service::new(vec![queued(), queued(), busy, queued()]);
    let report = report(
        1,
        &[("a", Failed), ("b", Failed), ("c", Failed), ("d", Failed)],
    );
    let key = "trigger veracity/orders/orders/keys/";
    let error = service.tell(json!({}), &report, "1").await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert_eq!(
        service.actions(),
        ["a", "b", "c"].map(|name| format!("{key}{name}"))
    );
    service.tell(json!({}), &report, "1").await.unwrap();
    assert_eq!(
        service.actions(),
        ["c", "d"].map(|name| format!("{key}{name}"))
    );
    // The same delivery again has nothing left to tell; another one has.
    service.tell(json!({}), &report, "1").await.unwrap();
    assert_eq!(service.actions(), Vec::<String>::new());
    service.tell(json!({}), &report, "2").await.unwrap();
    assert_eq!(service.actions().len(), 4);
}

/// A trigger whose answer was lost may have opened an alert.
#[tokio::test]
async fn what_may_have_been_opened_is_resolved() {
    let mut service = Service::new(vec![Answer::Close, queued()]);
    let failed = report(1, &[("a", Failed), ("b", Failed)]);
    service.tell(json!({}), &failed, "1").await.unwrap_err();
    service.actions();
    let passed = report(2, &[("a", Passed), ("b", Passed)]);
    service.tell(json!({}), &passed, "2").await.unwrap();
    assert_eq!(service.actions(), ["resolve veracity/orders/orders/keys/a"]);
}

#[tokio::test]
async fn a_resolve_that_failed_is_sent_again() {
    let mut service = Service::new(vec![queued(), Answer::new(500, "", ""), queued()]);
    service
        .tell(json!({}), &report(1, &[("a", Failed)]), "1")
        .await
        .unwrap();
    service
        .tell(json!({}), &report(2, &[("a", Passed)]), "2")
        .await
        .unwrap_err();
    service.actions();
    service
        .tell(json!({}), &report(3, &[("a", Passed)]), "3")
        .await
        .unwrap();
    assert_eq!(service.actions(), ["resolve veracity/orders/orders/keys/a"]);
}

#[tokio::test]
async fn a_report_that_comes_late_opens_nothing_and_forgets_nothing() {
    let mut service = Service::new(vec![queued()]);
    service
        .tell(json!({}), &report(2, &[("a", Passed)]), "2")
        .await
        .unwrap();
    let late = report(1, &[("a", Failed)]);
    let outcome = service.tell(json!({}), &late, "1").await.unwrap();
    assert_eq!(
        outcome,
        Outcome::skipped("a newer run of the suite has been told already")
    );
    assert_eq!(service.actions(), Vec::<String>::new());
    // An attempt before may have opened it, and been killed.
    service
        .tell(json!({}), &report(3, &[("a", Passed)]), "3")
        .await
        .unwrap();
    assert_eq!(service.actions(), ["resolve veracity/orders/orders/keys/a"]);
}

#[tokio::test]
async fn ten_thousand_alerts_come_and_go_and_the_state_stays_small() {
    let mut service = Service::new(vec![queued()]);
    let settings = json!({"max_events": 100});
    let mut size = 0;
    for (time, name) in [(1, "\u{1f600}"), (2, "\u{1f600}"), (3, "é")] {
        // The service checks the size of the state; keys are as long as they can be.
        let report = many(time, 10_000, &name.repeat(300));
        let delivery = time.to_string();
        service
            .tell(settings.clone(), &report, &delivery)
            .await
            .unwrap();
        size = size.max(serde_json::to_string(&service.state).unwrap().len());
        let actions = service.actions();
        let resolves = actions
            .iter()
            .filter(|action| action.starts_with("resolve"))
            .count();
        let expected = if time == 3 { (201, 100) } else { (101, 0) };
        assert_eq!((actions.len(), resolves), expected, "run {time}");
    }
    assert!(size > 20_000, "{size}");
    let mut passed = many(4, 10_000, &"é".repeat(300));
    for result in &mut passed.results {
        result.status = Passed;
    }
    passed.summary = veracity_processor::Summary::of(&passed.results);
    service.tell(settings, &passed, "4").await.unwrap();
    let actions = service.actions();
    assert_eq!(actions.len(), 101);
    assert!(actions.contains(&"resolve veracity/orders/more".to_owned()));
    let names: Vec<&String> = service.state.keys().collect();
    assert_eq!(names, ["run", "version"], "nothing is left");
}

/// Nothing can be resolved for days, and other assertions fail every day.
#[tokio::test]
async fn the_state_stays_small_while_no_alert_can_be_resolved() {
    let mut service = Service::new(vec![queued()]);
    service.server = veracity_http::testing::Server::answering(|request| {
        match request.json()["event_action"].as_str() {
            Some("resolve") => Answer::new(500, "", ""),
            _ => queued(),
        }
    });
    let settings = json!({"max_events": 100});
    for day in 1..=4 {
        let report = many(day, 300, &format!("{day}{}", "x".repeat(300)));
        let told = service
            .tell(settings.clone(), &report, &day.to_string())
            .await;
        assert_eq!(told.is_ok(), day == 1, "{told:?}");
    }
    let state: Value = serde_json::to_value(&service.state).unwrap();
    let bytes = state.to_string().len();
    assert!(
        bytes > State::MAX_BYTES / 2,
        "{bytes}: it was put to the test"
    );
    assert!(service.actions().last().unwrap().starts_with("resolve"));
}

#[tokio::test]
async fn an_open_alert_gives_way_to_something_worse() {
    let mut service = Service::new(vec![queued()]);
    let settings = json!({"max_events": 1});
    service
        .tell(settings.clone(), &report(1, &[("a", Failed)]), "1")
        .await
        .unwrap();
    service.actions();
    let mut worse = report(2, &[("a", Failed), ("b", Failed)]);
    worse.results[1].severity = Severity::P0;
    service.tell(settings, &worse, "2").await.unwrap();
    assert_eq!(
        service.actions(),
        [
            "trigger veracity/orders/orders/keys/b",
            "trigger veracity/orders/more",
            "resolve veracity/orders/orders/keys/a"
        ]
    );
}
