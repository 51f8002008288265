//! Writes files where there are none.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::ScaffoldError;

/// Writes `files`, by their paths in `folder`, which is made if it is not there. Nothing is
/// overwritten; what was written before an error is removed.
pub(crate) fn all(folder: &Path, files: &[(&str, String)]) -> Result<(), ScaffoldError> {
    let failed = |path: &Path, cause| ScaffoldError::Io {
        path: path.to_owned(),
        cause,
    };
    let was_there = check_empty(folder)?;
    let mut written: Vec<PathBuf> = Vec::new();
    for (name, text) in files {
        let path = folder.join(name);
        if let Err(cause) = write_new(&path, text) {
            for path in written {
                let _ = fs::remove_file(path);
            }
            // Only what is empty is removed, so nothing of anybody else.
            for (name, _) in files {
                let parent = Path::new(name).parent();
                let _ = parent.map(|parent| fs::remove_dir(folder.join(parent)));
            }
            if !was_there {
                let _ = fs::remove_dir(folder);
            }
            return Err(failed(&path, cause));
        }
        written.push(path);
    }
    Ok(())
}

/// Whether `folder` is there; an error if there is anything in it.
fn check_empty(folder: &Path) -> Result<bool, ScaffoldError> {
    let owned = || folder.to_owned();
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            Err(ScaffoldError::NotAFolder { folder: owned() })
        }
        Err(cause) => Err(ScaffoldError::Io {
            path: owned(),
            cause,
        }),
        Ok(mut entries) => match entries.next() {
            None => Ok(true),
            Some(Ok(entry)) => Err(ScaffoldError::NotEmpty {
                folder: owned(),
                found: entry.file_name().to_string_lossy().into_owned(),
            }),
            Some(Err(cause)) => Err(ScaffoldError::Io {
                path: owned(),
                cause,
            }),
        },
    }
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())
}

/// `path` as a shell takes it.
pub(crate) fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    if !path.is_empty() && path.chars().all(is_plain) && !path.starts_with('-') {
        return path;
    }
    let quoted = format!("'{}'", path.replace('\'', r"'\''"));
    match path.starts_with('-') {
        true => format!("-- {quoted}"),
        false => quoted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_where_a_shell_would_read_them_otherwise() {
        let cases = [
            ("plugins/ledger", "plugins/ledger"),
            ("my plugins", "'my plugins'"),
            ("it's; rm -rf $HOME", r"'it'\''s; rm -rf $HOME'"),
            ("-p", "-- '-p'"),
        ];
        for (path, expected) in cases {
            assert_eq!(quoted(Path::new(path)), expected);
        }
    }

    #[test]
    fn what_was_written_before_an_error_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let plugin = folder.path().join("plugin");
        let files = [
            ("src/one", "1".to_owned()),
            ("two", "2".to_owned()),
            // What is a file cannot be a folder.
            ("two/three", "3".to_owned()),
        ];
        let error = all(&plugin, &files).unwrap_err();
        assert!(error.to_string().contains("three"), "{error}");
        assert!(!plugin.exists());
    }
}
