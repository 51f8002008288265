//! A real nats-server for each test that needs one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::LIMIT;

/// Runs the server until its input ends: when this process is gone, however it ended.
const SCRIPT: &str = r#"
exec 3<&0 0</dev/null
"$@" &
server=$!
{ read -r _ <&3; kill -KILL "$server"; } 2>/dev/null &
wait "$server"
kill "$!" 2>/dev/null
"#;

/// A running server; it ends with this value.
pub struct NatsServer {
    child: Child,
    /// `127.0.0.1:4222`
    pub address: String,
    pub folder: TempDir,
}

impl NatsServer {
    /// Starts a server with `config`, in the language of its configuration files. There
    /// `FOLDER` stands for the server's own folder.
    pub fn start(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::start_in(folder, config)
    }

    /// The same with files that are there already.
    pub fn start_in(folder: TempDir, config: &str) -> Self {
        let path = folder.path().to_str().unwrap();
        let config = format!(
            "listen: \"127.0.0.1:-1\"\nports_file_dir: \"{path}\"\n{}",
            config.replace("FOLDER", path)
        );
        let file = folder.path().join("nats.conf");
        fs::write(&file, config).unwrap();
        let program = program();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new("sh")
            .args(["-c", SCRIPT, "server"])
            .args([&program, Path::new("-c"), &file])
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()));
        let mut server = Self {
            child,
            address: String::new(),
            folder,
        };
        server.address = server.await_address();
        server
    }

    /// The server writes its address into a file when it listens.
    fn await_address(&mut self) -> String {
        let begun = Instant::now();
        loop {
            let files = fs::read_dir(self.folder.path()).unwrap();
            let ports = files
                .map(|file| file.unwrap().path())
                .find(|path| path.extension().is_some_and(|end| end == "ports"));
            let written = ports.and_then(|path| fs::read_to_string(path).ok());
            let read = written.and_then(|text| serde_json::from_str::<Value>(&text).ok());
            if let Some(url) = read.as_ref().and_then(|ports| ports["nats"][0].as_str()) {
                let (_, address) = url.split_once("://").unwrap();
                return address.to_owned();
            }
            let ended = self.child.try_wait().unwrap().is_some();
            if ended || begun.elapsed() > LIMIT {
                panic!("nats-server does not start: {}", self.log());
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// `nats://<login><address>`
    pub fn url(&self, login: &str) -> String {
        format!("nats://{login}{}", self.address)
    }

    /// Ends the server.
    pub fn stop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Debian keeps servers outside of the PATH of ordinary users.
fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin"].map(PathBuf::from);
    let mut folders = std::env::split_paths(&path).chain(more);
    let found = folders.find_map(|folder| {
        let program = folder.join("nats-server");
        program.is_file().then_some(program)
    });
    found.unwrap_or_else(|| {
        panic!("there is no nats-server here; install it: `apt-get install nats-server`")
    })
}
