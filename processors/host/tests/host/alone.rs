//! Runs tests in a process of their own.

use std::process::Command;
use std::time::Duration;

use crate::Test;

/// Names what a process runs.
const VARIABLE: &str = "HOST_TEST";
/// Begins the lines that tests print for people.
const NOTE: &str = "note: ";
/// Far longer than any test takes, so that one that hangs does not hang for ever.
const LONGEST: Duration = Duration::from_secs(540);

/// Runs what this process was started for, and ends it.
pub fn run_if_asked(lists: &[&[Test]]) {
    let Ok(asked) = std::env::var(VARIABLE) else {
        return;
    };
    let mut tests = lists.iter().flat_map(|list| list.iter());
    let (_, test) = tests.find(|(name, _)| *name == asked).unwrap();
    std::thread::spawn(|| {
        std::thread::sleep(LONGEST);
        eprintln!("it takes more than {LONGEST:?}");
        std::process::abort();
    });
    test();
    std::process::exit(0);
}

/// This program, to run what is called `name`.
pub fn program(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(VARIABLE, name);
    command
}

/// Tells people something that decides nothing.
pub fn note(text: &str) {
    eprintln!("{NOTE}{text}");
}

/// Whether the test called `name` passes, and prints nothing but notes: panics of plugins
/// are silent.
pub fn passes(name: &str) -> Result<(), String> {
    let output = program(name).output().map_err(|error| error.to_string())?;
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    let quiet = out.is_empty() && err.lines().all(|line| line.starts_with(NOTE));
    if !(output.status.success() && quiet) {
        return Err(format!("{}\n{out}{err}", output.status));
    }
    if !err.is_empty() {
        eprint!("{err}");
    }
    Ok(())
}
