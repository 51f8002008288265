//! Where requests go.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Client;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use url::Url;
use veracity_processor::{FieldError, Health, ProcessorError, Secret};

use crate::redact::Redaction;
use crate::{Answer, Request, guard, transport};

/// What stands for itself in a path: the unreserved characters of RFC 3986.
pub(crate) const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// How an [`Endpoint`] is reached, and how it is spoken of.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whether it may be at an address that is not public. Messages call the setting
    /// `allow_private`.
    pub allow_private: bool,
    /// File with certificates (PEM) of authorities that are trusted beside those of the
    /// system. Messages call the setting `tls_ca_file`.
    pub ca_file: Option<PathBuf>,
    /// What must not be shown, beside what the URL itself holds: tokens, values of
    /// headers.
    pub secrets: Vec<Secret>,
    /// The setting that holds the URL, as a JSON pointer; `/url` by default.
    pub field: String,
    /// What people may do about a refusal.
    pub hints: Hints,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            allow_private: false,
            ca_file: None,
            secrets: Vec::new(),
            field: "/url".to_owned(),
            hints: Hints::default(),
        }
    }
}

/// What people may do about a refusal, as the end of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hints {
    /// Of 401 and 403; by default that the credentials may be wrong.
    pub denied: Option<&'static str>,
    /// Of 404 and 405; by default that the URL may be wrong.
    pub not_found: Option<&'static str>,
    /// Of 413; nothing by default.
    pub too_large: Option<&'static str>,
}

/// A receiver of requests: one host, reached carefully.
///
/// No redirect is followed. Unless private addresses are permitted, the connection goes
/// to none, whatever the name resolves to. Proxies of the environment are honoured. No
/// message shows a secret, and the URL is one as a rule: `Debug` shows the host alone.
pub struct Endpoint {
    url: Url,
    host: String,
    options: Options,
    redaction: Redaction,
    client: OnceLock<Client>,
}

impl Endpoint {
    /// The endpoint at `url`; nothing is looked up.
    ///
    /// # Errors
    ///
    /// About `options.field`, if `url` is none, is not `http` or `https`, or is seen to
    /// lead to an address that is not permitted.
    pub fn new(url: &Secret, options: Options) -> Result<Self, FieldError> {
        let fault = |message: String| FieldError::new(&options.field, message);
        // The parser's messages quote nothing of the text.
        let url = Url::parse(url.expose().trim())
            .map_err(|error| fault(format!("is no URL: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(fault("must begin with `https://` or `http://`".to_owned()));
        }
        if !options.allow_private {
            guard::check_literal(&url).map_err(|refused| fault(refused.to_string()))?;
        }
        Ok(Self {
            host: url.host_str().unwrap_or_default().to_owned(),
            redaction: Redaction::new(&url, options.secrets.iter().map(Secret::expose)),
            url,
            options,
            client: OnceLock::new(),
        })
    }

    /// How the receiver is named to people: the path of the URL may be secret.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The URL, which is not to be shown.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The URL with `segments` after its path, percent-encoded; its query stays.
    ///
    /// # Errors
    ///
    /// Permanent if a segment is empty, `.` or `..`, which would change the path.
    pub fn at<'s>(
        &self,
        segments: impl IntoIterator<Item = &'s str>,
    ) -> Result<Url, ProcessorError> {
        let mut path = self.url.path().trim_end_matches('/').to_owned();
        for segment in segments {
            if matches!(segment, "" | "." | "..") {
                let message = format!("`{segment}` cannot be a part of a path");
                return Err(ProcessorError::permanent(message));
            }
            path.push('/');
            path.extend(utf8_percent_encode(segment, SEGMENT));
        }
        let mut url = self.url.clone();
        url.set_path(&path);
        Ok(url)
    }

    /// Reads the file of authorities and the like, which otherwise happens when it is
    /// first needed; for `startup`.
    ///
    /// # Errors
    ///
    /// Permanent if `ca_file` cannot be read, or there are no certificates to trust.
    pub fn prepare(&self) -> Result<(), ProcessorError> {
        self.client().map(drop)
    }

    fn client(&self) -> Result<&Client, ProcessorError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let options = &self.options;
        let ca_file = options.ca_file.as_deref();
        let client = transport::client(&self.url, options.allow_private, ca_file)?;
        Ok(self.client.get_or_init(|| client))
    }

    /// Makes one attempt to send `request`, and returns whatever is answered; see
    /// [`Answer::fault`]. It takes as long as the receiver does: use
    /// [`within`](crate::within).
    ///
    /// # Errors
    ///
    /// If there is no answer: permanent if the certificate or the address is refused,
    /// retryable if there is no connection or it breaks. The message names the host and
    /// holds no secret.
    pub async fn send(&self, request: Request) -> Result<Answer, ProcessorError> {
        let answer = self.exchange(request).await;
        answer.map_err(|error| self.named(error))
    }

    async fn exchange(&self, request: Request) -> Result<Answer, ProcessorError> {
        let url = request.url.unwrap_or_else(|| self.url.clone());
        // The guard takes the name of any other host for that of a proxy.
        if url.origin() != self.url.origin() {
            let message = "a request to another host is not sent";
            return Err(ProcessorError::permanent(message));
        }
        let client = self.client()?;
        let mut builder = client.request(request.method, url).headers(request.headers);
        if !request.body.is_empty() {
            builder = builder.body(request.body);
        }
        let response = builder.send().await.map_err(transport::fault)?;
        let answer = Answer::read(response, request.reads_answer).await;
        answer.map_err(transport::fault)
    }

    /// Whether the receiver is there: connects to it, says nothing and leaves, all within
    /// `patience`. Degraded if there is a proxy, because then nobody can tell.
    ///
    /// # Errors
    ///
    /// As [`prepare`](Self::prepare).
    pub async fn health(&self, patience: Duration) -> Result<Health, ProcessorError> {
        self.client()?;
        let host = &self.host;
        if transport::is_proxied(&self.url) {
            return Ok(Health::degraded(format!(
                "requests to `{host}` go through a proxy, so only a delivery shows whether \
                 they arrive"
            )));
        }
        Ok(match timeout(patience, self.connect()).await {
            Ok(Ok(address)) => Health::healthy().with_detail(format!("`{host}` is at {address}")),
            Ok(Err(reason)) => Health::unhealthy(format!("`{host}`: {reason}")),
            Err(_) => Health::unhealthy(format!("`{host}`: no connection within {patience:?}")),
        })
    }

    async fn connect(&self) -> Result<SocketAddr, String> {
        // An IPv6 address stands in brackets in a URL, and only there.
        let host = self.host.trim_matches(['[', ']']);
        let port = self.url.port_or_known_default().unwrap_or(443);
        let resolved = lookup_host((host, port)).await.map_err(|e| e.to_string())?;
        let mut addresses: Vec<SocketAddr> = resolved.collect();
        if !self.options.allow_private {
            addresses = guard::permitted(host, addresses).map_err(|refused| refused.to_string())?;
        }
        let stream = TcpStream::connect(&addresses[..]).await;
        let stream = stream.map_err(|error| error.to_string())?;
        stream.peer_addr().map_err(|error| error.to_string())
    }

    /// `text` with `***` for each secret in it.
    pub fn redact(&self, text: &str) -> String {
        self.redaction.apply(text)
    }

    /// `error` without secrets, with the host before its message; errors that this crate
    /// returned for this endpoint have both, and stay as they are.
    pub fn named(&self, error: ProcessorError) -> ProcessorError {
        let name = format!("`{}`", self.host);
        let message = error.message();
        let said = message.strip_prefix(&format!("{name}: "));
        let said = self.redact(said.unwrap_or(message));
        let clean = match error {
            ProcessorError::Retryable { retry_after, .. } => {
                let clean = ProcessorError::retryable(said);
                match retry_after {
                    Some(wait) => clean.after(wait),
                    None => clean,
                }
            }
            _ => ProcessorError::permanent(said),
        };
        clean.context(name)
    }

    /// The setting that holds the URL, as people write it.
    pub(crate) fn field(&self) -> String {
        let named = FieldError::new(&self.options.field, "").to_string();
        named.trim_end_matches(": ").to_owned()
    }

    pub(crate) fn hints(&self) -> Hints {
        self.options.hints
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http::Method;
    use serde_json::json;
    use veracity_processor::HealthStatus;

    use super::*;
    use crate::testing::{Answer as Scripted, Server};

    fn endpoint(url: &str) -> Endpoint {
        let options = Options {
            allow_private: true,
            ..Options::default()
        };
        Endpoint::new(&Secret::new(url), options).unwrap()
    }

    #[test]
    fn urls_are_checked_without_looking_anything_up() {
        let cases = [
            ("https://hooks.example.org/x", None),
            ("c4nary", Some("is no URL: relative URL without a base")),
            ("https://", Some("is no URL: empty host")),
            (
                "file:///c4nary",
                Some("must begin with `https://` or `http://`"),
            ),
            (
                "http://169.254.169.254/c4nary",
                Some(
                    "`169.254.169.254` is 169.254.169.254, a link-local address; \
                     `allow_private: true` permits it",
                ),
            ),
        ];
        for (url, expected) in cases {
            let options = Options {
                field: "/receivers/0/url".to_owned(),
                ..Options::default()
            };
            let error = Endpoint::new(&Secret::new(url), options).err();
            let expected = expected.map(|message| FieldError::new("/receivers/0/url", message));
            assert_eq!(error, expected, "{url}");
        }
    }

    #[test]
    fn a_path_goes_on_with_what_is_given_and_nothing_else() {
        let cases: &[(&str, &[&str], &str)] = &[
            (
                "https://a.org",
                &["metrics", "job", "x"],
                "https://a.org/metrics/job/x",
            ),
            (
                "https://a.org/am/",
                &["api", "v2"],
                "https://a.org/am/api/v2",
            ),
            (
                "https://a.org/p%20q?k=v",
                &["r"],
                "https://a.org/p%20q/r?k=v",
            ),
            ("https://u:p@a.org/x", &[], "https://u:p@a.org/x"),
            (
                "https://a.org",
                &["a/b", "c?d#e", "%2e%2e", "ü\n\t"],
                "https://a.org/a%2Fb/c%3Fd%23e/%252e%252e/%C3%BC%0A%09",
            ),
        ];
        for (url, segments, expected) in cases {
            let url = endpoint(url).at(segments.iter().copied()).unwrap();
            assert_eq!(url.as_str(), *expected);
        }
        for segment in ["", ".", ".."] {
            let error = endpoint("https://a.org").at(["a", segment]).unwrap_err();
            assert!(!error.is_retryable(), "{error}");
        }
    }

    #[tokio::test]
    async fn a_request_is_sent_as_it_was_made() {
        let server = Server::start(vec![Scripted::json(200, &json!({"ok": true}))]);
        let endpoint = endpoint(&format!("http://me:pw@{}/api", server.address));
        let request = Request::post_json(&json!({"a": 1})).unwrap();
        let url = endpoint.at(["v2", "x y"]).unwrap();
        let answer = endpoint.send(request.to(url)).await.unwrap();
        assert_eq!(answer.fault(&endpoint), None);
        let answered: serde_json::Value = answer.json().unwrap();
        assert_eq!(answered, json!({"ok": true}));
        let requests = server.requests();
        let sent = &requests[0];
        assert_eq!((sent.method(), sent.path()), ("POST", "/api/v2/x%20y"));
        assert_eq!(sent.json(), json!({"a": 1}));
        assert_eq!(sent.headers["authorization"], "Basic bWU6cHc=");
        assert_eq!(sent.headers["content-type"], "application/json");

        endpoint.send(Request::new(Method::GET)).await.unwrap();
        let sent = server.requests().remove(1);
        assert_eq!(sent.line, "GET /api HTTP/1.1");
        assert!(!sent.headers.contains_key("content-length"), "{sent:?}");
    }

    #[tokio::test]
    async fn nothing_is_sent_to_another_host() {
        let other = Server::start(vec![Scripted::new(200, "", "")]);
        let endpoint = endpoint("http://127.0.0.1:1/");
        let url = Url::parse(&other.url()).unwrap();
        let error = endpoint.send(Request::new(Method::GET).to(url)).await;
        assert!(!error.unwrap_err().is_retryable());
        assert_eq!(other.requests().len(), 0);
    }

    #[tokio::test]
    async fn an_answer_that_decides_must_be_whole() {
        let broken = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{\"ok\"".to_vec();
        let server = Server::start(vec![Scripted::Bytes(broken)]);
        let endpoint = endpoint(&server.url());
        let request = Request::new(Method::POST);
        let answer = endpoint.send(request.clone()).await.unwrap();
        assert_eq!(answer.text(), "{\"ok\"");
        let error = endpoint.send(request.reading_answer()).await.unwrap_err();
        assert!(error.is_retryable(), "{error}");
    }

    #[tokio::test]
    async fn nothing_that_is_said_holds_a_secret() {
        let server = Server::start(vec![Scripted::Echo, Scripted::Close]);
        let url = format!("http://user:c4nary@{}/c4nary-path", server.address);
        let options = Options {
            allow_private: true,
            secrets: vec!["Bearer c4nary-token".into()],
            ..Options::default()
        };
        let endpoint = Endpoint::new(&Secret::new(url), options).unwrap();
        let token = crate::secret_value("Bearer c4nary-token").unwrap();
        let request = Request::new(Method::POST).header(http::header::AUTHORIZATION, token);
        let answer = endpoint.send(request.clone()).await.unwrap();
        let fault = answer.fault(&endpoint).unwrap();
        let broken = endpoint.send(request).await.unwrap_err();
        let said = format!("{endpoint:?} {answer:?} {fault:?} {broken:?}");
        assert!(!said.contains("c4nary"), "{said}");
        assert!(
            fault.message().starts_with("`127.0.0.1`: answered 400"),
            "{said}"
        );
    }

    #[test]
    fn an_error_is_named_once() {
        let options = Options {
            secrets: vec!["hooks.example.org".into(), "c4nary".into()],
            ..Options::default()
        };
        let url = Secret::new("https://hooks.example.org/");
        let endpoint = Endpoint::new(&url, options).unwrap();
        let wait = Duration::from_secs(7);
        let error = ProcessorError::retryable("c4nary is busy").after(wait);
        let expected = ProcessorError::retryable("`hooks.example.org`: *** is busy").after(wait);
        let named = endpoint.named(error);
        assert_eq!(named, expected);
        assert_eq!(endpoint.named(named), expected);
        let named = endpoint.named(ProcessorError::permanent("no"));
        assert_eq!(named, ProcessorError::permanent("`hooks.example.org`: no"));
    }

    #[tokio::test]
    async fn health_connects_and_sends_nothing() {
        let server = Server::start(vec![Scripted::new(500, "", "")]);
        let limit = Duration::from_secs(30);
        let health = endpoint(&server.url()).health(limit).await.unwrap();
        assert_eq!(health.status, HealthStatus::Healthy, "{health:?}");
        assert_eq!(server.requests().len(), 0);
        let nobody = endpoint("http://127.0.0.1:1/c4nary");
        let health = nobody.health(limit).await.unwrap();
        assert_eq!(health.status, HealthStatus::Unhealthy, "{health:?}");
        assert!(!format!("{health:?}").contains("c4nary"));
    }
}
