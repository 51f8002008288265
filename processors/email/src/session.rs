//! A dialogue with an SMTP server (RFC 5321).
//!
//! Commands are lettre's, the dialogue is not: lettre gives up on all recipients
//! when one is refused, and reads what a server sent before STARTTLS as if it had been
//! sent after it (CVE-2011-0411).

use std::future::Future;
use std::io;
use std::time::{Duration, Instant};

use lettre::Address;
use lettre::transport::smtp::commands::{Auth, Data, Ehlo, Mail, Noop, Quit, Rcpt, Rset, Starttls};
use lettre::transport::smtp::extension::MailParameter;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, lookup_host};
use veracity_processor::ProcessorError;

use crate::offers::Offers;
use crate::reply::Reply;
use crate::server::{Server, Tls};
use crate::tls::{self, Encryption};

/// How long one step may take, if the deadline leaves that much.
const STEP: Duration = Duration::from_secs(60);
/// The same for the reply to a whole message, which the server may check first.
const FINAL_REPLY: Duration = Duration::from_secs(120);
/// How long is waited for the answer to QUIT, which changes nothing any more.
const GOODBYE: Duration = Duration::from_secs(1);

/// Bytes in both directions.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// An open connection, encrypted and authenticated as its server is configured.
pub(crate) struct Session<'s> {
    server: &'s Server,
    stream: BufReader<Box<dyn Stream>>,
    deadline: Instant,
    offers: Offers,
}

/// What became of one recipient.
#[derive(Debug)]
pub(crate) enum Fate {
    /// The server took the mail for it.
    Served,
    /// The server will not, ever.
    Refused(String),
    /// The server does not now.
    Later {
        message: String,
        wait: Option<Duration>,
    },
}

/// A dialogue that ended too early.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) error: ProcessorError,
    /// Whether the server may have taken the message all the same.
    pub(crate) doubtful: bool,
}

impl From<ProcessorError> for Broken {
    fn from(error: ProcessorError) -> Self {
        Self {
            error,
            doubtful: false,
        }
    }
}

impl<'s> Session<'s> {
    /// Connects to `server`, encrypts, authenticates; all of it before `deadline`.
    pub(crate) async fn open(
        server: &'s Server,
        encryption: Option<&Encryption>,
        deadline: Instant,
    ) -> Result<Self, ProcessorError> {
        let tcp = within(deadline, STEP, "connecting", connect(server)).await?;
        // Commands are small; waiting for more of them only delays.
        let _ = tcp.set_nodelay(true);
        let mut session = Self {
            server,
            stream: BufReader::new(Box::new(tcp)),
            deadline,
            offers: Offers::default(),
        };
        let implicit = encryption.filter(|_| server.tls == Tls::Implicit);
        if let Some(encryption) = implicit {
            session = session.encrypt(encryption).await?;
        }
        let greeting = session.reply("the greeting").await?;
        if !greeting.is_positive() {
            return Err(greeting.failure("the server does not serve us"));
        }
        session.hello().await?;
        if let Some(encryption) = encryption.filter(|_| server.tls == Tls::Required) {
            session = session.start_tls(encryption).await?;
        }
        session.authenticate().await?;
        Ok(session)
    }

    async fn encrypt(self, encryption: &Encryption) -> Result<Self, ProcessorError> {
        let Encryption { connector, name } = encryption.clone();
        let handshake = connector.connect(name, self.stream.into_inner());
        let limit = self.deadline.min(Instant::now() + STEP);
        let stream = tokio::time::timeout_at(limit.into(), handshake).await;
        let stream = stream
            .map_err(|_| ProcessorError::retryable("no TLS handshake in time"))?
            .map_err(|error| tls::failure(&error))?;
        Ok(Self {
            stream: BufReader::new(Box::new(stream)),
            ..self
        })
    }

    async fn start_tls(mut self, encryption: &Encryption) -> Result<Self, ProcessorError> {
        if !self.offers.starttls {
            return Err(ProcessorError::permanent(
                "the server does not offer STARTTLS, nothing was sent; use `smtps://` if it has \
                 TLS from the start",
            ));
        }
        let reply = self.command(Starttls, "STARTTLS").await?;
        if !reply.is_positive() {
            return Err(reply.failure("STARTTLS is refused, nothing was sent"));
        }
        // What came before encryption must not be taken for what comes after it.
        if !self.stream.buffer().is_empty() {
            return Err(ProcessorError::permanent(
                "more than a reply came before encryption: somebody may have tampered with the \
                 connection; nothing was sent",
            ));
        }
        let mut session = self.encrypt(encryption).await?;
        session.hello().await?;
        Ok(session)
    }

    async fn hello(&mut self) -> Result<(), ProcessorError> {
        let reply = self
            .command(Ehlo::new(self.server.hello.clone()), "EHLO")
            .await?;
        if !reply.is_positive() {
            return Err(reply.failure("EHLO is refused"));
        }
        self.offers = Offers::of(&reply);
        Ok(())
    }

    async fn authenticate(&mut self) -> Result<(), ProcessorError> {
        let Some(login) = &self.server.login else {
            return Ok(());
        };
        let unanswerable = |_| ProcessorError::permanent("AUTH LOGIN asks what cannot be answered");
        let Some(&mechanism) = self.offers.mechanisms.first() else {
            return Err(ProcessorError::permanent(
                "the server offers neither AUTH PLAIN nor AUTH LOGIN",
            ));
        };
        let credentials = login.credentials();
        let auth = Auth::new(mechanism, credentials.clone(), None).map_err(unanswerable)?;
        let mut reply = self.command(auth, "AUTH").await?;
        // User and password.
        for _ in 0..2 {
            if reply.code != 334 {
                break;
            }
            let credentials = credentials.clone();
            let answer = Auth::new_from_response(mechanism, credentials, &reply.response);
            reply = self.command(answer.map_err(unanswerable)?, "AUTH").await?;
        }
        match reply.code {
            235 => Ok(()),
            // Without the server's text: it may repeat what it was told.
            code if reply.is_transient() => {
                let error = ProcessorError::retryable(format!("no authentication now: {code}"));
                Err(error)
            }
            code => Err(ProcessorError::permanent(format!(
                "authentication refused: {code}; check user and password"
            ))),
        }
    }

    /// Sends `message` to all of `to` that the server takes.
    ///
    /// # Errors
    ///
    /// If the dialogue cannot go on.
    pub(crate) async fn send(
        &mut self,
        from: &Address,
        to: &[Address],
        message: &[u8],
    ) -> Result<Vec<Fate>, Broken> {
        let all = |fate: fn(String) -> Fate, text: String| {
            Ok(to.iter().map(|_| fate(text.clone())).collect())
        };
        if let Some(size) = self.offers.size.filter(|size| message.len() as u64 > *size) {
            let length = message.len();
            let text = format!("the mail has {length} bytes, the server takes {size}");
            return all(Fate::Refused, text);
        }
        let size = self
            .offers
            .knows_size
            .then_some(MailParameter::Size(message.len()));
        let mail = Mail::new(Some(from.clone()), size.into_iter().collect());
        let reply = self.command(mail, "MAIL").await?;
        if !reply.is_positive() {
            let fates = to.iter().map(|_| Fate::of(&reply)).collect();
            self.reset().await?;
            return Ok(fates);
        }
        let mut fates = Vec::with_capacity(to.len());
        for address in to {
            let reply = self
                .command(Rcpt::new(address.clone(), Vec::new()), "RCPT")
                .await?;
            fates.push(Fate::of(&reply));
        }
        let accepted = |fate: &Fate| matches!(fate, Fate::Served);
        if !fates.iter().any(accepted) {
            self.reset().await?;
            return Ok(fates);
        }
        let reply = self.command(Data, "DATA").await?;
        let reply = match reply.code {
            354 => self.content(message).await?,
            _ => reply,
        };
        if !reply.is_positive() || reply.code == 354 {
            for fate in &mut fates {
                if accepted(fate) {
                    *fate = Fate::of(&reply);
                }
            }
        }
        Ok(fates)
    }

    /// Sends the message itself and the line that ends it.
    async fn content(&mut self, message: &[u8]) -> Result<Reply, Broken> {
        let content = stuffed(message);
        let stream = &mut self.stream;
        let sending = async {
            stream.write_all(&content).await?;
            stream.flush().await
        };
        within(self.deadline, STEP, "sending the mail", sending).await?;
        let sending = async {
            self.stream.write_all(b".\r\n").await?;
            self.stream.flush().await
        };
        let in_doubt = |error| Broken {
            error,
            doubtful: true,
        };
        within(self.deadline, STEP, "sending the mail", sending)
            .await
            .map_err(in_doubt)?;
        let reading = Reply::read(&mut self.stream);
        let what = "the confirmation of the mail";
        let reply = within(self.deadline, FINAL_REPLY, what, reading).await;
        let reply = reply.map_err(in_doubt)?;
        Ok(closing(reply)?)
    }

    async fn reset(&mut self) -> Result<(), ProcessorError> {
        self.command(Rset, "RSET").await.map(drop)
    }

    /// Asks the server to do nothing.
    pub(crate) async fn noop(&mut self) -> Result<(), ProcessorError> {
        let reply = self.command(Noop, "NOOP").await?;
        if reply.is_positive() {
            return Ok(());
        }
        Err(reply.failure("NOOP is refused"))
    }

    /// Says goodbye. Whether the server answers does not matter.
    pub(crate) async fn quit(mut self) {
        self.deadline = self.deadline.min(Instant::now() + GOODBYE);
        let _ = self.command(Quit, "QUIT").await;
    }

    /// Sends `command` and reads the reply, which may be negative.
    async fn command(
        &mut self,
        command: impl std::fmt::Display,
        name: &str,
    ) -> Result<Reply, ProcessorError> {
        let line = command.to_string();
        let stream = &mut self.stream;
        let sending = async {
            stream.write_all(line.as_bytes()).await?;
            stream.flush().await
        };
        within(self.deadline, STEP, name, sending).await?;
        self.reply(&format!("the answer to {name}")).await
    }

    async fn reply(&mut self, what: &str) -> Result<Reply, ProcessorError> {
        let reading = Reply::read(&mut self.stream);
        closing(within(self.deadline, STEP, what, reading).await?)
    }
}

impl Fate {
    fn of(reply: &Reply) -> Self {
        match reply {
            reply if reply.is_positive() && reply.code != 354 => Fate::Served,
            reply if reply.is_transient() => Fate::Later {
                message: reply.text(),
                wait: reply.wait(),
            },
            reply => Fate::Refused(reply.text()),
        }
    }
}

/// The first address of the server that takes a connection.
async fn connect(server: &Server) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in lookup_host((server.host.as_str(), server.port)).await? {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// `reply`, unless the server closes or wants to know who we are, at whatever it was
/// asked.
fn closing(reply: Reply) -> Result<Reply, ProcessorError> {
    match reply.code {
        421 => Err(reply.failure("the server is closing")),
        530 => Err(reply.failure("authentication required")),
        _ => Ok(reply),
    }
}

/// What `step` gives, if it does before `limit` and `deadline`.
async fn within<T>(
    deadline: Instant,
    limit: Duration,
    what: &str,
    step: impl Future<Output = io::Result<T>>,
) -> Result<T, ProcessorError> {
    let limit = deadline.min(Instant::now() + limit);
    let ended = tokio::time::timeout_at(limit.into(), step).await;
    let error = match ended {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => error,
        Err(_) => return Err(ProcessorError::retryable(format!("time ran out at {what}"))),
    };
    Err(ProcessorError::retryable(match error.kind() {
        io::ErrorKind::UnexpectedEof => format!("connection lost at {what}"),
        _ => format!("{what} failed: {error}"),
    }))
}

/// `message` with every leading dot doubled, ending with a line break.
fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut content = Vec::with_capacity(message.len() + 64);
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            content.push(b'.');
        }
        content.extend_from_slice(line);
    }
    if !content.ends_with(b"\r\n") {
        content.extend_from_slice(b"\r\n");
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_a_message_ends_it() {
        let cases: &[(&[u8], &[u8])] = &[
            (b"", b"\r\n"),
            (b"a", b"a\r\n"),
            (b".\r\n", b"..\r\n"),
            (b"a\r\n.\r\n..b\r\n", b"a\r\n..\r\n...b\r\n"),
            (b"a\n.\nb", b"a\n..\nb\r\n"),
        ];
        for (message, expected) in cases {
            assert_eq!(
                stuffed(message),
                *expected,
                "{:?}",
                String::from_utf8_lossy(message)
            );
        }
    }
}
