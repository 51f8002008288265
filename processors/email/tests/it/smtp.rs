//! A real SMTP server on loopback that can misbehave.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

/// What the server does at one moment of a dialogue.
#[derive(Debug, Clone)]
pub enum Act {
    /// What a good server does.
    Ordinary,
    /// Says this instead.
    Say(&'static str),
    /// Says this and closes.
    SayAndClose(&'static str),
    /// Says this one byte a second.
    Trickle(&'static str),
    /// Says nothing more and keeps the connection open.
    Silence,
    /// Closes the connection.
    Close,
}

/// A moment of a dialogue.
#[derive(Debug)]
pub struct Moment<'a> {
    /// The connection, from 1.
    pub connection: usize,
    /// `greeting`, the command in upper case, `line` for each line of a mail, or `end` when
    /// a whole mail came in.
    pub at: &'a str,
    /// What the client said.
    pub line: &'a str,
}

type Behaviour = dyn Fn(&Moment<'_>) -> Act + Send + Sync;

/// When the server encrypts.
#[derive(Clone)]
pub enum Encrypt {
    Never,
    FromTheStart(TlsAcceptor),
    OnRequest(TlsAcceptor),
}

/// A mail that the server took, or at least received whole.
#[derive(Debug, Clone)]
pub struct Received {
    pub from: String,
    pub to: Vec<String>,
    pub data: String,
}

/// What the server saw.
#[derive(Debug, Default)]
pub struct Log {
    pub connections: usize,
    /// Lines that came unencrypted, and encrypted; without those of mails.
    pub plain: Vec<String>,
    pub encrypted: Vec<String>,
    /// Mails that were received whole and confirmed.
    pub mails: Vec<Received>,
    /// Mails that were received whole and not confirmed.
    pub unconfirmed: Vec<Received>,
}

/// The server; it ends with this value.
pub struct Server {
    address: SocketAddr,
    log: Arc<Mutex<Log>>,
    _runtime: Runtime,
}

impl Server {
    /// A good server without encryption.
    pub fn plain() -> Self {
        Self::that(|_| Act::Ordinary)
    }

    /// A server without encryption that does what `behave` says.
    pub fn that(behave: impl Fn(&Moment<'_>) -> Act + Send + Sync + 'static) -> Self {
        Self::start(Encrypt::Never, behave)
    }

    /// A server that encrypts, and does what `behave` says.
    pub fn start(
        encrypt: Encrypt,
        behave: impl Fn(&Moment<'_>) -> Act + Send + Sync + 'static,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Mutex::new(Log::default()));
        let behave: Arc<Behaviour> = Arc::new(behave);
        let shared = Arc::clone(&log);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let connection = {
                    let mut log = shared.lock().unwrap();
                    log.connections += 1;
                    log.connections
                };
                let dialogue = Dialogue {
                    connection,
                    log: Arc::clone(&shared),
                    behave: Arc::clone(&behave),
                    encrypt: encrypt.clone(),
                    encrypted: false,
                };
                tokio::spawn(dialogue.hold(Box::new(stream)));
            }
        });
        Self {
            address,
            log,
            _runtime: runtime,
        }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// `smtp://127.0.0.1:PORT?tls=none`.
    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}?tls=none", self.port())
    }

    pub fn log(&self) -> std::sync::MutexGuard<'_, Log> {
        self.log.lock().unwrap()
    }

    pub fn mails(&self) -> Vec<Received> {
        self.log().mails.clone()
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}
type Wire = BufReader<Box<dyn Stream>>;

struct Dialogue {
    connection: usize,
    log: Arc<Mutex<Log>>,
    behave: Arc<Behaviour>,
    encrypt: Encrypt,
    encrypted: bool,
}

impl Dialogue {
    async fn hold(mut self, stream: Box<dyn Stream>) {
        let mut wire = BufReader::new(stream);
        if let Encrypt::FromTheStart(acceptor) = self.encrypt.clone() {
            let Ok(stream) = acceptor.accept(wire.into_inner()).await else {
                return;
            };
            self.encrypted = true;
            wire = BufReader::new(Box::new(stream));
        }
        // The end of a dialogue, `None`, needs no reason here: the log tells what happened.
        let _ = self.talk(wire).await;
    }

    async fn talk(&mut self, mut wire: Wire) -> Option<()> {
        self.act(&mut wire, "greeting", "", "220 test ESMTP")
            .await?;
        let mut from = String::new();
        let mut to = Vec::new();
        loop {
            let line = read_line(&mut wire).await?;
            self.note(&line);
            let verb = line.split([' ', ':']).next()?.to_ascii_uppercase();
            let reply = match verb.as_str() {
                "EHLO" => self.offers(),
                "STARTTLS" => "220 go ahead".to_owned(),
                "AUTH" if line.ends_with("LOGIN") => "334 VXNlcm5hbWU6".to_owned(),
                "AUTH" => "235 welcome".to_owned(),
                "DATA" => "354 go ahead".to_owned(),
                "QUIT" => "221 bye".to_owned(),
                _ => "250 ok".to_owned(),
            };
            let positive = self.act(&mut wire, &verb, &line, &reply).await?;
            match verb.as_str() {
                "STARTTLS" if positive => {
                    let Encrypt::OnRequest(acceptor) = &self.encrypt else {
                        return None;
                    };
                    let stream = acceptor.accept(wire.into_inner()).await.ok()?;
                    self.encrypted = true;
                    wire = BufReader::new(Box::new(stream));
                }
                "AUTH" if reply.starts_with('3') && positive => {
                    let user = read_line(&mut wire).await?;
                    self.note(&user);
                    say(&mut wire, "334 UGFzc3dvcmQ6").await?;
                    let password = read_line(&mut wire).await?;
                    self.note(&password);
                    say(&mut wire, "235 welcome").await?;
                }
                "MAIL" => {
                    from = line;
                    to.clear();
                }
                "RCPT" if positive => to.push(line),
                "DATA" if positive => self.take(&mut wire, &from, &to).await?,
                "QUIT" => return None,
                _ => {}
            }
        }
    }

    /// Receives a mail.
    async fn take(&mut self, wire: &mut Wire, from: &str, to: &[String]) -> Option<()> {
        let mut data = String::new();
        loop {
            let line = read_line(wire).await?;
            if line == "." {
                break;
            }
            if !matches!(self.decide("line", &line), Act::Ordinary) {
                return None;
            }
            data.push_str(line.strip_prefix('.').unwrap_or(&line));
            data.push_str("\r\n");
        }
        let address = |line: &str| line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
        let received = Received {
            from: address(from),
            to: to.iter().map(|line| address(line)).collect(),
            data,
        };
        self.log.lock().unwrap().unconfirmed.push(received);
        if self.act(wire, "end", "", "250 taken").await? {
            let mut log = self.log.lock().unwrap();
            let received = log.unconfirmed.pop().unwrap();
            log.mails.push(received);
        }
        Some(())
    }

    fn decide(&self, at: &str, line: &str) -> Act {
        (self.behave)(&Moment {
            connection: self.connection,
            at,
            line,
        })
    }

    /// Answers; whether the answer is positive. `None` ends the dialogue.
    async fn act(&self, wire: &mut Wire, at: &str, line: &str, ordinary: &str) -> Option<bool> {
        let said = match self.decide(at, line) {
            Act::Ordinary => ordinary,
            Act::Say(text) => text,
            Act::SayAndClose(text) => {
                say(wire, text).await?;
                return None;
            }
            Act::Trickle(text) => {
                for byte in text.bytes() {
                    wire.write_all(&[byte]).await.ok()?;
                    wire.flush().await.ok()?;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                text
            }
            Act::Silence => {
                tokio::time::sleep(Duration::from_secs(600)).await;
                return None;
            }
            Act::Close => return None,
        };
        say(wire, said).await?;
        Some(said.starts_with(['2', '3']))
    }

    fn offers(&self) -> String {
        let mut offers = vec!["test", "SIZE 1000000", "8BITMIME"];
        match self.encrypt {
            Encrypt::OnRequest(_) if !self.encrypted => offers.push("STARTTLS"),
            _ => offers.push("AUTH PLAIN LOGIN"),
        }
        let last = offers.pop().unwrap();
        let lines: String = offers
            .iter()
            .map(|offer| format!("250-{offer}\r\n"))
            .collect();
        format!("{lines}250 {last}")
    }

    fn note(&self, line: &str) {
        let mut log = self.log.lock().unwrap();
        let lines = if self.encrypted {
            &mut log.encrypted
        } else {
            &mut log.plain
        };
        lines.push(line.to_owned());
    }
}

/// One line without its end, which must be CR LF and come within 1000 bytes (RFC 5321).
async fn read_line(wire: &mut Wire) -> Option<String> {
    let mut line = Vec::new();
    wire.take(1_000).read_until(b'\n', &mut line).await.ok()?;
    let line = String::from_utf8(line).expect("all that is sent is ASCII");
    if line.is_empty() {
        return None;
    }
    assert!(line.is_ascii(), "not ASCII: {line:?}");
    let end = line.strip_suffix("\r\n");
    // A connection that was given up may end in the middle of a line.
    assert!(
        end.is_some() || !line.ends_with('\n') && line.len() < 1_000,
        "{line:?}"
    );
    end.map(str::to_owned)
}

async fn say(wire: &mut Wire, text: &str) -> Option<()> {
    wire.write_all(format!("{text}\r\n").as_bytes())
        .await
        .ok()?;
    wire.flush().await.ok()
}
