//! Errors of reading, in one clear sentence.

use std::error::Error as _;
use std::sync::LazyLock;

use datafusion::arrow::error::ArrowError;
use datafusion::common::DataFusionError;
use regex::Regex;

/// What is wrong with a file, told in full where it was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct ReadError(pub String);

impl From<ReadError> for DataFusionError {
    fn from(error: ReadError) -> Self {
        DataFusionError::External(Box::new(error))
    }
}

impl From<ReadError> for crate::error::Error {
    fn from(error: ReadError) -> Self {
        crate::error::Error::source(error.0)
    }
}

/// `error`, which a query on `dataset` ended with, in one sentence.
///
/// It names the file and line where they are known and leaves out DataFusion's own phrases.
pub fn explain(error: &DataFusionError, dataset: &str) -> String {
    let root = error.find_root();
    if let Some(known) = read_error(root) {
        return format!("cannot read dataset `{dataset}`: {known}");
    }
    match root {
        DataFusionError::ResourcesExhausted(text) => exhausted(text, dataset),
        DataFusionError::ParquetError(cause) => {
            format!(
                "cannot read dataset `{dataset}`: its Parquet data is corrupt ({})",
                cleaned(&cause.to_string())
            )
        }
        DataFusionError::ObjectStore(cause) => match cause.as_ref() {
            object_store::Error::NotFound { path, .. } => {
                format!("cannot read dataset `{dataset}`: the file `{path}` has disappeared")
            }
            other => format!(
                "cannot read dataset `{dataset}`: {}",
                cleaned(&innermost(other))
            ),
        },
        DataFusionError::IoError(cause) => format!("cannot read dataset `{dataset}`: {cause}"),
        DataFusionError::ArrowError(cause, _) => match cause.as_ref() {
            ArrowError::IoError(text, _)
            | ArrowError::IpcError(text)
            | ArrowError::CsvError(text)
            | ArrowError::JsonError(text)
            | ArrowError::ParquetError(text) => {
                format!("cannot read dataset `{dataset}`: {}", cleaned(text))
            }
            ArrowError::DivideByZero => {
                format!("division by zero in a query on dataset `{dataset}`")
            }
            other => format!(
                "a query on dataset `{dataset}` failed: {}",
                cleaned(&other.to_string())
            ),
        },
        DataFusionError::ExecutionJoin(_) => {
            format!("a query on dataset `{dataset}` was stopped or ran into a bug")
        }
        other => format!(
            "a query on dataset `{dataset}` failed: {}",
            cleaned(&other.to_string())
        ),
    }
}

/// What is wrong with a query, from the error of parsing or planning it.
pub(super) fn of_query(error: &DataFusionError) -> String {
    match error.find_root() {
        DataFusionError::SQL(parser, _) => {
            let text = parser.to_string();
            cleaned(text.strip_prefix("sql parser error: ").unwrap_or(&text))
        }
        root => cleaned(&root.to_string()),
    }
}

/// `text` without the phrases that DataFusion, Arrow and Parquet wrap around what they say.
pub(super) fn cleaned(text: &str) -> String {
    static NOISE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"^(?:(?:Arrow error|Parquet error|External error|External|Execution error|Internal error|Error during planning|Schema error|SQL error|Object Store error|Optimizer rule '[^']*' failed|caused by|Invalid argument error|Parser error|Compute error|Cast error|Csv error|Json error|Ipc error|IO error|Io error|EOF|General Parquet error|Parquet argument error|type_coercion|This feature is not implemented|Invalid or Unsupported Configuration)(?::\s*|\n))+",
        )
        .expect("the pattern is written here and valid")
    });
    let text = text.split("\n\nbacktrace: ").next().unwrap_or(text);
    let text = text
        .split(".\nThis issue was likely caused by a bug")
        .next()
        .unwrap_or(text);
    let text = NOISE.replace(text.trim(), "");
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    shortened(line.trim_end_matches('.'), 400)
}

/// `text`, cut after `limit` characters.
pub(super) fn shortened(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text.to_owned(),
    }
}

fn read_error(error: &DataFusionError) -> Option<&ReadError> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = match error {
        DataFusionError::External(inner) => Some(inner.as_ref()),
        other => other.source(),
    };
    while let Some(error) = cause {
        if let Some(known) = error.downcast_ref::<ReadError>() {
            return Some(known);
        }
        cause = error.source();
    }
    None
}

/// What the last error in the chain of `error` says.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

fn exhausted(text: &str, dataset: &str) -> String {
    static CONSUMER: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"allocate additional ([\d.]+ \w+) for (\w+)")
            .expect("the pattern is written here and valid")
    });
    if text.contains("disk") || text.contains("spill") && !text.contains("allocate") {
        return format!(
            "a query on dataset `{dataset}` ran out of room for temporary files: {}",
            cleaned(text)
        );
    }
    let detail = CONSUMER.captures(text).map_or_else(String::new, |found| {
        format!(": {} needed {} more", &found[2], &found[1])
    });
    format!(
        "a query on dataset `{dataset}` ran out of memory{detail}; give it more with `--memory-limit`"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::parquet::errors::ParquetError;
    use std::sync::Arc;

    #[test]
    fn errors_become_one_sentence() {
        let read = || {
            DataFusionError::from(ReadError(
                "`a.csv` line 3 has 2 fields, the header has 3".to_owned(),
            ))
        };
        let cases = [
            (
                read(),
                "cannot read dataset `d`: `a.csv` line 3 has 2 fields, the header has 3",
            ),
            (
                DataFusionError::Shared(Arc::new(read())).context("while reading"),
                "cannot read dataset `d`: `a.csv` line 3 has 2 fields, the header has 3",
            ),
            (
                DataFusionError::ParquetError(Box::new(ParquetError::General("Page CRC checksum mismatch".to_owned()))),
                "cannot read dataset `d`: its Parquet data is corrupt (Page CRC checksum mismatch)",
            ),
            (
                DataFusionError::ResourcesExhausted(
                    "Additional allocation failed for GroupedHashAggregateStream[0] with top memory consumers:\n  x\n\
                     Error: Failed to allocate additional 10.0 MB for GroupedHashAggregateStream[0] with 0 B"
                        .to_owned(),
                ),
                "a query on dataset `d` ran out of memory: GroupedHashAggregateStream needed 10.0 MB more; \
                 give it more with `--memory-limit`",
            ),
            (
                DataFusionError::ArrowError(Box::new(ArrowError::DivideByZero), None),
                "division by zero in a query on dataset `d`",
            ),
            (
                DataFusionError::ArrowError(
                    Box::new(ArrowError::CastError("Cannot cast string 'x' to value of Int64 type".to_owned())),
                    None,
                ),
                "a query on dataset `d` failed: Cannot cast string 'x' to value of Int64 type",
            ),
            (
                DataFusionError::Internal("odd".to_owned()),
                "a query on dataset `d` failed: odd",
            ),
        ];
        for (error, expected) in cases {
            assert_eq!(explain(&error, "d"), expected);
        }
    }
}
