//! What a process writes to its standard error, bounded.

use std::collections::VecDeque;

/// The most bytes that are kept of the beginning, and of the end.
const HALF: usize = 32 * 1024;

/// The most bytes of the end that an error message quotes.
const QUOTED: usize = 400;

/// The beginning and the end of a text of any length.
///
/// Whole lines are kept, as far as lines are short: a secret that somebody strikes out
/// later must not be cut into what cannot be found.
#[derive(Default)]
pub(super) struct Capture {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    left_out: u64,
}

impl Capture {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let (head, rest) = bytes.split_at(bytes.len().min(HALF - self.head.len()));
        self.head.extend_from_slice(head);
        self.tail.extend(rest);
        let excess = self.tail.len().saturating_sub(HALF);
        self.tail.drain(..excess);
        self.left_out += excess as u64;
    }

    /// What was captured since the last time, if anything.
    pub(super) fn take(&mut self) -> Option<String> {
        let Capture {
            mut head,
            tail,
            mut left_out,
        } = std::mem::take(self);
        if head.is_empty() {
            return None;
        }
        let mut tail = Vec::from(tail);
        if left_out > 0 {
            if let Some(end) = head.iter().rposition(|&byte| byte == b'\n') {
                left_out += (head.len() - end - 1) as u64;
                head.truncate(end + 1);
            }
            if let Some(end) = tail.iter().position(|&byte| byte == b'\n') {
                left_out += (end + 1) as u64;
                tail.drain(..=end);
            }
            head.extend_from_slice(format!("[{left_out} bytes left out]\n").as_bytes());
        }
        head.append(&mut tail);
        Some(String::from_utf8_lossy(&head).into_owned())
    }
}

/// The last lines of `text`, to be quoted in a message.
pub(super) fn end_of(text: &str) -> &str {
    let text = text.trim();
    let mut start = text.len().saturating_sub(QUOTED);
    if start > 0 {
        start = text.ceil_char_boundary(start);
        let end = &text[start..];
        // Within a long line, not within a word: it may be a secret, which nobody could
        // find any more.
        let cut = end.find('\n').or_else(|| end.find(char::is_whitespace));
        start += cut.unwrap_or(end.len());
    }
    text[start..].trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_short_is_kept_whole_and_given_once() {
        let mut capture = Capture::default();
        assert_eq!(capture.take(), None);
        capture.push(b"one\n");
        capture.push(b"tw\xff");
        assert_eq!(capture.take().as_deref(), Some("one\ntw\u{fffd}"));
        assert_eq!(capture.take(), None);
    }

    #[test]
    fn what_is_long_keeps_its_first_and_its_last_lines() {
        let mut capture = Capture::default();
        let mut written = 0;
        for number in 0..20_000 {
            let line = format!("line {number}\n");
            written += line.len();
            capture.push(line.as_bytes());
        }
        let text = capture.take().unwrap();
        assert!(text.len() <= 2 * HALF + 40, "{}", text.len());
        assert!(text.starts_with("line 0\nline 1\n") && text.ends_with("line 19999\n"));
        let (mark, kept): (Vec<&str>, Vec<&str>) =
            text.lines().partition(|line| line.starts_with('['));
        let kept: usize = kept.iter().map(|line| line.len() + 1).sum();
        assert_eq!(mark, [format!("[{} bytes left out]", written - kept)]);
        assert!(
            text.lines()
                .all(|line| line.starts_with("line ") || line == mark[0])
        );
    }

    #[test]
    fn a_quote_is_the_last_lines() {
        assert_eq!(end_of(" a\nb \n"), "a\nb");
        let long = format!("{}\nlast", "x".repeat(1000));
        assert_eq!(end_of(&long), "last");
        assert_eq!(end_of(&format!("{} last", "ä".repeat(1000))), "last");
        assert_eq!(end_of(&"ä".repeat(1000)), "");
    }
}
