//! Text from data, made safe to print.

use std::borrow::Cow;

/// True for a character that is not seen but changes what is: control characters
/// (line breaks, terminal escapes), marks that reverse or reorder the text around
/// them, separators that some readers take for a line break, and invisible ones.
///
/// The joiners U+200C and U+200D are not among them: scripts and emoji need them.
pub fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// `text` on one line in which everything is seen, for logs and terminals.
///
/// Deceptive characters are shown escaped (`\n`, `\u{1b}`), and so is the second `#`
/// of a command to a CI system (`##vso[`, `##[group]`, `##teamcity[`), which those
/// obey anywhere in a line. A backslash stays as it is, so this cannot be undone; it
/// is for people. Applied twice it changes nothing more.
///
/// GitHub obeys `::` at the start of a line, which only the writer of the line can
/// guard against.
///
/// ```
/// assert_eq!(veracity_processor::printable("a\r\u{1b}[2Kb"), r"a\r\u{1b}[2Kb");
/// ```
pub fn printable(text: &str) -> Cow<'_, str> {
    let dangerous = |(at, c): (usize, char)| is_deceptive(c) || is_command(text, at, c);
    if !text.char_indices().any(dangerous) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for (at, c) in text.char_indices() {
        if c == '#' && is_command(text, at, c) {
            shown.push_str("\\u{23}");
        } else if is_deceptive(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Whether the character at `at` is the second `#` of `##`, letters, `[`.
fn is_command(text: &str, at: usize, c: char) -> bool {
    c == '#'
        && text[..at].ends_with('#')
        && text[at + 1..]
            .trim_start_matches(|letter: char| letter.is_ascii_alphabetic())
            .starts_with('[')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_deceives_is_shown_escaped() {
        let cases: &[(&str, &str, &str)] = &[
            (
                "plain text stays",
                "tail numbers known",
                "tail numbers known",
            ),
            ("other scripts stay", "números 数字 ערך", "números 数字 ערך"),
            ("joined emoji stay", "👩‍🔬", "👩‍🔬"),
            ("a backslash stays", r"'^\d+$'", r"'^\d+$'"),
            ("line breaks", "a\nb\r\nc\td", r"a\nb\r\nc\td"),
            (
                "terminal escapes",
                "\u{1b}[31mred\u{7}",
                r"\u{1b}[31mred\u{7}",
            ),
            ("eight-bit control sequence", "\u{9b}2J", r"\u{9b}2J"),
            (
                "right-to-left override",
                "a\u{202e}b\u{2069}",
                r"a\u{202e}b\u{2069}",
            ),
            ("line separators", "a\u{2028}b\u{85}c", r"a\u{2028}b\u{85}c"),
            (
                "invisible letters",
                "ad\u{200b}min\u{feff}",
                r"ad\u{200b}min\u{feff}",
            ),
            ("tag characters", "x\u{e0041}", r"x\u{e0041}"),
            (
                "Azure command",
                "##vso[task.complete]",
                r"#\u{23}vso[task.complete]",
            ),
            ("after more of them", "###vso[x]", r"##\u{23}vso[x]"),
            (
                "old GitHub command",
                "a ##[add-mask]x",
                r"a #\u{23}[add-mask]x",
            ),
            ("TeamCity command", "##teamcity[x]", r"#\u{23}teamcity[x]"),
            ("two of them in prose", "## heading [x]", "## heading [x]"),
        ];
        for (label, text, expected) in cases {
            assert_eq!(printable(text), *expected, "{label}");
            assert_eq!(printable(expected), *expected, "{label}, twice");
        }
    }

    #[test]
    fn text_without_danger_is_not_copied() {
        assert!(matches!(
            printable("completeness(email) >= 0.95"),
            Cow::Borrowed(_)
        ));
    }
}
