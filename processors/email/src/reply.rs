//! What an SMTP server answers.

use std::io;
use std::time::Duration;

use lettre::transport::smtp::response::{Response, Severity};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};
use veracity_processor::{ProcessorError, printable};

/// The longest line of a reply, and the longest reply, in bytes.
const MAX_LINE: u64 = 4_096;
const MAX_REPLY: usize = 64 * 1024;
/// The most characters of a reply that are told.
const MAX_TOLD: usize = 300;

/// How long a greylisting or throttling server is left alone (RFC 6647).
const GREYLIST: Duration = Duration::from_secs(60);

/// One reply.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) code: u16,
    pub(crate) response: Response,
}

impl Reply {
    /// Reads one reply, of bounded size.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` if the connection ends before it does, `InvalidData` if it is no
    /// reply.
    pub(crate) async fn read(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Self> {
        let invalid = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why);
        let mut text = String::new();
        loop {
            let mut line = Vec::new();
            let mut bounded = (&mut *stream).take(MAX_LINE);
            bounded.read_until(b'\n', &mut line).await?;
            if !line.ends_with(b"\n") {
                return Err(match line.len() as u64 {
                    MAX_LINE => invalid("a line is too long"),
                    _ => io::ErrorKind::UnexpectedEof.into(),
                });
            }
            let last = line.get(3) != Some(&b'-');
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end();
            text.push_str(line);
            // A code alone is a reply (RFC 5321, 4.2.1), but not to lettre.
            text.push_str(if line.len() == 3 { " \r\n" } else { "\r\n" });
            if last {
                break;
            }
            if text.len() > MAX_REPLY {
                return Err(invalid("a reply is too long"));
            }
        }
        let response: Response = text.parse().map_err(|_| invalid("no SMTP reply"))?;
        Ok(Self {
            code: u16::from(response.code()),
            response,
        })
    }

    pub(crate) fn is_positive(&self) -> bool {
        self.response.is_positive()
    }

    pub(crate) fn is_transient(&self) -> bool {
        self.response.code().severity == Severity::TransientNegativeCompletion
    }

    /// `550 5.1.1 no such user`, on one line, of bounded length.
    pub(crate) fn text(&self) -> String {
        let lines: Vec<&str> = self.response.message().map(str::trim).collect();
        let text = format!("{} {}", self.code, lines.join(" "));
        printable(text.trim_end()).chars().take(MAX_TOLD).collect()
    }

    /// How long to wait before the next attempt, if the reply calls for that.
    pub(crate) fn wait(&self) -> Option<Duration> {
        matches!(self.code, 450..=452).then_some(GREYLIST)
    }

    /// The reply as a failure of `what`.
    pub(crate) fn failure(&self, what: &str) -> ProcessorError {
        let message = format!("{what}: {}", self.text());
        if !self.is_transient() {
            return ProcessorError::permanent(message);
        }
        let error = ProcessorError::retryable(message);
        match self.wait() {
            Some(wait) => error.after(wait),
            None => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(bytes: &[u8]) -> Result<String, io::ErrorKind> {
        let mut stream = bytes;
        let reply = Reply::read(&mut stream)
            .await
            .map_err(|error| error.kind())?;
        Ok(format!("{} {}", reply.text(), reply.is_positive()))
    }

    #[tokio::test]
    async fn a_reply_is_read_whole_or_not_at_all() {
        use io::ErrorKind::{InvalidData, UnexpectedEof};
        let long = [b"250 ".as_slice(), &[b'x'; 5000], b"\r\n"].concat();
        let many = b"250-x\r\n".repeat(20_000);
        let cases: &[(&str, &[u8], Result<&str, io::ErrorKind>)] = &[
            ("one line", b"250 ok\r\n", Ok("250 ok true")),
            ("nothing but a code", b"354\r\n", Ok("354 true")),
            (
                "several lines",
                b"550-5.1.1 no\r\n550 such user\r\n",
                Ok("550 5.1.1 no such user false"),
            ),
            ("only line feeds", b"421-a\n421 b\n", Ok("421 a b false")),
            (
                "an escape",
                b"550 \x1b[2Jno\r\n",
                Ok(r"550 \u{1b}[2Jno false"),
            ),
            ("not UTF-8", b"550 \xff\r\n", Ok("550 \u{fffd} false")),
            ("nothing", b"", Err(UnexpectedEof)),
            ("cut in a line", b"250 o", Err(UnexpectedEof)),
            ("cut between lines", b"250-a\r\n", Err(UnexpectedEof)),
            (
                "another protocol",
                b"HTTP/1.1 400 Bad Request\r\n",
                Err(InvalidData),
            ),
            ("two codes", b"250-a\r\n550 b\r\n", Err(InvalidData)),
            ("a long line", &long, Err(InvalidData)),
            ("many lines", &many, Err(InvalidData)),
        ];
        for (label, bytes, expected) in cases {
            assert_eq!(read(bytes).await.as_deref(), expected.as_deref(), "{label}");
        }
    }
}
