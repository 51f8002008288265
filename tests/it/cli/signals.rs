//! A run that is told to end tells what it knows.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::harness::{Done, Folder};

const LONG: &str = "\
version: 1
suite: long
datasets:
  numbers: numbers.csv
  product:
    sql: select a.n + b.n + c.n + d.n as n from numbers a, numbers b, numbers c, numbers d
checks:
  - check: numbers
    dataset: numbers
    assertions: [max(n) = 2000]
  - check: product
    dataset: product
    assertions: [sum(n) > 0]
";

fn long_run() -> Folder {
    let folder = Folder::empty();
    let numbers: Vec<String> = (1..=2000).map(|n| n.to_string()).collect();
    folder.write("numbers.csv", &format!("n\n{}\n", numbers.join("\n")));
    folder.write("suite.yaml", LONG);
    folder
}

/// What a long run does with a signal in its midst.
fn signalled(signal: &str) -> Done {
    let folder = long_run();
    let mut command = folder.command(&["run", "suite.yaml", "--date", "2026-11-20"]);
    let run = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_secs(3));
    let pid = run.id().to_string();
    assert!(
        Command::new("kill")
            .args([signal, &pid])
            .status()
            .unwrap()
            .success()
    );
    let sent = Instant::now();
    let done = Done::of(&run.wait_with_output().unwrap());
    assert!(
        sent.elapsed() < Duration::from_secs(10),
        "it took {:?}",
        sent.elapsed()
    );
    done
}

#[test]
fn sigint_ends_with_a_partial_report_and_130() {
    insta::assert_snapshot!(signalled("-INT").all());
}

#[test]
fn sigterm_ends_with_a_partial_report_and_143() {
    let done = signalled("-TERM");
    assert_eq!(done.code, Some(143), "{}", done.all());
    assert!(
        done.stdout.contains("interrupted by SIGTERM"),
        "{}",
        done.stdout
    );
}

#[test]
fn a_time_limit_ends_with_a_partial_report_and_3() {
    let folder = long_run();
    let done = folder.veracity(&["run", "suite.yaml", "--time-limit", "2s", "-q"]);
    insta::assert_snapshot!(done.all());
}
