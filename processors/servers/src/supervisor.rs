//! Keeps a server from outliving the process that started it.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Runs a server and waits for a line, or the end, of its input. The end comes also when
/// the process that holds the other side was killed. After `keep` the data stays.
const SCRIPT: &str = r#"
folder=$1 signal=$2 at_end=$3
shift 3
exec 3<&0 0</dev/null
{
    read -r line <&3
    [ "$line" = keep ] || { signal=$at_end; : >"$folder/remove"; }
    while [ ! -s "$folder/pid" ]; do sleep 0.05; done
    kill -"$signal" "$(cat "$folder/pid")"
} &
watcher=$!
# The number of the shell stays when it becomes the server.
sh -c 'echo $$ >"$0"; exec "$@"' "$folder/pid" "$@"
kill "$watcher" 2>/dev/null
if [ -e "$folder/remove" ]; then rm -rf "$folder"; fi
"#;

/// A running server.
pub(crate) struct Supervisor(Child);

impl Supervisor {
    /// Runs `command` with its files in `folder`. It is stopped with `signal`, or with
    /// `at_end` when nobody needs its data any more.
    pub(crate) fn start(
        folder: &Path,
        [signal, at_end]: [&str; 2],
        command: &[OsString],
    ) -> std::io::Result<Self> {
        let _ = std::fs::remove_file(folder.join("pid"));
        let log = File::options()
            .create(true)
            .append(true)
            .open(folder.join("log"))?;
        let child = Command::new("sh")
            .args(["-c", SCRIPT, "supervisor"])
            .arg(folder)
            .args([signal, at_end])
            .args(command)
            // The usual one may be closed to the user that the server runs as.
            .env("TMPDIR", folder)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            // An interrupt from the keyboard is for the tests; the server ends after them.
            .process_group(0)
            .spawn()?;
        Ok(Self(child))
    }

    /// Whether the server still runs.
    pub(crate) fn runs(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }

    /// Stops the server in an orderly way and keeps its data.
    pub(crate) fn stop(mut self) {
        if let Some(stdin) = &mut self.0.stdin {
            // It fails if the server ended by itself; there is nothing to stop then.
            let _ = stdin.write_all(b"keep\n");
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
