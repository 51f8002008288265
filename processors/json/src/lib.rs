//! A [`Report`] as JSON, for other programs.

mod processor;

use std::io::{self, Write};

use serde::Serialize;
use veracity_processor::{Report, is_deceptive};

pub use processor::{JsonProcessor, Settings};

/// Renders reports as JSON, one value and one line break.
///
/// The JSON is pure ASCII where that matters: invisible and reordering characters and
/// the commands of CI systems (`##vso[`) are written as `\u` escapes, so printing the
/// report to a build log is harmless and readers still get the very same texts.
#[derive(Debug, Clone, Default)]
pub struct Json {
    /// Indented, one field a line; else all on one line, as JSON Lines want it.
    pub pretty: bool,
}

impl Json {
    /// Writes `report` to `out`.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn render(&self, report: &Report, out: &mut dyn Write) -> io::Result<()> {
        self.write(report, out)
    }

    /// Writes any other `value` to `out` in the same way.
    ///
    /// # Errors
    ///
    /// Those of `out`, and values that cannot be JSON.
    pub fn write(&self, value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
        let json = if self.pretty {
            serde_json::to_string_pretty(value)?
        } else {
            serde_json::to_string(value)?
        };
        writeln!(out, "{}", harmless(&json))
    }
}

/// The same JSON. What is escaped here occurs in JSON only inside of strings; line
/// breaks occur only outside of them.
fn harmless(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        let command = c == '#' && text.ends_with('#');
        if command || (is_deceptive(c) && c != '\n') {
            for unit in c.encode_utf16(&mut [0; 2]) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            text.push(c);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use veracity_processor::sample_report;

    use super::*;

    fn render(pretty: bool, report: &Report) -> String {
        let mut out = Vec::new();
        Json { pretty }.render(report, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn compact_json_is_one_line() {
        let text = render(false, &sample_report());
        assert_eq!(text.find('\n'), Some(text.len() - 1));
        insta::assert_snapshot!(text);
    }

    #[test]
    fn both_forms_are_read_back_as_the_same_report() {
        for pretty in [false, true] {
            let text = render(pretty, &sample_report());
            assert!(text.ends_with("}\n"));
            assert_eq!(
                serde_json::from_str::<Report>(&text).unwrap(),
                sample_report()
            );
        }
    }

    #[test]
    fn pretty_json_is_what_serde_json_prints() {
        let expected = serde_json::to_string_pretty(&sample_report()).unwrap() + "\n";
        assert_eq!(render(true, &sample_report()), expected);
    }

    #[test]
    fn what_deceives_is_escaped_and_read_back() {
        let cases = [
            (
                "Azure command",
                "##vso[task.complete]",
                r"#\u0023vso[task.complete]",
            ),
            ("three of them", "###vso[x]", r"#\u0023#vso[x]"),
            ("terminal escape", "\u{1b}[31m", r"\u001b[31m"),
            (
                "eight-bit control sequence",
                "\u{9b}31m\u{7f}",
                r"\u009b31m\u007f",
            ),
            ("right-to-left override", "a\u{202e}b", r"a\u202eb"),
            (
                "line breaks",
                "a\r\n::error::\u{2028}b",
                r"a\r\n::error::\u2028b",
            ),
            ("beyond 16 bits", "x\u{e0041}", r"x\udb40\udc41"),
            ("a backslash before it", "\\\u{202e}", r"\\\u202e"),
            ("a backslash and two", "\\##[x", r"\\#\u0023[x"),
            ("other scripts stay", "数据 é", "数据 é"),
        ];
        for (label, text, escaped) in cases {
            for pretty in [false, true] {
                let mut report = sample_report();
                report.warnings = vec![text.to_owned()];
                let json = render(pretty, &report);
                assert!(json.contains(&format!("\"{escaped}\"")), "{label}: {json}");
                assert_eq!(
                    serde_json::from_str::<Report>(&json).unwrap(),
                    report,
                    "{label}"
                );
            }
        }
    }
}
