//! The tree of a suite file as typed data, not stopping at the first mistake.
//!
//! An unknown key is recorded and passed over. A value of the wrong kind is
//! recorded, left out, and the rest is read again without it.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt::{self, Display};

use serde::de::{DeserializeOwned, Expected, Unexpected};
use veracity_processor::Location;

use super::node::At;
use super::yaml::Node;
use crate::error::{Error, did_you_mean, listed};

/// How many mistakes are reported at once.
pub(super) const MAX_ERRORS: usize = 20;

/// What could be read, and what was wrong.
pub(super) struct Reading<T> {
    /// The value, without the parts that were wrong; `None` if nothing is left.
    pub value: Option<T>,
    /// All mistakes.
    pub errors: Vec<Error>,
    /// Whether the value lacks something that the file says.
    pub incomplete: bool,
}

/// Reads `root` as a `T`.
pub(super) fn read<T: DeserializeOwned>(root: &Node, file: &str) -> Reading<T> {
    let notes = Notes {
        file,
        errors: RefCell::default(),
        reported: RefCell::default(),
        left_out: RefCell::default(),
    };
    let value = loop {
        let fault = match T::deserialize(At {
            node: root,
            notes: &notes,
        }) {
            Ok(value) => break Some(value),
            Err(fault) => fault,
        };
        let node = fault.node.unwrap_or_else(|| address(root));
        if !fault.follows {
            notes.errors.borrow_mut().push(fault.into_error());
        }
        let is_new = notes.left_out.borrow_mut().insert(node);
        if node == address(root) || !is_new || notes.errors.borrow().len() >= MAX_ERRORS {
            break None;
        }
    };
    Reading {
        value,
        errors: notes.errors.into_inner(),
        incomplete: !notes.left_out.into_inner().is_empty(),
    }
}

/// What is noted down while reading, over all attempts.
pub(super) struct Notes<'f> {
    /// The file, as it is named.
    pub file: &'f str,
    errors: RefCell<Vec<Error>>,
    /// Keys that are known to be unknown.
    reported: RefCell<HashSet<usize>>,
    /// Values that are passed over, because they cannot be read.
    left_out: RefCell<HashSet<usize>>,
}

impl Notes<'_> {
    /// Notes that `key` is not one of the `known` ones.
    pub fn unknown_key(&self, key: &Node, name: &str, known: &[&str]) {
        if !self.reported.borrow_mut().insert(address(key)) {
            return;
        }
        let near = did_you_mean(name, known.iter().copied());
        let location = key.place.location(self.file);
        let error = Error::configuration_at(format!("unknown key `{name}`{near}"), Some(location));
        let help = if known.is_empty() {
            "there are no keys here".to_owned()
        } else if name.contains(['(', ')', ' ']) {
            "text that holds `: `, or a comma between `{}` or `[]`, must be in quotes".to_owned()
        } else {
            format!("the keys here are {}", listed(known.iter().copied()))
        };
        self.errors.borrow_mut().push(error.with_help(help));
    }

    /// Whether `node` is passed over.
    pub fn leaves_out(&self, node: &Node) -> bool {
        self.left_out.borrow().contains(&address(node))
    }
}

/// The identity of a node; the tree does not move while it is read.
pub(super) fn address(node: &Node) -> usize {
    std::ptr::from_ref(node).addr()
}

/// Why a value cannot be read.
#[derive(Debug)]
pub(super) struct Fault {
    message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Where it is.
    pub location: Option<Location>,
    /// The [`address`] of the value.
    pub node: Option<usize>,
    /// The key that should be there.
    pub missing_key: Option<&'static str>,
    /// Whether it is but the consequence of a mistake that is reported already.
    pub follows: bool,
}

impl Fault {
    /// A fault without a place.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: None,
            location: None,
            node: None,
            missing_key: None,
            follows: false,
        }
    }

    fn into_error(self) -> Error {
        let error = Error::configuration_at(self.message, self.location);
        match self.help {
            Some(help) => error.with_help(help),
            None => error,
        }
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl serde::de::Error for Fault {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("expected {expected}, found {unexpected}"))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("expected {expected}, found {unexpected}"))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let near = did_you_mean(variant, expected.iter().copied());
        let names = listed(expected.iter().copied());
        Self::new(format!("expected one of {names}, found `{variant}`{near}"))
    }

    fn missing_field(field: &'static str) -> Self {
        Self {
            missing_key: Some(field),
            ..Self::new(format!("key `{field}` is missing"))
        }
    }
}
