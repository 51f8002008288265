//! What a plugin may have changed of the process.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Once;

use super::panics;

/// The state that everything in this process shares, at one moment.
///
/// A plugin on a thread can change it for everybody. Taken before plugins are called and
/// compared afterwards, it tells what they left behind. Open files, threads, the mask of
/// new files and the handling of signals are seen on Linux alone.
#[derive(Debug, Clone)]
pub struct Snapshot {
    folder: Option<PathBuf>,
    environment: BTreeMap<OsString, OsString>,
    /// What open file descriptors stand for.
    files: Vec<String>,
    /// How many threads have which name.
    threads: BTreeMap<String, usize>,
    umask: Option<String>,
    /// Signals that are ignored, and that have handlers, as sets of bits.
    signals: [u64; 2],
    /// How often somebody replaced the panic hook.
    hooks: u64,
}

/// Signals that runtimes handle when they first need to: that a child ended, and the two
/// that threads are made with.
const OWN_SIGNALS: u64 = 1 << 16 | 1 << 31 | 1 << 32;

impl Snapshot {
    /// The state of now.
    pub fn take() -> Self {
        settle();
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let field = |name: &str| {
            let value = status.lines().find_map(|line| line.strip_prefix(name))?;
            Some(value.trim().to_owned())
        };
        let bits = |name| u64::from_str_radix(&field(name)?, 16).ok();
        Self {
            folder: std::env::current_dir().ok(),
            environment: std::env::vars_os().collect(),
            files: open_files(),
            threads: threads(),
            umask: field("Umask:"),
            hooks: panics::replacements(),
            signals: ["SigIgn:", "SigCgt:"].map(|name| bits(name).unwrap_or(0) & !OWN_SIGNALS),
        }
    }

    /// The same, but without the thread that each instance called one of `names` has: when
    /// it has ended, that has ended too.
    pub fn without_threads_of<'n>(mut self, names: impl IntoIterator<Item = &'n str>) -> Self {
        for name in names {
            let mut name = format!("vp:{name}");
            // Linux keeps 15 bytes of a thread's name.
            name.truncate(name.floor_char_boundary(15));
            if let Some(count) = self.threads.get_mut(&name) {
                *count = count.saturating_sub(1);
            }
        }
        self
    }

    /// What is different now from how it was `earlier`, as sentences for people; files and
    /// threads only if there are more. Values of variables are not told.
    pub fn changes_since(&self, earlier: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        if self.folder != earlier.folder {
            changes.push(format!(
                "the current folder changed from {} to {}",
                shown(earlier.folder.as_deref()),
                shown(self.folder.as_deref())
            ));
        }
        changes.extend(self.environment_since(earlier));
        changes.extend(self.threads_since(earlier));
        changes.extend(self.files_since(earlier));
        if let (Some(before), Some(now)) = (&earlier.umask, &self.umask)
            && before != now
        {
            changes.push(format!(
                "the mask for new files changed from {before} to {now}"
            ));
        }
        if self.hooks > earlier.hooks {
            changes.push("the panic hook was replaced, and is restored".to_owned());
        }
        if self.signals != earlier.signals {
            let bits = earlier.signals.iter().zip(self.signals);
            let changed = bits.fold(0, |changed, (before, now)| changed | (before ^ now));
            let numbers = (1..=64).filter(|number| changed >> (number - 1) & 1 == 1);
            let numbers: Vec<String> = numbers.map(|number: u32| number.to_string()).collect();
            changes.push(format!(
                "the handling of signals changed: {}",
                numbers.join(", ")
            ));
        }
        changes
    }

    /// Makes the current folder what it was then; the rest cannot be restored safely while
    /// other threads run. Returns whether it is that now.
    pub fn restore_folder(&self) -> bool {
        let Some(folder) = &self.folder else {
            return false;
        };
        std::env::set_current_dir(folder).is_ok()
    }

    fn environment_since(&self, earlier: &Self) -> Option<String> {
        let names: BTreeSet<&OsString> = earlier
            .environment
            .keys()
            .chain(self.environment.keys())
            .filter(|&name| self.environment.get(name) != earlier.environment.get(name))
            .collect();
        if names.is_empty() {
            return None;
        }
        let names: Vec<String> = names
            .iter()
            .map(|name| format!("`{}`", name.to_string_lossy()))
            .collect();
        Some(format!("the environment changed: {}", names.join(", ")))
    }

    fn threads_since<'s>(&'s self, earlier: &'s Self) -> impl Iterator<Item = String> + 's {
        self.threads.iter().filter_map(|(name, &count)| {
            let more = count.saturating_sub(earlier.threads.get(name).copied().unwrap_or(0));
            let plural = if more == 1 { "" } else { "s" };
            match (more, name.strip_prefix("vp:")) {
                (0, _) => None,
                // Linux keeps 15 bytes of a thread's name.
                (_, Some(instance)) if name.len() >= 15 => Some(format!(
                    "an instance called `{instance}..` left {more} thread{plural} running"
                )),
                (_, Some(instance)) => Some(format!(
                    "instance `{instance}` left {more} thread{plural} running"
                )),
                _ => Some(format!("{more} more thread{plural} called `{name}`")),
            }
        })
    }

    fn files_since(&self, earlier: &Self) -> Option<String> {
        // What was closed meanwhile does not make up for what was opened.
        let mut known: Vec<&str> = earlier.files.iter().map(|file| kind(file)).collect();
        let mut new: Vec<&str> = Vec::new();
        for file in &self.files {
            match known.iter().position(|known| *known == kind(file)) {
                Some(place) => drop(known.swap_remove(place)),
                None => new.push(file),
            }
        }
        let more = new.len();
        if more == 0 {
            return None;
        }
        new.truncate(5);
        let plural = if more == 1 { "" } else { "s" };
        Some(format!(
            "{more} more file{plural} open than before, among them {}",
            new.join(", ")
        ))
    }
}

/// Makes what this program's own runtimes make once, so that no plugin is held to account
/// for it.
fn settle() {
    static SETTLED: Once = Once::new();
    SETTLED.call_once(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        drop(runtime);
    });
}

fn shown(folder: Option<&Path>) -> String {
    folder.map_or("one that is gone".to_owned(), |folder| {
        format!("`{}`", folder.display())
    })
}

/// `file` without its number, if it is a socket or a pipe: they come and go.
fn kind(file: &str) -> &str {
    match file.split_once(":[") {
        Some((kind @ ("socket" | "pipe"), _)) => kind,
        _ => file,
    }
}

/// What the open file descriptors of this process stand for.
fn open_files() -> Vec<String> {
    let entries = std::fs::read_dir("/proc/self/fd");
    let mut files: Vec<String> = entries
        .into_iter()
        .flatten()
        .flatten()
        // The descriptor of this listing is gone by the time it is looked at, or is of no
        // interest.
        .filter_map(|entry| std::fs::read_link(entry.path()).ok())
        .map(|target| target.to_string_lossy().into_owned())
        .filter(|target| !target.starts_with("/proc/"))
        .collect();
    files.sort();
    files
}

/// How many threads of this process have which name.
fn threads() -> BTreeMap<String, usize> {
    let mut threads = BTreeMap::new();
    let tasks = std::fs::read_dir("/proc/self/task");
    for task in tasks.into_iter().flatten().flatten() {
        if let Ok(name) = std::fs::read_to_string(task.path().join("comm")) {
            *threads.entry(name.trim_end().to_owned()).or_insert(0) += 1;
        }
    }
    threads
}
