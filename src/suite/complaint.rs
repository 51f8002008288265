//! What the YAML parser complains about, in words that say what to do.

use serde_saphyr::DefaultMessageFormatter;
use serde_saphyr::budget::BudgetBreach;

use super::yaml::{MAX_DEPTH, TOO_DEEP, location, small};
use crate::error::Error;

/// The parser's error as ours.
pub(super) fn complaint(error: &serde_saphyr::Error, text: &str, file: &str) -> Error {
    let mut innermost = error;
    while let serde_saphyr::Error::AliasError { error, .. }
    | serde_saphyr::Error::WithSnippet { error, .. } = innermost
    {
        innermost = error;
    }
    let place = error.location().filter(|at| at.line() > 0);
    let (mut line, mut column) = place.map_or((1, 1), |at| (small(at.line()), small(at.column())));
    let (message, help) = explained(innermost);
    if let Some(tab) = tab_in_indent(text, line, &message) {
        let error = Error::configuration_at(
            "a tab cannot indent a line in YAML",
            Some(location(file, tab.0, tab.1)),
        );
        return error.with_help("indent with spaces");
    }
    if message == UNCLOSED
        && let Some(quote) = open_quote(text, line)
    {
        (line, column) = quote;
    }
    let error = Error::configuration_at(message, Some(location(file, line, column)));
    match help {
        Some(help) => error.with_help(help),
        None => error,
    }
}

const UNCLOSED: &str = "a quoted text is not closed";

/// Message and advice.
fn explained(error: &serde_saphyr::Error) -> (String, Option<&'static str>) {
    use serde_saphyr::Error as Yaml;

    let said = {
        let text = serde_saphyr::MessageFormatter::format_message(&DefaultMessageFormatter, error);
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        text.trim_end_matches('.').replace('\'', "`")
    };
    match error {
        Yaml::MultipleDocuments { .. }
        | Yaml::Budget {
            breach: BudgetBreach::Documents { .. },
            ..
        } => {
            let help = "put what follows the second `---` into a file of its own";
            return (
                "a suite file holds one YAML document".to_owned(),
                Some(help),
            );
        }
        Yaml::Budget {
            breach: BudgetBreach::Depth { .. },
            ..
        } => return (too_deep(), None),
        Yaml::Budget {
            breach:
                BudgetBreach::Aliases { .. }
                | BudgetBreach::Anchors { .. }
                | BudgetBreach::MergeKeys { .. }
                | BudgetBreach::RecordedAnchorEvents { .. }
                | BudgetBreach::RecordedAnchorBytes { .. },
            ..
        }
        | Yaml::AliasReplayLimitExceeded { .. }
        | Yaml::AliasExpansionLimitExceeded { .. }
        | Yaml::AliasReplayStackDepthExceeded { .. } => {
            let message = "the anchors of the file repeat too much";
            let help =
                "a limit keeps a small file from filling the memory; write out what is repeated";
            return (message.to_owned(), Some(help));
        }
        Yaml::Budget { .. } => return ("the file holds too many values".to_owned(), None),
        Yaml::DuplicateMappingKey { key, .. } => {
            let name = key
                .as_ref()
                .map_or_else(|| "a key".to_owned(), |key| format!("key `{key}`"));
            return (format!("{name} is given twice"), Some("keep one of them"));
        }
        Yaml::NullIntoString { .. } | Yaml::Unexpected { .. } => {
            return ("a key must be text".to_owned(), None);
        }
        Yaml::UnknownAnchor { .. } => {
            let help = "an anchor is defined as `&name` above its use; text that begins with `*` must be in quotes";
            return ("this anchor is not defined".to_owned(), Some(help));
        }
        _ => {}
    }
    let known: [(&str, Option<&str>, &str); 9] = [
        (
            "in multiline quoted scalar",
            Some(UNCLOSED),
            "close it on the same line",
        ),
        (
            "quoted scalar, found unexpected end",
            Some(UNCLOSED),
            "close it on the same line",
        ),
        (
            "unclosed quote",
            Some(UNCLOSED),
            "close it on the same line",
        ),
        (
            "mapping values are not allowed",
            Some("a second `: ` in the same line"),
            "text that holds `: ` must be in quotes",
        ),
        (
            "trailing content after",
            Some("text goes on after its closing quote"),
            "put the whole text in quotes of the other kind: '\"Unit Price\" > 0'",
        ),
        (
            "unclosed bracket",
            None,
            "close it; text that holds brackets must be in quotes",
        ),
        (
            "unexpected character",
            None,
            "text that begins with this character must be in quotes",
        ),
        (
            "unsupported tag",
            None,
            "suite files have no tags; text that begins with `!` must be in quotes",
        ),
        (
            "expected key",
            Some("this line does not fit the lines above"),
            "check its indentation",
        ),
    ];
    if said.contains(TOO_DEEP) {
        return (too_deep(), None);
    }
    for (sign, message, help) in known {
        if said.contains(sign) {
            return (message.map_or(said, str::to_owned), Some(help));
        }
    }
    let in_brackets = said.contains("flow") || said.contains("illegal placement of `:`");
    let help = "close what `[` or `{` opens; between them, text that holds `,`, `:`, or brackets must be in quotes";
    (said, in_brackets.then_some(help))
}

fn too_deep() -> String {
    format!("the file is nested more than {MAX_DEPTH} levels deep")
}

/// Line and column of a tab in the indentation of the line, or of the next one if
/// the message is about a tab.
fn tab_in_indent(text: &str, line: u32, message: &str) -> Option<(u32, u32)> {
    let count = if message.contains("tab") { 2 } else { 1 };
    let lines = text.lines().zip(1_u32..).skip(line as usize - 1);
    lines.take(count).find_map(|(content, number)| {
        let indent = content.chars().take_while(|c| c.is_whitespace());
        let tab = indent.zip(1_u32..).find(|(c, _)| *c == '\t')?;
        Some((number, tab.1))
    })
}

/// Line and column of the quote that is most probably the one left open: the last
/// on the nearest line, at or above `line`, that has an odd number of them.
fn open_quote(text: &str, line: u32) -> Option<(u32, u32)> {
    let lines = text.lines().zip(1..=line);
    let open = lines.filter_map(|(content, number)| {
        ['"', '\''].into_iter().find_map(|quote| {
            let columns = content.chars().zip(1_u32..).filter(|(c, _)| *c == quote);
            let is_odd = columns.clone().count() % 2 == 1;
            let (_, column) = columns.last()?;
            is_odd.then_some((number, column))
        })
    });
    open.last()
}

#[cfg(test)]
mod tests {
    use super::super::yaml::tree;
    use super::*;

    #[test]
    fn bad_yaml_is_a_message_with_a_place() {
        let deep = format!("a: {}{}", "[".repeat(70), "]".repeat(70));
        let bomb = (1..12).fold(
            "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned(),
            |text, level| {
                let uses = vec![format!("*a{}", level - 1); 9].join(", ");
                format!("{text}a{level}: &a{level} [{uses}]\n")
            },
        );
        let nested: String = (0..200)
            .map(|level| {
                let inner = if level == 0 {
                    "x".to_owned()
                } else {
                    format!("*a{}", level - 1)
                };
                format!(
                    "a{level}: &a{level} {}{inner}{}\n",
                    "[".repeat(50),
                    "]".repeat(50)
                )
            })
            .collect();
        let deepest = format!("a: {}{}", "[".repeat(63), "]".repeat(63));
        assert!(tree(&deepest, "t.yaml").is_ok());
        let cases = [
            ("tab", "a:\n\tb: 1\n".to_owned()),
            ("tab after spaces", "a:\n  b: 1\n  \tc: 1\n".to_owned()),
            ("duplicate key", "a: 1\nb: 2\na: 3\n".to_owned()),
            ("unclosed quote", "a: \"x\nb: 1\n".to_owned()),
            ("unclosed quote at the end", "a: 1\nb: 'x\n".to_owned()),
            ("unclosed list at the end", "a: [1, 2\n".to_owned()),
            ("unclosed list", "a: [1, 2\nb: 1\n".to_owned()),
            ("anchor bomb", bomb),
            ("deep nesting", deep),
            ("deep nesting by anchors", nested),
            ("two documents", "a: 1\n---\nb: 1\n".to_owned()),
            ("colon in text", "a: sum(x): 3\n".to_owned()),
            ("bad indentation", "a:\n    b: 1\n  c: 1\n".to_owned()),
            ("unknown anchor", "a: *x\n".to_owned()),
            ("begins with %", "a: %x\n".to_owned()),
            ("tag", "a: !!python/object:os.system x\n".to_owned()),
            ("list as key", "? [a]\n: 1\n".to_owned()),
            ("null as key", "~: 1\n".to_owned()),
        ];
        let mut shown = String::new();
        for (label, text) in cases {
            match tree(&text, "t.yaml") {
                Err(Error::Configuration {
                    message,
                    location,
                    help,
                }) => {
                    let place = location.map_or_else(|| "nowhere".to_owned(), |at| at.to_string());
                    shown.push_str(&format!(
                        "{label}\n  {place}: {message}\n  {}\n",
                        help.unwrap_or_default()
                    ));
                }
                other => panic!("{label}: {other:?}"),
            }
        }
        insta::assert_snapshot!(shown);
    }
}
