//! Text as every database takes it.

use std::fmt::Write;

use sha2::{Digest, Sha256};
use veracity_sql::Dialect;

use super::StoreError;

/// `text` without NUL, which PostgreSQL does not take: it becomes `\0`, and `\` becomes
/// `\\`.
pub(super) fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\0', "\\0")
}

/// What [`escape`] made `text` of.
pub(super) fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => match chars.next() {
                Some('0') => '\0',
                other => other.unwrap_or('\\'),
            },
            c => c,
        });
    }
    out
}

/// `text` escaped, for a column that is indexed.
pub(super) fn key(what: &str, text: &str) -> Result<String, StoreError> {
    let escaped = escape(text);
    let length = escaped.chars().count();
    if length > Dialect::KEY_CHARS {
        return Err(StoreError::permanent(format!(
            "{what} has {length} characters; the store takes {}",
            Dialect::KEY_CHARS
        )));
    }
    Ok(escaped)
}

/// A key of fixed length for `parts` of any length.
pub(super) fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hex(&hash.finalize())
}

/// `bytes` in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The most bytes of an error or a note that are kept.
const MOST_BYTES: usize = 16 * 1024;

/// `text` escaped; if it is very long, its beginning.
pub(super) fn remark(text: &str) -> String {
    if text.len() <= MOST_BYTES {
        return escape(text);
    }
    let mut end = MOST_BYTES;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let left = text.len() - end;
    format!("{} [{left} more bytes]", escape(&text[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaping_can_be_undone_and_leaves_no_nul() {
        for text in ["", "plain", "\0", "a\\0b\0\\", "\\", "\\\\0", "é\0😀"] {
            let escaped = escape(text);
            assert!(!escaped.contains('\0'));
            assert_eq!(unescape(&escaped), text);
        }
    }

    #[test]
    fn parts_of_a_digest_do_not_flow_into_each_other() {
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
        assert_ne!(digest(&["a\0b"]), digest(&["a", "b"]));
        assert_eq!(digest(&["a"]).len(), 64);
    }

    #[test]
    fn a_very_long_remark_is_cut_at_a_character() {
        let text = "é".repeat(MOST_BYTES);
        let cut = remark(&text);
        assert!(cut.ends_with(&format!("é [{MOST_BYTES} more bytes]")));
        assert_eq!(remark("short\0"), "short\\0");
    }
}
