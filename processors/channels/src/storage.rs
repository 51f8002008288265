//! What files and folders can refuse.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;

use veracity_processor::{FieldError, ProcessorError};

/// `error` about the file or folder at `path`: permanent if somebody has to change
/// something, retryable if there was no room or it may pass.
pub(crate) fn fault(path: &Path, error: &io::Error) -> ProcessorError {
    let message = format!("`{}` cannot be written: {error}", path.display());
    match error.kind() {
        ErrorKind::PermissionDenied
        | ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::ReadOnlyFilesystem
        | ErrorKind::InvalidInput
        | ErrorKind::InvalidFilename => ProcessorError::permanent(message),
        _ => ProcessorError::retryable(message),
    }
}

/// Makes what was created or renamed in the folder `path` survive a power cut.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(path)?.sync_all()?;
    }
    Ok(())
}

/// Whether `path` can be one, for the field `/path`.
pub(crate) fn check_path(path: &Path) -> Result<(), FieldError> {
    let fault = |message: &str| Err(FieldError::new("/path", message));
    let bytes = path.as_os_str().as_encoded_bytes();
    if bytes.is_empty() {
        return fault("is empty");
    }
    if bytes.contains(&0) {
        return fault("cannot hold a NUL");
    }
    Ok(())
}
