//! The recovery as a reply to the failure.

use serde_json::{Value, json};
use veracity_http::testing::Answer;
use veracity_processor::{ProcessContext, State, Status};

use crate::{KEY, LIMIT, api, build, report_of, with};

fn posted(ts: &str) -> Answer {
    Answer::json(200, &json!({"ok": true, "channel": "C0123ID", "ts": ts}))
}

/// Delivers a run for each status, and returns what was posted.
async fn posts(config: &Value, answers: Vec<Answer>, runs: &[(u16, Status)]) -> Vec<Value> {
    let (server, reached) = api(answers);
    let slack = build(&with(reached, config.clone()));
    let mut state = State::default();
    for &(run, status) in runs {
        let mut context = ProcessContext::new("slack", KEY, LIMIT);
        context.state = State::new(state.values());
        slack
            .process(&report_of(run, &[status]), &context)
            .await
            .unwrap();
        state = context.state;
    }
    server
        .requests()
        .iter()
        .map(|request| request.json())
        .collect()
}

#[tokio::test]
async fn a_recovery_replies_to_the_last_failure() {
    let runs = [
        (1, Status::Failed),
        (2, Status::Failed),
        (3, Status::Passed),
        (4, Status::Passed),
    ];
    let answers = || vec![posted("1.1"), posted("2.2"), posted("3.3"), posted("4.4")];
    let threads: Vec<Value> = posts(&json!({"threads": true}), answers(), &runs)
        .await
        .iter()
        .map(|post| json!([post["channel"], post["thread_ts"]]))
        .collect();
    let top = json!(["C0123", null]);
    let reply = json!(["C0123ID", "2.2"]);
    assert_eq!(threads, [top.clone(), top.clone(), reply, top]);

    let posts = posts(&json!({}), answers(), &runs[..3]).await;
    assert!(
        posts.iter().all(|post| post["thread_ts"].is_null()),
        "{posts:?}"
    );
}

#[tokio::test]
async fn an_old_failure_that_comes_late_takes_no_replies() {
    let runs = [
        (5, Status::Failed),
        (3, Status::Failed),
        (6, Status::Passed),
    ];
    let answers = vec![posted("5.5"), posted("3.3"), posted("6.6")];
    let posts = posts(&json!({"threads": true}), answers, &runs).await;
    assert_eq!(posts[2]["thread_ts"], "5.5");
}

#[tokio::test]
async fn a_reply_to_what_is_gone_is_posted_on_its_own() {
    let gone = Answer::json(200, &json!({"ok": false, "error": "thread_not_found"}));
    let runs = [(1, Status::Failed), (2, Status::Passed)];
    let posts = posts(
        &json!({"threads": true}),
        vec![posted("1.1"), gone, posted("2.2")],
        &runs,
    )
    .await;
    let threads: Vec<&Value> = posts.iter().map(|post| &post["thread_ts"]).collect();
    assert_eq!(threads, [&json!(null), &json!("1.1"), &json!(null)]);
}
