//! An HTTP server on loopback that does what a script says, good or bad.
//!
//! ```
//! use veracity_http::testing::{Answer, Server};
//!
//! let busy = Answer::new(429, "Retry-After: 2\r\n", "slow down");
//! let server = Server::start(vec![busy, Answer::new(200, "", "ok")]);
//! let url = server.at("/services/T0/B0"); // for the processor, with `allow_private`
//! # assert!(url.starts_with("http://127.0.0.1:"));
//! // ... it delivers, and afterwards:
//! for request in server.requests() {
//!     assert_eq!((request.method(), request.path()), ("POST", "/services/T0/B0"));
//!     assert_eq!(request.json()["text"], "orders failed");
//! }
//! ```

#![expect(clippy::unwrap_used, reason = "only tests use it, and they may panic")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

/// What the server does after it has read a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Writes this and closes.
    Bytes(Vec<u8>),
    /// Writes 400, and the request back as the body.
    Echo,
    /// Breaks the connection with a TCP reset.
    Reset,
    /// Closes without a word.
    Close,
    /// Never answers.
    Silent,
    /// Writes this, a byte at a time, and goes on with spaces for ever.
    Slow(Vec<u8>),
    /// Writes the first, and the second for as long as somebody takes it.
    Endless(Vec<u8>, Vec<u8>),
    /// Does the other after a while.
    Delayed(Duration, Box<Answer>),
}

impl Answer {
    /// `status` with `headers` (each ending with CR LF) and `body`.
    pub fn new(status: u16, headers: &str, body: &str) -> Self {
        let length = body.len();
        let text =
            format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
        Self::Bytes(text.into_bytes())
    }

    /// `status` with `body` as JSON.
    pub fn json(status: u16, body: &Value) -> Self {
        let headers = "Content-Type: application/json\r\n";
        Self::new(status, headers, &body.to_string())
    }

    /// The same after `delay`.
    pub fn after(self, delay: Duration) -> Self {
        Self::Delayed(delay, Box::new(self))
    }
}

/// A request as it came over the wire.
#[derive(Clone, Debug)]
pub struct Request {
    /// Method, target and version: `POST /hook HTTP/1.1`.
    pub line: String,
    /// By name in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
    raw: Vec<u8>,
}

impl Request {
    /// The method.
    pub fn method(&self) -> &str {
        self.line.split(' ').next().unwrap_or_default()
    }

    /// The target: path and query, as they were sent.
    pub fn path(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }

    /// The body as JSON; panics if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            let body = String::from_utf8_lossy(&self.body);
            panic!("the body is no JSON: {error}: {body}")
        })
    }
}

/// What is done about a request, by its number from 0.
type Script = dyn Fn(usize, &Request) -> Answer + Send + Sync;

/// A running server; it ends with the process. Every connection serves one request.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    written: Arc<AtomicUsize>,
}

impl Server {
    /// Gives `answers` one after the other, the last one again and again.
    pub fn start(answers: Vec<Answer>) -> Self {
        Self::listen("127.0.0.1:0", answers, None)
    }

    /// The same with TLS.
    pub fn start_tls(answers: Vec<Answer>, config: ServerConfig) -> Self {
        Self::listen("127.0.0.1:0", answers, Some(Arc::new(config)))
    }

    /// The same at the address `at`; port 0 is one that is free.
    pub fn listen(at: &str, answers: Vec<Answer>, tls: Option<Arc<ServerConfig>>) -> Self {
        assert!(!answers.is_empty(), "a server needs an answer");
        let last = answers.len() - 1;
        Self::run(
            at,
            tls,
            Arc::new(move |number: usize, _: &Request| answers[number.min(last)].clone()),
        )
    }

    /// Gives the answer that `answer` finds right for each request.
    pub fn answering(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::run(
            "127.0.0.1:0",
            None,
            Arc::new(move |_: usize, request: &Request| answer(request)),
        )
    }

    fn run(at: &str, tls: Option<Arc<ServerConfig>>, script: Arc<Script>) -> Self {
        let listener = std::net::TcpListener::bind(at)
            .unwrap_or_else(|error| panic!("cannot listen at {at}: {error}"));
        listener.set_nonblocking(true).unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            requests: Arc::default(),
            written: Arc::default(),
        };
        let (requests, written) = (server.requests.clone(), server.written.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let (script, requests) = (script.clone(), requests.clone());
                    let (tls, written) = (tls.clone(), written.clone());
                    tokio::spawn(async move {
                        serve(stream, tls, &*script, &requests, &written).await;
                    });
                }
            });
        });
        server
    }

    /// `http://<address>/hook`
    pub fn url(&self) -> String {
        self.at("/hook")
    }

    /// The URL of `path`, which begins with `/`.
    pub fn at(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The requests so far, each recorded before it is answered.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// Bytes that endless answers have written.
    pub fn written(&self) -> usize {
        self.written.load(Ordering::Relaxed)
    }
}

async fn serve(
    stream: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    script: &Script,
    requests: &Mutex<Vec<Request>>,
    written: &AtomicUsize,
) {
    let Some(tls) = tls else {
        let mut stream = stream;
        if let Some(Answer::Reset) = talk(&mut stream, script, requests, written).await {
            stream.set_zero_linger().unwrap();
        }
        return;
    };
    // A client that refuses the certificate leaves here.
    if let Ok(mut stream) = TlsAcceptor::from(tls).accept(stream).await {
        talk(&mut stream, script, requests, written).await;
        let _ = stream.shutdown().await;
    }
}

async fn talk(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    script: &Script,
    requests: &Mutex<Vec<Request>>,
    written: &AtomicUsize,
) -> Option<Answer> {
    let request = read(stream).await?;
    let number = {
        let mut requests = requests.lock().unwrap();
        requests.push(request.clone());
        requests.len() - 1
    };
    let mut answer = script(number, &request);
    while let Answer::Delayed(delay, then) = answer {
        tokio::time::sleep(delay).await;
        answer = *then;
    }
    match &answer {
        Answer::Bytes(bytes) => stream.write_all(bytes).await.ok()?,
        Answer::Echo => {
            let body = String::from_utf8_lossy(&request.raw).into_owned();
            if let Answer::Bytes(bytes) = Answer::new(400, "", &body) {
                stream.write_all(&bytes).await.ok()?;
            }
        }
        Answer::Reset | Answer::Close | Answer::Delayed(..) => {}
        Answer::Silent => std::future::pending().await,
        Answer::Slow(bytes) => {
            for byte in bytes.iter().chain(std::iter::repeat(&b' ')) {
                stream.write_all(&[*byte]).await.ok()?;
                stream.flush().await.ok()?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Answer::Endless(head, chunk) => {
            stream.write_all(head).await.ok()?;
            loop {
                stream.write_all(chunk).await.ok()?;
                written.fetch_add(chunk.len(), Ordering::Relaxed);
            }
        }
    }
    let _ = stream.flush().await;
    Some(answer)
}

/// A request with a body of stated length.
async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Request> {
    let mut raw = Vec::new();
    let end = loop {
        if let Some(at) = raw.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut raw).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(raw[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let line = lines.next()?.to_owned();
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers
        .get("content-length")
        .map_or(0, |text| text.parse().unwrap());
    while raw.len() < end + length {
        if stream.read_buf(&mut raw).await.ok()? == 0 {
            return None;
        }
    }
    Some(Request {
        line,
        headers,
        body: raw[end..].to_vec(),
        raw,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use serde_json::json;
    use veracity_processor::Secret;

    use super::*;
    use crate::{Endpoint, Method, Options};

    #[tokio::test]
    async fn an_answer_can_depend_on_the_request_and_take_its_time() {
        let delay = Duration::from_millis(300);
        let server = Server::answering(move |request| match request.path() {
            "/slow" => Answer::json(200, &json!({"ok": true})).after(delay),
            _ => Answer::new(404, "", ""),
        });
        let options = || Options {
            allow_private: true,
            ..Options::default()
        };
        let get = async |path: &str| {
            let url = Secret::new(server.at(path));
            let endpoint = Endpoint::new(&url, options()).unwrap();
            let request = crate::Request::new(Method::GET).reading_answer();
            endpoint.send(request).await.unwrap()
        };
        let began = Instant::now();
        let slow = get("/slow").await;
        assert!(began.elapsed() >= delay, "{:?}", began.elapsed());
        assert_eq!(slow.text(), r#"{"ok":true}"#);
        assert_eq!(slow.content_type.as_deref(), Some("application/json"));
        assert_eq!(get("/other").await.status.as_u16(), 404);
        let requests = server.requests();
        let paths: Vec<&str> = requests.iter().map(Request::path).collect();
        assert_eq!(paths, ["/slow", "/other"]);
    }
}
