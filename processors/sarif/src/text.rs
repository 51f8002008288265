//! Texts of bounded length, safe to show.

use veracity_processor::printable;

/// `text` on one line, of at most `length` characters, with `..` at its end if it is cut.
/// Control characters and marks that reorder text are shown escaped, and no part of it is a
/// link, which SARIF writes as `[text](target)`.
pub(crate) fn clip(text: &str, length: usize) -> String {
    // Neither step makes a text shorter, so no more than this can be shown.
    let start: String = text.chars().take(length + 1).collect();
    let shown = printable(&start).replace("](", "] (");
    if shown.chars().count() <= length {
        return shown;
    }
    let kept = shown.chars().take(length.saturating_sub(2));
    kept.chain("..".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_and_is_no_link() {
        let cases = [
            ("it fits", "abcdefgh", "abcdefgh"),
            ("it is cut", "abcdefghi", "abcdef.."),
            ("a link", "[a](b)", "[a] (b)"),
            ("line breaks", "a\r\nb", r"a\r\nb"),
        ];
        for (label, text, expected) in cases {
            assert_eq!(clip(text, 8), expected, "{label}");
        }
    }
}
