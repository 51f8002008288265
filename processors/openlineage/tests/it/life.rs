//! One START and one terminal event, whatever happens in between.

use serde_json::{Value, json};
use veracity_http::testing::{Answer, Server};
use veracity_processor::{OutcomeStatus, ResultProcessor, Upcoming};

use crate::{Place, report, shown};

#[tokio::test]
async fn a_run_is_told_from_its_beginning_to_its_end() {
    let mut place = Place::file();
    place.begin(&report(1)).await.unwrap();
    assert_eq!(shown(&place.events()), "START 1");
    place.end(&report(1)).await.unwrap();
    assert_eq!(shown(&place.events()), "START 1; COMPLETE 1");
    place.begin(&report(2)).await.unwrap();
    place.end(&report(2)).await.unwrap();
    assert_eq!(
        shown(&place.events()),
        "START 1; COMPLETE 1; START 2; COMPLETE 2"
    );
}

#[tokio::test]
async fn what_is_repeated_is_not_sent_again() {
    let mut place = Place::file();
    place.begin(&report(1)).await.unwrap();
    place.begin(&report(1)).await.unwrap();
    place.end(&report(1)).await.unwrap();
    let again = place.end(&report(1)).await.unwrap();
    assert_eq!(again.status, OutcomeStatus::Skipped);
    place.begin(&report(1)).await.unwrap();
    assert_eq!(shown(&place.events()), "START 1; COMPLETE 1");
}

#[tokio::test]
async fn a_run_that_was_not_announced_has_its_start_all_the_same() {
    let mut place = Place::file();
    place.end(&report(1)).await.unwrap();
    let events = place.events();
    assert_eq!(shown(&events), "START 1; COMPLETE 1");
    assert_eq!(events[0]["eventTime"], "2026-11-01T06:00:00Z");
    assert_eq!(events[1]["eventTime"], "2026-11-01T06:00:09.5Z");
}

/// Killed between START and the end: nothing is left but the state.
#[tokio::test]
async fn a_run_that_was_killed_is_aborted_when_the_next_one_begins() {
    let mut place = Place::file();
    place.begin(&report(1)).await.unwrap();
    place.begin(&report(2)).await.unwrap();
    let events = place.events();
    assert_eq!(shown(&events), "START 1; ABORT 1; START 2");
    assert_eq!(events[1]["job"]["name"], events[0]["job"]["name"]);
    assert_eq!(events[1]["inputs"], events[0]["inputs"]);
    assert_eq!(events[1]["eventTime"], "2026-11-02T06:00:00Z");
    let error = &events[1]["run"]["facets"]["errorMessage"]["message"];
    assert_eq!(error, "the run ended without a report");
    // Its report turns up all the same: the run is over.
    let late = place.end(&report(1)).await.unwrap();
    assert_eq!(late.status, OutcomeStatus::Skipped);
    place.end(&report(2)).await.unwrap();
    place.begin(&report(3)).await.unwrap();
    assert_eq!(
        shown(&place.events()),
        "START 1; ABORT 1; START 2; COMPLETE 2; START 3"
    );
}

fn events(server: &Server) -> Vec<Value> {
    server
        .requests()
        .iter()
        .map(|request| request.json())
        .collect()
}

fn answers(statuses: &[u16]) -> Server {
    let answers = statuses.iter().map(|&status| Answer::new(status, "", ""));
    Server::start(answers.collect())
}

#[tokio::test]
async fn a_retry_sends_only_what_did_not_arrive() {
    let server = answers(&[500, 201, 503, 502, 201]);
    let mut place = Place::http(&server.at(""));
    place.begin(&report(1)).await.unwrap_err();
    place.end(&report(1)).await.unwrap_err();
    place.end(&report(1)).await.unwrap_err();
    place.end(&report(1)).await.unwrap();
    let found = shown(&events(&server));
    assert_eq!(
        found,
        "START 1; START 1; COMPLETE 1; COMPLETE 1; COMPLETE 1"
    );
    let events = events(&server);
    assert_eq!(events[0], events[1], "what is repeated is the same");
    assert_eq!(events[2], events[4]);
}

#[tokio::test]
async fn a_report_that_is_still_to_come_is_waited_for() {
    let server = answers(&[201, 503, 201]);
    let mut place = Place::http(&server.at(""));
    place.begin(&report(1)).await.unwrap();
    place.end(&report(1)).await.unwrap_err();
    place.begin(&report(2)).await.unwrap();
    place.end(&report(1)).await.unwrap();
    place.end(&report(2)).await.unwrap();
    let found = shown(&events(&server));
    assert_eq!(
        found,
        "START 1; COMPLETE 1; START 2; COMPLETE 1; COMPLETE 2"
    );
}

#[tokio::test]
async fn a_report_that_was_refused_leaves_an_orphan() {
    let server = answers(&[201, 400, 503, 201]);
    let mut place = Place::http(&server.at(""));
    place.begin(&report(1)).await.unwrap();
    let error = place.end(&report(1)).await.unwrap_err();
    assert!(!error.is_retryable(), "{error}");
    place.begin(&report(2)).await.unwrap_err();
    place.begin(&report(3)).await.unwrap();
    let found = shown(&events(&server));
    // The first ABORT met a busy receiver; START 2 arrived, and was an orphan in turn.
    assert_eq!(
        found,
        "START 1; COMPLETE 1; ABORT 1; START 2; ABORT 1; ABORT 2; START 3"
    );
}

#[tokio::test]
async fn an_abort_that_is_refused_is_not_tried_for_ever() {
    let server = answers(&[201, 400, 201]);
    let mut place = Place::http(&server.at(""));
    place.begin(&report(1)).await.unwrap();
    place.begin(&report(2)).await.unwrap_err();
    place.end(&report(2)).await.unwrap();
    place.begin(&report(3)).await.unwrap();
    let found = shown(&events(&server));
    assert_eq!(found, "START 1; ABORT 1; START 2; COMPLETE 2; START 3");
}

#[tokio::test]
async fn several_receivers_each_have_every_event_once() {
    let server = answers(&[201, 503, 201]);
    let mut place = Place::http(&server.at("")).with("path", json!(null));
    place.config["path"] = json!(place.path());
    place.begin(&report(1)).await.unwrap();
    place.end(&report(1)).await.unwrap_err();
    place.end(&report(1)).await.unwrap();
    assert_eq!(shown(&events(&server)), "START 1; COMPLETE 1; COMPLETE 1");
    assert_eq!(shown(&place.events()), "START 1; COMPLETE 1");
}

#[tokio::test]
async fn a_state_that_cannot_be_read_is_no_obstacle() {
    let mut place = Place::file();
    place.state.insert("runs".into(), json!({"open": "?"}));
    place.begin(&report(1)).await.unwrap();
    place.end(&report(1)).await.unwrap();
    assert_eq!(shown(&place.events()), "START 1; COMPLETE 1");
}

#[tokio::test]
async fn nothing_is_sent_when_it_is_switched_off() {
    let mut place = Place::file();
    place
        .variables
        .insert("OPENLINEAGE_DISABLED".into(), "true".into());
    for outcome in [place.begin(&report(1)).await, place.end(&report(1)).await] {
        assert_eq!(outcome.unwrap().status, OutcomeStatus::Skipped);
    }
    assert!(!place.path().exists());
}

#[tokio::test]
async fn the_environment_says_where_events_go() {
    let server = answers(&[201]);
    let mut place = Place::new(json!({}));
    let auth = r#"{"type": "api_key", "apiKey": "k3y"}"#;
    for (name, text) in [
        ("OPENLINEAGE__TRANSPORT__TYPE", "http"),
        ("OPENLINEAGE__TRANSPORT__URL", &*server.at("/base")),
        ("OPENLINEAGE__TRANSPORT__AUTH", auth),
        ("OPENLINEAGE_NAMESPACE", "from-env"),
    ] {
        place.variables.insert(name.into(), text.into());
    }
    place.end(&report(1)).await.unwrap();
    let requests = server.requests();
    assert_eq!(requests[1].path(), "/base/api/v1/lineage");
    assert_eq!(requests[1].headers["authorization"], "Bearer k3y");
    assert_eq!(requests[1].json()["job"]["namespace"], "from-env");
}

#[tokio::test]
async fn messages_are_no_lineage() {
    let place = Place::file();
    let report = report(1);
    let message = veracity_processor::Message::new("disk full", Upcoming::of(&report).run);
    let outcome = place
        .processor()
        .notify(&message, &place.context())
        .await
        .unwrap();
    assert_eq!(outcome.status, OutcomeStatus::Skipped);
    assert!(!place.path().exists());
}
