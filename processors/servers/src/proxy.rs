//! A connection between a client and a server that can be cut.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// When a connection is cut, seen from what the client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The server does not get it.
    Before,
    /// The server gets it and answers, and the client does not get the answer.
    Answered,
}

/// Passes connections on to a server, and cuts them.
///
/// It sees bytes, so neither side may encrypt. It ends, with all its connections, when it
/// is dropped.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    server: SocketAddr,
    rules: Mutex<Rules>,
}

#[derive(Default)]
struct Rules {
    trap: Option<(Vec<u8>, When)>,
    /// Bytes that may still pass from clients to the server.
    budget: Option<usize>,
    refuses: bool,
    ended: bool,
    cuts: usize,
    open: Vec<TcpStream>,
}

impl Proxy {
    /// A proxy for the server at `server`.
    ///
    /// # Errors
    ///
    /// If there is no port for it.
    pub fn to(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            server,
            rules: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                if accepting.rules().ended {
                    return;
                }
                if let Ok(client) = client {
                    accepting.connect(client);
                }
            }
        });
        Ok(Self { address, shared })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `url`, by way of this proxy.
    pub fn url(&self, url: &str) -> String {
        let server = self.shared.server.to_string();
        url.replacen(&server, &self.address.to_string(), 1)
    }

    /// Cuts all connections now.
    pub fn cut(&self) {
        self.shared.rules().cut_all();
    }

    /// Cuts the next connection, once, on which the client sends `text`, in any case of
    /// letters.
    pub fn cut_at(&self, text: &str, when: When) {
        self.shared.rules().trap = Some((text.to_ascii_lowercase().into_bytes(), when));
    }

    /// Cuts all connections, once, when clients have sent `bytes` more.
    pub fn cut_after(&self, bytes: usize) {
        self.shared.rules().budget = Some(bytes);
    }

    /// Whether new connections are closed at once.
    pub fn refuse(&self, refuse: bool) {
        self.shared.rules().refuses = refuse;
    }

    /// How often it was cut at something that was waited for.
    pub fn cuts(&self) -> usize {
        self.shared.rules().cuts
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let mut rules = self.shared.rules();
        rules.ended = true;
        rules.cut_all();
        drop(rules);
        // The thread that accepts sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

impl Rules {
    fn cut_all(&mut self) {
        for stream in self.open.drain(..) {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// What happens to `bytes` from a client; how many of them may pass before a cut.
    fn judge(&mut self, bytes: &[u8]) -> Verdict {
        if let Some(budget) = &mut self.budget {
            if bytes.len() >= *budget {
                let passing = *budget;
                (self.budget, self.cuts) = (None, self.cuts + 1);
                return Verdict::Cut(passing);
            }
            *budget -= bytes.len();
        }
        let Some((text, when)) = &self.trap else {
            return Verdict::Pass;
        };
        let found = bytes
            .windows(text.len().max(1))
            .any(|window| window.eq_ignore_ascii_case(text));
        if !found {
            return Verdict::Pass;
        }
        let when = *when;
        (self.trap, self.cuts) = (None, self.cuts + 1);
        match when {
            When::Before => Verdict::Cut(0),
            When::Answered => Verdict::Swallow,
        }
    }
}

enum Verdict {
    Pass,
    Cut(usize),
    Swallow,
}

impl Shared {
    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connect(self: &Arc<Self>, client: TcpStream) {
        if self.rules().refuses {
            return;
        }
        let Ok(server) = TcpStream::connect(self.server) else {
            return;
        };
        let ends = (client.try_clone(), server.try_clone());
        let (Ok(client_end), Ok(server_end)) = ends else {
            return;
        };
        let copies = (client.try_clone(), server.try_clone());
        let (Ok(to_client), Ok(to_server)) = copies else {
            return;
        };
        self.rules().open.extend([client_end, server_end]);
        let swallow = Arc::new(Mutex::new(false));
        let (shared, swallows) = (Arc::clone(self), Arc::clone(&swallow));
        thread::spawn(move || shared.forward(client, to_server, &swallows));
        thread::spawn(move || backward(server, to_client, &swallow));
    }

    /// Passes on what the client sends.
    fn forward(&self, mut client: TcpStream, mut server: TcpStream, swallow: &Mutex<bool>) {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = client.read(&mut buffer) {
            let bytes = &buffer[..length];
            let verdict = self.rules().judge(bytes);
            let passing = match verdict {
                Verdict::Pass => length,
                Verdict::Cut(passing) => passing,
                Verdict::Swallow => {
                    *swallow.lock().unwrap_or_else(PoisonError::into_inner) = true;
                    length
                }
            };
            if server.write_all(&bytes[..passing]).is_err() || passing < length {
                break;
            }
        }
        close(&client, &server);
    }
}

/// Passes on what the server sends, until something of it is to be swallowed.
fn backward(mut server: TcpStream, mut client: TcpStream, swallow: &Mutex<bool>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = server.read(&mut buffer) {
        let swallows = *swallow.lock().unwrap_or_else(PoisonError::into_inner);
        if swallows || client.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    close(&client, &server);
}

fn close(client: &TcpStream, server: &TcpStream) {
    for stream in [client, server] {
        // It may be closed already.
        let _ = stream.shutdown(Shutdown::Both);
    }
}
