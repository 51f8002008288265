//! Tests that go on in another process.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Tells a test that it runs again, and with which path.
const PATH: &str = "VERACITY_TEST_AGAIN";

/// The path to work with, if this is the other process.
pub fn path() -> Option<PathBuf> {
    std::env::var_os(PATH).map(PathBuf::from)
}

/// Runs the test `name` in another process, with `path`, after `prefix`, a bit of shell.
pub fn command(name: &str, path: &Path, prefix: &str) -> Command {
    of(&std::env::current_exe().unwrap(), name, path, prefix)
}

/// The same as a user who is not root, because root may write everywhere.
pub fn unprivileged(name: &str, path: &Path, copies: &Path) -> Command {
    let user = Command::new("id").arg("-u").output().unwrap().stdout;
    if user.trim_ascii() != b"0" {
        return command(name, path, "exec");
    }
    // The program may be where others cannot read it.
    let copy = copies.join("it");
    fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    fs::set_permissions(&copy, PermissionsExt::from_mode(0o755)).unwrap();
    let prefix = "exec setpriv --reuid=65534 --regid=65534 --clear-groups";
    let mut command = of(&copy, name, path, prefix);
    command.current_dir("/");
    command
}

fn of(program: &Path, name: &str, path: &Path, prefix: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{prefix} \"$0\" \"$@\"")])
        .arg(program)
        .args([name, "--exact"])
        .env(PATH, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Waits for `commands`, which run at once; each must have passed its one test.
pub fn all_pass(commands: Vec<Command>) {
    let started: Vec<_> = commands
        .into_iter()
        .map(|mut command| command.spawn().unwrap())
        .collect();
    for child in started {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let complained = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}\n{complained}");
        assert!(said.contains("1 passed"), "{said}");
    }
}

/// A folder that everybody can look into.
pub fn open_folder() -> tempfile::TempDir {
    tempfile::Builder::new()
        .permissions(PermissionsExt::from_mode(0o755))
        .tempdir()
        .unwrap()
}
