//! Writes the beginning of a plugin of veracity: a crate in Rust, or a program in Python that
//! speaks lines of JSON. It builds, has tests that pass, and does something small.
//!
//! ```
//! use veracity_scaffold::{Contract, Kind, Lang, new};
//!
//! let folder = std::env::temp_dir().join(format!("ledger-{}", std::process::id()));
//! let created = new("ledger", Lang::Python, Kind::Processor, &folder, &Contract::Published)?;
//! assert_eq!(created.next[1], "python3 -m unittest");
//! # std::fs::remove_dir_all(&folder).ok();
//! # Ok::<(), veracity_scaffold::ScaffoldError>(())
//! ```

mod name;
mod template;
mod write;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

pub use name::check_name;

/// The language of a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Lang {
    /// A crate, linked into a program.
    #[default]
    Rust,
    /// A program of its own, in a plugin directory.
    Python,
}

impl Lang {
    /// Every language.
    pub const ALL: [Lang; 2] = [Lang::Rust, Lang::Python];
}

impl fmt::Display for Lang {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Lang::Rust => "rust",
            Lang::Python => "python",
        })
    }
}

impl FromStr for Lang {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Lang::ALL.into_iter().find(|lang| lang.to_string() == text);
        found.ok_or_else(|| format!("unknown language `{text}`, expected rust or python"))
    }
}

/// What a plugin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Kind {
    /// Receives reports.
    #[default]
    Processor,
    /// Watches runs.
    Hook,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 2] = [Kind::Processor, Kind::Hook];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Processor => "processor",
            Kind::Hook => "hook",
        })
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Kind::ALL.into_iter().find(|kind| kind.to_string() == text);
        found.ok_or_else(|| format!("unknown kind `{text}`, expected processor or hook"))
    }
}

/// Where a crate finds the contract, the crate `veracity-processor`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Contract {
    /// In the registry.
    #[default]
    Published,
    /// In this folder.
    Path(PathBuf),
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Created {
    /// The plugin's folder.
    pub folder: PathBuf,
    /// The files in it, sorted.
    pub files: Vec<PathBuf>,
    /// The commands that come next, to be run one after the other.
    pub next: Vec<String>,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScaffoldError {
    /// The plugin cannot have this name.
    #[error("name `{name}` {why}; `{suggestion}` would do")]
    Name {
        /// The name, cut if it is very long.
        name: String,
        /// What is wrong with it.
        why: String,
        /// The nearest name that would do.
        suggestion: String,
    },
    /// There is something in the folder; nothing is ever overwritten.
    #[error("`{}` is not empty, it has `{found}`; choose another folder", folder.display())]
    NotEmpty {
        /// The folder.
        folder: PathBuf,
        /// One of the things in it.
        found: String,
    },
    /// There is something of that name that is no folder.
    #[error("`{}` is not a folder", folder.display())]
    NotAFolder {
        /// What should be one.
        folder: PathBuf,
    },
    /// There is no contract where it should be.
    #[error("`{}` holds no crate `veracity-processor`: there is no `Cargo.toml` in it", path.display())]
    NoContract {
        /// Where it should be.
        path: PathBuf,
    },
    /// A file or folder could not be read or written.
    #[error("`{}` cannot be written", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

/// Writes a plugin called `name` into `folder`, which is made if it is not there.
///
/// The `contract` is for Rust alone.
///
/// # Errors
///
/// If the name cannot be used, if there is anything in the folder, or if something cannot be
/// written. What was written until then is removed.
pub fn new(
    name: &str,
    lang: Lang,
    kind: Kind,
    folder: &Path,
    contract: &Contract,
) -> Result<Created, ScaffoldError> {
    check_name(name, lang)?;
    let contract = match contract {
        Contract::Published => None,
        Contract::Path(path) => Some(contract_at(path)?),
    };
    let files = template::files(name, lang, kind, contract.as_deref());
    write::all(folder, &files)?;
    let mut paths: Vec<PathBuf> = files.into_iter().map(|(path, _)| path.into()).collect();
    paths.sort();
    let test = match lang {
        Lang::Rust => "cargo test",
        Lang::Python => "python3 -m unittest",
    };
    Ok(Created {
        folder: folder.to_owned(),
        files: paths,
        next: vec![format!("cd {}", write::quoted(folder)), test.to_owned()],
    })
}

/// The absolute path of the contract.
fn contract_at(path: &Path) -> Result<PathBuf, ScaffoldError> {
    let absolute = path.canonicalize().map_err(|cause| ScaffoldError::Io {
        path: path.to_owned(),
        cause,
    })?;
    match absolute.join("Cargo.toml").is_file() {
        true => Ok(absolute),
        false => Err(ScaffoldError::NoContract { path: absolute }),
    }
}
