//! However much has failed, and whatever it is called.

use serde_json::{Value, json};
use veracity_processor::conformance::{HOSTILE, hostile};
use veracity_processor::{AssertionResult, Message, Status, Summary, is_deceptive};

use crate::{build, context, deliver, ok, report, report_of, texts, webhook, with};

/// All texts with the most that Slack takes of each.
fn check(body: &Value) {
    let blocks = body["blocks"].as_array().unwrap();
    assert!((1..=50).contains(&blocks.len()), "{} blocks", blocks.len());
    let all = body["blocks"].to_string();
    assert!(all.chars().count() <= 12_000, "{}", all.chars().count());
    let count = |text: &Value| text["text"].as_str().unwrap().encode_utf16().count();
    assert!((1..=3000).contains(&body["text"].as_str().unwrap().encode_utf16().count()));
    for block in blocks {
        match block["type"].as_str().unwrap() {
            "header" => assert!((1..=150).contains(&count(&block["text"])), "{block}"),
            "section" if block["fields"].is_array() => {
                let fields = block["fields"].as_array().unwrap();
                assert!((1..=10).contains(&fields.len()));
                for field in fields {
                    assert!((1..=2000).contains(&count(field)), "{block}");
                }
            }
            "section" => assert!((1..=3000).contains(&count(&block["text"])), "{block}"),
            "context" => {
                let elements = block["elements"].as_array().unwrap();
                assert!((1..=10).contains(&elements.len()));
                for element in elements {
                    assert!((1..=3000).contains(&count(element)), "{block}");
                }
            }
            other => panic!("no such block: {other}"),
        }
    }
}

fn shown(body: &Value) -> usize {
    let blocks = body["blocks"].as_array().unwrap();
    blocks
        .iter()
        .filter(|block| block["type"] == "section")
        .count()
}

#[tokio::test]
async fn ten_thousand_failures_are_one_message() {
    let short = report_of(1, &[Status::Failed; 10_000]);
    let mut long = short.clone();
    for result in &mut long.results {
        let name = "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}<&>".repeat(900);
        (result.assertion, result.check) = (name.clone(), name.clone());
        (result.expected, result.reason) = (Some(name.clone()), Some(name));
    }
    let mut words = Vec::new();
    for (report, most) in [(&short, 20), (&short, 40), (&short, 1), (&long, 40)] {
        let (server, config) = webhook(vec![ok()]);
        let config = with(config, json!({"max_findings": most}));
        let outcome = deliver(&config, report).await.unwrap();
        assert_eq!(server.requests().len(), 1);
        let body = server.requests()[0].json();
        check(&body);
        let shown = shown(&body);
        assert!((1..=most).contains(&shown), "{shown}");
        let more = 10_000 - shown;
        let line = format!("+{more} more");
        assert!(texts(&body).lines().any(|text| text == line), "{line}");
        let note = format!("{more} of 10000 findings are not shown in the message");
        assert_eq!(outcome.note, Some(note));
        words.push(shown);
    }
    assert_eq!(words[..3], [20, 40, 1], "as many as were asked for");
}

#[tokio::test]
async fn hostile_names_are_shown_as_text() {
    let (server, config) = webhook(vec![ok()]);
    let mut report = hostile();
    for name in [
        "<!channel>",
        "<@U123>",
        "<https://evil.example|click>",
        "&lt;!here&gt;",
        "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}\u{200d}\u{1f466} family",
    ] {
        let mut result = AssertionResult::new(name, name);
        result.status = Status::Failed;
        report.results.insert(0, result);
    }
    report.summary = Summary::of(&report.results);
    let config = with(config, json!({"max_findings": 40}));
    deliver(&config, &report).await.unwrap();
    let body = server.requests()[0].json();
    check(&body);
    let said = format!("{}\n{}", body["text"].as_str().unwrap(), texts(&body));
    assert!(!said.contains(['<', '>']), "{said}");
    let odd = said.chars().find(|&c| is_deceptive(c) && c != '\n');
    assert_eq!(odd, None, "{said}");
    // Outside of code nothing is formatted but the names.
    for line in said.lines() {
        let outside: String = line.split('`').step_by(2).collect();
        let stars = outside.matches('*').count();
        assert!(matches!(stars, 0 | 2) && !outside.contains('~'), "{line}");
    }
    let printed = said
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&");
    for name in HOSTILE.iter().take(8) {
        let name = veracity_processor::printable(name).replace('`', "'");
        assert!(printed.contains(&name), "{name} is missing: {printed}");
    }
    insta::assert_snapshot!(said);
}

#[tokio::test]
async fn a_message_of_anything_keeps_to_the_limits() {
    let (server, config) = webhook(vec![ok()]);
    let config = with(
        config,
        json!({"max_findings": 40, "link": "https://a.org/{suite}"}),
    );
    let text = "\u{1f468}\u{200d}\u{1f469}<!channel>*_`~\n".repeat(1000);
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
        check(&request.json());
        let texts = texts(&request.json());
        assert!(!texts.contains("<!"), "{texts}");
        assert!(
            !texts.contains("|report>"),
            "a link of that length is left out"
        );
    }
}
