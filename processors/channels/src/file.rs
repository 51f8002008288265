//! The channel `file`: a line for each message.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use veracity_processor::{
    Channel, ConfigError, FieldError, Outcome, Parcel, Plugin, ProcessContext, ProcessorError,
    Publisher, Timestamp, register,
};

use crate::envelope::Envelope;
use crate::storage::{check_path, fault, sync_folder};

register!(
    Plugin::channel::<FileChannel>("file", env!("CARGO_PKG_VERSION"))
        .description("Appends messages to a file, one JSON object a line")
        .author("the veracity authors")
        .example("audit: {use: file, path: messages.ndjson}")
);

/// How long another process is left alone with the file.
const PAUSE: Duration = Duration::from_millis(5);

/// The host stops what is not over in time, and then nobody can say why.
const PARTING: Duration = Duration::from_millis(200);

/// The least that `max_bytes` may be.
const LEAST_BYTES: u64 = 4096;

/// Settings of the channel `file`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileSettings {
    /// The file; its folders are made if they are missing.
    #[schemars(extend("format" = "path"))]
    pub path: PathBuf,
    /// The most bytes the file may have, at least 4096. What would make it larger goes to
    /// a new one; the old one gets `.1` added to its name and takes the place of an older
    /// one.
    #[serde(default = "default_max_bytes")]
    #[schemars(range(min = 4096))]
    pub max_bytes: u64,
}

fn default_max_bytes() -> u64 {
    100 * 1024 * 1024
}

/// Appends messages to a file.
///
/// Several processes may do so at once: each holds a lock on the file while it writes, and
/// writes a line at once and as a whole.
#[derive(Debug)]
pub struct FileChannel(FileSettings);

impl Publisher for FileChannel {
    type Config = FileSettings;

    fn build(settings: FileSettings) -> Result<Self, ConfigError> {
        let mut faults = Vec::new();
        faults.extend(check_path(&settings.path).err());
        if settings.path.as_os_str().as_encoded_bytes().ends_with(b"/") {
            faults.push(FieldError::new("/path", "is a folder, not a file"));
        }
        if settings.max_bytes < LEAST_BYTES {
            let message = format!("must be at least {LEAST_BYTES}");
            faults.push(FieldError::new("/max_bytes", message));
        }
        if !faults.is_empty() {
            return Err(ConfigError(faults));
        }
        Ok(Self(settings))
    }
}

#[async_trait]
impl Channel for FileChannel {
    async fn publish(
        &self,
        parcel: &Parcel,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let line = Envelope::new(parcel, context, Timestamp::now()).line()?;
        let FileSettings { path, max_bytes } = &self.0;
        if line.len() as u64 > *max_bytes {
            return Err(ProcessorError::permanent(format!(
                "the message takes {} bytes, more than `max_bytes: {max_bytes}`",
                line.len()
            )));
        }
        while !append(path, *max_bytes, line.as_bytes()).map_err(|error| fault(path, &error))? {
            if context.remaining() < PARTING {
                return Err(ProcessorError::retryable(format!(
                    "`{}` cannot be written: another process holds a lock on it",
                    path.display()
                )));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(Outcome::done())
    }
}

/// Appends `line` to the file at `path`; false if another process is at work there.
fn append(path: &Path, max_bytes: u64, line: &[u8]) -> io::Result<bool> {
    let mut file = open(path)?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => return Ok(false),
        // Some network file systems have no locks; a line is still written at once.
        Err(TryLockError::Error(error)) if error.kind() != ErrorKind::Unsupported => {
            return Err(error);
        }
        _ => {}
    }
    // Through a symbolic link.
    let real = match fs::canonicalize(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        real => real?,
    };
    if !is_at(&file, &real)? {
        return Ok(false);
    }
    let length = file.metadata()?.len();
    if length > 0 && length + line.len() as u64 > max_bytes {
        let mut old = real.clone().into_os_string();
        old.push(".1");
        fs::rename(&real, old)?;
        return append(path, max_bytes, line);
    }
    write(&mut file, length, line)?;
    if length == 0
        && let Some(folder) = real.parent()
    {
        sync_folder(folder)?;
    }
    Ok(true)
}

fn open(path: &Path) -> io::Result<File> {
    // Opening a named pipe would wait for a reader.
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => return Err(ErrorKind::IsADirectory.into()),
        Ok(found) if !found.is_file() => {
            let message = "it is no regular file";
            return Err(io::Error::new(ErrorKind::InvalidInput, message));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let folder = path.parent().filter(|one| !one.as_os_str().is_empty());
            folder.map_or(Ok(()), fs::create_dir_all)?;
        }
        _ => {}
    }
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(path)
}

/// Whether `file` is still the one at `path`: it may have been rotated, or taken away.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (own, there) = (file.metadata()?, fs::metadata(path)?);
    Ok((own.dev(), own.ino()) == (there.dev(), there.ino()))
}

#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}

/// Writes `line` at once to the end of `file`, which has `length` bytes; all of it or
/// nothing.
fn write(file: &mut File, length: u64, line: &[u8]) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(line.len() + 1);
    if !ends_line(file, length)? {
        bytes.push(b'\n');
    }
    bytes.extend_from_slice(line);
    let written = match file.write(&bytes) {
        Ok(count) if count < bytes.len() => Err(ErrorKind::StorageFull.into()),
        written => written.and_then(|_| file.sync_data()),
    };
    written.inspect_err(|_| {
        // If it fails as well, the next line begins on a line of its own.
        let _ = file.set_len(length);
    })
}

/// Whether `file`, of `length` bytes, ends with a whole line: a crash may have cut one.
fn ends_line(file: &mut File, length: u64) -> io::Result<bool> {
    if length == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::Start(length - 1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_rotated_while_it_was_opened_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("messages.ndjson");
        let file = open(&path).unwrap();
        assert!(is_at(&file, &path).unwrap());
        fs::rename(&path, folder.path().join("messages.ndjson.1")).unwrap();
        open(&path).unwrap();
        assert!(!is_at(&file, &path).unwrap());
    }
}
