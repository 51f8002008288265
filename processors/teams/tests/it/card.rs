//! What people see.

use serde_json::{Value, json};
use veracity_http::testing::Answer;
use veracity_processor::{
    DeadLetter, Delivery, DeliveryStatus, Message, ProcessContext, Severity, State, Status,
    sample_report,
};

use crate::{
    KEY, LIMIT, accepted, build, card, context, deliver, flow, report, report_of, texts, with,
};

/// What of `vector` is not in `ours`; lists may go on.
fn missing(vector: &Value, ours: &Value, path: &str, found: &mut Vec<String>) {
    match (vector, ours) {
        (Value::Object(expected), Value::Object(fields)) => {
            for (name, value) in expected {
                let path = format!("{path}/{name}");
                match fields.get(name) {
                    Some(field) => missing(value, field, &path, found),
                    None => found.push(path),
                }
            }
        }
        (Value::Array(expected), Value::Array(values)) if expected.len() <= values.len() => {
            for (place, (value, our)) in expected.iter().zip(values).enumerate() {
                missing(value, our, &format!("{path}/{place}"), found);
            }
        }
        (expected, ours) if expected == ours => {}
        (expected, ours) => found.push(format!("{path}: {expected} is {ours}")),
    }
}

#[tokio::test]
async fn a_card_is_the_vector_and_says_which_run_it_was() {
    let (server, config) = flow(vec![accepted()]);
    deliver(&config, &report()).await.unwrap();
    let vector: Value = serde_json::from_str(include_str!("teams-workflow.json")).unwrap();
    let request = &server.requests()[0];
    let mut found = Vec::new();
    missing(&vector, &request.json(), "", &mut found);
    assert_eq!(found, Vec::<String>::new());
    let body = card(&server)["body"].as_array().unwrap().clone();
    assert_eq!(body.len(), 3);
    assert_eq!(body[2]["text"], "run 0197a2f0 · 2026-11-20 06:00 UTC");
    assert!(
        request
            .line
            .starts_with("POST /workflows/0a1b2c3d/triggers/"),
        "{}",
        request.line
    );
    assert!(
        request.line.contains("?sig=s3cr3ts3cr3t "),
        "{}",
        request.line
    );
    assert_eq!(request.headers["content-type"], "application/json");
}

#[tokio::test]
async fn everything_a_report_can_hold_is_told() {
    let (server, config) = flow(vec![accepted()]);
    let link = json!({"link": "https://dq.example.org/{suite}/{run}?a=1&b=2"});
    deliver(&with(config, link), &sample_report())
        .await
        .unwrap();
    let card = card(&server);
    insta::assert_snapshot!(texts(&card).join("\n"));
    assert_eq!(
        card["actions"],
        json!([{
            "type": "Action.OpenUrl",
            "title": "Report",
            "url": "https://dq.example.org/nycflights/019a9f3b-5c00-7000-8000-00000000002a?a=1&b=2",
        }])
    );
}

#[tokio::test]
async fn a_run_that_passes_after_one_that_did_not_is_a_recovery() {
    let (server, config) = flow(vec![accepted()]);
    let teams = build(&config);
    let mut state = State::default();
    let runs = [
        (
            1,
            Status::Failed,
            "orders.daily: 1 of 1 assertion failed",
            "Attention",
        ),
        (
            2,
            Status::Passed,
            "orders.daily: recovered, 1 of 1 assertion passed",
            "Good",
        ),
        (
            2,
            Status::Passed,
            "orders.daily: recovered, 1 of 1 assertion passed",
            "Good",
        ),
        (
            3,
            Status::Passed,
            "orders.daily: 1 of 1 assertion passed",
            "Good",
        ),
        (
            4,
            Status::NotEvaluated,
            "orders.daily: 1 of 1 assertion not evaluated",
            "Warning",
        ),
    ];
    for (run, status, title, color) in runs {
        let mut context = ProcessContext::new("teams", KEY, LIMIT);
        context.state = State::new(state.values());
        teams
            .process(&report_of(run, &[status]), &context)
            .await
            .unwrap();
        state = context.state;
        let heading = &card(&server)["body"][0];
        assert_eq!(
            (&heading["text"], &heading["color"]),
            (&json!(title), &json!(color)),
            "{run}"
        );
    }
}

#[tokio::test]
async fn what_was_not_told_is_not_remembered() {
    let (_server, config) = flow(vec![Answer::new(404, "", "")]);
    let context = context();
    assert!(build(&config).process(&report(), &context).await.is_err());
    assert!(context.state.values().is_empty(), "{:?}", context.state);
}

#[tokio::test]
async fn a_run_that_ended_early_says_so() {
    let (server, config) = flow(vec![accepted()]);
    let mut report = report_of(1, &[Status::NotEvaluated, Status::Error]);
    report.run.interrupted = Some("time limit of 5s reached".to_owned());
    deliver(&config, &report).await.unwrap();
    insta::assert_snapshot!(texts(&card(&server)).join("\n"), @"
    orders.daily: 1 of 2 assertions in error, 1 not evaluated
    The run ended early: time limit of 5s reached
    orders.id 1: error, actual 2, expected = 0
    orders.id is unique: not evaluated, actual 2, expected = 0
    run 0197a2f0 · 2026-11-20 06:00 UTC
    ");
}

#[tokio::test]
async fn a_message_has_a_form_of_its_own() {
    let (server, config) = flow(vec![accepted()]);
    let teams = build(&with(config, json!({"max_findings": 2})));
    let mut message = Message::new("3 deliveries failed in an hour", report().run);
    message.text = "The last one:\n\n  <at>all</at> *refused*".to_owned();
    message.lines = vec!["- email: refused".into(), "pager: 500".into(), "x".into()];
    message.more = 7;
    message.severity = Severity::P2;
    message.fields.insert("window".into(), "1 h".into());
    message.fields.insert("of_which _new_".into(), "`2`".into());
    let outcome = teams.notify(&message, &context()).await.unwrap();
    assert_eq!(
        outcome.note.as_deref(),
        Some("8 findings are not shown in the card")
    );
    assert_eq!(card(&server)["body"][0]["color"], "Warning");
    insta::assert_snapshot!(texts(&card(&server)).join("\n"), @r"
    3 deliveries failed in an hour
    The last one:
    \<at>all\</at> \*refused\*
    \- email: refused
    pager: 500
    +8 more
    of_which \_new\_ = \`2\`
    window = 1 h
    run 0197a2f0 · 2026-11-20 06:00 UTC
    ");
}

#[tokio::test]
async fn a_dead_letter_is_told() {
    let (server, config) = flow(vec![accepted()]);
    let mut delivery = Delivery::new("email", DeliveryStatus::Dead);
    delivery.attempts = 6;
    delivery.error = Some("550 no such user <x@example.org>".to_owned());
    let letter = DeadLetter::new(delivery, report());
    build(&config)
        .dead_letter(&letter, &context())
        .await
        .unwrap();
    insta::assert_snapshot!(texts(&card(&server)).join("\n"), @r"
    orders.daily: the report could not be delivered to \`email\`
    550 no such user \<x@example.org>
    attempts = 6
    processor = email
    status = dead
    verdict = failed
    run 0197a2f0 · 2026-11-20 06:00 UTC
    ");
}
