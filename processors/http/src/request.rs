//! What is sent.

use std::fmt;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Serialize;
use url::Url;
use veracity_processor::ProcessorError;

/// A request to an [`Endpoint`](crate::Endpoint).
///
/// `Debug` shows neither address, headers nor body, which may hold secrets.
#[derive(Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Where it goes, as [`Endpoint::at`](crate::Endpoint::at) gives it; `None` is the
    /// URL of the endpoint.
    pub url: Option<Url>,
    /// The headers, the content type among them. `Host` and `Content-Length` come from
    /// the rest, `Authorization` from a URL that has a user or a password.
    pub headers: HeaderMap,
    /// The body; sent as it is.
    pub body: Vec<u8>,
    /// Whether the body of a successful answer decides. Then it is waited for, and an
    /// error if it breaks off; otherwise two seconds are enough.
    pub reads_answer: bool,
}

impl Request {
    /// A request without headers and body.
    pub fn new(method: Method) -> Self {
        Self {
            method,
            url: None,
            headers: HeaderMap::new(),
            body: Vec::new(),
            reads_answer: false,
        }
    }

    /// POST of `body`.
    pub fn post(content_type: HeaderValue, body: Vec<u8>) -> Self {
        let mut request = Self::new(Method::POST).header(CONTENT_TYPE, content_type);
        request.body = body;
        request
    }

    /// POST of `body` as JSON.
    ///
    /// # Errors
    ///
    /// If `body` cannot be written as JSON: permanent.
    pub fn post_json(body: &impl Serialize) -> Result<Self, ProcessorError> {
        let body = serde_json::to_vec(body).map_err(|error| {
            ProcessorError::permanent(format!("cannot write the body as JSON: {error}"))
        })?;
        let content_type = HeaderValue::from_static("application/json");
        Ok(Self::post(content_type, body))
    }

    /// The same to `url`, which must be of the endpoint it is sent through.
    pub fn to(mut self, url: Url) -> Self {
        self.url = Some(url);
        self
    }

    /// The same with a header; one of that name is replaced.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The same, with an answer whose body decides; see `reads_answer`.
    pub fn reading_answer(mut self) -> Self {
        self.reads_answer = true;
        self
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// `text` as a header's value that is a secret: `Debug` does not show it, and HTTP/2 does
/// not put it into tables. `None` if it is not printable ASCII on one line.
pub fn secret_value(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_shows_no_secret() {
        let secret = secret_value("Bearer c4nary").unwrap();
        let request = Request::post_json(&json!({"routing_key": "c4nary"}))
            .unwrap()
            .to(Url::parse("https://c4nary@example.org/c4nary").unwrap())
            .header(http::header::AUTHORIZATION, secret.clone());
        let said = format!("{request:?} {secret:?}");
        assert!(!said.contains("c4nary"), "{said}");
        assert!(said.contains("POST"), "{said}");
    }

    #[test]
    fn a_secret_with_a_line_break_is_no_header() {
        for text in ["a\r\nX-Other: 1", "nul \0", "caf\u{e9}\n"] {
            assert_eq!(secret_value(text), None, "{text:?}");
        }
    }
}
