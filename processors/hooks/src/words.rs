//! Text from data, made short and harmless.

use std::borrow::Cow;

use serde_json::Value;
use veracity_processor::printable;

/// `text` on one line of at most `most` characters, and `…` where it was longer.
pub(crate) fn clipped(text: &str, most: usize) -> Cow<'_, str> {
    // Escapes only make it longer, so what is beyond need not be looked at.
    let Some((end, _)) = text.char_indices().nth(most) else {
        let shown = printable(text);
        return match shown.char_indices().nth(most) {
            Some((end, _)) => Cow::Owned(format!("{}…", &shown[..end])),
            None => shown,
        };
    };
    let shown = printable(&text[..end]);
    let end = shown
        .char_indices()
        .nth(most)
        .map_or(shown.len(), |(end, _)| end);
    Cow::Owned(format!("{}…", &shown[..end]))
}

/// A value as text: a text as it is, all else as JSON.
pub(crate) fn plain(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        value => Cow::Owned(value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_clipped_after_it_is_made_printable() {
        let cases = [
            ("", 3, ""),
            ("abc", 3, "abc"),
            ("abcd", 3, "abc…"),
            ("äöü", 3, "äöü"),
            ("äöüß", 3, "äöü…"),
            ("a\nb", 3, r"a\n…"),
            ("\u{1b}[2J", 4, r"\u{1…"),
            ("", 0, ""),
            ("a", 0, "…"),
        ];
        for (text, most, expected) in cases {
            assert_eq!(clipped(text, most), expected, "{text:?}");
        }
        let long = "x".repeat(10_000);
        assert_eq!(clipped(&long, 300).chars().count(), 301);
    }
}
