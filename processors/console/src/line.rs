//! One printed line, made of coloured pieces.

use std::io::{self, Write};

use unicode_width::UnicodeWidthStr;
use veracity_processor::printable;

/// What a piece of text means; its colour follows from that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Strong,
    Faint,
    Good,
    Bad,
    Trouble,
    Open,
}

impl Tone {
    fn code(self) -> Option<&'static str> {
        match self {
            Tone::Plain => None,
            Tone::Strong => Some("\u{1b}[1m"),
            Tone::Faint => Some("\u{1b}[2m"),
            Tone::Good => Some("\u{1b}[32m"),
            Tone::Bad => Some("\u{1b}[1;31m"),
            Tone::Trouble => Some("\u{1b}[1;35m"),
            Tone::Open => Some("\u{1b}[33m"),
        }
    }
}

/// One line in the making. Whatever is added is made printable, so a line stays one
/// line and carries no codes but ours.
#[derive(Debug, Clone, Default)]
pub(crate) struct Line {
    spans: Vec<(Tone, String)>,
    width: usize,
    /// Spaces owed before the next piece; a line never ends in spaces.
    owed: usize,
}

impl Line {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Columns taken so far, with the spaces owed.
    pub(crate) fn width(&self) -> usize {
        self.width + self.owed
    }

    /// Appends `text`.
    pub(crate) fn add(mut self, tone: Tone, text: &str) -> Self {
        let text = printable(text);
        if text.is_empty() {
            return self;
        }
        if self.owed > 0 {
            self.spans.push((Tone::Plain, " ".repeat(self.owed)));
            self.width += self.owed;
            self.owed = 0;
        }
        self.width += text.width();
        self.spans.push((tone, text.into_owned()));
        self
    }

    /// Leaves `columns` free.
    pub(crate) fn space(mut self, columns: usize) -> Self {
        self.owed += columns;
        self
    }

    /// Leaves everything free up to `column`, but two columns at least.
    pub(crate) fn column(self, column: usize) -> Self {
        let columns = column.saturating_sub(self.width()).max(2);
        self.space(columns)
    }

    /// Writes the line and a line break.
    pub(crate) fn write(&self, out: &mut dyn Write, color: bool) -> io::Result<()> {
        let plain: String = self.spans.iter().map(|(_, text)| text.as_str()).collect();
        // GitHub obeys `::` at the start of a line, however far it is indented.
        let mut guard = plain.trim_start().starts_with("::");
        for (tone, text) in &self.spans {
            let mut text = text.clone();
            if guard && text.contains(':') {
                text = text.replacen(':', "\\u{3a}", 1);
                guard = false;
            }
            match tone.code().filter(|_| color) {
                Some(code) => write!(out, "{code}{text}\u{1b}[0m")?,
                None => write!(out, "{text}")?,
            }
        }
        writeln!(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(line: &Line, color: bool) -> String {
        let mut out = Vec::new();
        line.write(&mut out, color).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_never_starts_with_two_colons() {
        let cases: &[(&str, Line, &str)] = &[
            (
                "at the start",
                Line::new().add(Tone::Plain, "::error::x"),
                "\\u{3a}:error::x\n",
            ),
            (
                "indented",
                Line::new().space(4).add(Tone::Plain, "::x"),
                "    \\u{3a}:x\n",
            ),
            (
                "after wide spaces",
                Line::new().add(Tone::Plain, "\u{3000}::x"),
                "\u{3000}\\u{3a}:x\n",
            ),
            (
                "in two pieces",
                Line::new().add(Tone::Plain, ":").add(Tone::Bad, ":x"),
                "\\u{3a}:x\n",
            ),
            (
                "later it is harmless",
                Line::new().add(Tone::Plain, "a ::x"),
                "a ::x\n",
            ),
        ];
        for (label, line, expected) in cases {
            assert_eq!(written(line, false), *expected, "{label}");
        }
    }

    #[test]
    fn colour_adds_codes_and_nothing_else() {
        let line = Line::new()
            .add(Tone::Bad, "✗ failed")
            .space(2)
            .add(Tone::Plain, "x");
        assert_eq!(written(&line, false), "✗ failed  x\n");
        assert_eq!(written(&line, true), "\u{1b}[1;31m✗ failed\u{1b}[0m  x\n");
        assert_eq!(line.width(), 11);
    }

    #[test]
    fn a_line_does_not_end_in_spaces() {
        assert_eq!(
            written(&Line::new().add(Tone::Plain, "x").space(9), false),
            "x\n"
        );
    }
}
