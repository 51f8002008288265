//! Executable plugins, in a shell and in Python.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use veracity_host::isolation::{Child, Fault, Isolated, Program};
use veracity_processor::{HealthStatus, OutcomeStatus, ProcessorError};

use crate::Test;
use crate::ground::{
    AMPLE, assert_crashed, assert_delivered, assert_hung, assert_unavailable, call, children,
    deliver, fault_of, leaves_nothing, report, runs, until,
};

pub const ALONE: &[Test] = &[
    ("executable: a shell script is a processor", shell),
    ("executable: a Python program is a processor", python),
    ("executable: what cannot be run is told", not_there),
    ("executable: a breach of the protocol is a crash", breaches),
    (
        "executable: what does not answer, or not read, is killed",
        hangs,
    ),
    (
        "executable: one that ends after each answer is started again",
        one_shot,
    ),
    (
        "executable: an answer too many is not the answer to the next report",
        answers_twice,
    ),
    (
        "executable: a descendant that escapes holds nobody up",
        escaped,
    ),
    ("executable: one that does not stop is stopped", stubborn),
    ("executable: its memory can be limited", memory),
];

fn folder() -> &'static Path {
    Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/isolation/plugins"
    ))
}

fn of(command: &[&str], answers_health: bool) -> Child {
    let command: Vec<String> = command.iter().map(|&word| word.to_owned()).collect();
    let program = Program::new(&command, folder());
    let config = json!({"greeting": "good morning"});
    Child::new("tested", program, config, answers_health)
}

fn faulty(mode: &str) -> Child {
    of(&["python3", "faulty.py", mode], false)
}

fn shell() {
    leaves_nothing(|| {
        let plugin = of(&["./polite.sh"], false);
        plugin.startup(AMPLE).unwrap();
        let attempt = deliver(&plugin, 1, AMPLE);
        let outcome = attempt.result.unwrap();
        assert_eq!(
            (outcome.status, outcome.reason.as_deref()),
            (OutcomeStatus::Skipped, Some("report 1"))
        );
        assert_eq!(attempt.stderr.as_deref(), Some("got a report\n"));
        assert_eq!(attempt.state, None);
        let outcome = deliver(&plugin, 2, AMPLE).result.unwrap();
        assert_eq!(outcome.reason.as_deref(), Some("report 2"), "it still runs");
        let health = plugin.health(AMPLE).unwrap();
        assert_eq!(health.status, HealthStatus::Healthy);
        assert_eq!(plugin.shutdown(AMPLE), Ok(()));
    });
}

fn python() {
    leaves_nothing(|| {
        let plugin = of(&["python3", "polite.py"], true);
        let attempt = deliver(&plugin, 1, AMPLE);
        let outcome = attempt.result.unwrap();
        assert_eq!(
            (outcome.status, outcome.note.as_deref()),
            (
                OutcomeStatus::Done,
                Some("good morning from tested: nycflights failed, attempt 1, key key")
            )
        );
        assert_eq!(attempt.state.unwrap()["seen"], 2);
        let health = plugin.health(AMPLE).unwrap();
        assert_eq!(health.detail.as_deref(), Some("1 report"));
        let later = deliver(&plugin, 2, AMPLE).result.unwrap_err();
        let minute = Duration::from_secs(60);
        let error = ProcessorError::retryable("come back later").after(minute);
        assert_eq!(later, Fault::Failed(error));
        assert_eq!(plugin.shutdown(AMPLE), Ok(()));
    });
}

fn not_there() {
    leaves_nothing(|| {
        let cases = [
            (["./absent.sh"], "No such file"),
            (["no-such-program-anywhere"], "No such file"),
            (["./README.md"], "Permission denied"),
        ];
        for (command, text) in cases {
            let plugin = of(&command, false);
            let fault = fault_of(command[0], AMPLE, || plugin.startup(AMPLE));
            assert_unavailable(&fault, "cannot run", command[0]);
            assert_unavailable(&fault, text, command[0]);
        }
    });
}

fn breaches() {
    let cases: &[(&str, &[&str])] = &[
        ("nonsense", &["cannot be read", "`hello there`"]),
        ("not UTF-8", &["not UTF-8"]),
        ("an endless line", &["longer than 1048576 bytes"]),
        ("unknown type", &["unknown variant `thanks`"]),
        (
            "the wrong answer",
            &["is a `ready`, which was not asked for"],
        ),
        ("end", &["exit status 0 before it answered"]),
        (
            "fail",
            &["exit status 3", "it wrote: Traceback", "ZeroDivisionError"],
        ),
        ("be killed", &["SIGTERM"]),
        (
            "close its output",
            &["closed its output before it answered"],
        ),
        ("half an answer", &["cannot be read"]),
    ];
    leaves_nothing(|| {
        for (mode, texts) in cases {
            let plugin = faulty(mode);
            plugin.startup(AMPLE).unwrap();
            let fault = fault_of(mode, AMPLE, || deliver(&plugin, 1, AMPLE).result);
            assert_crashed(&fault, texts, mode);
            assert_delivered(&deliver(&plugin, 2, AMPLE), mode);
        }
        let plugin = faulty("nonsense at the start");
        let fault = fault_of("start", AMPLE, || plugin.startup(AMPLE));
        assert_crashed(&fault, &["cannot be read"], "start");
        assert_delivered(
            &deliver(&faulty("no line break at the end"), 1, AMPLE),
            "end",
        );
    });
}

fn hangs() {
    leaves_nothing(|| {
        let limit = Duration::from_secs(1);
        for mode in ["sleep", "ignore signals", "blank lines"] {
            let plugin = faulty(mode);
            plugin.startup(AMPLE).unwrap();
            let fault = fault_of(mode, limit, || deliver(&plugin, 1, limit).result);
            assert_hung(&fault, limit, mode);
            assert_delivered(&deliver(&plugin, 2, AMPLE), mode);
        }
        // Far more than a pipe holds.
        let mut large = (*report()).clone();
        large.warnings = vec!["w".repeat(8 << 20)];
        let plugin = faulty("do not read");
        plugin.startup(AMPLE).unwrap();
        let large = std::sync::Arc::new(large);
        let fault = fault_of("do not read", limit, || {
            plugin.process(large.clone(), call(1), limit).result
        });
        assert_hung(&fault, limit, "do not read");
        let plugin = of(&["python3", "polite.py"], true);
        let attempt = plugin.process(large, call(1), AMPLE);
        assert_delivered(&attempt, "who reads gets it all");
    });
}

fn one_shot() {
    leaves_nothing(|| {
        let plugin = faulty("one answer");
        for attempt in 1..4 {
            assert_delivered(&deliver(&plugin, attempt, AMPLE), "one answer");
            until("it ends", || children().is_empty());
        }
        assert_eq!(plugin.shutdown(AMPLE), Ok(()));
    });
}

fn answers_twice() {
    leaves_nothing(|| {
        let plugin = faulty("answer twice");
        for attempt in 1..4 {
            let outcome = deliver(&plugin, attempt, AMPLE).result.unwrap();
            let own = format!("attempt {attempt}");
            assert_eq!(outcome.note.as_deref(), Some(own.as_str()));
        }
    });
}

fn escaped() {
    leaves_nothing(|| {
        for mode in ["leave a daemon", "leave a daemon and end"] {
            let plugin = faulty(mode);
            plugin.startup(AMPLE).unwrap();
            let begun = Instant::now();
            let attempt = deliver(&plugin, 1, AMPLE);
            assert!(begun.elapsed() < AMPLE / 2, "{mode}");
            let daemon: u32 = attempt.stderr.unwrap().trim().parse().unwrap();
            if mode == "leave a daemon" {
                assert!(attempt.result.is_ok(), "{mode}");
            } else {
                assert_crashed(&attempt.result.unwrap_err(), &["exit status 0"], mode);
            }
            drop(plugin);
            assert!(runs(daemon), "it is beyond reach, and documented to be");
            let daemon = i32::try_from(daemon).unwrap();
            let kill = nix::sys::signal::Signal::SIGKILL;
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(daemon), kill).unwrap();
            until("the daemon ends", || !runs(daemon.unsigned_abs()));
        }
    });
}

fn stubborn() {
    leaves_nothing(|| {
        let limit = Duration::from_secs(1);
        let plugin = faulty("ignore the end");
        assert_delivered(&deliver(&plugin, 1, AMPLE), "before");
        let fault = fault_of("stop", limit, || plugin.shutdown(limit));
        assert_hung(&fault, limit, "stop");
        let plugin = faulty("ignore the end");
        assert_delivered(&deliver(&plugin, 1, AMPLE), "before");
        drop(plugin);
    });
}

fn memory() {
    leaves_nothing(|| {
        let plugin = faulty("allocate").with_memory_limit(1 << 30);
        let fault = fault_of("allocate", AMPLE, || deliver(&plugin, 1, AMPLE).result);
        assert_crashed(&fault, &["exit status 1", "MemoryError"], "allocate");
        assert_delivered(&deliver(&plugin, 2, AMPLE), "allocate");
    });
}
