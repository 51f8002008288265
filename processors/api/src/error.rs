//! What can go wrong in a plugin.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// Why a processor did not do what it was asked to.
///
/// Messages are lower-case, without a final dot, and say what would help; they reach
/// people in the report. The host strikes secrets out of them all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProcessorError {
    /// It may work later: a refused connection, a busy server, a rate limit.
    Retryable {
        /// What went wrong.
        message: String,
        /// How long the other side wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// Trying again does not help: a refused password, an unknown recipient.
    Permanent {
        /// What went wrong.
        message: String,
    },
}

impl ProcessorError {
    /// It may work later.
    pub fn retryable(message: impl Into<String>) -> Self {
        Self::Retryable {
            message: message.into(),
            retry_after: None,
        }
    }

    /// Trying again does not help.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self::Permanent {
            message: message.into(),
        }
    }

    /// Asks for `wait` before the next attempt; a permanent error stays as it is.
    pub fn after(mut self, wait: Duration) -> Self {
        if let Self::Retryable { retry_after, .. } = &mut self {
            *retry_after = Some(wait);
        }
        self
    }

    /// Puts `context` before the message: `context: message`.
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        let (Self::Retryable { message, .. } | Self::Permanent { message }) = &mut self;
        *message = format!("{context}: {message}");
        self
    }

    /// What went wrong.
    pub fn message(&self) -> &str {
        let (Self::Retryable { message, .. } | Self::Permanent { message }) = self;
        message
    }

    /// Whether another attempt may work.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Retryable { .. })
    }
}

impl fmt::Display for ProcessorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl Error for ProcessorError {}

/// `error` and its causes, as one line: `a: b: c`. A cause that the text before it
/// already tells is left out.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

/// Something wrong with one field of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// The field as a JSON pointer (`/to/0`); empty for the configuration as a whole.
    pub path: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl FieldError {
    /// `message` about the field at the JSON pointer `path`.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for FieldError {
    /// `to[0]: message`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut path = String::new();
        for part in self.path.split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            if part.chars().all(|c| c.is_ascii_digit()) && !part.is_empty() {
                path.push_str(&format!("[{part}]"));
            } else if path.is_empty() {
                path = part;
            } else {
                path.push_str(&format!(".{part}"));
            }
        }
        if path.is_empty() {
            return f.write_str(&self.message);
        }
        write!(f, "{path}: {}", self.message)
    }
}

/// A configuration that cannot be used: everything that is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigError(pub Vec<FieldError>);

impl ConfigError {
    /// One thing that is wrong.
    pub fn field(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self(vec![FieldError::new(path, message)])
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&texts.join("; "))
    }
}

impl Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_error_names_its_field_as_people_write_it() {
        let cases = [
            ("", "bad"),
            ("/to", "to: bad"),
            ("/to/0", "to[0]: bad"),
            ("/headers/x~1y/2/z", "headers.x/y[2].z: bad"),
        ];
        for (path, expected) in cases {
            assert_eq!(FieldError::new(path, "bad").to_string(), expected, "{path}");
        }
    }

    #[test]
    fn only_a_retryable_error_can_be_delayed() {
        let wait = Duration::from_secs(2);
        let busy = ProcessorError::retryable("busy").after(wait).context("mx");
        assert_eq!(busy.to_string(), "mx: busy");
        assert!(
            matches!(busy, ProcessorError::Retryable { retry_after, .. } if retry_after == Some(wait))
        );
        let refused = ProcessorError::permanent("refused").after(wait);
        assert_eq!(refused, ProcessorError::permanent("refused"));
    }
}
