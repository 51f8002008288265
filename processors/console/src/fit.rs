//! Text cut to the width of a terminal.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};
use veracity_processor::printable;

/// `text`, printable, in at most `room` columns: what is too long loses its middle,
/// for the beginning and the end of names and paths tell most.
pub(crate) fn fit(text: &str, room: Option<usize>) -> String {
    let text = printable(text);
    let Some(room) = room.filter(|room| text.width() > *room) else {
        return text.into_owned();
    };
    let kept = room.saturating_sub(1);
    let head = taking(text.chars(), kept.div_ceil(2));
    let tail = taking(text.chars().rev(), kept / 2);
    let tail: String = tail.chars().rev().collect();
    // A mark that combines with a letter no longer there would join the ellipsis.
    let tail = tail.trim_start_matches(|c: char| c.width() == Some(0));
    format!("{head}…{tail}")
}

fn taking(chars: impl Iterator<Item = char>, room: usize) -> String {
    let mut used = 0;
    chars
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used <= room
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_loses_its_middle() {
        let cases: &[(&str, &str, Option<usize>, &str)] = &[
            (
                "no width, no cut",
                "completeness(tailnum)",
                None,
                "completeness(tailnum)",
            ),
            ("exactly fitting", "abcdef", Some(6), "abcdef"),
            ("one too long", "abcdefg", Some(6), "abc…fg"),
            ("odd room", "abcdefgh", Some(5), "ab…gh"),
            ("wide letters count twice", "数据质量检查", Some(7), "数…查"),
            (
                "a combining mark goes with its letter",
                "abcde\u{301}f",
                Some(3),
                "a…f",
            ),
            ("room for the ellipsis only", "abc", Some(1), "…"),
            ("no room", "abc", Some(0), "…"),
            ("measured as it is shown", "a\nb", Some(3), "a…b"),
        ];
        for (label, text, room, expected) in cases {
            assert_eq!(fit(text, *room), *expected, "{label}");
        }
    }
}
