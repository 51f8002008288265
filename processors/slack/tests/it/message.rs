//! What people see.

use serde_json::{Value, json};
use veracity_http::testing::Server;
use veracity_processor::{
    DeadLetter, Delivery, DeliveryStatus, Message, ProcessContext, Severity, Status, sample_report,
};

use crate::{LIMIT, build, context, deliver, ok, report, report_of, texts, webhook, with};

fn body(server: &Server) -> Value {
    server.requests().last().unwrap().json()
}

/// What of `vector` is not in `ours`.
fn missing(vector: &Value, ours: &Value, path: &str, found: &mut Vec<String>) {
    match (vector, ours) {
        (Value::Object(expected), Value::Object(fields)) => {
            for (name, value) in expected {
                let field = fields.get(name).unwrap_or(&Value::Null);
                missing(value, field, &format!("{path}/{name}"), found);
            }
        }
        (Value::Array(expected), Value::Array(values)) if expected.len() == values.len() => {
            for (place, (value, our)) in expected.iter().zip(values).enumerate() {
                missing(value, our, &format!("{path}/{place}"), found);
            }
        }
        (expected, ours) if expected == ours => {}
        (expected, ours) => found.push(format!("{path}: {expected} is {ours}")),
    }
}

#[tokio::test]
async fn a_message_is_the_vector_but_for_the_words_of_the_counts() {
    let (server, config) = webhook(vec![ok()]);
    deliver(&config, &report()).await.unwrap();
    let vector: Value = serde_json::from_str(include_str!("slack-blocks.json")).unwrap();
    let mut found = Vec::new();
    missing(&vector, &body(&server), "", &mut found);
    assert_eq!(
        found,
        [
            "/text: \"veracity: orders.daily FAILED (1 of 3 assertions)\" is \
          \"veracity: orders.daily FAILED (1 of 3 assertions failed)\""
        ]
    );
    let request = &server.requests()[0];
    assert_eq!(
        request.line,
        "POST /services/T0123/B0123/s3cr3ts3cr3t HTTP/1.1"
    );
    assert_eq!(
        request.headers["content-type"],
        "application/json; charset=utf-8"
    );
    // Nothing is linked, and no name becomes a mention, but what is written as one.
    for block in body(&server)["blocks"].as_array().unwrap() {
        for text in [&block["text"], &block["elements"][0]] {
            match text["type"].as_str() {
                Some("mrkdwn") => assert_eq!(text["verbatim"], true, "{block}"),
                Some("plain_text") => assert_eq!(text["emoji"], false, "{block}"),
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn everything_a_report_can_hold_is_told() {
    let (server, config) = webhook(vec![ok()]);
    let more = json!({
        "mention": ["here", "U0123", "S0123"],
        "link": "https://dq.example.org/{suite}/{run}?a=1&b=2",
    });
    deliver(&with(config, more), &sample_report())
        .await
        .unwrap();
    let body = body(&server);
    insta::assert_snapshot!(format!(
        "{}\n\n{}",
        body["text"].as_str().unwrap(),
        texts(&body)
    ));
}

#[tokio::test]
async fn a_run_that_passes_after_one_that_did_not_is_a_recovery_and_mentions_nobody() {
    let (server, config) = webhook(vec![ok()]);
    let config = with(config, json!({"mention": ["channel"]}));
    let slack = build(&config);
    let mut context = context();
    let runs = [
        (
            1,
            Status::Failed,
            "orders.daily: 1 of 1 assertion failed",
            true,
        ),
        (
            2,
            Status::Passed,
            "orders.daily: recovered, 1 of 1 assertion passed",
            false,
        ),
        (
            2,
            Status::Passed,
            "orders.daily: recovered, 1 of 1 assertion passed",
            false,
        ),
        (
            3,
            Status::Passed,
            "orders.daily: 1 of 1 assertion passed",
            false,
        ),
    ];
    for (run, status, title, mentions) in runs {
        slack
            .process(&report_of(run, &[status]), &context)
            .await
            .unwrap();
        let texts = texts(&body(&server));
        assert_eq!(texts.lines().next(), Some(title), "{run}");
        assert_eq!(texts.contains("<!channel>"), mentions, "{texts}");
        // As the host does it between runs.
        let state = veracity_processor::State::new(context.state.values());
        context = ProcessContext::new("slack", crate::KEY, LIMIT);
        context.state = state;
    }
}

#[tokio::test]
async fn what_was_not_told_is_not_remembered() {
    let refusal = veracity_http::testing::Answer::new(404, "", "no_service");
    let (_server, config) = webhook(vec![refusal]);
    let context = context();
    let error = build(&config).process(&report(), &context).await;
    assert!(error.is_err());
    assert!(context.state.values().is_empty(), "{:?}", context.state);
}

#[tokio::test]
async fn a_run_that_ended_early_says_so() {
    let (server, config) = webhook(vec![ok()]);
    let mut report = report_of(1, &[Status::NotEvaluated, Status::Error]);
    report.run.interrupted = Some("time limit of 5s reached".to_owned());
    deliver(&config, &report).await.unwrap();
    insta::assert_snapshot!(texts(&body(&server)), @"
    orders.daily: 1 of 2 assertions in error, 1 not evaluated
    The run ended early: time limit of 5s reached
    *orders.id 1* — error, actual `2`, expected `= 0`
    *orders.id is unique* — not evaluated, actual `2`, expected `= 0`
    run 0197a2f0 · 2026-11-20 06:00 UTC
    ");
}

#[tokio::test]
async fn a_message_has_a_form_of_its_own() {
    let (server, config) = webhook(vec![ok()]);
    let config = with(config, json!({"max_findings": 2, "mention": ["here"]}));
    let slack = build(&config);
    let mut message = Message::new("3 deliveries failed in an hour", report().run);
    message.text = "The last one:\n\n  <!channel> *refused*".to_owned();
    message.lines = vec!["email: refused".into(), "pager: 500".into(), "x".into()];
    message.more = 7;
    message.fields.insert("window".into(), "1 h".into());
    message.fields.insert("of_which _new_".into(), "`2`".into());
    let outcome = slack.notify(&message, &context()).await.unwrap();
    assert_eq!(
        outcome.note.as_deref(),
        Some("8 of 10 findings are not shown in the message")
    );
    let mut said = body(&server)["text"].as_str().unwrap().to_owned();
    said.push_str("\n\n");
    said.push_str(&texts(&body(&server)));
    insta::assert_snapshot!(said, @r"
    veracity: 3 deliveries failed in an hour

    3 deliveries failed in an hour
    <!here>
    The last one:
    `  &lt;!channel&gt; *refused*`
    email: refused
    pager: 500
    +8 more
    `of_which _new_`
    `'2'`
    *window*
    1 h
    run 0197a2f0 · 2026-11-20 06:00 UTC
    ");

    message.severity = Severity::P2;
    slack.notify(&message, &context()).await.unwrap();
    let texts = texts(&body(&server));
    assert!(!texts.contains("<!here>"), "{texts}");
}

#[tokio::test]
async fn a_dead_letter_is_told() {
    let (server, config) = webhook(vec![ok()]);
    let mut delivery = Delivery::new("email", DeliveryStatus::Dead);
    delivery.attempts = 6;
    delivery.error = Some("550 no such user <x@example.org>".to_owned());
    let letter = DeadLetter::new(delivery, report());
    build(&config)
        .dead_letter(&letter, &context())
        .await
        .unwrap();
    insta::assert_snapshot!(texts(&body(&server)), @r"
    orders.daily: the report could not be delivered to `email`
    550 no such user &lt;x@example.org&gt;
    *attempts*
    6
    *processor*
    email
    *status*
    dead
    *verdict*
    failed
    run 0197a2f0 · 2026-11-20 06:00 UTC
    ");
}
