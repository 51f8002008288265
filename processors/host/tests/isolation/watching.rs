//! What plugins leave behind in the process.

use serde_json::json;
use veracity_host::isolation::{Isolated, Snapshot};

use crate::Test;
use crate::faulty::open;
use crate::ground::{AMPLE, assert_delivered, assert_panicked, deliver, in_worker, on_thread};

pub const ALONE: &[Test] = &[
    ("what a processor on a thread changes is told", told),
    ("a changed folder can be restored", restored),
    ("a replaced panic hook hides no panic", hooked),
    ("a processor in a worker changes nothing", immune),
];

const ACTS: [&str; 7] = [
    "leave threads",
    "leave files",
    "change the environment",
    "change the mask",
    "replace the panic hook",
    "ignore a signal",
    "change the folder",
];

/// What is left behind by a processor that did `act` and was shut down.
fn changes(act: &str) -> Vec<String> {
    let before = Snapshot::take();
    let thread = on_thread(json!({"process": act, "gate": act}));
    assert_delivered(&deliver(&thread, 1, AMPLE), act);
    thread.shutdown(AMPLE).unwrap();
    drop(thread);
    settled(|| Snapshot::take().changes_since(&before))
}

/// The value when it has not changed for a while: threads take a moment to end.
fn settled(value: impl Fn() -> Vec<String>) -> Vec<String> {
    let mut last = value();
    let mut same = 0;
    while same < 20 {
        std::thread::sleep(std::time::Duration::from_millis(25));
        let now = value();
        same = if now == last { same + 1 } else { 0 };
        last = now;
    }
    last
}

fn told() {
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o22));
    std::env::set_current_dir(env!("CARGO_MANIFEST_DIR")).unwrap();
    let folder = std::env::current_dir().unwrap();
    assert_eq!(changes(""), Vec::<String>::new());
    let all: Vec<String> = ACTS.iter().flat_map(|act| changes(act)).collect();
    open("leave threads");
    assert_eq!(
        all,
        [
            "instance `tested` left 2 threads running".to_owned(),
            "3 more files open than before, among them /dev/null, /dev/null, /dev/null".to_owned(),
            "the environment changed: `SURPRISE`".to_owned(),
            "the mask for new files changed from 0022 to 0077".to_owned(),
            "the panic hook was replaced, and is restored".to_owned(),
            "the handling of signals changed: 15".to_owned(),
            format!(
                "the current folder changed from `{}` to `/`",
                folder.display()
            ),
        ]
    );
}

fn restored() {
    let before = Snapshot::take();
    assert_ne!(changes("change the folder"), Vec::<String>::new());
    assert!(before.restore_folder());
    assert_eq!(
        Snapshot::take().changes_since(&before),
        Vec::<String>::new()
    );
}

fn hooked() {
    let thread = on_thread(json!({"process": "replace the panic hook", "health": "panic"}));
    assert_delivered(&deliver(&thread, 1, AMPLE), "it is replaced");
    let fault = thread.health(AMPLE).unwrap_err();
    assert_panicked(&fault, "text at ", "with its place, and without noise");
}

fn immune() {
    let before = Snapshot::take();
    for act in ACTS {
        let worker = in_worker(json!({"process": act}));
        assert_delivered(&deliver(&worker, 1, AMPLE), act);
    }
    assert_eq!(
        settled(|| Snapshot::take().changes_since(&before)),
        Vec::<String>::new()
    );
}
