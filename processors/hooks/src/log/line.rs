//! An event as a line of text.

use std::fmt::Write;

use veracity_processor::{Event, Level, is_deceptive};

use super::level::Asked;
use crate::words::{clipped, plain};

/// The most characters of one value.
const MOST_OF_VALUE: usize = 500;
/// The most bytes of a line, about: what comes after them is left out.
const MOST_OF_LINE: usize = 8_000;

/// Appends `event` to `out`: time, level, event, and facts as `name=value`, with a value in
/// quotes where it is more than a word.
pub(crate) fn text(event: &Event, level: Level, timestamps: bool, out: &mut String) {
    let mut line = Line {
        begin: out.len(),
        full: false,
        out,
    };
    if timestamps {
        let time = humantime::format_rfc3339_millis(event.time.into());
        line.word(format_args!("{time} "));
    }
    // Padding counts for what knows how to be padded.
    line.word(format_args!("{:<5} ", level.to_string()));
    match Asked::of(event) {
        Some(asked) => line.asked(event, &asked),
        None => line.event(event),
    }
    out.push('\n');
}

struct Line<'o> {
    out: &'o mut String,
    begin: usize,
    full: bool,
}

impl Line<'_> {
    fn word(&mut self, word: std::fmt::Arguments<'_>) {
        // Writing to a text does not fail.
        let _ = self.out.write_fmt(word);
    }

    fn event(&mut self, event: &Event) {
        let name = event.name;
        self.word(format_args!(
            "{}.{}",
            name.subject.name(),
            name.moment.name()
        ));
        self.fact("suite", &event.run.suite);
        let names = [
            ("dataset", &event.dataset),
            ("check", &event.check),
            ("assertion", &event.assertion),
            ("processor", &event.processor),
        ];
        for (name, text) in names {
            if let Some(text) = text {
                self.fact(name, text);
            }
        }
        if let Some(outcome) = &event.outcome {
            self.fact("outcome", outcome);
        }
        let last = |name: &str| matches!(name, "duration_ms" | "reason");
        for (name, value) in event.metadata.iter().filter(|(name, _)| !last(name)) {
            if !value.is_null() {
                self.fact(name, &plain(value));
            }
        }
        if let Some(milliseconds) = event.metadata.get("duration_ms") {
            match milliseconds.as_f64() {
                Some(milliseconds) => self.fact("duration", &duration(milliseconds)),
                None => self.fact("duration_ms", &plain(milliseconds)),
            }
        }
        if let Some(reason) = event.metadata.get("reason") {
            self.fact("reason", &plain(reason));
        }
    }

    fn asked(&mut self, event: &Event, asked: &Asked<'_>) {
        self.word(format_args!("log"));
        if let Some(from) = &event.processor {
            self.fact("from", from);
        }
        self.fact("message", asked.message);
        for (name, value) in asked.fields.into_iter().flatten() {
            self.fact(name, &plain(value));
        }
        self.fact("suite", &event.run.suite);
    }

    /// ` name=value`.
    fn fact(&mut self, name: &str, value: &str) {
        if self.out.len() - self.begin > MOST_OF_LINE {
            if !self.full {
                self.out.push_str(" …");
            }
            self.full = true;
            return;
        }
        self.out.push(' ');
        self.quoted(name);
        self.out.push('=');
        self.quoted(value);
    }

    /// `text`, in quotes unless it is a plain word.
    fn quoted(&mut self, text: &str) {
        let is_plain = |c: char| c.is_alphanumeric() || "_-./:+*%@~,;<>()[]{}&!?^".contains(c);
        let is_word = |c: char| is_plain(c) && !is_deceptive(c);
        if !text.is_empty() && text.len() <= MOST_OF_VALUE && text.chars().all(is_word) {
            self.out.push_str(text);
            return;
        }
        let escaped;
        let text = match text.contains(['"', '\\']) {
            // More than is shown need not be escaped.
            true => {
                let shown = text.chars().take(MOST_OF_VALUE + 1).collect::<String>();
                escaped = shown.replace('\\', "\\\\").replace('"', "\\\"");
                &escaped
            }
            false => text,
        };
        self.out.push('"');
        self.out
            .push_str(whole_escapes(&clipped(text, MOST_OF_VALUE)));
        self.out.push('"');
    }
}

/// `text`, which may have been clipped between a backslash and what it escapes.
fn whole_escapes(text: &str) -> &str {
    let Some(rest) = text.strip_suffix('…') else {
        return text;
    };
    let backslashes = rest.len() - rest.trim_end_matches('\\').len();
    match backslashes % 2 {
        0 => text,
        // Without it the quote behind would be escaped.
        _ => &rest[..rest.len() - 1],
    }
}

/// Milliseconds for people: `0.4ms`, `120ms`, `3.2s`.
fn duration(milliseconds: f64) -> String {
    if milliseconds >= 1000.0 {
        return format!("{:.1}s", milliseconds / 1000.0);
    }
    if milliseconds >= 10.0 || milliseconds.fract() == 0.0 {
        return format!("{milliseconds:.0}ms");
    }
    format!("{milliseconds:.1}ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        let cases = [
            (0.0, "0ms"),
            (0.44, "0.4ms"),
            (7.0, "7ms"),
            (120.4, "120ms"),
            (999.4, "999ms"),
            (1000.0, "1.0s"),
            (3_250.0, "3.2s"),
            (7_200_000.0, "7200.0s"),
        ];
        for (milliseconds, expected) in cases {
            assert_eq!(duration(milliseconds), expected);
        }
    }

    #[test]
    fn a_value_cannot_end_its_quotes() {
        let long = "a".repeat(MOST_OF_VALUE - 1);
        let cases = [
            ("orders", "orders"),
            ("", r#""""#),
            ("a b", r#""a b""#),
            ("a=b", r#""a=b""#),
            (r#"a" b="c"#, r#""a\" b=\"c""#),
            (r"a\", r#""a\\""#),
            (r"^\d+$", r#""^\\d+$""#),
            ("a\nb", r#""a\nb""#),
            (&format!("{long}\" x"), &format!("\"{long}\"")),
            (&format!("{long} xyz"), &format!("\"{long} …\"")),
        ];
        for (text, expected) in cases {
            let mut out = String::new();
            let mut line = Line {
                begin: 0,
                full: false,
                out: &mut out,
            };
            line.quoted(text);
            assert_eq!(out, expected, "{text:?}");
        }
    }
}
