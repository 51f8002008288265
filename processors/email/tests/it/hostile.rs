//! Names and values that mean something to some receiver.

use serde_json::json;
use veracity_processor::conformance::{HOSTILE, hostile};
use veracity_processor::{AssertionResult, ProcessContext, Report, Status, Summary, sample_report};

use crate::mime::Mail;
use crate::smtp::Server;
use crate::{KEY, LIMIT, attempt, config, only_mail, plugin};

/// The mail about `report`, and how large it was.
fn mail_of(report: &Report) -> (Mail, usize) {
    let server = Server::plain();
    let context = ProcessContext::new("email", KEY, LIMIT);
    let outcome = attempt(&config(&server.url()), report, &context).unwrap();
    assert_eq!(outcome.note, None);
    let size = server.mails()[0].data.len();
    (only_mail(&server), size)
}

#[test]
fn hostile_names_stay_text() {
    let (mail, _) = mail_of(&hostile());
    let ordinary = mail_of(&sample_report()).0;
    assert_eq!(
        mail.header_names(),
        ordinary.header_names(),
        "no header came in"
    );
    insta::assert_snapshot!("hostile_text", mail.text);
    let deceptive = |c: char| c != '\n' && veracity_processor::is_deceptive(c);
    for (part, text) in [("text", &mail.text), ("html", &mail.html)] {
        assert_eq!(text.chars().find(|c| deceptive(*c)), None, "{part}");
    }
    // Every tag is one of the template's.
    let known = [
        "!DOCTYPE", "html", "head", "meta", "title", "body", "h1", "span", "p", "table", "tr",
        "td", "b", "br", "code",
    ];
    for tag in mail.html.split('<').skip(1) {
        let name = tag
            .trim_start_matches('/')
            .split([' ', '>', '\n'])
            .next()
            .unwrap();
        assert!(known.contains(&name), "<{tag}");
    }
    for remote in ["src=", "href=", "url(", "<script", "<img", "<link"] {
        let in_tags = mail.html.split('<').skip(1).any(|tag| {
            tag.split('>')
                .next()
                .is_some_and(|inside| format!("<{inside}").contains(remote))
        });
        assert!(!in_tags, "{remote} in a tag");
    }
    assert!(mail.html.contains("{{7*7}}"), "shown, not evaluated");
}

#[test]
fn a_hostile_suite_name_stays_in_one_subject() {
    let long_word = "x".repeat(10_000);
    let wide = "\u{1f600}".repeat(10_000);
    let encoded = "=?utf-8?q?=0D=0ABcc:_a@example.org?=";
    let names =
        HOSTILE
            .iter()
            .copied()
            .chain([long_word.as_str(), &wide, encoded, "", "a, b <c@d>"]);
    for name in names {
        let mut report = sample_report();
        report.run.suite = name.to_owned();
        let (mail, _) = mail_of(&report);
        let subject = mail.header("Subject");
        assert!(subject.starts_with("[FAILED]"), "{name:?}: {subject:?}");
        assert!(subject.ends_with("not evaluated"), "{name:?}: {subject:?}");
        assert!(subject.chars().count() <= 200, "{name:?}: {subject:?}");
        assert!(
            !subject.chars().any(veracity_processor::is_deceptive),
            "{name:?}: {subject:?}"
        );
        assert_eq!(mail.header("To"), "ops@example.org", "{name:?}");
        let list = mail.header("List-Id");
        let legal = |c: char| c.is_ascii_alphanumeric() || "<>.-".contains(c);
        assert!(
            list.chars().all(legal) && list.len() < 100,
            "{name:?}: {list}"
        );
    }
}

#[test]
fn hostile_mailboxes_are_refused_or_kept_in_one_header() {
    for mailbox in [
        "a\r\nBcc: x@example.org <a@example.org>",
        "a@example.org\r\nRCPT TO:<x@example.org>",
        "a@example.org>\r\nDATA",
        "nul\0 <a@example.org>",
        "\u{202e}spo <a@example.org>",
        "a@example.org, b@example.org",
        "<a@example.org> b@example.org",
        "a@exa mple.org",
        "a@[127.0.0.1\r\n]",
    ] {
        for field in ["from", "reply_to", "to"] {
            let mut config = config("smtp://localhost?tls=none");
            config[field] = if field == "to" {
                json!([mailbox])
            } else {
                json!(mailbox)
            };
            let built = plugin().build_processor(config);
            assert!(built.is_err(), "{field}: {mailbox:?}");
        }
    }
    let server = Server::plain();
    let mut config = config(&server.url());
    let names = [
        "a, b \u{1f600}",
        "\"quoted\" <x@y>",
        "=?utf-8?q?x?=",
        &"ä".repeat(90),
        &"x".repeat(190),
    ];
    let to: Vec<String> = names
        .iter()
        .enumerate()
        .map(|(number, name)| format!("\"{}\" <r{number}@example.org>", name.replace('"', "\\\"")))
        .collect();
    config["to"] = json!(to);
    let built = plugin().build_processor(config.clone());
    if let Err(error) = built {
        panic!("{error}");
    }
    attempt(
        &config,
        &sample_report(),
        &ProcessContext::new("email", KEY, LIMIT),
    )
    .unwrap();
    let received = &server.mails()[0];
    let expected: Vec<String> = (0..names.len())
        .map(|number| format!("r{number}@example.org"))
        .collect();
    assert_eq!(received.to, expected, "no recipient came in");
    for line in received.data.split("\r\n") {
        assert!(line.len() <= 998);
    }
}

#[test]
fn ten_thousand_failures_make_a_small_mail() {
    let mut report = sample_report();
    let odd = "\u{202e}\"<&'>\u{1f600} ".repeat(100);
    report.results = (0..10_000)
        .map(|number| {
            let mut result = AssertionResult::new(format!("check {number} {odd}"), &odd);
            result.dataset = odd.clone();
            result.expression = format!("{odd} {number}");
            result.reason = Some(odd.clone());
            result.actual = Some(json!(odd));
            result.tags = vec![odd.clone(); 100];
            result.status = Status::Failed;
            result
        })
        .collect();
    report.summary = Summary::of(&report.results);
    report.warnings = vec![odd.clone(); 1_000];
    report.datasets[1].error = Some(odd.clone());
    report.datasets = vec![report.datasets[1].clone(); 1_000];
    let (mail, size) = mail_of(&report);
    assert!(
        mail.html.len() <= 102_000,
        "{} bytes of HTML",
        mail.html.len()
    );
    assert!(size <= 700_000, "{size} bytes");
    for part in [&mail.text, &mail.html] {
        assert!(
            part.contains("+99") && part.contains(" more"),
            "what is left out is counted"
        );
        assert!(part.contains("check 0 "), "something is shown");
    }
    // Ordinary names: all fifty are shown.
    for (number, result) in report.results.iter_mut().enumerate() {
        *result = AssertionResult::new("check", format!("assertion {number}."));
        result.status = Status::Failed;
    }
    (report.warnings, report.datasets) = (Vec::new(), Vec::new());
    let (mail, _) = mail_of(&report);
    assert!(mail.text.contains("assertion 49.") && !mail.text.contains("assertion 50."));
    assert!(mail.text.contains("+9950 more") && mail.html.contains("+9950 more"));
    assert_eq!(
        mail.header("Subject"),
        "[FAILED] nycflights: 10000 of 10000 failed"
    );
}
