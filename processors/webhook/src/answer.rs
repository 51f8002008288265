//! What an answer means.

use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use url::Url;
use veracity_processor::{ProcessorError, printable};

/// The longest a receiver may ask to be left alone.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

/// The most characters of an answer that are shown.
const EXCERPT: usize = 200;

/// An answer, read as far as it is needed.
pub(crate) struct Answer {
    pub status: StatusCode,
    /// Where the receiver says the endpoint is now.
    pub location: Option<String>,
    pub retry_after: Option<Duration>,
    /// The first bytes of the body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Why the receiver, which is reached through `url`, did not take the report; `None`
    /// if it did. `redact` strikes secrets out of what it said.
    pub fn fault(&self, url: &Url, redact: impl Fn(&str) -> String) -> Option<ProcessorError> {
        if self.status.is_success() {
            return None;
        }
        let code = self.status.as_u16();
        let said = excerpt(&self.body, redact);
        let because = match self.status.canonical_reason() {
            Some(reason) => format!("answered {code} {reason}{said}"),
            None => format!("answered {code}{said}"),
        };
        let permanent = |hint: &str| ProcessorError::permanent(format!("{because}{hint}"));
        let error = match code {
            300..=303 | 307 | 308 => self.redirected(url),
            401 | 403 => permanent("; the credentials in `url` or `headers` may be wrong"),
            404 | 405 => permanent("; `url` or `method` may be wrong"),
            410 => permanent("; the endpoint is gone: change `url` or remove the processor"),
            413 => permanent("; `max_bytes` may be smaller"),
            408 | 425 | 429 => ProcessorError::retryable(because),
            501 | 505 => permanent(""),
            500..=599 => ProcessorError::retryable(because),
            _ => permanent(""),
        };
        Some(match self.retry_after {
            Some(wait) => error.after(wait),
            None => error,
        })
    }

    /// The path may hold a secret, so that it is not named.
    fn redirected(&self, url: &Url) -> ProcessorError {
        let target = self.location.as_ref().and_then(|to| url.join(to).ok());
        let to = match target.map(|to| to.origin()) {
            Some(origin) if origin == url.origin() => " to another path".to_owned(),
            Some(origin) if origin.is_tuple() => format!(" to `{}`", origin.ascii_serialization()),
            _ => String::new(),
        };
        ProcessorError::permanent(format!(
            "answered {}, a redirect{to}, which is not followed; put the new address into `url`",
            self.status.as_u16()
        ))
    }
}

/// `: ` and the beginning of `body` on one line, if it is text.
pub(crate) fn excerpt(body: &[u8], redact: impl Fn(&str) -> String) -> String {
    let binary = body.iter().filter(|&&byte| byte < 9).count() * 10 > body.len();
    if body.starts_with(&[0x1f, 0x8b]) || binary {
        return String::new();
    }
    let text = redact(&String::from_utf8_lossy(body));
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    if line.is_empty() {
        return String::new();
    }
    let line = printable(&line);
    match line.char_indices().nth(EXCERPT) {
        Some((at, _)) => format!(": {}…", &line[..at]),
        None => format!(": {line}"),
    }
}

/// What the header `Retry-After` asks for, at `now`: seconds or a date. At most fifteen
/// minutes; nothing if it makes no sense or is over.
pub(crate) fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    let wait = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number can hold are more than the longest wait.
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        let date = httpdate::parse_http_date(text).ok()?;
        date.duration_since(now).ok()?
    };
    (!wait.is_zero()).then_some(wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn a_receiver_may_ask_for_up_to_fifteen_minutes() {
        // Friday, 20 November 2026, 06:00:00 UTC
        let now = UNIX_EPOCH + Duration::from_secs(1_795_154_400);
        let cases = [
            ("seconds", "2", Some(2)),
            ("with spaces", " 120 ", Some(120)),
            ("a date", "Fri, 20 Nov 2026 06:00:30 GMT", Some(30)),
            (
                "an old form of date",
                "Friday, 20-Nov-26 06:01:00 GMT",
                Some(60),
            ),
            ("much too long", "1000000000", Some(900)),
            ("no number holds it", "99999999999999999999999", Some(900)),
            (
                "a date far away",
                "Sun, 20 Nov 2033 06:00:00 GMT",
                Some(900),
            ),
            ("a date gone by", "Fri, 20 Nov 2026 05:59:59 GMT", None),
            ("nothing to wait for", "0", None),
            ("negative", "-5", None),
            ("a fraction", "1.5", None),
            ("garbage", "soon \u{1f600}", None),
            ("nothing", "", None),
        ];
        for (label, text, expected) in cases {
            let expected = expected.map(Duration::from_secs);
            assert_eq!(retry_after(text, now), expected, "{label}");
        }
    }

    fn answer(status: u16) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            location: None,
            retry_after: Some(Duration::from_secs(7)),
            body: b"no\r\n\x1b[2J <b>s3cret</b>".to_vec(),
        }
    }

    fn fault(answer: &Answer) -> Option<ProcessorError> {
        let url = Url::parse("https://hooks.example.org/s3cret").unwrap();
        answer.fault(&url, |text| text.replace("s3cret", "***"))
    }

    #[test]
    fn answers_tell_whether_another_attempt_makes_sense() {
        let mut lines = String::new();
        let statuses = [
            200, 201, 202, 204, 300, 304, 400, 401, 403, 404, 405, 408, 409, 410, 413, 415, 418,
            422, 425, 429, 451, 499, 500, 501, 502, 503, 504, 505, 507, 522,
        ];
        for status in statuses {
            let line = match fault(&answer(status)) {
                None => format!("{status} delivered\n"),
                Some(error) if error.is_retryable() => format!("again: {error}\n"),
                Some(error) => format!("never: {error}\n"),
            };
            lines.push_str(&line);
        }
        insta::assert_snapshot!(lines, @r#"
        200 delivered
        201 delivered
        202 delivered
        204 delivered
        never: answered 300, a redirect, which is not followed; put the new address into `url`
        never: answered 304 Not Modified: no \u{1b}[2J <b>***</b>
        never: answered 400 Bad Request: no \u{1b}[2J <b>***</b>
        never: answered 401 Unauthorized: no \u{1b}[2J <b>***</b>; the credentials in `url` or `headers` may be wrong
        never: answered 403 Forbidden: no \u{1b}[2J <b>***</b>; the credentials in `url` or `headers` may be wrong
        never: answered 404 Not Found: no \u{1b}[2J <b>***</b>; `url` or `method` may be wrong
        never: answered 405 Method Not Allowed: no \u{1b}[2J <b>***</b>; `url` or `method` may be wrong
        again: answered 408 Request Timeout: no \u{1b}[2J <b>***</b>
        never: answered 409 Conflict: no \u{1b}[2J <b>***</b>
        never: answered 410 Gone: no \u{1b}[2J <b>***</b>; the endpoint is gone: change `url` or remove the processor
        never: answered 413 Payload Too Large: no \u{1b}[2J <b>***</b>; `max_bytes` may be smaller
        never: answered 415 Unsupported Media Type: no \u{1b}[2J <b>***</b>
        never: answered 418 I'm a teapot: no \u{1b}[2J <b>***</b>
        never: answered 422 Unprocessable Entity: no \u{1b}[2J <b>***</b>
        again: answered 425 Too Early: no \u{1b}[2J <b>***</b>
        again: answered 429 Too Many Requests: no \u{1b}[2J <b>***</b>
        never: answered 451 Unavailable For Legal Reasons: no \u{1b}[2J <b>***</b>
        never: answered 499: no \u{1b}[2J <b>***</b>
        again: answered 500 Internal Server Error: no \u{1b}[2J <b>***</b>
        never: answered 501 Not Implemented: no \u{1b}[2J <b>***</b>
        again: answered 502 Bad Gateway: no \u{1b}[2J <b>***</b>
        again: answered 503 Service Unavailable: no \u{1b}[2J <b>***</b>
        again: answered 504 Gateway Timeout: no \u{1b}[2J <b>***</b>
        never: answered 505 HTTP Version Not Supported: no \u{1b}[2J <b>***</b>
        again: answered 507 Insufficient Storage: no \u{1b}[2J <b>***</b>
        again: answered 522: no \u{1b}[2J <b>***</b>
        "#);
    }

    #[test]
    fn a_redirect_names_the_new_host_and_nothing_more() {
        let cases = [
            (
                "another host",
                "https://new.example.org/s3cret?token=x",
                "a redirect to `https://new.example.org`,",
            ),
            (
                "another port",
                "https://new.example.org:8443/x",
                "a redirect to `https://new.example.org:8443`,",
            ),
            (
                "another scheme",
                "http://hooks.example.org/x",
                "a redirect to `http://hooks.example.org`,",
            ),
            (
                "another path",
                "/login?next=s3cret",
                "a redirect to another path,",
            ),
            (
                "credentials",
                "https://me:pw@new.example.org/",
                "a redirect to `https://new.example.org`,",
            ),
            ("no address", "https://", "a redirect,"),
        ];
        for (label, location, expected) in cases {
            let mut answer = answer(302);
            answer.location = Some(location.to_owned());
            let error = fault(&answer).unwrap();
            let expected = format!(
                "answered 302, {expected} which is not followed; put the new address into `url`"
            );
            assert_eq!(
                (error.message(), error.is_retryable()),
                (expected.as_str(), false),
                "{label}"
            );
        }
    }

    #[test]
    fn an_excerpt_is_short_and_harmless() {
        let cases: &[(&str, &[u8], &str)] = &[
            ("nothing", b"", ""),
            ("blank", b" \r\n ", ""),
            (
                "on one line",
                b"{\n  \"ok\": false\n}",
                ": { \"ok\": false }",
            ),
            (
                "no escapes",
                b"a\x1b]8;;http://x\x07b",
                r": a\u{1b}]8;;http://x\u{7}b",
            ),
            (
                "no CI commands",
                b"##vso[task.complete]",
                r": #\u{23}vso[task.complete]",
            ),
            ("no Latin-1", b"caf\xe9", ": caf\u{fffd}"),
            ("compressed", &[0x1f, 0x8b, 8, 0, 0, 0], ""),
            ("binary", &[1, 2, 3, 4, b'a'], ""),
        ];
        for (label, body, expected) in cases {
            assert_eq!(excerpt(body, str::to_owned), *expected, "{label}");
        }
        let long = excerpt("ü".repeat(70_000).as_bytes(), str::to_owned);
        assert_eq!(long, format!(": {}…", "ü".repeat(200)));
    }
}
