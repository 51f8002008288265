//! The way to a Pushgateway.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use veracity_http::{
    Endpoint, HeaderValue, Hints, Method, Options, Request, StatusCode, Url, header, secret_value,
};
use veracity_processor::{FieldError, ProcessorError, Secret};

use crate::exposition::CONTENT_TYPE;
use crate::series::{is_name, shown};
use crate::settings;

/// A Pushgateway, and the group that is pushed to.
pub struct Gateway {
    /// Its host.
    pub endpoint: Endpoint,
    /// How long an answer may take.
    pub timeout: Duration,
    method: Method,
    authorization: Option<HeaderValue>,
    /// Labels of the group, beside `suite`.
    grouping: Vec<(String, String)>,
}

/// Labels that a group would take away from metrics.
const OURS: [&str; 8] = [
    "job", "suite", "dataset", "metric", "column", "symbol", "result", "version",
];

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.endpoint.fmt(f)
    }
}

impl Gateway {
    /// That of `settings`; everything that is wrong with them goes into `faults`.
    pub fn new(settings: settings::Gateway, faults: &mut Vec<FieldError>) -> Option<Self> {
        let before = faults.len();
        let mut wrong = |field: &str, message: &str| {
            faults.push(FieldError::new(format!("/pushgateway/{field}"), message));
        };
        if settings.job.is_empty() {
            wrong("job", "must not be empty");
        }
        for name in settings.grouping.keys() {
            if OURS.contains(&name.as_str()) {
                wrong(
                    "grouping",
                    &format!("`{name}` is a label that metrics have anyway"),
                );
            } else if !is_name(name, "") || name.starts_with("__") {
                wrong(
                    "grouping",
                    "names of labels are ASCII letters, digits and `_`",
                );
            }
        }
        if !(0.1..=60.0).contains(&settings.timeout) {
            wrong("timeout", "must be from 0.1 to 60 seconds");
        }
        let mut secrets = Vec::new();
        let mut authorization = None;
        match (&settings.username, &settings.password) {
            (Some(username), password) => {
                let password = password.as_ref().map_or("", Secret::expose);
                let pair = STANDARD.encode(format!("{username}:{password}"));
                authorization = secret_value(&format!("Basic {pair}"));
                secrets.extend([Secret::new(password), Secret::new(pair)]);
                if username.contains(':') {
                    wrong("username", "must hold no `:`");
                }
            }
            (None, Some(_)) => wrong("username", "is needed with a `password`"),
            (None, None) => {}
        }
        let options = Options {
            allow_private: settings.allow_private,
            ca_file: settings.tls_ca_file,
            secrets,
            field: "/pushgateway/url".to_owned(),
            hints: Hints {
                denied: Some("`username` and `password` may be wrong"),
                not_found: Some("`pushgateway.url` may be wrong, or end with `/metrics`"),
                too_large: Some("`max_series` makes it smaller"),
            },
        };
        let endpoint = Endpoint::new(&settings.url, options);
        let endpoint = endpoint.map_err(|fault| faults.push(fault)).ok()?;
        let job = ("job".to_owned(), settings.job);
        (faults.len() == before).then(|| Self {
            endpoint,
            timeout: Duration::try_from_secs_f64(settings.timeout).unwrap_or_default(),
            method: match settings.method {
                settings::Method::Put => Method::PUT,
                settings::Method::Post => Method::POST,
            },
            authorization,
            grouping: [job].into_iter().chain(settings.grouping).collect(),
        })
    }

    /// The labels of the group of `suite`, that of the suite last.
    pub fn group(&self, suite: &str) -> Vec<(String, String)> {
        let suite = ("suite".to_owned(), suite.to_owned());
        let labels = self.grouping.iter().cloned().chain([suite]);
        labels.map(|(name, value)| (name, shown(&value))).collect()
    }

    /// Where the group of `suite` is pushed to.
    fn url(&self, suite: &str) -> Url {
        let mut url = self.endpoint.url().clone();
        let mut path = vec!["metrics".to_owned()];
        for (name, value) in self.group(suite) {
            // A gateway tidies paths, and sees an encoded slash as a slash.
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
            let is_plain = value.chars().all(plain) && !matches!(&*value, "" | "." | "..");
            path.extend(match is_plain {
                true => [name, value],
                false if value.is_empty() => [format!("{name}@base64"), "=".to_owned()],
                false => [format!("{name}@base64"), URL_SAFE_NO_PAD.encode(&value)],
            });
        }
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    /// Pushes `text` as the metrics of `suite`.
    ///
    /// # Errors
    ///
    /// If it was not taken; retryable if it may be later.
    pub async fn push(&self, suite: &str, text: String) -> Result<(), ProcessorError> {
        let content_type = HeaderValue::from_static(CONTENT_TYPE);
        let mut request = Request::post(content_type, text.into_bytes()).to(self.url(suite));
        request.method = self.method.clone();
        if let Some(value) = &self.authorization {
            request = request.header(header::AUTHORIZATION, value.clone());
        }
        let answer = self.endpoint.send(request).await?;
        if let Some(fault) = answer.fault(&self.endpoint) {
            return Err(fault);
        }
        // A gateway has nothing to say to people.
        if answer.status != StatusCode::ACCEPTED && answer.looks_like_html() {
            let message = format!(
                "answered {} with a page for people; `pushgateway.url` may lead to a proxy or a \
                 login",
                answer.status.as_u16()
            );
            return Err(self.endpoint.named(ProcessorError::permanent(message)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn gateway(settings: Value) -> Result<Gateway, Vec<String>> {
        let mut faults = Vec::new();
        let gateway = Gateway::new(serde_json::from_value(settings).unwrap(), &mut faults);
        gateway.ok_or(faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn groups_have_their_places() {
        let cases = [
            (
                "https://a.org",
                json!({}),
                "orders.daily",
                "/metrics/job/veracity/suite/orders.daily",
            ),
            (
                "https://a.org/push/",
                json!({}),
                "a",
                "/push/metrics/job/veracity/suite/a",
            ),
            (
                "https://a.org",
                json!({}),
                "a/b",
                "/metrics/job/veracity/suite@base64/YS9i",
            ),
            (
                "https://a.org",
                json!({}),
                "",
                "/metrics/job/veracity/suite@base64/=",
            ),
            (
                "https://a.org",
                json!({}),
                "..",
                "/metrics/job/veracity/suite@base64/Li4",
            ),
            (
                "https://a.org",
                json!({}),
                "a b?",
                "/metrics/job/veracity/suite@base64/YSBiPw",
            ),
            (
                "https://a.org",
                json!({}),
                "\u{fb}\u{ff}~",
                "/metrics/job/veracity/suite@base64/w7vDv34",
            ),
            (
                "https://a.org",
                json!({"job": "dq/x", "grouping": {"env": "prod", "a": "/"}}),
                "s",
                "/metrics/job@base64/ZHEveA/a@base64/Lw/env/prod/suite/s",
            ),
        ];
        for (url, mut settings, suite, expected) in cases {
            settings["url"] = json!(url);
            let gateway = gateway(settings).unwrap();
            assert_eq!(gateway.url(suite).path(), expected, "{suite}");
        }
    }

    #[test]
    fn settings_that_cannot_be_used_are_refused_without_being_quoted() {
        let cases = [
            (
                json!({"url": "c4nary"}),
                "pushgateway.url: is no URL: relative URL without a base",
            ),
            (
                json!({"url": "https://a.org", "job": ""}),
                "pushgateway.job: must not be empty",
            ),
            (
                json!({"url": "https://a.org", "grouping": {"suite": "x"}}),
                "pushgateway.grouping: `suite` is a label that metrics have anyway",
            ),
            (
                json!({"url": "https://a.org", "grouping": {"a.b": "x"}}),
                "pushgateway.grouping: names of labels are ASCII letters, digits and `_`",
            ),
            (
                json!({"url": "https://a.org", "password": "c4nary"}),
                "pushgateway.username: is needed with a `password`",
            ),
            (
                json!({"url": "https://a.org", "username": "a:c4nary"}),
                "pushgateway.username: must hold no `:`",
            ),
            (
                json!({"url": "https://a.org", "timeout": 0.0}),
                "pushgateway.timeout: must be from 0.1 to 60 seconds",
            ),
        ];
        for (settings, expected) in cases {
            assert_eq!(gateway(settings).unwrap_err(), [expected]);
        }
    }
}
