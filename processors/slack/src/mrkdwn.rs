//! Text from data, in a form that Slack shows and does not obey.

use std::borrow::Cow;

use unicode_segmentation::UnicodeSegmentation;
use veracity_processor::printable;

/// The length of `text` in UTF-16 units. Slack's limits are in characters, and this is
/// never less, whatever it takes for one.
pub(crate) fn length(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// `text` on one line with `&`, `<` and `>` escaped, at most `limit` long as it is sent.
pub(crate) fn escaped(text: &str, limit: usize) -> String {
    let text = printable(text);
    let mut escaped = String::new();
    // The length, and what may stay if something is cut off.
    let (mut used, mut kept) = (0, 0);
    for grapheme in text.graphemes(true) {
        let grapheme = escape(grapheme);
        used += length(&grapheme);
        if used > limit {
            escaped.truncate(kept);
            escaped.push('…');
            break;
        }
        escaped.push_str(&grapheme);
        if used < limit {
            kept = escaped.len();
        }
    }
    escaped
}

fn escape(grapheme: &str) -> Cow<'_, str> {
    match grapheme {
        "&" => "&amp;".into(),
        "<" => "&lt;".into(),
        ">" => "&gt;".into(),
        // With a combining character, for example.
        other if other.contains(['&', '<', '>']) => other
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .into(),
        other => other.into(),
    }
}

/// `text` as code, in which nothing is formatted, mentioned or linked; at most `limit` long.
pub(crate) fn code(text: &str, limit: usize) -> String {
    // Nothing can stand for the character that ends code.
    let text = match text {
        "" => Cow::Borrowed("\"\""),
        text => text.replace('`', "'").into(),
    };
    format!("`{}`", escaped(&text, limit.saturating_sub(2)))
}

/// `text` as it is, or as code if Slack would take something in it for formatting.
pub(crate) fn plain(text: &str, limit: usize) -> String {
    match is_formatted(text) {
        true => code(text, limit),
        false => escaped(text, limit),
    }
}

/// `text` in bold, or as code if that would not be the end of the formatting.
pub(crate) fn bold(text: &str, limit: usize) -> String {
    match is_formatted(text) || text.trim() != text || text.is_empty() {
        true => code(text, limit),
        false => format!("*{}*", escaped(text, limit.saturating_sub(2))),
    }
}

/// Whether `text` holds something that Slack may take for formatting. An underscore within
/// a word is none.
fn is_formatted(text: &str) -> bool {
    let in_word = |at: usize| {
        let before = text[..at].chars().next_back();
        let after = text[at + 1..].chars().next();
        [before, after]
            .iter()
            .all(|c| c.is_some_and(char::is_alphanumeric))
    };
    text.trim_start().starts_with('>')
        || text.char_indices().any(|(at, c)| match c {
            '*' | '~' | '`' => true,
            '_' => !in_word(at),
            _ => false,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_slack_would_obey_is_shown() {
        let cases = [
            ("a name", "orders.id is unique", "*orders.id is unique*"),
            ("underscores in words", "order_id", "*order_id*"),
            ("around them", "_order_id_", "`_order_id_`"),
            ("a star", "count(*) > 0", "`count(*) &gt; 0`"),
            ("bold", "*bold* move", "`*bold* move`"),
            ("code", "`x` = 1", "`'x' = 1`"),
            ("more code", "```x```", "`'''x'''`"),
            ("struck out", "~gone~", "`~gone~`"),
            ("a mention of all", "<!channel>", "*&lt;!channel&gt;*"),
            ("a mention of one", "<@U123>", "*&lt;@U123&gt;*"),
            ("a link", "<http://x|y>", "*&lt;http://x|y&gt;*"),
            ("escaped before", "&lt;!here&gt;", "*&amp;lt;!here&amp;gt;*"),
            ("a quotation", "> said", "`&gt; said`"),
            ("spaces around", " x ", "` x `"),
            ("several lines", "a\nb", r"*a\nb*"),
            (
                "right to left",
                "a\u{202e}b\u{200b}",
                r"*a\u{202e}b\u{200b}*",
            ),
            ("nothing", "", "`\"\"`"),
            ("a combined bracket", "<\u{301}!x>", "*&lt;\u{301}!x&gt;*"),
        ];
        for (label, text, expected) in cases {
            assert_eq!(bold(text, 100), expected, "{label}");
        }
    }

    #[test]
    fn a_text_is_cut_between_graphemes_and_counted_as_it_is_sent() {
        let family = "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}"; // 8 units
        let cases = [
            ("it fits", "abcde".to_owned(), "abcde"),
            ("one too many", "abcdef".to_owned(), "abcd…"),
            ("an escape is whole", "abc<".to_owned(), "abc…"),
            ("an escape fits", "<x".to_owned(), "&lt;x"),
            ("a family is whole", format!("abc{family}"), "abc…"),
            (
                "one grapheme of thousands",
                format!("x{}", "\u{301}".repeat(9_000)),
                "…",
            ),
        ];
        for (label, text, expected) in cases {
            let cut = escaped(&text, 5);
            assert_eq!(cut, expected, "{label}");
            assert!(length(&cut) <= 5, "{label}");
        }
        for limit in 0..40 {
            let text = format!("<&{family}`*_{}", "\u{e9}x".repeat(40));
            for cut in [code(&text, limit + 3), bold(&text, limit + 3)] {
                assert!(length(&cut) <= limit + 3, "{cut}");
                assert!(cut.len() > 1 && cut.ends_with('`'), "{cut}");
            }
        }
    }
}
