//! Errors of a suite file as text with the line in question and a caret.

use std::fmt::Write;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource, Report,
};
use veracity_processor::Location;

use super::masked::masked;
use crate::error::Error;

/// How wide the text may become, in columns.
const WIDTH: usize = 100;

/// Each of `errors` as message, line of `text`, caret and advice.
///
/// `text` is that of `file`; errors of other places are shown without a line. Literal
/// secrets among the settings of processors and store are masked in the lines shown. With
/// `color` the text holds terminal colors and Unicode lines, otherwise plain ASCII.
pub fn render(errors: &Error, file: &str, text: &str, color: bool) -> String {
    let theme = if color {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::none()
    };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(WIDTH)
        .with_context_lines(1)
        .without_syntax_highlighting();
    let shown = masked(&printable(text));
    let mut rendered = String::new();
    for error in errors.clone().flatten() {
        if !rendered.is_empty() {
            rendered.push('\n');
        }
        let report = report(&error, file, &shown);
        if handler
            .render_report(&mut rendered, report.as_ref())
            .is_err()
        {
            // Writing to a string does not fail; should it, the message is what counts.
            let _ = writeln!(rendered, "{error}");
        }
    }
    rendered
}

fn report(error: &Error, file: &str, text: &str) -> Report {
    let (location, help) = match error {
        Error::Configuration { location, help, .. } => (location.as_ref(), help.clone()),
        _ => (None, None),
    };
    let message = printable(&error.to_string());
    let here = location.filter(|at| at.file == file);
    let message = match location {
        Some(elsewhere) if here.is_none() => format!("{elsewhere}: {message}"),
        _ => message,
    };
    let mut diagnostic = MietteDiagnostic::new(message);
    if let Some(help) = help {
        diagnostic = diagnostic.with_help(printable(&help));
    }
    let Some((offset, length)) = here.and_then(|at| span(text, at)) else {
        return diagnostic.into();
    };
    let diagnostic = diagnostic.with_label(LabeledSpan::new(None, offset, length));
    Report::from(diagnostic).with_source_code(NamedSource::new(file, text.to_owned()))
}

/// The text without characters that could command a terminal; of the same length.
fn printable(text: &str) -> String {
    let is_harmless =
        |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t') || c.len_utf8() > 1;
    text.chars()
        .map(|c| if is_harmless(c) { c } else { '?' })
        .collect()
}

/// Where the word at `location` begins and how long it is, in bytes.
fn span(text: &str, location: &Location) -> Option<(usize, usize)> {
    let line_index = usize::try_from(location.line).ok()?.checked_sub(1)?;
    let column_index = usize::try_from(location.column).ok()?.checked_sub(1)?;
    let mut offset = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if index == line_index {
            let content = line.trim_end_matches(['\n', '\r']);
            let inside = content.char_indices().nth(column_index);
            let begin = inside.map_or(content.len(), |(begin, _)| begin);
            let (before, rest) = content.split_at(begin);
            return Some((offset + begin, extent(before, rest)));
        }
        offset += line.len();
    }
    // A place behind the last line is shown at its end.
    Some((text.trim_end().len(), 0))
}

/// The length of what `text`, the rest of a line, begins with: a quoted text,
/// `${..}`, a key, or a value. The line's part `before` tells whether commas end it.
fn extent(before: &str, text: &str) -> usize {
    let mut characters = text.char_indices();
    let Some((_, first)) = characters.next() else {
        return 0;
    };
    if first.is_whitespace() {
        return first.len_utf8();
    }
    let closing = match first {
        '"' | '\'' => Some(first),
        '$' => Some('}'),
        _ => None,
    };
    if let Some(closing) = closing {
        let end = characters.find(|(_, c)| *c == closing);
        return end.map_or(first.len_utf8(), |(at, c)| at + c.len_utf8());
    }
    let mut ends = vec![text.len()];
    ends.extend(text.find(" #"));
    ends.extend(text.find(": "));
    if before.contains(['{', '[']) {
        ends.extend(text.find([',', ']', '}']));
    }
    let end = ends.into_iter().min().unwrap_or_default();
    let value = text[..end].trim_end();
    let value = value.strip_suffix(':').unwrap_or(value);
    value.len().max(first.len_utf8())
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn rendered(text: &str) -> String {
        let errors = file::parse(text, "orders.yaml", &|_| None).unwrap_err();
        render(&errors, "orders.yaml", text, false)
    }

    const GOOD: &str = "version: 1
suite: orders
datasets:
  orders: data/orders.parquet
  customers: {path: data/customers.csv, options: {delimiter: ';'}}
fail_on: P1
checks:
  - check: Orders are complete
    dataset: orders
    severity: P0
    assertions:
      - row_count() > 0
      - expect: completeness(email) >= 0.95
        name: emails known
      - rows: ordered_at <= shipped_at
        mostly: 0.999
";

    #[test]
    fn typical_mistakes_are_shown_with_line_caret_and_advice() {
        let cases = [
            ("misspelled key", "fail_on:", "failon:"),
            ("misspelled nested key", "delimiter", "delimeter"),
            ("misspelled dataset", "dataset: orders", "dataset: ordres"),
            ("no dataset", "    dataset: orders\n", ""),
            ("unknown severity", "severity: P0", "severity: high"),
            ("percent", "0.999", "99.9%"),
            ("twice", "name: emails known", "name: row_count() > 0"),
            (
                "variable",
                "data/orders.parquet",
                "\"${ORDERS}/orders.parquet\"",
            ),
            ("tab", "    severity", "\tseverity"),
            ("unclosed quote", "suite: orders", "suite: \"orders"),
            ("colon", "suite: orders", "suite: orders: daily"),
            ("other version", "version: 1", "version: 3"),
            (
                "quoted column first",
                "- row_count() > 0",
                "- \"Row Count\" > 0",
            ),
            (
                "several",
                "severity: P0\n    assertions:\n      - row_count() > 0",
                "sevrity: P0\n    assertions:\n      - [1]",
            ),
        ];
        let mut shown = String::new();
        for (label, from, to) in cases {
            let text = GOOD.replacen(from, to, 1);
            assert_ne!(text, GOOD, "{label}");
            shown.push_str(&format!("=== {label}\n{}\n", rendered(&text)));
        }
        insta::assert_snapshot!(shown);
    }

    #[test]
    fn no_damage_to_a_suite_file_makes_it_panic() {
        let read = |text: &str| {
            if let Err(errors) = file::parse(text, "orders.yaml", &|_| None) {
                assert!(!render(&errors, "orders.yaml", text, false).is_empty());
            }
        };
        for index in 0..GOOD.len() {
            read(&GOOD[..index]);
        }
        for index in (0..GOOD.len()).step_by(7) {
            for damage in [
                "", "\t", "\"", "'", "\n", "é", "[", "}", "${", "*a", "&a ", "\u{feff}", "\0",
            ] {
                read(&format!("{}{damage}{}", &GOOD[..index], &GOOD[index + 1..]));
            }
        }
    }

    #[test]
    fn color_is_only_used_when_asked_for() {
        let errors = file::parse("version: 2", "x.yaml", &|_| None).unwrap_err();
        assert!(!render(&errors, "x.yaml", "version: 2", false).contains('\x1b'));
        assert!(render(&errors, "x.yaml", "version: 2", true).contains('\x1b'));
    }

    #[test]
    fn a_file_cannot_command_the_terminal() {
        let text = "version: 1\n\"\\e[31msuite\": s\n";
        assert!(!rendered(text).contains('\x1b'));
        let raw = "version: 1\nsuite: s\x1b[31m\n";
        assert!(!rendered(raw).contains('\x1b'));
    }

    #[test]
    fn passwords_in_a_suite_are_not_shown() {
        let cases = [
            (
                "in the line",
                "processors:\n  email: {smtp: 'smtps://dq:HUNTER2é@mail', on: failure, on: always}\n",
            ),
            (
                "in the line before",
                "processors:\n  hook:\n    headers: {Authorization: Bearer HUNTER2}\nstoree: x\n",
            ),
            (
                "in the line after",
                "storee: x\nstore: postgres://dq:HUNTER2@localhost\n",
            ),
            ("at the caret", "store: [\"postgres://dq:HUNTER2é@h\"]\n"),
            (
                "no YAML",
                "processors:\n  hook: {secret: \"HUNTER2, url: x}\n",
            ),
        ];
        let mut shown = String::new();
        for (label, processing) in cases {
            let rendered = rendered(&format!("{GOOD}{processing}"));
            assert!(!rendered.contains("HUNTER2"), "{label}: {rendered}");
            shown.push_str(&format!("=== {label}\n{rendered}\n"));
        }
        insta::assert_snapshot!(shown);
    }

    #[test]
    fn errors_of_other_places_are_shown_without_a_line() {
        let here = |file: &str, line| Location {
            file: file.to_owned(),
            line,
            column: 9,
        };
        let errors = Error::Many(vec![
            Error::source("the file `x.csv` is empty"),
            Error::configuration_at("behind the end", Some(here("x.yaml", 99))),
            Error::configuration_at("elsewhere", Some(here("y.yaml", 1))),
        ]);
        insta::assert_snapshot!(render(&errors, "x.yaml", "é: 1\n", false));
    }

    #[test]
    fn the_caret_covers_what_stands_at_the_place() {
        let cases = [
            ("", "\"a b\": c", "\"a b\""),
            ("", "'open", "'"),
            ("", "key: x", "key"),
            ("", "key:", "key"),
            ("key: ", "Orders are complete # why", "Orders are complete"),
            ("{a: ", "x y, b: z}", "x y"),
            ("- [", "a]", "a"),
            ("x: ", "${X:-y} z", "${X:-y}"),
            ("", "", ""),
            ("é: ", "é é", "é é"),
            ("", ":", ":"),
            ("", "\tx", "\t"),
            ("[", "]", "]"),
        ];
        for (before, text, expected) in cases {
            assert_eq!(&text[..extent(before, text)], expected, "{text}");
        }
    }
}
