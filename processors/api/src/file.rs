//! Files that are whole or not there.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use crate::ProcessorError;

/// Writes `bytes` to the file at `path`, which is replaced as a whole: who reads it sees
/// the old file or the new one, and a full disk or a crash leaves the old one. Missing
/// folders are made. `-` is standard output.
///
/// # Errors
///
/// Why it cannot be written; a full disk is retryable, what somebody has to change is not.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), ProcessorError> {
    let written = if path == Path::new("-") {
        let mut out = io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush())
    } else {
        replace(path, bytes)
    };
    written.map_err(|error| {
        let message = format!("`{}` cannot be written: {error}", path.display());
        match error.kind() {
            ErrorKind::PermissionDenied
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::InvalidInput
            | ErrorKind::InvalidFilename
            | ErrorKind::BrokenPipe => ProcessorError::permanent(message),
            _ => ProcessorError::retryable(message),
        }
    })
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        fs::create_dir_all(folder)?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    if name.is_empty() || path.is_dir() {
        return Err(io::Error::from(ErrorKind::IsADirectory));
    }
    // Two who write the same file must not write the same part.
    name.push(format!(".{}.part", uuid::Uuid::now_v7().simple()));
    let part = path.with_file_name(name);
    let write = || {
        let mut file = File::create_new(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, path)
    };
    write().inspect_err(|_| {
        // What is left of it helps nobody.
        let _ = fs::remove_file(&part);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_folders_are_made() {
        let folder = std::env::temp_dir().join(uuid::Uuid::now_v7().to_string());
        let path = folder.join("a/b/report.txt");
        write_file(&path, b"one").unwrap();
        write_file(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.join("a/b")).unwrap().count(), 1);
        let error = write_file(&folder.join("a"), b"x").unwrap_err();
        assert!(!error.is_retryable(), "{error}");
        let error = write_file(&path.join("below a file"), b"x").unwrap_err();
        assert!(error.message().contains("cannot be written"), "{error}");
        fs::remove_dir_all(folder).unwrap();
    }
}
