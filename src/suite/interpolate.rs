//! `${NAME}` in the values of a suite file.
//!
//! Values are filled in after the YAML is parsed, so what a variable holds can
//! never become structure, and it is not looked at for further variables.

use std::borrow::Cow;

use super::yaml::{Content, Meaning, Node};
use crate::error::{Error, Result};

/// Looks up a variable of the environment.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Looks up a secret (`${secret:NAME}`) or reads a file (`${file:PATH}`); otherwise why it
/// cannot be had.
pub(super) type Secrets<'a> = &'a dyn Fn(Hidden<'_>) -> Result<String, String>;

/// What must not be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hidden<'n> {
    /// A secret, by its name.
    Secret(&'n str),
    /// What a file holds.
    File(&'n str),
}

/// The keys of a suite below which secrets may stand. What stands elsewhere is shown in
/// plans and reports.
const WITH_SECRETS: [&str; 4] = ["processors", "hooks", "channels", "store"];

/// Fills in variables.
pub(super) struct Filler<'a> {
    /// How places name the file.
    pub file: &'a str,
    /// Where variables come from.
    pub environment: Environment<'a>,
    /// Where secrets come from.
    pub secrets: Secrets<'a>,
    /// The secrets that were filled in.
    pub found: Vec<String>,
    /// What cannot be filled in.
    pub errors: Vec<Error>,
}

impl Filler<'_> {
    /// Fills in the variables of all values of a suite; keys stay as they are.
    pub fn suite(&mut self, root: &mut Node) {
        let Content::Map(entries) = &mut root.content else {
            return self.fill(root, false);
        };
        for (key, value) in entries {
            let hides = match &key.content {
                Content::Scalar(scalar) => WITH_SECRETS.contains(&scalar.text.as_str()),
                _ => false,
            };
            self.fill(value, hides);
        }
    }

    fn fill(&mut self, node: &mut Node, hides: bool) {
        let scalar = match &mut node.content {
            Content::List(items) => {
                return items.iter_mut().for_each(|item| self.fill(item, hides));
            }
            Content::Map(entries) => {
                return entries
                    .iter_mut()
                    .for_each(|(_, value)| self.fill(value, hides));
            }
            Content::Scalar(scalar) => scalar,
        };
        let before = self.found.len();
        let mut hidden = |what: Hidden<'_>| {
            if !hides {
                let message = "secrets may only stand under `processors`, `hooks` and `channels`, and in `store`";
                return Err(message.to_owned());
            }
            let secret = (self.secrets)(what)?;
            self.found.push(secret.clone());
            Ok(secret)
        };
        match interpolate(&scalar.text, self.environment, &mut hidden) {
            Ok(Cow::Borrowed(_)) => {}
            Ok(Cow::Owned(text)) => {
                if self.found.len() > before {
                    // A password of digits is a text, and with what stands around it still
                    // a secret.
                    scalar.meaning = Meaning::Quoted;
                    self.found.push(text.clone());
                } else if scalar.is_plain() {
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
                let mut location = node.place.location(self.file);
                if let Some((line, column)) = node.place.start {
                    let before = u32::try_from(problem.offset).unwrap_or(0);
                    (location.line, location.column) = (line, column + before);
                }
                let error = Error::configuration_at(problem.message, Some(location));
                self.errors.push(error.with_help(problem.help));
            }
        }
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
fn interpolate<'t>(
    text: &'t str,
    environment: Environment,
    hidden: &mut dyn FnMut(Hidden<'_>) -> Result<String, String>,
) -> Result<Cow<'t, str>, Problem> {
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
            filled.push_str(&value(&inside[..end], environment, hidden).map_err(problem)?);
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
fn value(
    inside: &str,
    environment: Environment,
    hidden: &mut dyn FnMut(Hidden<'_>) -> Result<String, String>,
) -> Result<String, (String, String)> {
    let end = inside
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(inside.len());
    let (name, operator) = inside.split_at(end);
    let of = operator.strip_prefix(':').unwrap_or_default();
    if matches!(name, "secret" | "file") && !of.is_empty() && !of.starts_with(['-', '?']) {
        let what = match name {
            "secret" => Hidden::Secret(of),
            _ => Hidden::File(of),
        };
        let help =
            "secrets are environment variables, or files in /run/secrets or VERACITY_SECRETS_DIR";
        return hidden(what).map_err(|message| (message, help.to_owned()));
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

    fn hidden(what: Hidden<'_>) -> Result<String, String> {
        match what {
            Hidden::Secret("TOKEN") => Ok("s3cret".to_owned()),
            Hidden::File("/run/x") => Ok("from a file".to_owned()),
            other => Err(format!("there is no {other:?}")),
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
            ("${secret:TOKEN}", "s3cret"),
            ("a:${secret:TOKEN}@${NAME}", "a:s3cret@value"),
            ("${file:/run/x}", "from a file"),
            ("${secret:-not a secret}", "not a secret"),
        ];
        for (text, expected) in cases {
            assert_eq!(
                interpolate(text, &environment, &mut hidden).as_deref(),
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
            ("a${secret:NONE}", "there is no Secret(\"NONE\")", 1),
            ("${file:/none}", "there is no File(\"/none\")", 0),
        ];
        for (text, message, offset) in cases {
            let problem = interpolate(text, &environment, &mut hidden).unwrap_err();
            assert_eq!(
                (problem.message.as_str(), problem.offset),
                (message, offset),
                "{text}"
            );
        }
    }
}
