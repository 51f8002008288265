//! Text from data, in a form in which Teams finds no Markdown.

use unicode_segmentation::UnicodeSegmentation;
use veracity_processor::printable;

/// `text` on one line, at most `limit` bytes of it, with a backslash before what would be
/// Markdown: emphasis, code, links, HTML, entities, and dates that a card computes.
pub(crate) fn escaped(text: &str, limit: usize) -> String {
    let text = printable(text);
    let text = cut(&text, limit);
    let mut escaped = String::with_capacity(text.len() + 8);
    let mut before = None;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let after = rest.as_str().chars().next();
        if is_markup(before, c, after) {
            escaped.push('\\');
        }
        escaped.push(c);
        before = Some(c);
    }
    escaped
}

/// Whether `c` means something between `before` and `after`.
fn is_markup(before: Option<char>, c: char, after: Option<char>) -> bool {
    match c {
        '*' | '`' | '~' | '[' => true,
        // Within a word it is a letter.
        '_' => ![before, after]
            .iter()
            .all(|c| c.is_some_and(char::is_alphanumeric)),
        '\\' => after.is_none_or(|c| c.is_ascii_punctuation()),
        '<' => after.is_some_and(|c| c.is_ascii_alphabetic() || "/!?".contains(c)),
        '&' => after.is_some_and(|c| c.is_ascii_alphanumeric() || c == '#'),
        // `{{DATE(..)}}` is computed before Markdown is read.
        '{' => before == Some('{'),
        _ => false,
    }
}

/// `text`, at most `limit` bytes, cut between graphemes.
fn cut(text: &str, limit: usize) -> std::borrow::Cow<'_, str> {
    if text.len() <= limit {
        return text.into();
    }
    let room = limit.saturating_sub('…'.len_utf8());
    let ends = text.grapheme_indices(true).map(|(at, _)| at);
    let end = ends.take_while(|at| *at <= room).last().unwrap_or(0);
    format!("{}…", &text[..end]).into()
}

/// `line`, which is escaped, so that it does not begin as a heading, a list or a quotation.
pub(crate) fn line(line: &str) -> String {
    let line = line.trim_start();
    let number = line.bytes().take_while(u8::is_ascii_digit).count();
    match line.as_bytes().get(number) {
        Some(b'#' | b'>' | b'-' | b'+' | b'=') if number == 0 => format!("\\{line}"),
        Some(b'.' | b')') if number > 0 => {
            format!("{}\\{}", &line[..number], &line[number..])
        }
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_markdown_is_escaped() {
        let cases = [
            ("a name", "orders.id is unique", "orders.id is unique"),
            ("underscores in words", "order_id = 1", "order_id = 1"),
            ("around them", "_order_id_", r"\_order_id\_"),
            ("bold", "**bold** count(*)", r"\*\*bold\*\* count(\*)"),
            ("struck out", "~~x~~", r"\~\~x\~\~"),
            ("code", "`x`", r"\`x\`"),
            ("a link", "[a](https://evil)", r"\[a](https://evil)"),
            ("an image", "![a](https://evil)", r"!\[a](https://evil)"),
            ("HTML", "\"><img onerror=1>", r#"">\<img onerror=1>"#),
            ("a mention", "<at>all</at>", r"\<at>all\</at>"),
            ("a comparison", "a < 5 & b > 3", "a < 5 & b > 3"),
            ("an entity", "&lt;b&#62;", r"\&lt;b\&#62;"),
            (
                "a date",
                "{{DATE(2026-11-20T06:00:00Z)}}",
                r"{\{DATE(2026-11-20T06:00:00Z)}}",
            ),
            ("escapes of its own", r"\*x\d\", r"\\\*x\d\\"),
            ("several lines", "a\nb", r"a\nb"),
            ("right to left", "a\u{202e}b\u{200b}", r"a\u{202e}b\u{200b}"),
        ];
        for (label, text, expected) in cases {
            assert_eq!(escaped(text, 100), expected, "{label}");
        }
    }

    #[test]
    fn a_line_begins_as_text() {
        let cases = [
            ("# big", r"\# big"),
            ("> said", r"\> said"),
            ("- item", r"\- item"),
            ("---", r"\---"),
            ("1. item", r"1\. item"),
            ("23) item", r"23\) item"),
            ("    code", "code"),
            ("3 of 4", "3 of 4"),
            ("", ""),
        ];
        for (text, expected) in cases {
            assert_eq!(line(text), expected);
        }
    }

    #[test]
    fn a_text_is_cut_between_graphemes() {
        let family = "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}"; // 18 bytes
        let cases = [
            ("it fits", "abcde".to_owned(), "abcde"),
            ("one too many", "abcdef".to_owned(), "ab…"),
            ("a family is whole", format!("a{family}"), "a…"),
            (
                "one grapheme of thousands",
                "x\u{301}".to_owned() + &"\u{301}".repeat(900),
                "…",
            ),
        ];
        for (label, text, expected) in cases {
            assert_eq!(escaped(&text, 5), expected, "{label}");
        }
    }
}
