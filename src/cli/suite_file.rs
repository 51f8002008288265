//! The suite file that the command line names.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use super::exit::Failure;
use crate::error::Error;
use crate::suite::file::{self, SuiteFile};

/// Reads the suite at `path`, or from stdin for `-`. `variables` outweigh the environment.
pub fn load(path: &Path, variables: &BTreeMap<String, String>) -> Result<SuiteFile, Failure> {
    let environment = |name: &str| {
        let given = variables.get(name).cloned();
        given.or_else(|| std::env::var(name).ok())
    };
    if path == Path::new("-") {
        let mut text = String::new();
        let read = std::io::stdin()
            .lock()
            .take(LONGEST)
            .read_to_string(&mut text);
        read.map_err(|error| Error::File {
            path: path.to_owned(),
            message: error.to_string(),
        })?;
        return file::parse(&text, STDIN, &environment).map_err(|error| Failure {
            source: Some((STDIN.to_owned(), text)),
            ..Failure::from(error)
        });
    }
    file::load(path, &environment).map_err(|error| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned();
        Failure {
            source: Some((path.display().to_string(), text)),
            ..Failure::from(error)
        }
    })
}

/// The failure that `error`, about `file`, is.
pub fn failure(file: &SuiteFile, error: Error) -> Failure {
    Failure {
        source: Some((file.file.clone(), file.text.clone())),
        ..Failure::from(error)
    }
}

/// The suite file as the store remembers it: by its absolute path. Empty for stdin.
pub fn origin(path: &Path) -> String {
    let absolute = std::path::absolute(path)
        .ok()
        .filter(|_| path != Path::new("-"));
    absolute.map_or_else(String::new, |path| path.display().to_string())
}

const STDIN: &str = "<stdin>";

/// More than a suite may have; the reader of suites then says so.
const LONGEST: u64 = 1 << 30;
