//! What the tests stand on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use veracity_host::isolation::{Attempt, Call, Fault, Isolated, Snapshot, Thread, worker};
use veracity_processor::{Config, Outcome, Plugin, Report, sample_report};

/// Ample for everything that does not hang.
pub const AMPLE: Duration = Duration::from_secs(60);

/// For what hangs.
pub const SHORT: Duration = Duration::from_millis(300);

/// Far more than a limit may be exceeded by, on a machine that is busy.
const SLACK: Duration = Duration::from_secs(15);

pub fn report() -> Arc<Report> {
    Arc::new(sample_report())
}

/// The attempt number `attempt`.
pub fn call(attempt: u32) -> Call {
    Call {
        instance: "tested".into(),
        config: Config::default(),
        idempotency_key: "key".into(),
        attempt,
        state: [("seen".to_owned(), 1.into())].into(),
        ..Call::default()
    }
}

/// An attempt to deliver.
pub fn deliver(processor: &impl Isolated, attempt: u32, limit: Duration) -> Attempt {
    processor.process(report(), call(attempt), limit)
}

/// `faulty`, configured by `config`, on a thread.
pub fn on_thread(config: Value) -> Thread {
    Thread::new("tested", move || plugin().build_processor(config))
}

/// `faulty`, configured by `config`, in a worker that may take 1 GiB.
pub fn in_worker(config: Value) -> veracity_host::isolation::Child {
    worker::worker(
        "tested",
        veracity_processor::Kind::Processor,
        "faulty",
        config,
        1 << 30,
    )
    .unwrap()
}

/// The plugin `faulty`.
pub fn plugin() -> &'static Plugin {
    Plugin::linked()
        .find(|plugin| plugin.name() == "faulty")
        .unwrap()
}

pub fn assert_delivered(attempt: &Attempt, label: &str) {
    let Ok(outcome) = &attempt.result else {
        panic!("{label}: {attempt:?}");
    };
    assert_eq!(outcome.status, Outcome::done().status, "{label}");
}

/// The fault of a call that took no longer than it may.
pub fn fault_of<T: std::fmt::Debug>(
    label: &str,
    limit: Duration,
    call: impl FnOnce() -> Result<T, Fault>,
) -> Fault {
    let begun = Instant::now();
    let result = call();
    let taken = begun.elapsed();
    assert!(taken < limit + SLACK, "{label} took {taken:?}");
    result.expect_err(label)
}

pub fn assert_hung(fault: &Fault, limit: Duration, label: &str) {
    assert_eq!(*fault, Fault::Hung { limit }, "{label}");
}

pub fn assert_panicked(fault: &Fault, text: &str, label: &str) {
    let Fault::Panicked { message } = fault else {
        panic!("{label}: {fault:?}");
    };
    let place = "tests/isolation/faulty.rs:";
    assert!(
        message.starts_with(text) && message.contains(place),
        "{label}: {message}"
    );
}

pub fn assert_crashed(fault: &Fault, texts: &[&str], label: &str) {
    let Fault::Crashed { message } = fault else {
        panic!("{label}: {fault:?}");
    };
    for text in texts {
        assert!(message.contains(text), "{label}: no `{text}` in {message}");
    }
}

pub fn assert_unavailable(fault: &Fault, text: &str, label: &str) {
    let Fault::Unavailable { message } = fault else {
        panic!("{label}: {fault:?}");
    };
    assert!(message.contains(text), "{label}: {message}");
}

/// Waits until `holds`, as long as it takes.
pub fn until(label: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < AMPLE, "never: {label}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs `test`, after which this process has no more files and threads than before, and
/// no child.
pub fn leaves_nothing(test: impl FnOnce()) {
    // Makes what is made once in a process.
    Snapshot::take();
    let before = (count("/proc/self/fd"), count("/proc/self/task"));
    test();
    until("no child is left", || children().is_empty());
    until("no file and no thread is left", || {
        (count("/proc/self/fd"), count("/proc/self/task")) <= before
    });
}

fn count(folder: &str) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

/// The children of this process, ended or not.
pub fn children() -> Vec<u32> {
    let own = std::process::id();
    let entries = std::fs::read_dir("/proc").unwrap();
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    numbers
        .filter(|&number| stat(number).is_some_and(|(_, parent)| parent == own))
        .collect()
}

/// The state of the process `number`, and its parent.
fn stat(number: u32) -> Option<(char, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
    // A name may contain anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// Whether the process `number` runs; one that is ended but not waited for does not.
pub fn runs(number: u32) -> bool {
    stat(number).is_some_and(|(state, _)| !matches!(state, 'Z' | 'X'))
}
