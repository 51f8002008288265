//! What a mail looks like.

use serde_json::json;
use veracity_processor::{
    AssertionResult, Message, Outcome, ProcessContext, Report, Severity, Status, Summary, Verdict,
    sample_report,
};

use crate::mime::Mail;
use crate::smtp::Server;
use crate::{KEY, LIMIT, attempt, build, config, deliver, only_mail, plugin};

/// The mail about `report`.
fn mail_of(report: &Report) -> Mail {
    let server = Server::plain();
    let context = ProcessContext::new("email", KEY, LIMIT);
    attempt(&config(&server.url()), report, &context).unwrap();
    only_mail(&server)
}

/// The headers that do not change from run to run.
fn headers(mail: &Mail) -> String {
    let lines = mail.headers.iter().filter(|(name, _)| name != "Date");
    lines
        .map(|(name, value)| format!("{name}: {value}\n"))
        .collect()
}

#[test]
fn a_mail_shows_the_report_as_text_and_as_html() {
    let server = Server::plain();
    deliver(&config(&server.url())).unwrap();
    let received = &server.mails()[0];
    assert_eq!(
        (received.from.as_str(), received.to.as_slice()),
        ("dq@example.org", ["ops@example.org".to_owned()].as_slice())
    );
    let mail = Mail::read(&received.data);
    insta::assert_snapshot!("headers", headers(&mail));
    insta::assert_snapshot!("text", mail.text);
    insta::assert_snapshot!("html", mail.html);
    assert!(
        mail.header("Date").ends_with("+0000"),
        "{}",
        mail.header("Date")
    );
}

#[test]
fn the_subject_starts_with_the_state() {
    let results = |statuses: &[Status]| -> Vec<AssertionResult> {
        let numbered = statuses.iter().enumerate();
        let result = |(number, status): (usize, &Status)| {
            let mut result = AssertionResult::new("c", format!("a{number}"));
            result.status = *status;
            result
        };
        numbered.map(result).collect()
    };
    use Status::{Error, Failed, NotEvaluated, Passed, Skipped};
    let cases: &[(Verdict, &[Status], Option<&str>, &str)] = &[
        (
            Verdict::Passed,
            &[Passed; 3],
            None,
            "[PASSED] orders: 3 of 3 passed",
        ),
        (
            Verdict::Failed,
            &[Failed, Passed, Passed],
            None,
            "[FAILED] orders: 1 of 3 failed",
        ),
        (
            Verdict::Failed,
            &[Failed, Error, NotEvaluated, Skipped],
            None,
            "[FAILED] orders: 1 of 4 failed, 1 in error, 1 not evaluated",
        ),
        (
            Verdict::Passed,
            &[Failed, Passed],
            None,
            "[PASSED] orders: 1 of 2 passed, 1 failed",
        ),
        (
            Verdict::NotEvaluated,
            &[NotEvaluated],
            None,
            "[NOT EVALUATED] orders: 1 of 1 not evaluated",
        ),
        (
            Verdict::NotEvaluated,
            &[],
            Some("interrupted by SIGINT"),
            "[NOT EVALUATED] orders: no assertions, interrupted",
        ),
    ];
    for (verdict, statuses, interrupted, expected) in cases {
        let mut report = sample_report();
        report.run.suite = "orders".into();
        report.run.interrupted = interrupted.map(str::to_owned);
        report.results = results(statuses);
        report.summary = Summary::of(&report.results);
        report.verdict = *verdict;
        let mail = mail_of(&report);
        assert_eq!(mail.header("Subject"), *expected);
        assert!(
            mail.text.contains(&verdict.to_string().to_uppercase()),
            "{}",
            mail.text
        );
    }
}

#[test]
fn a_repeated_mail_has_the_same_id_and_all_mails_of_a_suite_are_a_thread() {
    let server = Server::plain();
    let mut config = config(&server.url());
    let ids = |key: &str, suite: &str| {
        let mut report = sample_report();
        report.run.suite = suite.to_owned();
        attempt(&config, &report, &ProcessContext::new("email", key, LIMIT)).unwrap();
        let mail = Mail::read(&server.mails().last().unwrap().data);
        assert_eq!(mail.header("References"), mail.header("In-Reply-To"));
        [
            mail.header("Message-ID").to_owned(),
            mail.header("References").to_owned(),
        ]
    };
    let first = ids("key 1", "orders");
    assert_eq!(ids("key 1", "orders"), first, "the same delivery");
    let second = ids("key 2", "orders");
    assert!(
        second[0] != first[0] && second[1] == first[1],
        "another run"
    );
    let other = ids("key 3", "people");
    assert!(other[1] != first[1], "another suite");
    config["to"] = json!(["other@example.org"]);
    attempt(
        &config,
        &sample_report(),
        &ProcessContext::new("email", "key 1", LIMIT),
    )
    .unwrap();
    let to_others = Mail::read(&server.mails().last().unwrap().data);
    assert_ne!(to_others.header("Message-ID"), first[0], "other recipients");
    for id in first.iter().chain(&second) {
        assert!(id.starts_with('<') && id.ends_with("@example.org>"), "{id}");
    }
}

#[test]
fn templates_replace_subject_text_and_html() {
    let server = Server::plain();
    let mut config = config(&server.url());
    config["subject"] = json!("{{ suite }}\r\nis {{ status }}, worst {{ severity }}");
    config["text_template"] = json!(
        "{% for result in results %}{{ result.severity }} {{ result.assertion }}\n{% endfor %}"
    );
    config["html_template"] =
        json!("<p>{% for r in results[:1] %}{{ r.expression }}{% endfor %}</p>{{ '<b>' }}");
    config["max_results"] = json!(2);
    config["message_domain"] = json!("ids.example.org");
    config["reply_to"] = json!("Équipe données <team@example.org>");
    config["hello"] = json!("dq.example.org");
    deliver(&config).unwrap();
    let mail = only_mail(&server);
    assert_eq!(mail.header("Subject"), "nycflights is failed, worst P0");
    assert_eq!(
        mail.text.trim_end(),
        "P0 tail numbers known\nP1 completeness(tailnum) >= 0.99"
    );
    assert_eq!(
        mail.html.trim_end(),
        "<p>completeness(tailnum) &gt;= 0.999</p>&lt;b&gt;"
    );
    assert!(mail.header("Message-ID").ends_with("@ids.example.org>"));
    assert_eq!(mail.header("Reply-To"), "Équipe données <team@example.org>");
    assert_eq!(server.log().plain[0], "EHLO dq.example.org");
}

#[test]
fn a_template_that_cannot_be_rendered_is_an_error_of_the_settings() {
    let cases = [
        (
            "subject",
            "{{ siute }}",
            "subject: cannot be rendered, line 1: undefined value",
        ),
        (
            "text_template",
            "{% for %}",
            "text_template: cannot be rendered, line 1: syntax error",
        ),
        (
            "html_template",
            "\n{{ suite|uper }}",
            "html_template: cannot be rendered, line 2: unknown filter",
        ),
        (
            "html_template",
            "{{ results[0].check }}",
            "html_template: cannot be rendered, line 1: undefined value",
        ),
        (
            "text_template",
            "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
            "text_template: cannot be rendered, line 1: engine ran out of fuel",
        ),
        (
            "html_template",
            "{% for a in range(9999) %}aaaaaaaaaaaaaaaaaaaa{% endfor %}",
            "html_template: renders more than 100000 bytes without any result",
        ),
    ];
    for (setting, template, expected) in cases {
        let mut config = config("smtp://localhost?tls=none");
        config[setting] = json!(template);
        let error = plugin()
            .build_processor(config)
            .err()
            .expect(template)
            .to_string();
        assert!(error.contains(expected), "{template}: {error}");
    }
}

#[test]
fn everything_wrong_with_the_settings_is_said_at_once() {
    let config = json!({
        "smtp": "smtps://dq:hunter2@mail?tls=none", "from": "nobody", "to": ["ops@example.org", "a b", {"address": "ä@example.org"}],
        "reply_to": "x\r\nBcc: y@example.org", "max_results": 0, "hello": "a b", "message_domain": "a b", "subject": "{{ nothing }}",
    });
    let error = plugin().build_processor(config).err().unwrap().to_string();
    insta::assert_snapshot!(error.replace("; ", "\n"));
    assert!(!error.contains("hunter2"));
}

#[test]
fn a_mail_to_nobody_is_refused() {
    let schema = plugin().info().config_schema;
    assert_eq!(schema["properties"]["to"]["minItems"], 1);
    let config = json!({"smtp": "smtps://mail", "from": "dq@example.org", "to": []});
    let error = plugin().build_processor(config).err().unwrap().to_string();
    assert_eq!(error, "to: is empty; name at least one recipient");
}

#[test]
fn a_template_that_fails_on_a_report_gives_way_to_the_built_in_one() {
    let server = Server::plain();
    let mut config = config(&server.url());
    // More than the sample report can show.
    let text =
        "{% for r in results %}{% if r.assertion == 'a' %}{{ r.nothing }}{% endif %}{% endfor %}";
    config["text_template"] = json!(text);
    let mut report = sample_report();
    report.results[1].assertion = "a".into();
    let context = ProcessContext::new("email", KEY, LIMIT);
    let outcome = attempt(&config, &report, &context).unwrap();
    assert_eq!(
        outcome.note.as_deref(),
        Some(
            "text_template cannot be rendered, line 1: undefined value; the built-in one was used"
        )
    );
    assert!(only_mail(&server).text.contains("nycflights: FAILED"));
}

#[test]
fn nothing_shows_the_password() {
    let config = json!({
        "smtp": "smtps://dq:hunter2@mail", "from": "dq@example.org", "to": ["ops@example.org"],
    });
    build(&config);
    let settings: veracity_email::Settings = serde_json::from_value(config.clone()).unwrap();
    assert!(!format!("{settings:?}").contains("hunter2"));
    let email = <veracity_email::Email as veracity_processor::Processor>::build(settings).unwrap();
    let shown = format!("{email:?}");
    assert!(
        shown.contains("mail:465") && !shown.contains("hunter2"),
        "{shown}"
    );
    let mut wrong = config;
    wrong["to"] = json!([{"addres": "smtps://dq:hunter2@mail"}]);
    let error = plugin().build_processor(wrong).err().unwrap().to_string();
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn a_few_words_are_mailed_under_their_title() {
    let server = Server::plain();
    let report = sample_report();
    let mut message = Message::new("shop: 2 deliveries\r\nBcc: x@example.org", report.run);
    message.severity = Severity::P0;
    message.lines = vec!["`slack` is away".to_owned(), "<b>late</b>".to_owned()];
    message.more = 3;
    let email = build(&config(&server.url()));
    let context = ProcessContext::new("email", KEY, LIMIT);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let told = runtime.block_on(async { email.notify(&message, &context).await });
    assert_eq!(told, Ok(Outcome::done()));
    let mail = only_mail(&server);
    let subject = mail.header("Subject");
    assert!(subject.starts_with("shop: 2 deliveries"), "{subject}");
    assert!(mail.headers.iter().all(|(name, _)| name != "Bcc"));
    for line in ["`slack` is away", "(+3 more)"] {
        assert!(mail.text.contains(line), "{}", mail.text);
    }
    assert!(mail.html.contains("&lt;b&gt;late"), "{}", mail.html);
}
