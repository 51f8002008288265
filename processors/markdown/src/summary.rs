//! The step summary: a file that others write to as well.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use veracity_processor::{ProcessorError, Report};

use crate::report::{LEAST_BYTES, MAX_BYTES, Options, render};

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Appended {
    /// It stands in the summary now.
    Now,
    /// It stood there already.
    Before,
    /// There was no room for it.
    Full,
}

/// Appends `report` to the summary at `path`, which stays below [`MAX_BYTES`] with what is
/// there already. Under the same `key` it is appended once.
///
/// # Errors
///
/// Permanent: that it cannot be read or written, and why.
pub(crate) fn append(
    path: &Path,
    report: &Report,
    key: &str,
    options: Options,
) -> Result<Appended, ProcessorError> {
    write(path, report, key, options).map_err(|error| {
        let path = path.display();
        ProcessorError::permanent(format!(
            "the step summary `{path}` cannot be written: {error}"
        ))
    })
}

fn write(path: &Path, report: &Report, key: &str, options: Options) -> io::Result<Appended> {
    let mark = mark(key);
    let room = MAX_BYTES - 1 - mark.len() - 4;
    let before = match fs::metadata(path) {
        Ok(there) if !there.is_file() => {
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                "it is no regular file",
            ));
        }
        Ok(there) if there.len() > room as u64 => return Ok(Appended::Full),
        Ok(_) => fs::read(path)?,
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    if before
        .windows(mark.len())
        .any(|part| part == mark.as_bytes())
    {
        return Ok(Appended::Before);
    }
    let room = room.saturating_sub(before.len()).min(options.max_bytes);
    if room < LEAST_BYTES {
        return Ok(Appended::Full);
    }
    let options = Options {
        max_bytes: room,
        ..options
    };
    let gap = match before.as_slice() {
        [] | [.., b'\n', b'\n'] => "",
        [.., b'\n'] => "\n",
        _ => "\n\n",
    };
    let text = format!("{gap}{}\n{mark}\n", render(report, &options));
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(text.as_bytes())?;
    Ok(Appended::Now)
}

/// A comment by which the report is known again when it is delivered again.
fn mark(key: &str) -> String {
    let known = key.chars().filter(|c| c.is_ascii_alphanumeric());
    let known: String = known.take(64).collect();
    format!("<!-- veracity {known} -->")
}
