//! What an answer means.

use std::fmt;
use std::time::{Duration, SystemTime};

use http::StatusCode;
use http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use reqwest::Response;
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use url::Url;
use veracity_processor::{ProcessorError, printable};

use crate::Endpoint;

/// The most bytes of a body that are read.
const LONGEST_BODY: usize = 64 * 1024;

/// How long a body is waited for when the status says everything.
const BODY_PATIENCE: Duration = Duration::from_secs(2);

/// The longest a receiver may ask to be left alone.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

/// The most characters of an answer that are shown.
const EXCERPT: usize = 200;

/// An answer, read as far as it is needed.
///
/// `Debug` shows the status alone: the rest may repeat a secret.
#[non_exhaustive]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// How long the receiver wants to be left alone: `Retry-After` as seconds or a date,
    /// at most fifteen minutes.
    pub retry_after: Option<Duration>,
    /// Where the receiver says the endpoint is now.
    pub location: Option<String>,
    /// What the receiver says the body is.
    pub content_type: Option<String>,
    /// The first 64 KiB of the body, or what of them came in time; never decompressed.
    pub body: Vec<u8>,
}

impl Answer {
    /// Reads of `response` what decides, and no more. The body of a success decides if
    /// `whole`.
    pub(crate) async fn read(mut response: Response, whole: bool) -> Result<Self, reqwest::Error> {
        let text = |name| {
            let value = response.headers().get(name)?;
            Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let mut answer = Self {
            status: response.status(),
            retry_after: text(RETRY_AFTER).and_then(|text| retry_after(&text, SystemTime::now())),
            location: text(LOCATION),
            content_type: text(CONTENT_TYPE),
            body: Vec::new(),
        };
        let read = read_body(&mut response, &mut answer.body);
        if whole && answer.status.is_success() {
            read.await?;
        } else {
            // What is missing is missing in a message at most.
            let _ = timeout(BODY_PATIENCE, read).await;
        }
        Ok(answer)
    }

    /// The body as text; what is no UTF-8 is replaced. It may repeat secrets.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Errors
    ///
    /// If it is none, or no `T`.
    pub fn json<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_slice(&self.body)
    }

    /// Whether the body is a page for people. For most APIs that is no success, whatever
    /// the status: proxies and gateways answer with login pages.
    pub fn looks_like_html(&self) -> bool {
        let kind = self.content_type.as_deref().unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if kind.eq_ignore_ascii_case("text/html")
            || kind.eq_ignore_ascii_case("application/xhtml+xml")
        {
            return true;
        }
        let body = self
            .body
            .strip_prefix(b"\xef\xbb\xbf")
            .unwrap_or(&self.body);
        let body = body.trim_ascii_start();
        [b"<!doctype html".as_slice(), b"<html"]
            .iter()
            .any(|start| {
                body.get(..start.len())
                    .is_some_and(|begin| begin.eq_ignore_ascii_case(start))
            })
    }

    /// `: ` and the beginning of the body on one line, without secrets; nothing if there
    /// is no text. For the end of messages about `endpoint`, which answered this.
    pub fn excerpt(&self, endpoint: &Endpoint) -> String {
        excerpt(&self.body, |text| endpoint.redact(text))
    }

    /// Why `endpoint`, which answered this, did not take the request; `None` if it did.
    ///
    /// Retryable are 408, 425, 429 and 5xx except 501 and 505, with what `Retry-After`
    /// asks for. The message names the host and holds no secret.
    pub fn fault(&self, endpoint: &Endpoint) -> Option<ProcessorError> {
        if self.status.is_success() {
            return None;
        }
        let code = self.status.as_u16();
        let said = self.excerpt(endpoint);
        let because = match self.status.canonical_reason() {
            Some(reason) => format!("answered {code} {reason}{said}"),
            None => format!("answered {code}{said}"),
        };
        let (field, hints) = (endpoint.field(), endpoint.hints());
        let permanent = |hint: &str| ProcessorError::permanent(format!("{because}{hint}"));
        let hinted = |hint: &str| permanent(&format!("; {hint}"));
        let error = match code {
            300..=303 | 307 | 308 => self.redirected(endpoint.url(), &field),
            401 | 403 => hinted(hints.denied.unwrap_or("the credentials may be wrong")),
            404 | 405 => match hints.not_found {
                Some(hint) => hinted(hint),
                None => hinted(&format!("`{field}` may be wrong")),
            },
            410 => hinted(&format!(
                "the endpoint is gone: change `{field}` or remove the processor"
            )),
            413 => hints.too_large.map_or_else(|| permanent(""), hinted),
            408 | 425 | 429 => ProcessorError::retryable(because),
            501 | 505 => permanent(""),
            500..=599 => ProcessorError::retryable(because),
            _ => permanent(""),
        };
        let error = match self.retry_after {
            Some(wait) => error.after(wait),
            None => error,
        };
        Some(endpoint.named(error))
    }

    /// The path may hold a secret, so that it is not named.
    fn redirected(&self, url: &Url, field: &str) -> ProcessorError {
        let target = self.location.as_ref().and_then(|to| url.join(to).ok());
        let to = match target.map(|to| to.origin()) {
            Some(origin) if origin == url.origin() => " to another path".to_owned(),
            Some(origin) if origin.is_tuple() => format!(" to `{}`", origin.ascii_serialization()),
            _ => String::new(),
        };
        ProcessorError::permanent(format!(
            "answered {}, a redirect{to}, which is not followed; put the new address into \
             `{field}`",
            self.status.as_u16()
        ))
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// Reads the first [`LONGEST_BODY`] bytes into `body`.
async fn read_body(response: &mut Response, body: &mut Vec<u8>) -> Result<(), reqwest::Error> {
    while body.len() < LONGEST_BODY
        && let Some(chunk) = response.chunk().await?
    {
        let room = LONGEST_BODY - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    Ok(())
}

/// `: ` and the beginning of `body` on one line, if it is text.
fn excerpt(body: &[u8], redact: impl Fn(&str) -> String) -> String {
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
fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
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

    use veracity_processor::Secret;

    use super::*;
    use crate::{Hints, Options};

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
            retry_after: Some(Duration::from_secs(7)),
            location: None,
            content_type: None,
            body: b"no\r\n\x1b[2J <b>s3cret</b>".to_vec(),
        }
    }

    fn endpoint(hints: Hints) -> Endpoint {
        let options = Options {
            secrets: vec!["s3cret".into()],
            hints,
            ..Options::default()
        };
        Endpoint::new(&Secret::new("https://hooks.example.org/s3cret"), options).unwrap()
    }

    fn fault(answer: &Answer) -> Option<ProcessorError> {
        answer.fault(&endpoint(Hints::default()))
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
        never: `hooks.example.org`: answered 300, a redirect, which is not followed; put the new address into `url`
        never: `hooks.example.org`: answered 304 Not Modified: no \u{1b}[2J <b>***</b>
        never: `hooks.example.org`: answered 400 Bad Request: no \u{1b}[2J <b>***</b>
        never: `hooks.example.org`: answered 401 Unauthorized: no \u{1b}[2J <b>***</b>; the credentials may be wrong
        never: `hooks.example.org`: answered 403 Forbidden: no \u{1b}[2J <b>***</b>; the credentials may be wrong
        never: `hooks.example.org`: answered 404 Not Found: no \u{1b}[2J <b>***</b>; `url` may be wrong
        never: `hooks.example.org`: answered 405 Method Not Allowed: no \u{1b}[2J <b>***</b>; `url` may be wrong
        again: `hooks.example.org`: answered 408 Request Timeout: no \u{1b}[2J <b>***</b>
        never: `hooks.example.org`: answered 409 Conflict: no \u{1b}[2J <b>***</b>
        never: `hooks.example.org`: answered 410 Gone: no \u{1b}[2J <b>***</b>; the endpoint is gone: change `url` or remove the processor
        never: `hooks.example.org`: answered 413 Payload Too Large: no \u{1b}[2J <b>***</b>
        never: `hooks.example.org`: answered 415 Unsupported Media Type: no \u{1b}[2J <b>***</b>
        never: `hooks.example.org`: answered 418 I'm a teapot: no \u{1b}[2J <b>***</b>
        never: `hooks.example.org`: answered 422 Unprocessable Entity: no \u{1b}[2J <b>***</b>
        again: `hooks.example.org`: answered 425 Too Early: no \u{1b}[2J <b>***</b>
        again: `hooks.example.org`: answered 429 Too Many Requests: no \u{1b}[2J <b>***</b>
        never: `hooks.example.org`: answered 451 Unavailable For Legal Reasons: no \u{1b}[2J <b>***</b>
        never: `hooks.example.org`: answered 499: no \u{1b}[2J <b>***</b>
        again: `hooks.example.org`: answered 500 Internal Server Error: no \u{1b}[2J <b>***</b>
        never: `hooks.example.org`: answered 501 Not Implemented: no \u{1b}[2J <b>***</b>
        again: `hooks.example.org`: answered 502 Bad Gateway: no \u{1b}[2J <b>***</b>
        again: `hooks.example.org`: answered 503 Service Unavailable: no \u{1b}[2J <b>***</b>
        again: `hooks.example.org`: answered 504 Gateway Timeout: no \u{1b}[2J <b>***</b>
        never: `hooks.example.org`: answered 505 HTTP Version Not Supported: no \u{1b}[2J <b>***</b>
        again: `hooks.example.org`: answered 507 Insufficient Storage: no \u{1b}[2J <b>***</b>
        again: `hooks.example.org`: answered 522: no \u{1b}[2J <b>***</b>
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
                "`hooks.example.org`: answered 302, {expected} which is not followed; put the \
                 new address into `url`"
            );
            assert_eq!(
                (error.message(), error.is_retryable()),
                (expected.as_str(), false),
                "{label}"
            );
        }
    }

    #[test]
    fn a_processor_says_what_may_help_in_its_own_words() {
        let hints = Hints {
            denied: Some("`token` may be wrong"),
            not_found: Some("`channel` may be wrong"),
            too_large: Some("`max_bytes` may be smaller"),
        };
        let cases = [
            (401, "; `token` may be wrong"),
            (404, "; `channel` may be wrong"),
            (413, "; `max_bytes` may be smaller"),
        ];
        for (status, expected) in cases {
            let error = answer(status).fault(&endpoint(hints)).unwrap();
            assert!(error.message().ends_with(expected), "{error}");
        }
    }

    #[test]
    fn a_page_for_people_is_told_from_what_an_api_answers() {
        let cases: &[(Option<&str>, &[u8], bool)] = &[
            (Some("text/html; charset=utf-8"), b"ok", true),
            (Some("Text/HTML"), b"", true),
            (None, b"\xef\xbb\xbf\r\n <!DOCTYPE HTML><title>log in", true),
            (Some("text/plain"), b"<HTML lang=en>", true),
            (Some("application/json"), b"{\"a\": \"<html>\"}", false),
            (Some("text/plain"), b"ok", false),
            (None, b"<!doc", false),
            (None, b"", false),
        ];
        for (content_type, body, expected) in cases {
            let mut answer = answer(200);
            answer.content_type = content_type.map(str::to_owned);
            answer.body = body.to_vec();
            assert_eq!(
                answer.looks_like_html(),
                *expected,
                "{content_type:?} {body:?}"
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
