//! YAML text as a tree whose nodes know where they stand.
//!
//! Scalars keep their text: whether `1.10` is a number or a version is decided by
//! what the place wants, not by the look of it.

use std::cell::Cell;
use std::fmt;

use serde::Deserialize;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde_saphyr::{MergeKeyPolicy, Spanned};
use veracity_processor::Location;

use super::complaint::complaint;
pub(super) use super::scalar::{Meaning, Scalar};
use crate::error::{Error, Result};

/// The largest suite file that is read, in bytes.
pub(super) const MAX_TEXT_BYTES: usize = 16 * 1024 * 1024;

/// The deepest nesting that is read.
pub(super) const MAX_DEPTH: usize = 64;

/// The stack of the thread that parses.
const STACK_BYTES: usize = 16 * 1024 * 1024;

/// What the parser says where nesting is too deep.
pub(super) const TOO_DEEP: &str = "recursion limit exceeded";

/// A value of the file.
#[derive(Debug)]
pub(super) struct Node {
    /// Where it is used.
    pub place: Place,
    /// What it is.
    pub content: Content,
}

/// Where a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// Line and column of the first character of a scalar that stands in the file
    /// exactly as its text is: on one line, without escapes.
    pub start: Option<(u32, u32)>,
}

impl Place {
    /// The place as part of `file`.
    pub fn location(&self, file: &str) -> Location {
        location(file, self.line, self.column)
    }
}

/// A line and column of `file`.
pub(super) fn location(file: &str, line: u32, column: u32) -> Location {
    Location {
        file: file.to_owned(),
        line,
        column,
    }
}

/// What a node is.
#[derive(Debug)]
pub(super) enum Content {
    /// Text, a number, a boolean, or nothing.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// Keys, which are scalars, and values, in the order of the file.
    Map(Vec<(Node, Node)>),
}

/// The tree of a text that holds one YAML document.
///
/// # Errors
///
/// [`Error::Configuration`] with the place where the text stops being YAML, or
/// where it goes beyond the limits: 16 MiB, 64 levels, few anchors.
pub(super) fn tree(text: &str, file: &str) -> Result<Node> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(Error::configuration(format!(
            "`{file}` holds {} bytes; a suite file may hold {MAX_TEXT_BYTES}",
            text.len()
        )));
    }
    // A level of nesting takes the parser up to 50 KiB of stack in debug builds, more
    // than the stack of a worker thread has room for.
    let parsed = std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("suite file".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, || parse(text, file))
            .map(|thread| thread.join())
    });
    match parsed {
        Ok(Ok(result)) => result,
        Ok(Err(_panic)) => Err(Error::configuration("the YAML parser failed on this file")),
        Err(error) => Err(Error::configuration(format!(
            "cannot start a thread: {error}"
        ))),
    }
}

fn parse(text: &str, file: &str) -> Result<Node> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_events: 6_000_000,
            max_nodes: 3_000_000,
            max_documents: 1,
            max_anchors: 1_000,
            max_aliases: 10_000,
            max_merge_keys: 1_000,
            max_recorded_anchor_events: 100_000,
            max_recorded_anchor_bytes: MAX_TEXT_BYTES,
            max_inclusion_depth: 0,
            enforce_alias_anchor_ratio: false,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 100_000,
            max_replay_stack_depth: 16,
        },
        merge_keys: MergeKeyPolicy::Merge,
        strict_booleans: true,
        reject_unsupported_tags: true,
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    };
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options) {
        Ok(raw) => Ok(node(raw, text)),
        Err(error) => Err(complaint(&error, text, file)),
    }
}

/// The number, or the largest that fits.
pub(super) fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// What the parser hands over, before its text is looked up in the source.
enum Raw {
    Null,
    /// A number or boolean, whose text is looked up.
    Plain(String),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("text, a list or a mapping")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Plain(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Plain(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Plain(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Plain(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let _level = Level::enter()?;
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let _level = Level::enter()?;
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

thread_local! {
    /// How many lists and mappings this thread is inside of. The parser's own limit
    /// does not see the levels that anchors add, and there is no way to hand a
    /// number through [`Spanned`].
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// One level of nesting, as long as it lives.
struct Level;

impl Level {
    fn enter<E: serde::de::Error>() -> Result<Self, E> {
        let depth = DEPTH.get();
        if depth >= MAX_DEPTH {
            return Err(E::custom(TOO_DEEP));
        }
        DEPTH.set(depth + 1);
        Ok(Self)
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

fn node(raw: Spanned<Raw>, source: &str) -> Node {
    let span = raw.defined.span();
    let mut place = Place {
        line: small(raw.referenced.line()),
        column: small(raw.referenced.column()),
        start: None,
    };
    let defined = (small(raw.defined.line()), small(raw.defined.column()));
    let content = match raw.value {
        Raw::Null => Content::Scalar(Scalar {
            text: String::new(),
            meaning: Meaning::Null,
        }),
        Raw::Plain(ref value) | Raw::Text(ref value) => {
            let written = written(source, span.byte_offset(), span.byte_len()).trim_end();
            // What the parser changed is quoted, escaped, folded, or a block of lines.
            let as_written = matches!(raw.value, Raw::Plain(_)) || value == written;
            let (scalar, start) = scalar(value, written, as_written, defined);
            place.start = start;
            Content::Scalar(scalar)
        }
        Raw::List(items) => {
            Content::List(items.into_iter().map(|item| node(item, source)).collect())
        }
        Raw::Map(entries) => Content::Map(
            entries
                .into_iter()
                .map(|(key, value)| (key_node(key), node(value, source)))
                .collect(),
        ),
    };
    Node { place, content }
}

fn key_node(key: Spanned<String>) -> Node {
    Node {
        place: Place {
            line: small(key.defined.line()),
            column: small(key.defined.column()),
            start: None,
        },
        content: Content::Scalar(Scalar {
            text: key.value,
            meaning: Meaning::Quoted,
        }),
    }
}

fn written(source: &str, offset: Option<u64>, length: Option<u64>) -> &str {
    let range = offset.zip(length).and_then(|(offset, length)| {
        let begin = usize::try_from(offset).ok()?;
        let end = begin.checked_add(usize::try_from(length).ok()?)?;
        source.get(begin..end)
    });
    range.unwrap_or_default()
}

/// The scalar of a value that is `written` so in the file, and where its first
/// character stands if the file holds it as it is.
fn scalar(
    value: &str,
    written: &str,
    as_written: bool,
    (line, column): (u32, u32),
) -> (Scalar, Option<(u32, u32)>) {
    let quoted = ['"', '\'']
        .into_iter()
        .find_map(|quote| written.strip_prefix(quote)?.strip_suffix(quote));
    let (text, meaning, start) = match quoted {
        Some(inside) if inside == value => (value, Meaning::Quoted, Some((line, column + 1))),
        None if as_written && !written.contains('\n') => {
            (written, Meaning::of(written), Some((line, column)))
        }
        _ => (value, Meaning::Quoted, None),
    };
    let text = text.to_owned();
    (Scalar { text, meaning }, start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value<'n>(node: &'n Node, key: &str) -> &'n Node {
        let Content::Map(entries) = &node.content else {
            panic!("not a mapping: {node:?}");
        };
        let found = entries.iter().find(
            |(name, _)| matches!(&name.content, Content::Scalar(scalar) if scalar.text == key),
        );
        &found.unwrap().1
    }

    #[test]
    fn a_scalar_knows_where_its_first_character_stands_if_it_stands_there_as_it_is() {
        let text = "plain: a > 1 # why\nsingle: 'b > 1'\ndouble: \"c > 1\"\nescaped: 'it''s'\n\
                    folded: a\n  and b\nblock: |\n  d > 1\nü: [é, \"ö\"]\n&x anchored: &a e > 1\n\
                    alias: *a\nnumber: 010\nempty:\n";
        let tree = tree(text, "t.yaml").unwrap();
        let cases = [
            ("plain", "a > 1", (1, 8), Some((1, 8))),
            ("single", "b > 1", (2, 9), Some((2, 10))),
            ("double", "c > 1", (3, 9), Some((3, 10))),
            ("escaped", "it's", (4, 10), None),
            ("folded", "a and b", (5, 9), None),
            ("block", "d > 1\n", (8, 3), None),
            ("anchored", "e > 1", (10, 17), Some((10, 17))),
            ("alias", "e > 1", (11, 8), Some((10, 17))),
            ("number", "010", (12, 9), Some((12, 9))),
            ("empty", "", (13, 6), None),
        ];
        for (key, expected, (line, column), start) in cases {
            let node = value(&tree, key);
            let Content::Scalar(scalar) = &node.content else {
                panic!("{key}");
            };
            assert_eq!(scalar.text, expected, "{key}");
            assert_eq!(
                node.place,
                Place {
                    line,
                    column,
                    start
                },
                "{key}"
            );
        }
        let Content::List(items) = &value(&tree, "ü").content else {
            panic!();
        };
        assert_eq!(
            items[0].place,
            Place {
                line: 9,
                column: 5,
                start: Some((9, 5))
            }
        );
        assert_eq!(
            items[1].place,
            Place {
                line: 9,
                column: 8,
                start: Some((9, 9))
            }
        );
    }
}
