//! What can go wrong, as plain data.

use std::path::PathBuf;

pub use veracity_host::names::{did_you_mean, listed, nearest};
use veracity_processor::Location;

/// What stops a suite, a dataset or an assertion.
///
/// A failed assertion is not an error: it is a result.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The suite file, the command line or a builder says something impossible.
    #[error("{message}")]
    Configuration {
        /// What is wrong, with what would be right.
        message: String,
        /// Where it is written, if it is written in a file.
        location: Option<Location>,
        /// What to do about it.
        help: Option<String>,
    },

    /// A file could not be read or written.
    #[error("cannot read `{}`: {message}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        message: String,
    },

    /// A dataset could not be opened or read.
    #[error("{message}")]
    Source {
        /// What is wrong, with the path and what would be right.
        message: String,
    },

    /// An assertion cannot be understood against its dataset.
    #[error("{message}")]
    Assertion {
        /// What is wrong, with what exists and the nearest name.
        message: String,
        /// Offset of the offending text within the assertion, in characters.
        offset: Option<usize>,
    },

    /// A query failed while it ran.
    #[error("{message}")]
    Execution {
        /// What failed and what to do about it.
        message: String,
    },

    /// Several errors at once, each with its own place.
    #[error("{} errors", .0.len())]
    Many(Vec<Error>),
}

/// The result of anything that can go wrong here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A configuration error without a place.
    pub fn configuration(message: impl Into<String>) -> Self {
        Self::Configuration {
            message: message.into(),
            location: None,
            help: None,
        }
    }

    /// A configuration error at `location`.
    pub fn configuration_at(message: impl Into<String>, location: Option<Location>) -> Self {
        Self::Configuration {
            message: message.into(),
            location,
            help: None,
        }
    }

    /// Adds advice to a configuration error; other errors stay as they are.
    pub fn with_help(mut self, advice: impl Into<String>) -> Self {
        if let Self::Configuration { help, .. } = &mut self {
            *help = Some(advice.into());
        }
        self
    }

    /// A dataset that could not be opened or read.
    pub fn source(message: impl Into<String>) -> Self {
        Self::Source {
            message: message.into(),
        }
    }

    /// An assertion that cannot be understood.
    pub fn assertion(message: impl Into<String>) -> Self {
        Self::Assertion {
            message: message.into(),
            offset: None,
        }
    }

    /// An assertion that cannot be understood, from `offset` characters on.
    pub fn assertion_at(message: impl Into<String>, offset: usize) -> Self {
        Self::Assertion {
            message: message.into(),
            offset: Some(offset),
        }
    }

    /// A query that failed while it ran.
    pub fn execution(message: impl Into<String>) -> Self {
        Self::Execution {
            message: message.into(),
        }
    }

    /// The errors this one consists of; itself unless it is [`Error::Many`].
    pub fn flatten(self) -> Vec<Error> {
        match self {
            Self::Many(errors) => errors.into_iter().flat_map(Error::flatten).collect(),
            one => vec![one],
        }
    }
}
