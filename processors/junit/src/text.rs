//! Text that every XML parser takes.

use veracity_processor::printable;

/// `text` on one line, of at most `length` characters, with `..` at its end if it is cut.
/// Control characters and marks that reorder text are shown escaped; what XML 1.0 forbids
/// and would still be there is left out.
pub(crate) fn clip(text: &str, length: usize) -> String {
    // Printing never makes a text shorter, so no more than this can be shown.
    let start: String = text.chars().take(length + 1).collect();
    let shown: String = printable(&start).chars().filter(|&c| is_xml(c)).collect();
    if shown.chars().count() <= length {
        return shown;
    }
    let kept = shown.chars().take(length.saturating_sub(2));
    kept.chain("..".chars()).collect()
}

/// Whether `c` is a `Char` of XML 1.0.
fn is_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_and_cleaned() {
        let cases = [
            ("it fits", "abcdefgh", "abcdefgh"),
            ("it is cut", "abcdefghi", "abcdef.."),
            ("a control character", "a\u{1}b", r"a\u{1}b"),
            ("no characters of XML", "a\u{fffe}b\u{ffff}", "ab"),
            ("an emoji stays", "\u{1f600}", "\u{1f600}"),
            ("line breaks", "a\r\nb", r"a\r\nb"),
        ];
        for (label, text, expected) in cases {
            assert_eq!(clip(text, 8), expected, "{label}");
        }
        assert_eq!(clip(&"\u{1f600}".repeat(10_000), 8).chars().count(), 8);
    }
}
