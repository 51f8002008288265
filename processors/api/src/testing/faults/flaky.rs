//! A writer that fails as told.

use std::io::{Error, ErrorKind, Result, Write};

/// A writer around another that fails as told; otherwise it hands everything on.
///
/// ```
/// use std::io::{ErrorKind, Write};
/// use veracity_processor::testing::faults::Flaky;
///
/// let mut disk = Flaky::new(Vec::new()).full_after(5);
/// let error = disk.write_all(b"hello world").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::StorageFull);
/// assert_eq!(disk.into_inner(), b"hello");
/// ```
#[derive(Debug, Clone)]
pub struct Flaky<W> {
    inner: W,
    calls: u64,
    bytes: usize,
    failing_call: Option<(u64, ErrorKind)>,
    failing_byte: Option<(usize, ErrorKind)>,
    failing_flush: Option<ErrorKind>,
    longest: usize,
}

impl<W: Write> Flaky<W> {
    /// A writer around `inner` that does not fail yet.
    pub fn new(inner: W) -> Self {
        Self {
            inner,
            calls: 0,
            bytes: 0,
            failing_call: None,
            failing_byte: None,
            failing_flush: None,
            longest: usize::MAX,
        }
    }

    /// The call number `number` of `write`, from 1, fails; those after it do not.
    #[must_use]
    pub fn failing_at_call(mut self, number: u64, kind: ErrorKind) -> Self {
        self.failing_call = Some((number, kind));
        self
    }

    /// Takes `count` bytes; from then on every `write` fails.
    #[must_use]
    pub fn failing_after(mut self, count: usize, kind: ErrorKind) -> Self {
        self.failing_byte = Some((count, kind));
        self
    }

    /// Takes `count` bytes; then the disk is full.
    #[must_use]
    pub fn full_after(self, count: usize) -> Self {
        self.failing_after(count, ErrorKind::StorageFull)
    }

    /// Every `flush` fails.
    #[must_use]
    pub fn failing_at_flush(mut self, kind: ErrorKind) -> Self {
        self.failing_flush = Some(kind);
        self
    }

    /// A call of `write` takes `count` bytes at most, as any writer may.
    #[must_use]
    pub fn short_writes(mut self, count: usize) -> Self {
        self.longest = count;
        self
    }

    /// How often `write` was called.
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// The writer around which it was.
    pub fn into_inner(self) -> W {
        self.inner
    }
}

impl<W: Write> Write for Flaky<W> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.calls += 1;
        if let Some((number, kind)) = self.failing_call
            && number == self.calls
        {
            return Err(Error::new(kind, "as told"));
        }
        let mut most = self.longest;
        if let Some((count, kind)) = self.failing_byte {
            let left = count.saturating_sub(self.bytes);
            if left == 0 && !bytes.is_empty() {
                return Err(Error::new(kind, "as told"));
            }
            most = most.min(left);
        }
        let taken = self.inner.write(&bytes[..bytes.len().min(most)])?;
        self.bytes += taken;
        Ok(taken)
    }

    fn flush(&mut self) -> Result<()> {
        match self.failing_flush {
            Some(kind) => Err(Error::new(kind, "as told")),
            None => self.inner.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flaky_writer_fails_where_it_is_told_to_and_nowhere_else() {
        let text = b"hello world";
        let plain = || Flaky::new(Vec::new());
        let cases = [
            ("never", plain(), None, &text[..]),
            ("short", plain().short_writes(2), None, text),
            (
                "interrupted, which is tried again",
                plain().failing_at_call(1, ErrorKind::Interrupted),
                None,
                text,
            ),
            (
                "at the second call",
                plain()
                    .short_writes(3)
                    .failing_at_call(2, ErrorKind::BrokenPipe),
                Some(ErrorKind::BrokenPipe),
                b"hel",
            ),
            (
                "after seven bytes",
                plain().failing_after(7, ErrorKind::ConnectionReset),
                Some(ErrorKind::ConnectionReset),
                b"hello w",
            ),
            ("exactly full", plain().full_after(text.len()), None, text),
            (
                "takes nothing",
                plain().short_writes(0),
                Some(ErrorKind::WriteZero),
                b"",
            ),
        ];
        for (label, mut writer, error, written) in cases {
            let result = writer.write_all(text);
            assert_eq!(result.err().map(|error| error.kind()), error, "{label}");
            assert_eq!(writer.into_inner(), written, "{label}");
        }
        let mut writer = plain().failing_at_flush(ErrorKind::StorageFull);
        writer.write_all(text).unwrap();
        assert_eq!(writer.flush().unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(writer.calls(), 1);
    }
}
