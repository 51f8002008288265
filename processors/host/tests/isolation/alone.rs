//! Runs tests in a process of their own.

use std::process::Command;

use crate::{Test, workers};

/// Names the test that a process runs.
const VARIABLE: &str = "ISOLATION_TEST";

/// What runs in a process of its own without being a test.
pub const OTHER_PROGRAMS: &[Test] = &[("a host with a busy worker", workers::be_a_host)];

/// Runs the test that this process was started for, and ends it.
pub fn run_if_asked(lists: &[&[Test]]) {
    let Ok(asked) = std::env::var(VARIABLE) else {
        return;
    };
    let mut tests = lists.iter().flat_map(|list| list.iter());
    let (_, test) = tests.find(|(name, _)| *name == asked).unwrap();
    test();
    std::process::exit(0);
}

/// This program, to run what is called `name`.
pub fn program(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(VARIABLE, name);
    command
}

/// Whether the test called `name` passes, and prints nothing: panics of plugins are silent.
pub fn passes(name: &str) -> Result<(), String> {
    let output = program(name).output().map_err(|error| error.to_string())?;
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    if output.status.success() && out.is_empty() && err.is_empty() {
        return Ok(());
    }
    Err(format!("{}\n{out}{err}", output.status))
}
