//! An HTTP server on loopback that does what a script says, good or bad.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

/// What the server does after it has read a request.
#[derive(Clone)]
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
}

impl Answer {
    /// `status` with `headers` (each ending with CR LF) and `body`.
    pub fn new(status: u16, headers: &str, body: &str) -> Self {
        let length = body.len();
        let text =
            format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
        Self::Bytes(text.into_bytes())
    }
}

/// A request as it came over the wire.
#[derive(Clone, Debug)]
pub struct Request {
    pub line: String,
    /// By name in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    raw: Vec<u8>,
}

/// A running server; it ends with the process.
pub struct Server {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    written: Arc<AtomicUsize>,
}

impl Server {
    /// Gives `answers` one after the other, the last one again and again.
    pub fn start(answers: Vec<Answer>) -> Self {
        Self::listen("127.0.0.1:0", answers, None)
    }

    pub fn start_tls(answers: Vec<Answer>, config: ServerConfig) -> Self {
        Self::listen("127.0.0.1:0", answers, Some(Arc::new(config)))
    }

    pub fn listen(at: &str, answers: Vec<Answer>, tls: Option<Arc<ServerConfig>>) -> Self {
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
                    let (answers, requests) = (answers.clone(), requests.clone());
                    let (tls, written) = (tls.clone(), written.clone());
                    tokio::spawn(async move {
                        serve(stream, tls, &answers, &requests, &written).await;
                    });
                }
            });
        });
        server
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

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
    answers: &[Answer],
    requests: &Mutex<Vec<Request>>,
    written: &AtomicUsize,
) {
    let Some(tls) = tls else {
        let mut stream = stream;
        if let Some(Answer::Reset) = talk(&mut stream, answers, requests, written).await {
            stream.set_zero_linger().unwrap();
        }
        return;
    };
    // A client that refuses the certificate leaves here.
    if let Ok(mut stream) = TlsAcceptor::from(tls).accept(stream).await {
        talk(&mut stream, answers, requests, written).await;
        let _ = stream.shutdown().await;
    }
}

async fn talk(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    answers: &[Answer],
    requests: &Mutex<Vec<Request>>,
    written: &AtomicUsize,
) -> Option<Answer> {
    let request = read(stream).await?;
    let raw = request.raw.clone();
    let number = {
        let mut requests = requests.lock().unwrap();
        requests.push(request);
        requests.len() - 1
    };
    let answer = answers[number.min(answers.len() - 1)].clone();
    match &answer {
        Answer::Bytes(bytes) => stream.write_all(bytes).await.ok()?,
        Answer::Echo => {
            let body = String::from_utf8_lossy(&raw).into_owned();
            if let Answer::Bytes(bytes) = Answer::new(400, "", &body) {
                stream.write_all(&bytes).await.ok()?;
            }
        }
        Answer::Reset | Answer::Close => {}
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
