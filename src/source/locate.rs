//! From a path as it is written to the files it means.

use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::path::{Component, Path, PathBuf};

use super::{FileIdentity, OpenContext, template};
use crate::error::{Error, Result, did_you_mean};

/// A file of a dataset.
#[derive(Debug, Clone)]
pub(super) struct Located {
    /// Where it is, how big and how old.
    pub identity: FileIdentity,
    /// Its path as messages name it: relative to the suite where it can be.
    pub shown: String,
    /// The `key=value` folders above it, outermost first, values decoded.
    pub partitions: Vec<(String, String)>,
}

/// What a path means.
pub(super) struct Files {
    /// The files, sorted by path; at least one.
    pub files: Vec<Located>,
    /// Whether they were found by a glob or in a folder, and so may be of several kinds.
    pub found: bool,
    /// The path as messages name it.
    pub shown: String,
}

/// The files that `path` means: one file, those of a folder, or those of a glob.
///
/// Files and folders whose names begin with `_` or `.` are left out of folders and globs.
pub(super) fn locate(path: &str, context: &OpenContext) -> Result<Files> {
    let filled = template::fill(path, context)?;
    let written = without_scheme(&filled)?;
    if written.as_os_str().is_empty() {
        return Err(Error::source("the path is empty"));
    }
    let full = context.base.join(&written);
    let shown = shown(&full, &context.base);
    let written_root = if written.is_absolute() {
        PathBuf::from("/")
    } else {
        context.base.clone()
    };
    let mut search = Search {
        base: &context.base,
        root: &written_root,
        files: Vec::new(),
        visited: HashSet::new(),
    };
    // A file whose name has a `*` in it is meant before the glob is.
    let (found, kind) = match fs::metadata(&full) {
        Ok(metadata) if metadata.is_dir() => {
            search.folder(&full)?;
            (true, "folder")
        }
        Ok(metadata) => {
            search.file(full.clone(), &metadata)?;
            (false, "file")
        }
        Err(_) if is_glob(&written) => {
            search.glob(&full, &shown)?;
            (true, "glob")
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(missing(&full, &context.base));
        }
        Err(error) => return Err(cannot_read(&shown, &error)),
    };
    let mut files = search.files;
    for file in &mut files {
        resolve_parents(&mut file.identity.path);
    }
    if files.is_empty() {
        return Err(Error::source(match kind {
            "glob" => format!("no file matches `{shown}`"),
            _ => format!(
                "folder `{shown}` has no files (names that begin with `_` or `.` do not count)"
            ),
        }));
    }
    files.sort_by(|a, b| a.identity.path.cmp(&b.identity.path));
    files.dedup_by(|a, b| a.identity.path == b.identity.path);
    Ok(Files {
        files,
        found,
        shown,
    })
}

/// Rewrites a path with `..` in it, which scans do not understand. Only the system knows
/// where `..` leads, for folders may be links.
fn resolve_parents(path: &mut PathBuf) {
    if path.components().any(|part| part == Component::ParentDir)
        && let Ok(real) = fs::canonicalize(&path)
    {
        *path = real;
    }
}

/// `path` as messages name it: relative to `base` if it lies in it.
pub(super) fn shown(path: &Path, base: &Path) -> String {
    path.strip_prefix(base)
        .unwrap_or(path)
        .display()
        .to_string()
}

pub(super) fn cannot_read(shown: &str, error: &std::io::Error) -> Error {
    Error::source(format!("cannot read `{shown}`: {}", plain(error)))
}

/// The text of `error` without its number.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(at) => text[..at].to_lowercase(),
        None => text,
    }
}

fn without_scheme(path: &str) -> Result<PathBuf> {
    let Some((scheme, _)) = path.split_once("://") else {
        return Ok(PathBuf::from(path));
    };
    if !scheme.eq_ignore_ascii_case("file") {
        return Err(Error::source(format!(
            "`{path}` is not a local file: only paths and `file://` are read, not `{scheme}://`"
        )));
    }
    url::Url::parse(path)
        .ok()
        .and_then(|url| url.to_file_path().ok())
        .ok_or_else(|| Error::source(format!("`{path}` is not a `file:///path`")))
}

fn is_glob(path: &Path) -> bool {
    path.to_str()
        .is_some_and(|text| text.contains(['*', '?', '[']))
}

fn missing(full: &Path, base: &Path) -> Error {
    let path = shown(full, base);
    let Some(parent) = full.parent() else {
        return Error::source(format!("file `{path}` does not exist"));
    };
    let Ok(entries) = fs::read_dir(parent) else {
        let mut folder = parent;
        while let Some(above) = folder.parent().filter(|above| !above.exists()) {
            folder = above;
        }
        return Error::source(format!(
            "file `{path}` does not exist: there is no folder `{}`",
            shown(folder, base)
        ));
    };
    let names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    let name = full
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let hint = did_you_mean(name, names.iter().map(String::as_str));
    Error::source(format!("file `{path}` does not exist{hint}"))
}

/// Whether folders and globs pass over a name.
fn is_hidden(name: &str) -> bool {
    name.starts_with(['_', '.'])
}

struct Search<'a> {
    base: &'a Path,
    /// Where the path as written begins: `key=value` folders above it mean nothing.
    root: &'a Path,
    files: Vec<Located>,
    /// Folders already read, so that a circle of links ends.
    visited: HashSet<PathBuf>,
}

impl Search<'_> {
    fn file(&mut self, path: PathBuf, metadata: &Metadata) -> Result<()> {
        let shown = shown(&path, self.base);
        if !metadata.is_file() {
            return Err(Error::source(format!(
                "`{shown}` is a pipe, socket or device; only regular files can be read"
            )));
        }
        if path.to_str().is_none() {
            return Err(Error::source(format!(
                "the name of `{shown}` is not UTF-8; rename it"
            )));
        }
        let partitions = partitions(&path, self.root);
        self.files.push(Located {
            identity: FileIdentity {
                size: metadata.len(),
                modified: metadata.modified().ok(),
                path,
            },
            shown,
            partitions,
        });
        Ok(())
    }

    fn folder(&mut self, folder: &Path) -> Result<()> {
        let real = fs::canonicalize(folder).map_err(|error| self.unreadable(folder, &error))?;
        if !self.visited.insert(real) {
            return Ok(());
        }
        let entries = fs::read_dir(folder).map_err(|error| self.unreadable(folder, &error))?;
        for entry in entries {
            let entry = entry.map_err(|error| self.unreadable(folder, &error))?;
            if is_hidden(&entry.file_name().to_string_lossy()) {
                continue;
            }
            self.entry(entry.path())?;
        }
        Ok(())
    }

    fn entry(&mut self, path: PathBuf) -> Result<()> {
        let metadata = fs::metadata(&path).map_err(|error| self.unreadable(&path, &error))?;
        if metadata.is_dir() {
            self.folder(&path)
        } else {
            self.file(path, &metadata)
        }
    }

    fn glob(&mut self, full: &Path, written: &str) -> Result<()> {
        let refused = |problem: &dyn std::fmt::Display| {
            Error::source(format!("glob `{written}` cannot be understood: {problem}"))
        };
        let inside = full.strip_prefix(self.base).ok();
        let pattern = match inside {
            // The folder of the suite is not part of the pattern, whatever its name.
            Some(inside) => {
                glob::Pattern::escape(&self.base.to_string_lossy())
                    + "/"
                    + &inside.to_string_lossy()
            }
            None => full.to_string_lossy().into_owned(),
        };
        // By itself `**` means folders only, and not the one it stands in.
        let pattern = if pattern.ends_with("/**") {
            pattern + "/*"
        } else {
            pattern
        };
        let options = glob::MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: true,
        };
        let paths = glob::glob_with(&pattern, options).map_err(|error| refused(&error.msg))?;
        let hidden = |part: Component<'_>| is_hidden(&part.as_os_str().to_string_lossy());
        let hidden_patterns: Vec<glob::Pattern> = full
            .components()
            .filter(|part| hidden(*part))
            .filter_map(|part| glob::Pattern::new(part.as_os_str().to_str()?).ok())
            .collect();
        // `_*` is written by who wants such names.
        let meant = |part: Component<'_>| {
            let name = part.as_os_str().to_string_lossy();
            hidden_patterns.iter().any(|pattern| pattern.matches(&name))
        };
        for path in paths {
            let path = path.map_err(|error| refused(&plain(error.error())))?;
            let written = path.strip_prefix(self.base).unwrap_or(&path);
            if written
                .components()
                .all(|part| !hidden(part) || meant(part))
            {
                self.entry(path)?;
            }
        }
        Ok(())
    }

    fn unreadable(&self, path: &Path, error: &std::io::Error) -> Error {
        cannot_read(&shown(path, self.base), error)
    }
}

/// The `key=value` folders between `root` and `path`.
fn partitions(path: &Path, root: &Path) -> Vec<(String, String)> {
    let folders = path.parent().unwrap_or(path);
    folders
        .strip_prefix(root)
        .unwrap_or(folders)
        .components()
        .filter_map(|component| match component {
            Component::Normal(name) => name.to_str()?.split_once('='),
            _ => None,
        })
        .filter(|(key, _)| !key.is_empty())
        .map(|(key, value)| (percent_decoded(key), percent_decoded(value)))
        .collect()
}

/// `text` with its `%2F`s turned into what they stand for, as Hive writes them.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = match (first, tail) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match code {
            Some((high, low)) => {
                bytes.push(high << 4 | low);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::NaiveDate;

    fn context(folder: &Path) -> OpenContext {
        OpenContext {
            base: folder.to_owned(),
            date: NaiveDate::from_ymd_opt(2026, 11, 20).unwrap(),
            variables: Default::default(),
        }
    }

    fn folder_of(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "a\n1\n").unwrap();
        }
        folder
    }

    fn names(path: &str, folder: &Path) -> Vec<String> {
        let files = locate(path, &context(folder)).unwrap().files;
        files.into_iter().map(|file| file.shown).collect()
    }

    #[test]
    fn a_path_means_a_file_a_folder_or_a_glob() {
        let folder = folder_of(&[
            "one.csv",
            "many/a.csv",
            "many/b.csv",
            "many/deep/c.csv",
            "many/_SUCCESS",
            "many/.a.csv.crc",
            "many/_temporary/d.csv",
            "odd[1].csv",
        ]);
        let all = vec!["many/a.csv", "many/b.csv", "many/deep/c.csv"];
        for (path, expected) in [
            ("one.csv", vec!["one.csv"]),
            ("many", all.clone()),
            ("many/", all.clone()),
            ("many/*.csv", vec!["many/a.csv", "many/b.csv"]),
            ("many/**/*.csv", all.clone()),
            ("many/**", all.clone()),
            ("m*", all),
            ("many/_*", vec!["many/_SUCCESS", "many/_temporary/d.csv"]),
            ("odd[1].csv", vec!["odd[1].csv"]),
        ] {
            assert_eq!(names(path, folder.path()), expected, "{path}");
        }
        let url = url::Url::from_file_path(folder.path().join("one.csv")).unwrap();
        assert_eq!(names(url.as_str(), folder.path()), ["one.csv"]);
    }

    #[test]
    fn what_is_not_there_is_explained() {
        let folder = folder_of(&["orders.csv", "x/_only"]);
        fs::create_dir(folder.path().join("empty")).unwrap();
        for (path, expected) in [
            (
                "order.csv",
                "file `order.csv` does not exist, did you mean `orders.csv`?",
            ),
            (
                "nothing-like-it.json",
                "file `nothing-like-it.json` does not exist",
            ),
            (
                "deep/er/a.csv",
                "file `deep/er/a.csv` does not exist: there is no folder `deep`",
            ),
            ("*.parquet", "no file matches `*.parquet`"),
            (
                "empty",
                "folder `empty` has no files (names that begin with `_` or `.` do not count)",
            ),
            (
                "x",
                "folder `x` has no files (names that begin with `_` or `.` do not count)",
            ),
            (
                "s3://bucket/a.csv",
                "`s3://bucket/a.csv` is not a local file: only paths and `file://` are read, not `s3://`",
            ),
            ("", "the path is empty"),
            (
                "a[.csv",
                "glob `a[.csv` cannot be understood: invalid range pattern",
            ),
        ] {
            let error = locate(path, &context(folder.path())).err().unwrap();
            assert_eq!(error.to_string(), expected, "{path}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_refused() {
        let error = locate("/dev/null", &context(Path::new("/x")))
            .err()
            .unwrap();
        assert_eq!(
            error.to_string(),
            "`/dev/null` is a pipe, socket or device; only regular files can be read"
        );
    }

    #[test]
    fn hive_folders_become_partitions() {
        let folder = folder_of(&["t/date=2026-11-20/city=Den%20Haag/a.csv"]);
        for path in ["t", "t/date=*/*/*.csv", "t/date={date}"] {
            let files = locate(path, &context(folder.path())).unwrap().files;
            let expected = [("date", "2026-11-20"), ("city", "Den Haag")];
            let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
            assert_eq!(files[0].partitions, expected, "{path}");
        }
    }
}
