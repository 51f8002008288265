//! SQLite files that are what they seem: made whole, checked before use.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{AnyConnection, ConnectOptions as _, Connection, Row};

use crate::SqlError;

/// The largest file whose pages are all checked when it is opened, in bytes. In a larger
/// one damage is found when its page is read.
const CHECKED_BYTES: u64 = 256 << 20;

/// What may stand in the path of a URL as it is.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_');

/// Makes sure that there is a database at `path`; its absolute path, encoded for a URL.
///
/// A new database gets its name only once it is whole. So an empty file is no new
/// database whose making was interrupted, but one that was lost.
pub(crate) async fn prepare(path: &Path) -> Result<String, SqlError> {
    let told = |what: &str| {
        let what = what.to_owned();
        move |error: io::Error| SqlError::retryable(format!("{what}: {error}"))
    };
    let name = path
        .file_name()
        .ok_or_else(|| SqlError::configuration("the path has no file name"))?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder).map_err(told("cannot create its folder"))?;
    let folder = folder
        .canonicalize()
        .map_err(told("cannot find its folder"))?;
    let path = folder.join(name);
    match fs::metadata(&path) {
        Ok(found) if found.is_dir() => {
            return Err(SqlError::configuration("it is a folder, not a file"));
        }
        Ok(found) if found.len() == 0 => {
            return Err(SqlError::permanent(
                "the file is empty, so what it held is lost; restore it from a backup, or \
                 delete it to start afresh",
            ));
        }
        Ok(_) if is_cut(&path) => {
            return Err(SqlError::permanent(
                "the file is damaged: its last page is cut off; restore it from a backup, or \
                 move it away to start afresh",
            ));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(&path, &folder).await?,
        Err(error) => return Err(told("cannot look at the file")(error)),
    }
    let path = path
        .to_str()
        .ok_or_else(|| SqlError::configuration("the path is not UTF-8"))?;
    Ok(utf8_percent_encode(path, PATH).to_string())
}

/// Whether the file ends within a page, which SQLite would fill up with zeros.
///
/// While there is a journal the file may be in the middle of a write.
fn is_cut(path: &Path) -> bool {
    let ragged = || {
        let mut header = [0; 18];
        let mut file = File::open(path).ok()?;
        match file.read_exact(&mut header) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Some(true),
            read => read.ok()?,
        }
        let page = match u16::from_be_bytes([header[16], header[17]]) {
            1 => 65_536,
            page if page.is_power_of_two() => u64::from(page),
            _ => return None,
        };
        Some(file.metadata().ok()?.len() % page != 0)
    };
    let journal = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        fs::metadata(name).is_ok_and(|found| found.len() > 0)
    };
    // The second look is for a journal that went away between the two questions.
    ragged() == Some(true) && !journal("-wal") && !journal("-journal") && ragged() == Some(true)
}

/// Makes an empty database beside `path` and then gives it its name, unless another
/// process was faster.
async fn create(path: &Path, folder: &Path) -> Result<(), SqlError> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let process = std::process::id();
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".new-{process}-{number}"));
    let new = Remove(path.with_file_name(name));
    let made = SqliteConnectOptions::new()
        .filename(&new.0)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .connect()
        .await;
    made.map_err(SqlError::from)
        .map_err(|error| error.context("cannot create the file"))?
        .close()
        .await?;
    let named = || {
        File::open(&new.0)?.sync_all()?;
        match fs::hard_link(&new.0, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            // Some file systems have no links.
            Err(_) => fs::rename(&new.0, path)?,
            Ok(()) => {}
        }
        File::open(folder)?.sync_all()
    };
    named().map_err(|error| SqlError::retryable(format!("cannot create the file: {error}")))
}

/// A file that is removed at the end.
struct Remove(PathBuf);

impl Drop for Remove {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Checks that the pages of the file fit together.
pub(crate) async fn check(connection: &mut AnyConnection, url: &str) -> Result<(), SqlError> {
    let path = percent_encoding::percent_decode_str(url).decode_utf8_lossy();
    if fs::metadata(&*path).is_ok_and(|found| found.len() > CHECKED_BYTES) {
        return Ok(());
    }
    let row = sqlx::query("pragma quick_check(1)")
        .fetch_one(connection)
        .await?;
    let found: String = row.try_get(0)?;
    if found == "ok" {
        return Ok(());
    }
    Err(SqlError::permanent(format!(
        "the file is damaged; restore it from a backup, or move it away to start afresh: {}",
        found.lines().next_back().unwrap_or_default()
    )))
}
