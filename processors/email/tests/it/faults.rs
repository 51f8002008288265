//! A server that is away, slow, unwilling or gone in the middle.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use veracity_processor::{
    HealthStatus, OutcomeStatus, ProcessContext, ProcessorError, sample_report,
};

use crate::mime::Mail;
use crate::smtp::{Act, Server};
use crate::{KEY, LIMIT, attempt, build, config, deliver, next, run};

fn three(server: &Server) -> Value {
    let mut config = config(&server.url());
    config["to"] = json!(["a@example.org", "b@example.org", "c@example.org"]);
    config
}

fn retry_after(error: &ProcessorError) -> Option<Duration> {
    match error {
        ProcessorError::Retryable { retry_after, .. } => *retry_after,
        error => panic!("not retryable: {error}"),
    }
}

/// `error` without the port, which is another one each time.
fn told(server: &Server, error: &ProcessorError) -> String {
    error.message().replace(&server.port().to_string(), "PORT")
}

#[test]
fn a_server_that_is_away_is_tried_again() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let error = deliver(&config(&format!("smtp://127.0.0.1:{port}?tls=none"))).unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(error.message().contains("refused"), "{error}");
    let error = deliver(&config("smtp://mail.invalid?tls=none")).unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(
        error
            .message()
            .starts_with("mail.invalid:25: connecting failed"),
        "{error}"
    );
}

#[test]
fn a_slow_or_silent_server_does_not_hold_longer_than_the_deadline() {
    let cases: [(&str, Act, &str); 5] = [
        (
            "greeting",
            Act::Trickle("220 one byte a second"),
            "time ran out at the greeting",
        ),
        ("greeting", Act::Silence, "time ran out at the greeting"),
        ("EHLO", Act::Silence, "time ran out at the answer to EHLO"),
        ("DATA", Act::Silence, "time ran out at the answer to DATA"),
        (
            "end",
            Act::Silence,
            "time ran out at the confirmation of the mail",
        ),
    ];
    for (moment, act, expected) in cases {
        let server = Server::that(move |now| match now.at == moment {
            true => act.clone(),
            false => Act::Ordinary,
        });
        let config = config(&server.url());
        let processor = build(&config);
        // It must end by itself: a host stops what does not.
        let ended = run(async {
            let context = ProcessContext::new("email", KEY, Duration::from_millis(1_500));
            let report = sample_report();
            let ended = processor.process(&report, &context).await;
            (ended, Instant::now(), context.deadline)
        });
        let (ended, at, deadline) = ended;
        let error = ended.unwrap_err();
        assert!(
            error.is_retryable() && error.message().contains(expected),
            "{moment}: {error}"
        );
        assert!(
            at < deadline + Duration::from_secs(5),
            "{moment}: {:?} late",
            at - deadline
        );
    }
}

#[test]
fn a_server_that_says_later_is_left_alone_and_then_served_once() {
    let minute = Some(Duration::from_secs(60));
    let cases = [
        ("greeting", "421 4.3.2 closing", None),
        ("greeting", "421-a\r\n421 b", None),
        ("MAIL", "451 4.7.1 try again", minute),
        ("RCPT", "450 4.2.0 greylisted", minute),
        ("RCPT", "421 4.7.0 closing", None),
        ("end", "451 4.3.0 no space", minute),
        ("end", "452 4.3.1 no space", minute),
        ("DATA", "421 4.3.2 closing", None),
    ];
    for (moment, reply, wait) in cases {
        let server = Server::that(move |now| match (now.at == moment, now.connection) {
            (true, 1) => Act::Say(reply),
            _ => Act::Ordinary,
        });
        let context = ProcessContext::new("email", KEY, LIMIT);
        let error = attempt(&config(&server.url()), &sample_report(), &context).unwrap_err();
        assert_eq!(retry_after(&error), wait, "{moment} {reply}: {error}");
        assert!(server.mails().is_empty(), "{moment} {reply}");
        let again = attempt(&config(&server.url()), &sample_report(), &next(&context));
        assert_eq!(again.unwrap().note, None, "{moment} {reply}");
        assert_eq!(server.mails().len(), 1, "{moment} {reply}");
    }
}

#[test]
fn a_recipient_that_is_refused_does_not_keep_the_mail_from_the_others() {
    let server = Server::that(|now| match now.line.contains("<b@example.org>") {
        true => Act::Say("550 5.1.1 <b@example.org>: no such user"),
        false => Act::Ordinary,
    });
    let outcome = deliver(&three(&server)).unwrap();
    assert_eq!(outcome.status, OutcomeStatus::Done);
    assert_eq!(
        outcome.note.as_deref(),
        Some("refused: b@example.org: 550 5.1.1 <b@example.org>: no such user")
    );
    let mails = server.mails();
    assert_eq!(
        (mails.len(), mails[0].to.join(" ")),
        (1, "a@example.org c@example.org".to_owned())
    );
}

#[test]
fn after_a_partial_failure_nobody_gets_the_mail_twice() {
    // b is refused for good, c only at first.
    let server = Server::that(|now| match (now.line, now.connection) {
        ("RCPT TO:<b@example.org>", _) => Act::Say("550 5.1.1 no such user"),
        ("RCPT TO:<c@example.org>", 1 | 2) => Act::Say("452 4.5.3 too many recipients"),
        _ => Act::Ordinary,
    });
    let first = ProcessContext::new("email", KEY, LIMIT);
    let error = attempt(&three(&server), &sample_report(), &first).unwrap_err();
    assert_eq!(retry_after(&error), Some(Duration::from_secs(60)));
    assert_eq!(
        told(&server, &error),
        "127.0.0.1:PORT: not now: c@example.org: 452 4.5.3 too many recipients \
         (1 of 3 recipients have it)"
    );
    let second = next(&first);
    attempt(&three(&server), &sample_report(), &second).unwrap_err();
    let third = next(&second);
    let outcome = attempt(&three(&server), &sample_report(), &third).unwrap();
    assert_eq!(
        outcome.note.as_deref(),
        Some("refused: b@example.org: 550 5.1.1 no such user")
    );
    let mails = server.mails();
    let served: Vec<String> = mails.iter().map(|mail| mail.to.join(" ")).collect();
    assert_eq!(served, ["a@example.org", "c@example.org"]);
    let ids: Vec<String> = mails
        .iter()
        .map(|mail| Mail::read(&mail.data).header("Message-ID").to_owned())
        .collect();
    assert_eq!(ids[0], ids[1]);
    assert!(
        third.state.values().is_empty(),
        "nothing is left to remember"
    );
    // The next run starts from nothing.
    let other = ProcessContext::new("email", "another key", LIMIT);
    attempt(&three(&server), &sample_report(), &other).unwrap();
    assert_eq!(
        server.mails()[2].to.join(" "),
        "a@example.org c@example.org"
    );
}

#[test]
fn what_a_server_refuses_for_good_is_not_tried_again() {
    let cases = [
        (
            "greeting",
            "554 5.7.1 you are blocked",
            "the server does not serve us: 554 5.7.1 you are blocked",
        ),
        ("EHLO", "502 5.5.1 what", "EHLO is refused: 502 5.5.1 what"),
        (
            "MAIL",
            "530 5.7.0 authenticate first",
            "authentication required: 530 5.7.0 authenticate first",
        ),
        (
            "MAIL",
            "550 5.7.1 sender unknown",
            "every recipient is refused: ops@example.org: 550 5.7.1 sender unknown",
        ),
        (
            "RCPT",
            "550-5.1.1 no\r\n550 such user",
            "every recipient is refused: ops@example.org: 550 5.1.1 no such user",
        ),
        (
            "DATA",
            "554 5.5.1 no valid recipients",
            "every recipient is refused: ops@example.org: 554 5.5.1 no valid recipients",
        ),
        (
            "end",
            "552 5.2.2 mailbox full",
            "every recipient is refused: ops@example.org: 552 5.2.2 mailbox full",
        ),
        (
            "end",
            "554 5.7.1 looks like spam \u{1b}[2J",
            r"every recipient is refused: ops@example.org: 554 5.7.1 looks like spam \u{1b}[2J",
        ),
        (
            "EHLO",
            "250-test\r\n250 SIZE 1000",
            "every recipient is refused: ops@example.org: the mail has N bytes, the server takes 1000",
        ),
    ];
    for (moment, reply, expected) in cases {
        let server = Server::that(move |now| match now.at == moment {
            true => Act::Say(reply),
            false => Act::Ordinary,
        });
        let error = deliver(&config(&server.url())).unwrap_err();
        assert!(!error.is_retryable(), "{moment} {reply}: {error}");
        let told = told(&server, &error);
        let told = match told.split_once("has ").zip(told.split_once(" bytes")) {
            Some(((before, _), (_, after))) => format!("{before}has N bytes{after}"),
            None => told,
        };
        assert_eq!(
            told,
            format!("127.0.0.1:PORT: {expected}"),
            "{moment} {reply}"
        );
        let log = server.log();
        assert_eq!(
            (log.connections, log.mails.len()),
            (1, 0),
            "{moment} {reply}"
        );
    }
}

#[test]
fn a_connection_lost_before_the_end_of_the_mail_leaves_one_mail_after_all() {
    for moment in ["EHLO", "MAIL", "RCPT", "DATA", "line"] {
        let server = Server::that(move |now| match (now.at == moment, now.connection) {
            (true, 1) => Act::Close,
            _ => Act::Ordinary,
        });
        let first = ProcessContext::new("email", KEY, LIMIT);
        let error = attempt(&config(&server.url()), &sample_report(), &first).unwrap_err();
        assert!(error.is_retryable(), "{moment}: {error}");
        attempt(&config(&server.url()), &sample_report(), &next(&first)).unwrap();
        let log = server.log();
        assert_eq!((log.mails.len(), log.unconfirmed.len()), (1, 0), "{moment}");
    }
}

#[test]
fn a_connection_lost_before_the_confirmation_may_double_the_mail_under_the_same_id() {
    let server = Server::that(|now| match (now.at, now.connection) {
        ("end", 1) => Act::Close,
        _ => Act::Ordinary,
    });
    let first = ProcessContext::new("email", KEY, LIMIT);
    let error = attempt(&config(&server.url()), &sample_report(), &first).unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert_eq!(
        told(&server, &error),
        "127.0.0.1:PORT: connection lost at the confirmation of the mail"
    );
    let outcome = attempt(&config(&server.url()), &sample_report(), &next(&first)).unwrap();
    assert_eq!(
        outcome.note.as_deref(),
        Some(
            "an earlier attempt ended before the server confirmed the mail: it may have come twice"
        )
    );
    let log = server.log();
    assert_eq!((log.mails.len(), log.unconfirmed.len()), (1, 1));
    let [once, twice] = [&log.mails[0], &log.unconfirmed[0]].map(|mail| Mail::read(&mail.data));
    assert_eq!(once.header("Message-ID"), twice.header("Message-ID"));
}

#[test]
fn what_answers_in_another_protocol_or_without_end_is_no_server() {
    let endless: &str = Box::leak("250-".repeat(100_000).into_boxed_str());
    for reply in [
        "HTTP/1.1 400 Bad Request",
        "250",
        "\u{0}\u{1}",
        "999 ok",
        endless,
    ] {
        let server = Server::that(move |now| match now.at {
            "greeting" => Act::SayAndClose(reply),
            _ => Act::Ordinary,
        });
        let ended = deliver(&config(&server.url()));
        let reply: String = reply.chars().take(30).collect();
        let error = ended.expect_err(&reply);
        assert!(error.is_retryable(), "{reply:?}: {error}");
        assert!(error.message().len() < 500, "{reply:?}: {error}");
    }
}

#[test]
fn health_says_whether_the_server_would_take_a_mail() {
    let server = Server::plain();
    let health = run(build(&config(&server.url())).health()).unwrap();
    let expected = format!("127.0.0.1:{}, not encrypted", server.port());
    assert_eq!(
        (health.status, health.detail),
        (HealthStatus::Healthy, Some(expected))
    );
    let said = server
        .log()
        .plain
        .iter()
        .map(|line| line[..4].to_owned())
        .collect::<Vec<_>>();
    assert_eq!(said, ["EHLO", "NOOP", "QUIT"]);

    let server = Server::that(|now| match now.at {
        "EHLO" => Act::Say("421 4.3.2 closing"),
        _ => Act::Ordinary,
    });
    let health = run(build(&config(&server.url())).health()).unwrap();
    assert_eq!(health.status, HealthStatus::Unhealthy);
    assert!(
        health
            .detail
            .unwrap()
            .ends_with("the server is closing: 421 4.3.2 closing")
    );
}
