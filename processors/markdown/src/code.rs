//! Text from data, shown as it is whatever it means to Markdown.

use veracity_processor::{Fact, printable};

/// The longest run of backticks that is put between longer ones; renderers stop counting
/// somewhere.
const LONGEST_RUN: usize = 8;

/// `text` on one line, of at most `length` characters, with `..` at its end if it is cut.
/// Control characters and marks that reorder text are shown escaped.
pub(crate) fn clip(text: &str, length: usize) -> String {
    // Printing never makes a text shorter, so no more than this can be shown.
    let start: String = text.chars().take(length + 1).collect();
    let shown = printable(&start);
    if shown.chars().count() <= length {
        return shown.into_owned();
    }
    let kept = shown.chars().take(length.saturating_sub(2));
    kept.chain("..".chars()).collect()
}

/// `text`, cut at `length` characters, as a code span that may stand in a table; nothing if
/// it is empty.
///
/// In a code span nothing has a meaning but backticks: no HTML, link, image, mention,
/// emphasis or formula. In a table a pipe has one before code spans are looked for.
pub(crate) fn code(text: &str, length: usize) -> String {
    let mut text = escaped_pipes(&clip(text, length));
    let mut longest = longest_run(&text);
    if longest > LONGEST_RUN {
        (text, longest) = (text.replace('`', r"\u{60}"), 0);
    }
    if text.is_empty() {
        return text;
    }
    let fence = "`".repeat(longest + 1);
    // Next to a fence, backticks would be part of it, and one space would be dropped.
    let edge = |c: char| c == '`' || c == ' ';
    let pad = if text.starts_with(edge) || text.ends_with(edge) {
        " "
    } else {
        ""
    };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// A fact: our own words as they are, what may come from data as code.
pub(crate) fn fact(fact: &Fact, length: usize) -> String {
    match fact.label {
        "" if is_plain(&fact.text) => clip(&fact.text, length),
        "" => code(&fact.text, length),
        label => format!("{label} {}", code(&fact.text, length)),
    }
}

/// Whether `text` is nothing but words and numbers, which mean nothing to Markdown.
fn is_plain(text: &str) -> bool {
    let word = |word: &str| {
        let letters = word.bytes().all(|byte| byte.is_ascii_alphabetic());
        !word.is_empty() && (letters || word.bytes().all(|byte| byte.is_ascii_digit()))
    };
    text.split(' ').all(word)
}

/// `\|` is a pipe that ends no cell. Behind another backslash some renderers read it as an
/// escaped backslash and the end of the cell, so there the pipe is written as printing does.
fn escaped_pipes(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' if escaped.ends_with('\\') => escaped.push_str(r"\u{7c}"),
            '|' => escaped.push_str(r"\|"),
            c => escaped.push(c),
        }
    }
    escaped
}

fn longest_run(text: &str) -> usize {
    let runs = text.split(|c| c != '`').map(str::len);
    runs.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_a_code_span() {
        let cases = [
            ("nothing", "", ""),
            ("a name", "tail numbers", "`tail numbers`"),
            ("HTML", "<img src=x>", "`<img src=x>`"),
            ("a mention", "@everyone", "`@everyone`"),
            ("a backtick", "a `b` c", "``a `b` c``"),
            ("backticks at the edge", "`b`", "`` `b` ``"),
            ("backticks in a row", "a```b", "````a```b````"),
            ("spaces at the edge", " a ", "`  a  `"),
            ("nothing but a space", " ", "`   `"),
            ("a pipe", "a||b", r"`a\|\|b`"),
            ("a pipe behind a backslash", r"a\|b", r"`a\\u{7c}b`"),
            ("a backslash at the end", r"a\", r"`a\`"),
            ("line breaks", "a\n| b", r"`a\n\| b`"),
            ("an escape", "\u{1b}[2J", r"`\u{1b}[2J`"),
            (
                "it is cut",
                &"x".repeat(50),
                &format!("`{}..`", "x".repeat(38)),
            ),
            (
                "too many backticks",
                "`````````",
                &format!("`{}`", r"\u{60}".repeat(9)),
            ),
        ];
        for (label, text, expected) in cases {
            assert_eq!(code(text, 40), expected, "{label}");
        }
    }

    #[test]
    fn only_words_and_numbers_stay_outside_of_code() {
        let said = |label, text: &str| {
            let text = text.to_owned();
            fact(&Fact { label, text }, 40)
        };
        assert_eq!(said("", "153 rows violate it"), "153 rows violate it");
        assert_eq!(said("", "not evaluated"), "not evaluated");
        assert_eq!(said("", "www.example.org"), "`www.example.org`");
        assert_eq!(said("", "@a"), "`@a`");
        assert_eq!(said("", "two  spaces"), "`two  spaces`");
        assert_eq!(said("actual", "2"), "actual `2`");
    }
}
