//! Where reports wait while the store cannot be reached.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;
use veracity_processor::Report;

use super::text::hex;
use super::{NewDelivery, Store, StoreError, Time};

/// The version of the files.
const VERSION: u32 = 1;

/// A folder of reports that the store does not have yet, one file each.
///
/// A file is one line of JSON about the next, and then the report with its deliveries. It
/// gets its name only once it is whole and on the disk.
#[derive(Debug, Clone)]
pub struct Spool {
    folder: PathBuf,
}

/// What became of the files of a spool.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// The runs that the store has now.
    pub imported: Vec<Uuid>,
    /// What could not be imported, and why.
    pub problems: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    veracity_spool: u32,
    sha256: String,
}

#[derive(Serialize)]
struct Body<'a> {
    origin: &'a str,
    deliveries: &'a [NewDelivery],
    report: &'a Report,
}

#[derive(Deserialize)]
struct Spooled {
    origin: String,
    deliveries: Vec<NewDelivery>,
    report: Report,
}

/// Why a file cannot be imported.
enum Unreadable {
    Damaged(String),
    Newer(u32),
}

impl Spool {
    /// The spool of `suite`, a folder of its own in `folder`: another suite, which has
    /// other processors and perhaps another store, must not take what waits here.
    pub fn of_suite(folder: impl AsRef<Path>, suite: &str) -> Self {
        let readable = suite.chars().filter(char::is_ascii_alphanumeric).take(40);
        let readable: String = readable.collect();
        let digest = hex(&Sha256::digest(suite.as_bytes()));
        Self::new(
            folder
                .as_ref()
                .join(format!("{readable}-{}", &digest[..16])),
        )
    }

    /// The spool in `folder`, which is created when it is needed.
    pub fn new(folder: impl AsRef<Path>) -> Self {
        Self {
            folder: folder.as_ref().to_owned(),
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.files().is_ok_and(|files| files.is_empty())
    }

    /// Leaves `report` and its deliveries here; when it returns, they are on the disk.
    ///
    /// # Errors
    ///
    /// If they cannot be written.
    pub fn write(
        &self,
        report: &Report,
        origin: &str,
        deliveries: &[NewDelivery],
    ) -> Result<PathBuf, StoreError> {
        let path = self.folder.join(format!("{}.json", report.run.id));
        let body = Body {
            origin,
            deliveries,
            report,
        };
        let written = serde_json::to_vec(&body)
            .map_err(io::Error::from)
            .and_then(|body| self.write_file(&path, &body));
        written.map_err(|error| {
            let path = path.display();
            StoreError::retryable(format!("the report cannot be left at `{path}`: {error}"))
        })?;
        Ok(path)
    }

    fn write_file(&self, path: &Path, body: &[u8]) -> io::Result<()> {
        let header = Header {
            veracity_spool: VERSION,
            sha256: hex(&Sha256::digest(body)),
        };
        fs::create_dir_all(&self.folder)?;
        let part = path.with_extension(format!("part-{}", std::process::id()));
        let write = || {
            let mut file = File::create(&part)?;
            serde_json::to_writer(&mut file, &header)?;
            file.write_all(b"\n")?;
            file.write_all(body)?;
            file.sync_all()?;
            fs::rename(&part, path)
        };
        write().inspect_err(|_| {
            let _ = fs::remove_file(&part);
        })?;
        File::open(&self.folder)?.sync_all()?;
        match self.folder.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
            _ => Ok(()),
        }
    }

    /// The files that wait, sorted, which is the order of their runs.
    fn files(&self) -> io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    /// Gives everything that waits to `store`, the oldest run first. What is given twice,
    /// because a process was killed meanwhile, is stored once.
    ///
    /// A damaged file is set aside under its name with `.damaged` added, and told; so is,
    /// without being moved, one that a newer version wrote or that the store refuses.
    ///
    /// # Errors
    ///
    /// If the folder cannot be read, or the store cannot be reached; the rest waits on.
    pub async fn drain(&self, store: &Store, now: Time) -> Result<Drained, StoreError> {
        let folder = self.folder.display();
        let files = self.files().map_err(|error| {
            StoreError::retryable(format!("the spool `{folder}` cannot be read: {error}"))
        })?;
        let mut drained = Drained::default();
        for path in files {
            let shown = path.display();
            let bytes = match fs::read(&path) {
                Ok(bytes) => bytes,
                // Another process was faster.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    drained
                        .problems
                        .push(format!("cannot read `{shown}`: {error}"));
                    continue;
                }
            };
            let spooled = match read(&bytes) {
                Ok(spooled) => spooled,
                Err(Unreadable::Newer(version)) => {
                    drained.problems.push(format!(
                        "`{shown}` has version {version}, this program reads versions up to \
                         {VERSION}; use the newer program"
                    ));
                    continue;
                }
                Err(Unreadable::Damaged(why)) => {
                    drained.problems.push(set_aside(&path, &why));
                    continue;
                }
            };
            let Spooled {
                origin,
                deliveries,
                report,
            } = spooled;
            match store.record(&report, &origin, &deliveries, now).await {
                Ok(()) => {}
                Err(error) if error.is_retryable() => return Err(error),
                Err(error) => {
                    drained.problems.push(format!("`{shown}`: {error}"));
                    continue;
                }
            }
            drained.imported.push(report.run.id);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    drained
                        .problems
                        .push(format!("cannot remove `{shown}`: {error}"));
                }
                _ => {}
            }
        }
        Ok(drained)
    }
}

fn read(bytes: &[u8]) -> Result<Spooled, Unreadable> {
    let damaged = |why: &str| Unreadable::Damaged(why.to_owned());
    let end = bytes.iter().position(|&byte| byte == b'\n');
    let (header, body) = bytes.split_at(end.ok_or_else(|| damaged("it has no header"))?);
    let header: Header =
        serde_json::from_slice(header).map_err(|_| damaged("its header cannot be read"))?;
    if header.veracity_spool > VERSION {
        return Err(Unreadable::Newer(header.veracity_spool));
    }
    let body = &body[1..];
    if hex(&Sha256::digest(body)) != header.sha256 {
        return Err(damaged("its checksum is wrong"));
    }
    serde_json::from_slice(body).map_err(|error| Unreadable::Damaged(error.to_string()))
}

/// Moves the damaged file at `path` out of the way; what is to be told.
fn set_aside(path: &Path, why: &str) -> String {
    let shown = path.display();
    let mut aside = path.as_os_str().to_owned();
    aside.push(".damaged");
    match fs::rename(path, &aside) {
        Ok(()) => format!("`{shown}` is damaged: {why}; it is kept as `{shown}.damaged`"),
        Err(error) => format!("`{shown}` is damaged: {why}; it cannot be set aside: {error}"),
    }
}
