//! The built command, run in a folder of its own.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use regex::Regex;
use tempfile::TempDir;

/// A suite with one check, most of whose assertions hold.
pub const SUITE: &str = "\
version: 1
suite: shop
datasets:
  orders: orders.csv
checks:
  - check: Orders are complete
    tags: [daily]
    assertions:
      - row_count() = 4
      - expect: completeness(email) >= 0.7
        name: emails known
        severity: P0
      - rows: amount > 0
  - check: Orders are unique
    assertions:
      - expect: uniqueness(id) = 1
        tags: [keys]
";

/// Four orders, one of them without an address.
pub const ORDERS: &str = "\
id,email,amount,day
1,a@example.org,12.50,2026-11-01
2,b@example.org,3.20,2026-11-02
3,,7.00,2026-11-03
4,d@example.org,1.10,2026-11-03
";

/// A folder for one test; gone with the value.
pub struct Folder(TempDir);

impl Folder {
    /// An empty folder.
    pub fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A folder with `orders.csv` and `suite.yaml`.
    pub fn with_suite() -> Self {
        let folder = Self::empty();
        folder.write("orders.csv", ORDERS);
        folder.write("suite.yaml", SUITE);
        folder
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The command, without anything from the environment that could change it.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_veracity"));
        command.current_dir(self.path()).args(arguments);
        for (name, _) in std::env::vars() {
            let others = [
                "VERACITY_",
                "OPENLINEAGE_",
                "GITHUB_",
                "TF_BUILD",
                "RUST_BACKTRACE",
            ];
            if others.iter().any(|other| name.starts_with(other)) || name.contains("COLOR") {
                command.env_remove(name);
            }
        }
        command
    }

    /// What the command does, with what differs from run to run replaced.
    pub fn veracity(&self, arguments: &[&str]) -> Done {
        Done::of(&self.command(arguments).output().unwrap())
    }
}

/// What a command did.
pub struct Done {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Done {
    pub fn of(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: redacted(&String::from_utf8_lossy(&output.stdout)),
            stderr: redacted(&String::from_utf8_lossy(&output.stderr)),
        }
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// All of it, for snapshots.
    pub fn all(&self) -> String {
        let code = self
            .code
            .map_or("killed".to_owned(), |code| code.to_string());
        let mut all = format!("exit {code}\n");
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                all.push_str(&format!("--- {name}\n{text}"));
            }
        }
        all
    }
}

/// `text` without what differs from run to run: identities, times and how long it took.
fn redacted(text: &str) -> String {
    let replacements = [
        (
            r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}",
            "<id>",
        ),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "<now>"),
        (r#""duration_ms": \d+"#, r#""duration_ms": 0"#),
        (r"in (\d+ ms|\d+\.\d+ s)\b", "in <time>"),
    ];
    let mut text = text.to_owned();
    for (pattern, by) in replacements {
        text = Regex::new(pattern)
            .unwrap()
            .replace_all(&text, by)
            .into_owned();
    }
    text
}
