//! However much has failed, and whatever it is called.

use serde_json::json;
use veracity_http::testing::Request;
use veracity_processor::conformance::{HOSTILE, hostile};
use veracity_processor::{AssertionResult, Message, Status, Summary, is_deceptive, printable};

use crate::{accepted, build, card, context, deliver, flow, report, report_of, texts, with};

/// What Teams takes.
fn check(request: &Request) {
    let size = request.body.len();
    assert!(size <= 28 * 1000, "{size} bytes");
    let body = request.json();
    assert_eq!(body["type"], "message");
    let card = &body["attachments"][0]["content"];
    assert_eq!(
        (&card["type"], &card["version"]),
        (&json!("AdaptiveCard"), &json!("1.4"))
    );
    for text in texts(card) {
        assert!(!text.is_empty());
    }
}

#[tokio::test]
async fn ten_thousand_failures_are_one_card() {
    let short = report_of(1, &[Status::Failed; 10_000]);
    let mut long = short.clone();
    for result in &mut long.results {
        let name = "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}*\"\\<b>".repeat(900);
        (result.assertion, result.check) = (name.clone(), name.clone());
        (result.expected, result.reason) = (Some(name.clone()), Some(name));
    }
    let cases = [
        (&short, 20, true),
        (&short, 100, true),
        (&short, 1, true),
        (&long, 100, false),
    ];
    for (report, most, fits) in cases {
        let (server, config) = flow(vec![accepted()]);
        let config = with(config, json!({"max_findings": most}));
        let outcome = deliver(&config, report).await.unwrap();
        assert_eq!(server.requests().len(), 1);
        check(&server.requests()[0]);
        let card = card(&server);
        // Beside the heading, how many more, and the run.
        let shown = card["body"].as_array().unwrap().len() - 3;
        match fits {
            true => assert_eq!(shown, most),
            false => {
                let size = server.requests()[0].body.len();
                assert!(size > 22_000, "there was room for more: {size} bytes");
                assert!((1..most).contains(&shown), "{shown}");
            }
        }
        let why = if fits { "" } else { ": a card holds no more" };
        let more = 10_000 - shown;
        assert!(
            texts(&card).contains(&format!("+{more} more{why}")),
            "{card}"
        );
        let note = format!("{more} findings are not shown in the card");
        assert_eq!(outcome.note, Some(note));
    }
}

#[tokio::test]
async fn hostile_names_are_shown_as_text() {
    let (server, config) = flow(vec![accepted()]);
    let mut report = hostile();
    for name in [
        "<!channel>",
        "<at>all</at>",
        "[click](https://evil.example)",
        "&lt;b&gt;",
        "{{DATE(2026-11-20T06:00:00Z, SHORT)}}",
        "# heading",
        "1. list",
        "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}\u{200d}\u{1f466} family",
    ] {
        let mut result = AssertionResult::new(name, name);
        result.status = Status::Failed;
        report.results.insert(0, result);
    }
    report.summary = Summary::of(&report.results);
    deliver(&with(config, json!({"max_findings": 100})), &report)
        .await
        .unwrap();
    check(&server.requests()[0]);
    let texts = texts(&card(&server));
    let said = texts.join("\n");
    let odd = said.chars().find(|&c| is_deceptive(c) && c != '\n');
    assert_eq!(odd, None, "{said}");
    for markup in ["**", "\n#", "\n1. ", "{{"] {
        assert!(!said.contains(markup), "{markup}: {said}");
    }
    for opening in ["[", "<s", "<a", "<i", "<!", "*", "`", "~", "&l", "&#"] {
        let bare = said
            .match_indices(opening)
            .find(|(at, _)| !said[..*at].ends_with('\\'));
        assert_eq!(bare, None, "{said}");
    }
    let printed = said.replace('\\', "");
    for name in HOSTILE {
        let name = printable(name).replace('\\', "");
        assert!(printed.contains(&name), "{name} is missing: {said}");
    }
    insta::assert_snapshot!(said);
}

#[tokio::test]
async fn a_message_of_anything_keeps_to_the_limit() {
    let (server, config) = flow(vec![accepted()]);
    let config = with(
        config,
        json!({"max_findings": 100, "link": "https://a.org/{suite}"}),
    );
    let text = "\"\\\u{1f468}\u{200d}\u{1f469}<b>*_`~\n".repeat(1000);
    let mut run = report().run;
    (run.suite, run.finished_at) = (text.clone(), text.clone());
    run.key.tags.insert(text.clone(), text.clone());
    let mut message = Message::new(text.clone(), run.clone());
    message.text = text.clone();
    message.lines = vec![text.clone(); 1000];
    message.more = u64::MAX;
    message.fields = (0..100)
        .map(|n| (format!("{n}{text}"), text.clone()))
        .collect();
    build(&config).notify(&message, &context()).await.unwrap();
    let mut report = report();
    report.run = run;
    report.run.interrupted = Some(text);
    deliver(&config, &report).await.unwrap();
    assert_eq!(server.requests().len(), 2);
    for request in server.requests() {
        check(&request);
        let card = &request.json()["attachments"][0]["content"];
        assert!(
            card.get("actions").is_none(),
            "a link of that length is left out"
        );
    }
}
