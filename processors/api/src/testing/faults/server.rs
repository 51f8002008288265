//! A TCP server on loopback that follows a script.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Bytes that are no answer in any protocol of text: not UTF-8, with zeros and line breaks.
pub const GARBAGE: &[u8] = b"\xff\xfe\x00\x01garbage\r\n\r\n\x80\xc3\x28\x00";

/// How long a connection whose script is over is listened to.
const LINGER: Duration = Duration::from_secs(10);

/// Something that a [`Server`] does with a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Waits until the other side has said this, after what was waited for before.
    Hear(Vec<u8>),
    /// Waits until the other side has said this many bytes, all in all.
    HearBytes(usize),
    /// Says this.
    Say(Vec<u8>),
    /// Says and hears nothing until the other side goes away.
    Hang,
    /// Resets the connection.
    Reset,
}

impl Step {
    /// Waits until the other side has said this.
    pub fn hear(text: impl AsRef<[u8]>) -> Self {
        Self::Hear(text.as_ref().to_vec())
    }

    /// Says this.
    pub fn say(text: impl AsRef<[u8]>) -> Self {
        Self::Say(text.as_ref().to_vec())
    }

    /// Waits for the head of an HTTP/1.1 request, and answers with `status` (`503 Service
    /// Unavailable`), `headers`, each with its line break, and `body`.
    pub fn http(status: &str, headers: &str, body: &str) -> Vec<Self> {
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}"
        );
        vec![Self::hear("\r\n\r\n"), Self::say(answer)]
    }
}

/// A TCP server on loopback, on a thread of its own. Each connection gets the next script;
/// those that come after the last script get the last one again. After its last step a
/// connection is closed.
///
/// ```
/// use std::io::{Read, Write};
/// use std::net::TcpStream;
/// use veracity_processor::testing::faults::{Server, Step};
///
/// let server = Server::start([Step::http("503 Service Unavailable", "retry-after: 2\r\n", "")]);
/// let mut client = TcpStream::connect(server.address())?;
/// client.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer)?;
/// assert!(answer.starts_with("HTTP/1.1 503 "));
/// assert_eq!(server.heard()[0], b"GET / HTTP/1.1\r\n\r\n");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    log: Log,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What each connection said.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<Vec<u8>>>>);

impl Log {
    fn get(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Server {
    /// Starts a server that follows `scripts`, one for each connection.
    ///
    /// # Panics
    ///
    /// If there is no script, or no port to listen on.
    #[track_caller]
    pub fn start(scripts: impl IntoIterator<Item = Vec<Step>>) -> Self {
        let scripts: VecDeque<Vec<Step>> = scripts.into_iter().collect();
        assert!(!scripts.is_empty(), "a server needs a script");
        let log = Log::default();
        let (stop, stopped) = oneshot::channel();
        let (bound, address) = mpsc::channel();
        let heard = log.clone();
        let thread = std::thread::spawn(move || {
            super::super::block_on(async move {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
                let address = listener.and_then(|listener| {
                    let address = listener.local_addr()?;
                    tokio::spawn(accept(listener, scripts, heard));
                    Ok(address)
                });
                let _ = bound.send(address);
                // Until the server is dropped; then the runtime ends with all connections.
                let _ = stopped.await;
            });
        });
        let address = match address.recv() {
            Ok(Ok(address)) => address,
            Ok(Err(error)) => panic!("no port to listen on: {error}"),
            Err(_) => panic!("the server's thread ended"),
        };
        Self {
            address,
            log,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// An address that refuses connections, for as long as the value lives.
    ///
    /// # Panics
    ///
    /// If there is no port.
    #[track_caller]
    pub fn refusing() -> Refusing {
        let bound = TcpSocket::new_v4().and_then(|socket| {
            socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
            Ok(Refusing {
                address: socket.local_addr()?,
                _socket: socket,
            })
        });
        bound.unwrap_or_else(|error| panic!("no port that could refuse: {error}"))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:port` and `path`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What was heard on each connection so far, in the order in which they came.
    pub fn heard(&self) -> Vec<Vec<u8>> {
        self.log.get().clone()
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.log.get().len()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// An address that refuses connections: its port is taken, but nobody listens.
#[derive(Debug)]
pub struct Refusing {
    address: SocketAddr,
    _socket: TcpSocket,
}

impl Refusing {
    /// The address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn accept(listener: TcpListener, mut scripts: VecDeque<Vec<Step>>, log: Log) {
    while let Ok((stream, _)) = listener.accept().await {
        let script = match scripts.len() {
            1 => scripts.front().cloned(),
            _ => scripts.pop_front(),
        };
        let index = {
            let mut all = log.get();
            all.push(Vec::new());
            all.len() - 1
        };
        let connection = Connection {
            stream,
            log: log.clone(),
            index,
        };
        tokio::spawn(connection.follow(script.unwrap_or_default()));
    }
}

struct Connection {
    stream: TcpStream,
    log: Log,
    index: usize,
}

impl Connection {
    async fn follow(mut self, script: Vec<Step>) {
        // How much of what was heard has been waited for.
        let mut from = 0;
        for step in script {
            let goes_on = match step {
                Step::Hear(text) => {
                    let found = |heard: &[u8]| {
                        let mut windows = heard.windows(text.len().max(1));
                        let at = windows.position(|window| window == text)?;
                        Some(at + text.len())
                    };
                    let end = self.until(|heard| found(&heard[from..])).await;
                    from += end.unwrap_or(0);
                    end.is_some()
                }
                Step::HearBytes(count) => {
                    let enough = |heard: &[u8]| (heard.len() >= count).then_some(count);
                    let end = self.until(enough).await;
                    from = end.unwrap_or(from);
                    end.is_some()
                }
                Step::Say(text) => self.stream.write_all(&text).await.is_ok(),
                Step::Hang => std::future::pending().await,
                Step::Reset => {
                    let _ = self.stream.set_zero_linger();
                    return;
                }
            };
            if !goes_on {
                return;
            }
        }
        // Closing with something unread would reset the connection, and the last thing said
        // might be lost.
        if self.stream.shutdown().await.is_ok() {
            let _ = timeout(LINGER, self.until(|_| None::<()>)).await;
        }
    }

    /// Hears until `found` finds something in all that was heard; `None` if the other side
    /// ends before that.
    async fn until<T>(&mut self, found: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
        loop {
            if let Some(found) = found(&self.log.get()[self.index]) {
                return Some(found);
            }
            let mut bytes = Vec::with_capacity(16 * 1024);
            match self.stream.read_buf(&mut bytes).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => self.log.get()[self.index].extend(bytes),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::net::TcpStream;

    use super::*;

    fn talk(address: SocketAddr, text: &[u8]) -> Result<Vec<u8>, ErrorKind> {
        talk_for(address, text, Duration::from_secs(60))
    }

    fn talk_for(
        address: SocketAddr,
        text: &[u8],
        patience: Duration,
    ) -> Result<Vec<u8>, ErrorKind> {
        let kind = |error: std::io::Error| error.kind();
        let mut client = TcpStream::connect(address).map_err(kind)?;
        client.set_read_timeout(Some(patience)).map_err(kind)?;
        client.write_all(text).map_err(kind)?;
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).map_err(kind)?;
        Ok(answer)
    }

    /// Systems tell a time limit of a socket in two ways.
    fn is_time_limit(kind: ErrorKind) -> bool {
        matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut)
    }

    #[test]
    fn each_connection_gets_its_script_and_the_last_one_stays() {
        let server = Server::start([
            vec![
                Step::hear("a"),
                Step::say("first"),
                Step::hear("b"),
                Step::say(" second"),
            ],
            vec![Step::HearBytes(4), Step::say(GARBAGE)],
            Vec::new(),
        ]);
        assert_eq!(talk(server.address(), b"xaxb").unwrap(), b"first second");
        assert_eq!(talk(server.address(), b"1234").unwrap(), GARBAGE);
        for _ in 0..2 {
            assert_eq!(talk(server.address(), b"").unwrap(), b"");
        }
        assert_eq!(server.connections(), 4);
        assert_eq!(server.heard()[..2], [b"xaxb".to_vec(), b"1234".to_vec()]);
    }

    #[test]
    fn a_connection_is_refused_reset_left_hanging_or_cut() {
        let refusing = Server::refusing();
        assert_eq!(
            talk(refusing.address(), b"x"),
            Err(ErrorKind::ConnectionRefused)
        );
        let server = Server::start([
            vec![Step::HearBytes(1), Step::Reset],
            vec![Step::Hang],
            vec![Step::HearBytes(3), Step::say("250")],
        ]);
        assert_eq!(
            talk(server.address(), b"x"),
            Err(ErrorKind::ConnectionReset)
        );
        let patience = Duration::from_millis(300);
        let hung = talk_for(server.address(), b"x", patience).unwrap_err();
        assert!(is_time_limit(hung), "{hung}");
        assert_eq!(talk(server.address(), b"xyz").unwrap(), b"250");
    }
}
