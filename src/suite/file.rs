//! The suite file: YAML text to a [`VerificationSuite`].
//!
//! Text becomes a tree with places (`yaml`), variables are filled in
//! (`interpolate`), the tree is read into typed keys
//! (`reading`, `schema`), these are put together
//! (`assembly`) and validated (`validate`). As much as possible of
//! what is wrong is reported at once.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::assembly::Assembly;
use super::interpolate::{Environment, Filler, Hidden};
use super::reading::{self, MAX_ERRORS};
use super::schema::SuiteKeys;
pub use super::schema::schema;
use super::yaml::{self, Content, Meaning, Node};
use super::{VerificationSuite, validate};
use crate::error::{Error, Result};

/// The version of the format that this program reads.
pub const VERSION: u64 = 1;

/// A suite as it was read from a file.
#[derive(Debug, Clone)]
pub struct SuiteFile {
    /// What the file says.
    pub suite: VerificationSuite,
    /// The text of the file, for diagnostics.
    pub text: String,
    /// The file as it was named, which is how locations name it.
    pub file: String,
    /// The folder of the file, which paths in it are relative to. Empty for text
    /// that is in no file.
    pub folder: PathBuf,
}

/// Reads the suite in the file at `path`; `environment` gives its variables.
///
/// # Errors
///
/// [`Error::File`] if the file cannot be read, otherwise those of [`parse`].
pub fn load(path: &Path, environment: Environment) -> Result<SuiteFile> {
    let failed = |message: String| Error::File {
        path: path.to_owned(),
        message,
    };
    if path.is_dir() {
        return Err(failed("it is a folder, not a suite file".to_owned()));
    }
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    let mut bytes = Vec::new();
    file.take(yaml::MAX_TEXT_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| failed(error.to_string()))?;
    let name = path.display().to_string();
    let text = String::from_utf8(bytes).map_err(|error| not_utf8(&error, &name))?;
    let mut suite = parse(&text, &name, environment)?;
    suite.folder = path.parent().map(Path::to_owned).unwrap_or_default();
    Ok(suite)
}

fn not_utf8(error: &std::string::FromUtf8Error, name: &str) -> Error {
    let valid = error.utf8_error().valid_up_to();
    let before = String::from_utf8_lossy(&error.as_bytes()[..valid]);
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    let place = u32::try_from(line).ok().zip(u32::try_from(column).ok());
    let location = place.map(|(line, column)| yaml::location(name, line, column));
    Error::configuration_at("the file is not UTF-8 text", location).with_help("save it as UTF-8")
}

/// Reads the suite that `text` is; `file` names it in locations and messages.
///
/// # Errors
///
/// [`Error::Configuration`] with location and advice for what is wrong; several,
/// but not more than twenty, as [`Error::Many`].
pub fn parse(text: &str, file: &str, environment: Environment) -> Result<SuiteFile> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let is_comment = |line: &str| {
        matches!(line.trim(), "" | "---" | "...") || line.trim_start().starts_with('#')
    };
    if text.lines().all(is_comment) {
        let error = Error::configuration_at("the file is empty", Some(yaml::location(file, 1, 1)));
        return Err(error.with_help("a suite begins with `version: 1`; `veracity init` writes one"));
    }
    let mut root = yaml::tree(text, file)?;
    check_version(&root, file)?;
    let mut filler = Filler {
        file,
        environment,
        secrets: &hidden,
        found: Vec::new(),
        errors: Vec::new(),
    };
    filler.suite(&mut root);
    let Filler {
        found, mut errors, ..
    } = filler;
    let read = reading::read::<SuiteKeys>(&root, file);
    errors.extend(read.errors);
    let mut built = None;
    if let Some(keys) = read.value {
        let mut assembly = Assembly::new(file, text);
        let (mut suite, mut places) = assembly.suite(keys);
        suite.processing.secrets = found.into_iter().map(Into::into).collect();
        // A variable without a value may be the name of a dataset, or anything else.
        places.incomplete = read.incomplete || !errors.is_empty() || !assembly.errors.is_empty();
        errors.append(&mut assembly.errors);
        errors.extend(validate::validate(&suite, &places));
        built = Some(suite);
    }
    errors.sort_by_key(place_of);
    errors.truncate(MAX_ERRORS);
    validate::into_result(errors)?;
    let suite = built.ok_or_else(|| Error::configuration("the file holds no suite"))?;
    Ok(SuiteFile {
        suite,
        text: text.to_owned(),
        file: file.to_owned(),
        folder: PathBuf::new(),
    })
}

/// Secrets by the linked providers, files as they are.
fn hidden(what: Hidden<'_>) -> Result<String, String> {
    match what {
        Hidden::Secret(name) => {
            veracity_host::secrets::resolve(name).map(|secret| secret.expose().to_owned())
        }
        Hidden::File(path) => match veracity_host::secrets::read_file(Path::new(path)) {
            Ok(Some(secret)) => Ok(secret.expose().to_owned()),
            Ok(None) => Err(format!("there is no file `{path}`")),
            Err(error) => Err(error.to_string()),
        },
    }
}

fn place_of(error: &Error) -> (u32, u32) {
    match error {
        Error::Configuration {
            location: Some(at), ..
        } => (at.line, at.column),
        _ => (0, 0),
    }
}

/// Refuses versions this program does not know before it complains about their keys.
fn check_version(root: &Node, file: &str) -> Result<()> {
    let Content::Map(entries) = &root.content else {
        let location = Some(root.place.location(file));
        return Err(
            Error::configuration_at("a suite file is a mapping of keys", location)
                .with_help("it begins with `version: 1` and `suite: NAME`"),
        );
    };
    let version = entries.iter().find_map(|(key, value)| match &key.content {
        Content::Scalar(scalar) if scalar.text == "version" => Some(value),
        _ => None,
    });
    let Some(version) = version else {
        let location = Some(root.place.location(file));
        return Err(
            Error::configuration_at("key `version` is missing", location)
                .with_help(format!("begin the file with `version: {VERSION}`")),
        );
    };
    let message = match &version.content {
        Content::Scalar(scalar) if scalar.meaning == Meaning::Whole(VERSION) => return Ok(()),
        Content::Scalar(scalar)
            if !matches!(
                scalar.meaning,
                Meaning::Null | Meaning::Text | Meaning::Quoted
            ) =>
        {
            format!(
                "the file has version {}; this program reads version {VERSION}",
                scalar.text
            )
        }
        _ => format!("`version` is the number {VERSION}"),
    };
    let location = Some(version.place.location(file));
    Err(Error::configuration_at(message, location).with_help(format!("write `version: {VERSION}`")))
}

#[cfg(test)]
mod tests;
