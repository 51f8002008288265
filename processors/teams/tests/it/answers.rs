//! What becomes of a delivery by what the flow answers.

use std::time::{Duration, SystemTime};

use serde_json::json;
use veracity_http::testing::Answer;
use veracity_processor::{Outcome, ProcessContext, ProcessorError, Status};

use crate::{KEY, accepted, build, card, deliver, flow, report, report_of, texts, with};

fn wait(error: &ProcessorError) -> Option<u64> {
    match error {
        ProcessorError::Retryable { retry_after, .. } => retry_after.map(|wait| wait.as_secs()),
        _ => None,
    }
}

#[tokio::test]
async fn a_card_that_was_accepted_is_delivered() {
    // A connector that is left over answers 200 and `1`.
    for answer in [
        accepted(),
        Answer::new(200, "", ""),
        Answer::new(200, "", "1"),
    ] {
        let (server, config) = flow(vec![answer]);
        assert_eq!(deliver(&config, &report()).await, Ok(Outcome::done()));
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_refusal_says_what_would_help() {
    let said = |code: &str, message: &str| {
        json!({"error": {"code": code, "message": message}}).to_string()
    };
    let refusals = [
        (
            400,
            said(
                "WorkflowTriggerIsNotEnabled",
                "The workflow is not enabled.",
            ),
        ),
        (
            400,
            said(
                "TriggerInputSchemaMismatch",
                "The input body does not match.",
            ),
        ),
        (400, "no".to_owned()),
        (
            401,
            said("DirectApiAuthorizationRequired", "OAuth is required."),
        ),
        (401, String::new()),
        (403, said("Forbidden", "No access to the private channel.")),
        (
            404,
            said("WorkflowNotFound", "The workflow could not be found."),
        ),
        (404, String::new()),
        (410, String::new()),
        (302, String::new()),
    ];
    let mut errors = String::new();
    for (status, body) in refusals {
        let (server, config) = flow(vec![Answer::new(status, "", &body)]);
        let error = deliver(&config, &report()).await.unwrap_err();
        assert!(!error.is_retryable(), "{error}");
        assert_eq!(server.requests().len(), 1);
        errors.push_str(&format!("{error}\n"));
    }
    insta::assert_snapshot!(errors);
}

#[tokio::test]
async fn a_card_that_is_too_large_after_all_is_posted_reduced_once() {
    let too_large = Answer::new(413, "", "RequestEntityTooLarge");
    let failed = report_of(1, &[Status::Failed; 30]);
    let connector = Answer::new(
        200,
        "",
        "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP \
         error 413 with ContextId tcid=0",
    );
    for answer in [too_large.clone(), connector] {
        let (server, config) = flow(vec![answer, accepted()]);
        let config = with(config, json!({"link": "https://dq.example.org/{run}"}));
        let outcome = deliver(&config, &failed).await.unwrap();
        let note = "the card was too large for Teams: a minimal one was posted";
        assert_eq!(outcome, Outcome::done().with_note(note));
        let sizes: Vec<usize> = server.requests().iter().map(|one| one.body.len()).collect();
        assert!(sizes.len() == 2 && sizes[1] < 1200, "{sizes:?}");
        assert_eq!(
            texts(&card(&server)),
            [
                "orders.daily: 30 of 30 assertions failed",
                "+30 more: a card holds no more",
                "run 0197a2f0 · 2026-11-20 06:00 UTC"
            ]
        );
        assert!(card(&server)["actions"][0]["url"].is_string());
    }
    let (server, config) = flow(vec![too_large]);
    let error = deliver(&config, &failed).await.unwrap_err();
    assert!(
        !error.is_retryable() && error.message().contains("413"),
        "{error}"
    );
    assert_eq!(server.requests().len(), 2, "reduced once");
}

#[tokio::test]
async fn a_busy_flow_says_when_to_come_again() {
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(600));
    for (header, expected) in [("2".to_owned(), 2..=2), (date, 300..=600)] {
        let headers = format!("Retry-After: {header}\r\n");
        let (server, config) = flow(vec![Answer::new(429, &headers, "slow down")]);
        let error = deliver(&config, &report()).await.unwrap_err();
        let wait = wait(&error).unwrap_or_default();
        assert!(expected.contains(&wait), "{header}: {wait} {error}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_flow_that_asks_for_a_pause_is_not_asked_by_others_either() {
    let (server, config) = flow(vec![
        Answer::new(429, "Retry-After: 600\r\n", ""),
        accepted(),
    ]);
    assert!(deliver(&config, &report()).await.is_err());
    let error = deliver(&config, &report()).await.unwrap_err();
    assert!(wait(&error).is_some_and(|wait| wait > 300), "{error}");
    assert_eq!(server.requests().len(), 1, "it was left alone");
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    let throttled = "Webhook message delivery failed with error: Microsoft Teams endpoint \
                     returned HTTP error 429 with ContextId tcid=0";
    let answers = [
        Answer::new(500, "", ""),
        Answer::new(
            502,
            "",
            r#"{"error": {"code": "NoResponse", "message": "x"}}"#,
        ),
        Answer::new(
            503,
            "",
            r#"{"error": {"code": "WorkflowNotFound", "message": "x"}}"#,
        ),
        Answer::new(200, "", throttled),
        Answer::Reset,
        Answer::Close,
    ];
    for answer in answers {
        let (_server, config) = flow(vec![answer.clone()]);
        let error = deliver(&config, &report()).await.unwrap_err();
        assert!(error.is_retryable(), "{answer:?}: {error}");
    }
}

#[tokio::test]
async fn a_page_for_people_is_no_success() {
    let page = "<!doctype html><title>Sign in to your account</title>";
    for status in [200, 202] {
        let (_server, config) = flow(vec![Answer::new(status, "", page)]);
        let error = deliver(&config, &report()).await.unwrap_err();
        assert!(error.is_retryable(), "{error}");
        assert!(error.message().contains("a page for people"), "{error}");
    }
}

#[tokio::test]
async fn no_answer_costs_the_time_limit_and_no_more() {
    let (_server, config) = flow(vec![Answer::Silent]);
    let context = ProcessContext::new("teams", KEY, Duration::from_secs(2));
    let error = build(&config)
        .process(&report(), &context)
        .await
        .unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(
        error.message().contains("no complete answer within"),
        "{error}"
    );
}
