//! The channel `spool`: a file for each message.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;
use veracity_processor::{
    Channel, ConfigError, FieldError, Outcome, Parcel, Plugin, ProcessContext, ProcessorError,
    Publisher, Timestamp, register, write_file,
};

use crate::envelope::Envelope;
use crate::storage::{check_path, fault, sync_folder};

register!(
    Plugin::channel::<Spool>("spool", env!("CARGO_PKG_VERSION"))
        .description("Puts each message into a file of its own, for others to take away")
        .author("the veracity authors")
        .example("outbox: {use: spool, path: outbox}")
);

/// What the names of messages end with.
const SUFFIX: &str = ".json";

/// The longest idempotency key that stands in a name as it is, in bytes.
const LONGEST_KEY: usize = 100;

/// Settings of the channel `spool`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpoolSettings {
    /// The folder; it is made if it is missing.
    #[schemars(extend("format" = "path"))]
    pub path: PathBuf,
    /// The most messages that may wait in the folder. While there are as many, nothing is
    /// published.
    #[serde(default = "default_max_files")]
    #[schemars(range(min = 1))]
    pub max_files: usize,
}

fn default_max_files() -> usize {
    10_000
}

/// Puts messages into a folder, one a file.
///
/// A file is there as a whole or not at all. Its name begins with the time, so that names
/// sort by it, and holds the idempotency key: a message that is published again replaces
/// the first, as long as nobody has taken that away.
#[derive(Debug)]
pub struct Spool {
    settings: SpoolSettings,
    /// The time in the last name, so that the next one sorts after it.
    last: Mutex<SystemTime>,
}

impl Publisher for Spool {
    type Config = SpoolSettings;

    fn build(settings: SpoolSettings) -> Result<Self, ConfigError> {
        let mut faults = Vec::new();
        faults.extend(check_path(&settings.path).err());
        if settings.max_files == 0 {
            faults.push(FieldError::new("/max_files", "must be at least 1"));
        }
        if !faults.is_empty() {
            return Err(ConfigError(faults));
        }
        Ok(Self {
            settings,
            last: Mutex::new(UNIX_EPOCH),
        })
    }
}

#[async_trait]
impl Channel for Spool {
    async fn publish(
        &self,
        parcel: &Parcel,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let SpoolSettings { path, max_files } = &self.settings;
        let line = Envelope::new(parcel, context, Timestamp::now()).line()?;
        let end = format!("-{}{SUFFIX}", safe(&context.idempotency_key));
        let refused = |error: io::Error| fault(path, &error);
        fs::create_dir_all(path).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => fault(path, &ErrorKind::NotADirectory.into()),
            _ => refused(error),
        })?;
        let names = messages(path).map_err(refused)?;
        let name = match names.iter().find(|name| name.ends_with(&end)) {
            Some(name) => name.clone(),
            None if names.len() >= *max_files => {
                return Err(ProcessorError::permanent(format!(
                    "{} messages wait in `{}`, and nobody takes them; `max_files: {max_files}` \
                     permits no more",
                    names.len(),
                    path.display()
                )));
            }
            None => format!("{}{end}", stamp(self.next(SystemTime::now()))),
        };
        write_file(&path.join(name), line.as_bytes())?;
        sync_folder(path).map_err(refused)?;
        Ok(Outcome::done())
    }
}

impl Spool {
    /// `now`, or a nanosecond after the last time that was returned, whichever is later.
    fn next(&self, now: SystemTime) -> SystemTime {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = now.max(*last + Duration::from_nanos(1));
        *last
    }
}

/// The names of the messages in the folder `path`.
fn messages(path: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name();
        names.extend(
            name.to_str()
                .filter(|name| is_message(name))
                .map(str::to_owned),
        );
    }
    Ok(names)
}

fn is_message(name: &str) -> bool {
    Path::new(name).extension() == Some(OsStr::new(&SUFFIX[1..]))
}

/// `time` as the beginning of a name, `20261120T060000.412000000Z`: a name with colons
/// cannot be had everywhere.
fn stamp(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let written = Timestamp::from(time).to_string();
    let second = written.split('.').next().unwrap_or_default();
    let second = second.replace(['-', ':'], "");
    format!("{second}.{:09}Z", since.subsec_nanos())
}

/// `key` as part of a name; one that cannot be is replaced by a UUID made from it.
fn safe(key: &str) -> String {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if key.chars().all(legal) && (1..=LONGEST_KEY).contains(&key.len()) {
        return key.to_owned();
    }
    Uuid::new_v5(&Uuid::NAMESPACE_OID, key.as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_time() {
        // Friday, 20 November 2026, 06:00:00 UTC
        let time =
            |nanos: u64| UNIX_EPOCH + Duration::from_nanos(1_795_154_400_000_000_000 + nanos);
        assert_eq!(stamp(time(412_000_007)), "20261120T060000.412000007Z");
        let times = [0, 1, 999_999_999, 1_000_000_000, 86_400_000_000_000];
        assert!(times.map(|nanos| stamp(time(nanos))).is_sorted());
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_keeps_the_order() {
        let settings = SpoolSettings {
            path: "outbox".into(),
            max_files: 1,
        };
        let spool = Spool::build(settings).unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(1_795_154_400);
        let earlier = now - Duration::from_secs(3600);
        let times = [now, now, earlier, now].map(|time| stamp(spool.next(time)));
        assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
    }

    #[test]
    fn a_key_cannot_lead_elsewhere() {
        let id = "0192a6f0-0000-7000-8000-000000000001";
        assert_eq!(safe(id), id);
        let long = "x".repeat(101);
        for key in [
            "",
            "../../etc/passwd",
            "a/b",
            "a b",
            "nul \0",
            ".json",
            &long,
        ] {
            let name = safe(key);
            assert!(Uuid::parse_str(&name).is_ok(), "{key}: {name}");
            assert_eq!(name, safe(key));
        }
        assert_ne!(safe("a/b"), safe("a/c"));
    }
}
