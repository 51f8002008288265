//! What becomes of a delivery by what the receiver answers.

use std::time::{Duration, Instant, SystemTime};

use serde_json::json;
use veracity_processor::{Outcome, ProcessorError, sample_report};

use crate::{LIMIT, attempt, deliver, to, with};
use veracity_http::testing::{Answer, Server};

fn retry_after(error: &ProcessorError) -> Option<Duration> {
    match error {
        ProcessorError::Retryable { retry_after, .. } => *retry_after,
        _ => None,
    }
}

#[tokio::test]
async fn a_busy_receiver_says_when_to_come_again() {
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(600));
    let cases = [
        ("seconds", "2".to_owned(), Some(2..=2)),
        ("a date", date, Some(400..=600)),
        ("too long", "1000000000".to_owned(), Some(900..=900)),
        ("garbage", "when the cows come home".to_owned(), None),
    ];
    for (label, header, expected) in cases {
        let headers = format!("Retry-After: {header}\r\n");
        let server = Server::start(vec![Answer::new(429, &headers, "slow down")]);
        let error = deliver(to(&server.url())).await.unwrap_err();
        assert!(error.is_retryable(), "{label}: {error}");
        let wait = retry_after(&error).map(|wait| wait.as_secs());
        match expected {
            Some(range) => assert!(
                wait.is_some_and(|wait| range.contains(&wait)),
                "{label}: {wait:?}"
            ),
            None => assert_eq!(wait, None, "{label}"),
        }
    }
}

#[tokio::test]
async fn a_report_arrives_at_the_fourth_attempt_under_one_id() {
    let broken = Answer::new(500, "", "oops");
    let answers = vec![
        broken,
        Answer::new(503, "", ""),
        Answer::Reset,
        Answer::new(204, "", ""),
    ];
    let server = Server::start(answers);
    let mut ended = Vec::new();
    for _ in 1..=4 {
        let outcome = deliver(to(&server.url())).await;
        ended.push(outcome.map_err(|error| error.is_retryable()));
    }
    assert_eq!(
        ended,
        [Err(true), Err(true), Err(true), Ok(Outcome::done())]
    );
    let requests = server.requests();
    assert_eq!(requests.len(), 4, "each attempt is one request");
    for request in &requests {
        assert_eq!(request.headers["webhook-id"], crate::ID);
        assert_eq!(request.body, requests[0].body);
    }
}

#[tokio::test]
async fn a_connection_that_breaks_is_tried_again() {
    let unused = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let cases = [
        ("refused", format!("http://{unused}/"), "cannot connect: "),
        (
            "reset",
            Server::start(vec![Answer::Reset]).url(),
            "the connection broke",
        ),
        (
            "closed",
            Server::start(vec![Answer::Close]).url(),
            "the connection broke",
        ),
        (
            "garbage",
            Server::start(vec![Answer::Bytes(b"\0\x01 hello\r\n\r\n".to_vec())]).url(),
            "the connection broke",
        ),
        (
            "no such name",
            "http://no-such-host.invalid/".to_owned(),
            "cannot resolve the host: ",
        ),
    ];
    for (label, url, expected) in cases {
        let error = deliver(to(&url)).await.unwrap_err();
        assert!(error.is_retryable(), "{label}: {error}");
        assert!(error.message().contains(expected), "{label}: {error}");
    }
}

#[tokio::test]
async fn a_refusal_is_final_and_quotes_the_receiver() {
    for status in [400, 401, 403, 404, 409, 410, 415, 422] {
        let server = Server::start(vec![Answer::new(status, "", "no\r\nsuch \u{1b}[2Jhook")]);
        let error = deliver(to(&server.url())).await.unwrap_err();
        assert!(!error.is_retryable(), "{status}: {error}");
        let said = format!("answered {status} ");
        assert!(error.message().starts_with("`127.0.0.1`: "), "{error}");
        assert!(error.message().contains(&said), "{error}");
        assert!(error.message().contains(r"no such \u{1b}[2J"), "{error}");
        assert_eq!(
            error.message().contains("the endpoint is gone"),
            status == 410,
            "{error}"
        );
        assert_eq!(server.requests().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let other = Server::start(vec![Answer::new(200, "", "ok")]);
        let location = format!("Location: http://{}/t0ken\r\n", other.address);
        let server = Server::start(vec![Answer::new(status, &location, "")]);
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        // A word of the path that is also one of the message's.
        let url = format!("http://{}/redir", server.address);
        let config = with(to(&url), json!({"secret": secret}));
        let error = deliver(config).await.unwrap_err();
        assert!(!error.is_retryable(), "{error}");
        let target = format!(
            "a redirect to `http://{}`, which is not followed",
            other.address
        );
        assert!(error.message().contains(&target), "{error}");
        assert_eq!(other.requests().len(), 0, "nothing was sent there");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_sent_once_more_as_a_summary() {
    let too_large = Answer::new(413, "", "at most 1 KB");
    let server = Server::start(vec![too_large.clone(), Answer::new(200, "", "ok")]);
    let outcome = deliver(to(&server.url())).await.unwrap();
    let count = sample_report().results.len();
    let note = format!(
        "{count} of {count} results were left out of the body, which would have been too large"
    );
    assert_eq!(outcome, Outcome::done().with_note(note));
    let requests = server.requests();
    let sizes: Vec<usize> = requests.iter().map(|request| request.body.len()).collect();
    assert!(sizes.len() == 2 && sizes[1] < 1000, "{sizes:?}");
    assert_eq!(
        requests[0].headers["webhook-id"],
        requests[1].headers["webhook-id"]
    );

    let server = Server::start(vec![too_large]);
    let error = deliver(to(&server.url())).await.unwrap_err();
    assert!(
        !error.is_retryable() && error.message().contains("413"),
        "{error}"
    );
    assert_eq!(server.requests().len(), 2, "reduced once");
}

#[tokio::test]
async fn a_success_can_be_held_to_what_it_says() {
    let ok = json!({"pointer": "/ok", "equals": true});
    let cases = [
        (
            "Slack says no",
            r#"{"ok":false,"error":"ratelimited"}"#,
            ok.clone(),
            false,
        ),
        ("Slack says yes", r#"{"ok":true}"#, ok.clone(), true),
        (
            "a login page",
            "<!doctype html><title>Log in</title>",
            ok,
            false,
        ),
        ("a word", "ok", json!("ok"), true),
        ("another word", "<html>", json!("ok"), false),
    ];
    for (label, body, expect, taken) in cases {
        let server = Server::start(vec![Answer::new(200, "", body)]);
        let outcome = deliver(with(to(&server.url()), json!({"expect": expect}))).await;
        match outcome {
            Ok(_) => assert!(taken, "{label}"),
            Err(error) => {
                assert!(!taken && error.is_retryable(), "{label}: {error}");
                let said = "answered 200, but not what `expect` asks for: ";
                assert!(error.message().contains(said), "{label}: {error}");
            }
        }
    }
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_costs_the_time_limit_and_no_more() {
    let head = b"HTTP/1.1 200 OK\r\nX-Slow: ".to_vec();
    let cases = [
        ("silent", Answer::Silent, "http"),
        ("slow headers", Answer::Slow(head), "http"),
        ("no handshake", Answer::Silent, "https"),
    ];
    for (label, answer, scheme) in cases {
        let server = Server::start(vec![answer]);
        let began = Instant::now();
        let config = to(&server.url().replace("http", scheme));
        let limit = Duration::from_secs(2);
        let error = attempt(config, &sample_report(), limit).await.unwrap_err();
        assert!(error.is_retryable(), "{label}: {error}");
        assert!(
            error.message().contains("no complete answer within"),
            "{label}: {error}"
        );
        assert!(
            began.elapsed() < LIMIT / 2,
            "{label}: {:?}",
            began.elapsed()
        );
    }
}

/// A gzip stream whose every thirteen bits stand for 258 bytes: a fixed-Huffman block of
/// zero, then copies of it without end.
fn bomb() -> Vec<u8> {
    let mut stream = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    // Not the last block, fixed codes; the literal 0; a length of 258 at distance 1.
    let mut bits = String::from("010" /* read from the right */);
    bits.push_str("00110000");
    while bits.len() < 104 * 5000 {
        bits.push_str("1100010100000");
    }
    let byte = |eight: &[u8]| {
        eight
            .iter()
            .rev()
            .fold(0, |byte, bit| byte << 1 | (bit - b'0'))
    };
    stream.extend(bits.as_bytes().chunks_exact(8).map(byte));
    stream
}

#[tokio::test]
async fn of_a_large_answer_little_is_read() {
    let endless = "HTTP/1.1 STATUS X\r\n\r\n";
    let huge = "HTTP/1.1 STATUS X\r\nContent-Length: 1000000000\r\n\r\n";
    let gzip = "HTTP/1.1 STATUS X\r\nContent-Encoding: gzip\r\n\r\n";
    let headers = "HTTP/1.1 STATUS X\r\n";
    let cases = [
        ("endless", endless, vec![b'x'; 64 * 1024]),
        ("a gigabyte", huge, vec![b'x'; 64 * 1024]),
        ("a gzip bomb", gzip, bomb()),
        (
            "endless headers",
            headers,
            b"X-More: and more\r\n".repeat(1000),
        ),
    ];
    for (label, head, chunk) in cases {
        for status in ["200", "400", "500"] {
            let head = head.replace("STATUS", status).into_bytes();
            let server = Server::start(vec![Answer::Endless(head, chunk.clone())]);
            let ended = deliver(to(&server.url())).await;
            match (label, status) {
                ("endless headers", _) => assert!(ended.unwrap_err().is_retryable(), "{label}"),
                (_, "200") => assert_eq!(ended, Ok(Outcome::done()), "{label}"),
                (_, "400") => assert!(!ended.unwrap_err().is_retryable(), "{label}"),
                _ => assert!(ended.unwrap_err().is_retryable(), "{label}"),
            }
            // What was written beyond what was read lies in the buffers of the sockets.
            assert!(server.written() < 64 << 20, "{label}: {}", server.written());
            assert!(!server.requests()[0].headers.contains_key("accept-encoding"));
        }
    }
}

#[tokio::test]
async fn an_answer_whose_body_never_ends_counts_by_its_status() {
    let server = Server::start(vec![Answer::Slow(b"HTTP/1.1 404 X\r\n\r\nno ".to_vec())]);
    let error = deliver(to(&server.url())).await.unwrap_err();
    assert!(
        error.message().contains("answered 404 Not Found: no"),
        "{error}"
    );
    let server = Server::start(vec![Answer::Slow(b"HTTP/1.1 200 X\r\n\r\nok".to_vec())]);
    assert_eq!(deliver(to(&server.url())).await, Ok(Outcome::done()));
}

#[tokio::test]
async fn a_receiver_with_an_address_of_version_6_is_reached() {
    let server = Server::listen("[::1]:0", vec![Answer::new(200, "", "")], None);
    assert_eq!(deliver(to(&server.url())).await, Ok(Outcome::done()));
    assert_eq!(server.requests().len(), 1);
}
