//! `${NAME}` in the values of a suite file.
//!
//! Values are filled in after the YAML is parsed, so what a variable holds can
//! never become structure, and it is not looked at for further variables.

use std::borrow::Cow;

use super::yaml::{Content, Meaning, Node};
use crate::error::{Error, Result};

/// Looks up a variable of the environment.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Fills in the variables of all values below `node`; keys stay as they are.
pub(super) fn fill(node: &mut Node, file: &str, environment: Environment, errors: &mut Vec<Error>) {
    match &mut node.content {
        Content::List(items) => {
            for item in items {
                fill(item, file, environment, errors);
            }
        }
        Content::Map(entries) => {
            for (_, value) in entries {
                fill(value, file, environment, errors);
            }
        }
        Content::Scalar(scalar) => match interpolate(&scalar.text, environment) {
            Ok(Cow::Borrowed(_)) => {}
            Ok(Cow::Owned(text)) => {
                if scalar.is_plain() {
                    // A variable may be a number, but not make a key disappear.
                    scalar.meaning = match Meaning::of(&text) {
                        Meaning::Null => Meaning::Text,
                        meaning => meaning,
                    };
                }
                scalar.text = text;
                node.place.start = None;
            }
            Err(problem) => {
                let mut location = node.place.location(file);
                if let Some((line, column)) = node.place.start {
                    let before = u32::try_from(problem.offset).unwrap_or(0);
                    (location.line, location.column) = (line, column + before);
                }
                let error = Error::configuration_at(problem.message, Some(location));
                errors.push(error.with_help(problem.help));
            }
        },
    }
}

/// What is wrong with an interpolation.
#[derive(Debug, PartialEq)]
struct Problem {
    message: String,
    help: String,
    /// Where its `$` stands, in characters.
    offset: usize,
}

/// `text` with its variables filled in; borrowed if there are none.
fn interpolate<'t>(text: &'t str, environment: Environment) -> Result<Cow<'t, str>, Problem> {
    let mut filled = String::new();
    let mut changed = false;
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        let (before, from) = rest.split_at(dollar);
        filled.push_str(before);
        if let Some(after) = from.strip_prefix("$$") {
            filled.push('$');
            changed = true;
            rest = after;
        } else if let Some(inside) = from.strip_prefix("${") {
            let problem = |(message, help)| Problem {
                message,
                help,
                offset: text[..text.len() - from.len()].chars().count(),
            };
            let end = closing(inside).ok_or_else(|| {
                problem(("`${` is not closed by `}`".to_owned(), ESCAPE.to_owned()))
            })?;
            filled.push_str(&value(&inside[..end], environment).map_err(problem)?);
            changed = true;
            rest = &inside[end + 1..];
        } else {
            filled.push('$');
            rest = &from[1..];
        }
    }
    if !changed {
        return Ok(Cow::Borrowed(text));
    }
    filled.push_str(rest);
    Ok(Cow::Owned(filled))
}

const ESCAPE: &str = "write `$${` where `${` is meant as it stands";

/// The offset of the `}` that closes what is already open.
fn closing(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    for (offset, character) in text.char_indices() {
        match character {
            '{' => open += 1,
            '}' if open == 0 => return Some(offset),
            '}' => open -= 1,
            _ => {}
        }
    }
    None
}

/// What stands for `${inside}`; otherwise a message and advice.
fn value(inside: &str, environment: Environment) -> Result<String, (String, String)> {
    let end = inside
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(inside.len());
    let (name, operator) = inside.split_at(end);
    if matches!(name, "secret" | "file")
        && operator.starts_with(':')
        && !operator.starts_with(":-")
        && !operator.starts_with(":?")
    {
        return Err((
            format!("`${{{name}:..}}` is not available in this version"),
            "pass the value in an environment variable: `${NAME}`".to_owned(),
        ));
    }
    let found = environment(name);
    let given = match operator.strip_prefix(':') {
        // With a colon, an empty variable counts as one that is not set.
        Some(_) => found.clone().filter(|value| !value.is_empty()),
        None => found.clone(),
    };
    let legal_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let missing = if found.is_some() {
        "is empty"
    } else {
        "is not set"
    };
    match operator.strip_prefix(':').unwrap_or(operator) {
        _ if !legal_name => Err(malformed(inside)),
        "" if operator.is_empty() => given.ok_or_else(|| {
            (
                format!("environment variable `{name}` is not set"),
                format!("set it, or give a default: `${{{name}:-default}}`"),
            )
        }),
        otherwise => match (otherwise.strip_prefix('-'), otherwise.strip_prefix('?')) {
            (Some(default), _) => Ok(given.unwrap_or_else(|| default.to_owned())),
            (_, Some("")) => given.ok_or_else(|| {
                (
                    format!("environment variable `{name}` {missing}"),
                    "set it before the run".to_owned(),
                )
            }),
            (_, Some(message)) => given.ok_or_else(|| {
                (
                    format!("environment variable `{name}` {missing}: {message}"),
                    "set it before the run".to_owned(),
                )
            }),
            (None, None) => Err(malformed(inside)),
        },
    }
}

fn malformed(inside: &str) -> (String, String) {
    (
        format!("`${{{inside}}}` names no environment variable"),
        format!(
            "the forms are `${{NAME}}`, `${{NAME:-default}}`, `${{NAME-default}}`, `${{NAME:?message}}` and `${{NAME?message}}`; {ESCAPE}"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        match name {
            "NAME" => Some("value".to_owned()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("${NAME} $$ {a: b}".to_owned()),
            "SECRET_1" => Some("s".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn six_forms_are_filled_in_and_everything_else_stays() {
        let cases = [
            ("plain", "plain"),
            ("${NAME}", "value"),
            ("a ${NAME} b ${SECRET_1}", "a value b s"),
            ("${EMPTY}", ""),
            ("${EMPTY:-default}", "default"),
            ("${EMPTY-default}", ""),
            ("${NONE:-default}", "default"),
            ("${NONE-default}", "default"),
            ("${NONE:-}", ""),
            ("${NAME:-default}", "value"),
            ("${NONE:-a-b?c:d}", "a-b?c:d"),
            ("${NONE:-data/{date}}/x", "data/{date}/x"),
            ("${NAME:?needed}", "value"),
            ("${NAME?needed}", "value"),
            ("${EMPTY?needed}", ""),
            ("$${NAME}", "${NAME}"),
            ("$$", "$"),
            ("$$$${NAME}", "$${NAME}"),
            ("$$${NAME}", "$value"),
            ("matches(a, '^x$')", "matches(a, '^x$')"),
            ("$1 $NAME $", "$1 $NAME $"),
            (
                "value with YAML: ${NESTED}",
                "value with YAML: ${NAME} $$ {a: b}",
            ),
            ("é${NAME}é", "évalueé"),
        ];
        for (text, expected) in cases {
            assert_eq!(
                interpolate(text, &environment).as_deref(),
                Ok(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn what_cannot_be_filled_in_is_a_message_at_its_dollar() {
        let cases = [
            ("${NONE}", "environment variable `NONE` is not set", 0),
            ("é ${NONE}", "environment variable `NONE` is not set", 2),
            (
                "${NONE:?set the host}",
                "environment variable `NONE` is not set: set the host",
                0,
            ),
            (
                "${EMPTY:?set the host}",
                "environment variable `EMPTY` is empty: set the host",
                0,
            ),
            ("${NONE?}", "environment variable `NONE` is not set", 0),
            ("a${NAME", "`${` is not closed by `}`", 1),
            ("${}", "`${}` names no environment variable", 0),
            ("^a${2}", "`${2}` names no environment variable", 2),
            ("${a b}", "`${a b}` names no environment variable", 0),
            (
                "${NAME:+x}",
                "`${NAME:+x}` names no environment variable",
                0,
            ),
            ("${NAME:}", "`${NAME:}` names no environment variable", 0),
            (
                "${secret:TOKEN}",
                "`${secret:..}` is not available in this version",
                0,
            ),
            (
                "${file:/run/x}",
                "`${file:..}` is not available in this version",
                0,
            ),
        ];
        for (text, message, offset) in cases {
            let problem = interpolate(text, &environment).unwrap_err();
            assert_eq!(
                (problem.message.as_str(), problem.offset),
                (message, offset),
                "{text}"
            );
        }
    }
}
