//! Processors in workers.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use veracity_host::isolation::{Child, Fault, Isolated, worker};
use veracity_processor::{HealthStatus, Kind, ProcessorError};

use crate::Test;
use crate::alone;
use crate::ground::{
    AMPLE, SHORT, assert_crashed, assert_delivered, assert_hung, assert_panicked,
    assert_unavailable, deliver, fault_of, in_worker, leaves_nothing, on_thread, runs, until,
};

pub const ALONE: &[Test] = &[
    ("worker: what ends a process does not end this one", crashes),
    ("worker: what does not end is killed", hangs),
    (
        "worker: panics and errors end no process",
        panics_and_errors,
    ),
    (
        "worker: faults at the start are told at the start",
        faulty_starts,
    ),
    ("worker: shutdown is asked for, and enforced", shutdowns),
    (
        "worker: what is printed is captured, bounded, and disturbs nothing",
        prints,
    ),
    (
        "worker: memory is limited beyond what is there at the start",
        memory,
    ),
    ("worker: its children end with it", grandchildren),
    (
        "worker: nobody sees its configuration, it sees no variables",
        privacy,
    ),
    (
        "worker: it does not outlive a host that is killed",
        killed_host,
    ),
    (
        "worker: a processor that is not linked is named",
        not_linked,
    ),
];

fn note(worker: &Child, attempt: u32) -> String {
    let attempt = deliver(worker, attempt, AMPLE);
    attempt.result.unwrap().note.unwrap()
}

fn crashes() {
    let cases: &[(&str, &[&str])] = &[
        ("abort", &["SIGABRT"]),
        ("exit", &["exit status 0 before it answered"]),
        (
            "exit after a message",
            &["exit status 3", "it wrote: the last words"],
        ),
        ("overflow the stack", &["SIGABRT", "overflowed its stack"]),
        (
            "allocate 4 GiB",
            &["SIGABRT", "memory allocation of 4294967296 bytes failed"],
        ),
        ("kill itself", &["signal 9 (SIGKILL)"]),
        ("panic while a panic unwinds", &["SIGABRT"]),
    ];
    let other = on_thread(json!({}));
    other.startup(AMPLE).unwrap();
    leaves_nothing(|| {
        for (act, texts) in cases {
            let worker = in_worker(json!({"process": act}));
            let fault = fault_of(act, AMPLE, || deliver(&worker, 1, AMPLE).result);
            assert_crashed(&fault, texts, act);
            assert_delivered(&deliver(&worker, 2, AMPLE), act);
            assert_delivered(&deliver(&other, 1, AMPLE), act);
            worker.shutdown(AMPLE).unwrap();
        }
    });
}

fn hangs() {
    let limit = Duration::from_secs(2);
    leaves_nothing(|| {
        for act in [
            "sleep",
            "spin",
            "never be ready",
            "ignore signals and sleep",
        ] {
            let worker = in_worker(json!({"process": act}));
            worker.startup(AMPLE).unwrap();
            let fault = fault_of(act, limit, || deliver(&worker, 1, limit).result);
            assert_hung(&fault, limit, act);
            assert_delivered(&deliver(&worker, 2, AMPLE), act);
        }
    });
}

fn panics_and_errors() {
    leaves_nothing(|| {
        let cases = [
            ("panic", "text at "),
            ("panic with a String", "text at "),
            ("panic with a value", "a value that is no text at "),
            (
                "panic with a value that panics when dropped",
                "a value that is no text at ",
            ),
        ];
        for (act, text) in cases {
            let worker = in_worker(json!({"process": act, "health": "tell its process"}));
            let process = worker.health(AMPLE).unwrap();
            assert_eq!(process.status, HealthStatus::Degraded);
            let attempt = deliver(&worker, 1, AMPLE);
            assert_panicked(&attempt.result.unwrap_err(), text, act);
            assert_eq!(attempt.state.unwrap()["seen"], 2, "{act}");
            assert_eq!(worker.health(AMPLE).unwrap(), process, "it still runs");
            worker.shutdown(AMPLE).unwrap();
        }
        let seven = Duration::from_secs(7);
        let errors = [
            ("refuse", ProcessorError::permanent("refused")),
            ("be busy", ProcessorError::retryable("busy").after(seven)),
        ];
        for (act, error) in errors {
            let worker = in_worker(json!({"process": act, "health": act}));
            let attempt = deliver(&worker, 1, AMPLE);
            assert_eq!(attempt.result, Err(Fault::Failed(error.clone())));
            assert_eq!(attempt.state.unwrap()["seen"], 2, "{act}");
            assert_eq!(worker.health(AMPLE), Err(Fault::Failed(error)));
            let attempt = deliver(&worker, 2, AMPLE);
            assert_eq!(
                (attempt.state.unwrap()["seen"].clone(), attempt.stderr),
                (json!(2), None)
            );
        }
    });
}

fn faulty_starts() {
    leaves_nothing(|| {
        for part in ["build", "startup"] {
            let start = |act| {
                let worker = in_worker(json!({part: act}));
                fault_of(act, AMPLE, || worker.startup(AMPLE))
            };
            assert_crashed(&start("abort"), &["SIGABRT"], part);
            assert_crashed(&start("exit"), &["exit status 0"], part);
            assert_panicked(&start("panic"), "text at ", part);
            let worker = in_worker(json!({part: "spin"}));
            let fault = fault_of(part, SHORT, || worker.startup(SHORT));
            assert_hung(&fault, SHORT, part);
            let fault = fault_of(part, SHORT, || deliver(&worker, 1, SHORT).result);
            assert_hung(&fault, SHORT, part);
        }
        let refused = fault_of("refuse", AMPLE, || {
            in_worker(json!({"build": "error"})).startup(AMPLE)
        });
        let error = ProcessorError::permanent("build: it shall fail");
        assert_eq!(refused, Fault::Failed(error));
    });
}

fn shutdowns() {
    leaves_nothing(|| {
        let end = |acts, limit| {
            let worker = in_worker(acts);
            worker.startup(AMPLE).unwrap();
            let ended = worker.shutdown(limit);
            let later = fault_of("later", AMPLE, || worker.health(AMPLE));
            assert_unavailable(&later, "shut down", "later");
            ended
        };
        assert_eq!(end(json!({}), AMPLE), Ok(()));
        assert_eq!(end(json!({"shutdown": "exit"}), AMPLE), Ok(()));
        let refused = Fault::Failed(ProcessorError::permanent("refused"));
        assert_eq!(end(json!({"shutdown": "refuse"}), AMPLE), Err(refused));
        for part in ["shutdown", "drop"] {
            let panicked = end(json!({part: "panic"}), AMPLE).unwrap_err();
            assert_panicked(&panicked, "text at ", part);
            let crashed = end(json!({part: "abort"}), AMPLE).unwrap_err();
            assert_crashed(&crashed, &["SIGABRT"], part);
            let hung = end(json!({part: "spin"}), SHORT).unwrap_err();
            assert_hung(&hung, SHORT, part);
        }
        let never_started = in_worker(json!({"build": "abort"}));
        assert_eq!(never_started.shutdown(AMPLE), Ok(()));
    });
}

fn prints() {
    leaves_nothing(|| {
        for act in ["print 64 MiB", "print 64 MiB to standard error"] {
            let worker = in_worker(json!({"process": act}));
            let attempt = deliver(&worker, 1, AMPLE);
            assert_delivered(&attempt, act);
            let stderr = attempt.stderr.unwrap();
            assert!(stderr.len() <= 65 * 1024, "{act}: {}", stderr.len());
            assert!(stderr.contains(" bytes left out]\n"), "{act}");
        }
        let act = "print what looks like an answer";
        let attempt = deliver(&in_worker(json!({"process": act})), 1, AMPLE);
        assert_delivered(&attempt, act);
        assert!(attempt.stderr.unwrap().contains("false"));
        let act = "read standard input";
        assert_eq!(note(&in_worker(json!({"process": act})), 1), "");
    });
}

fn memory() {
    leaves_nothing(|| {
        let act = "allocate 256 MiB";
        let worker = in_worker(json!({"process": act}));
        assert_delivered(&deliver(&worker, 1, AMPLE), "1 GiB is enough");
        let worker = worker::worker(
            "tested",
            Kind::Processor,
            "faulty",
            json!({"process": act}),
            64 << 20,
        )
        .unwrap();
        let fault = fault_of(act, AMPLE, || deliver(&worker, 1, AMPLE).result);
        assert_crashed(
            &fault,
            &["memory allocation of 268435456 bytes failed"],
            act,
        );
    });
}

fn grandchildren() {
    leaves_nothing(|| {
        let worker = in_worker(json!({"process": "leave a child", "health": "abort"}));
        let child: u32 = note(&worker, 1).parse().unwrap();
        assert!(runs(child));
        worker.shutdown(AMPLE).unwrap();
        until("the child of the worker ends", || !runs(child));

        let worker = in_worker(json!({"process": "leave a child", "health": "abort"}));
        let child: u32 = note(&worker, 1).parse().unwrap();
        // It holds the worker's standard error, but nobody waits for that to end.
        let fault = fault_of("abort", AMPLE, || worker.health(AMPLE));
        assert_crashed(&fault, &["SIGABRT"], "abort");
        until("the child of the worker ends", || !runs(child));
    });
}

fn privacy() {
    leaves_nothing(|| {
        let config = json!({"process": "tell what others see of it", "text": "canary-config"});
        let worker = in_worker(config);
        let told = note(&worker, 1);
        assert!(told.contains("__veracity-worker"), "{told}");
        assert!(!told.contains("canary-config"), "{told}");
        // This process itself was told by a variable which test to run.
        assert!(std::env::var_os("ISOLATION_TEST").is_some());
        assert!(!told.contains("ISOLATION_TEST"), "{told}");
    });
}

/// What [`killed_host`] kills.
pub fn be_a_host() {
    let config = json!({"process": "spin", "health": "tell its process"});
    let worker = in_worker(config);
    let process = worker.health(AMPLE).unwrap().detail.unwrap();
    println!("{process}");
    let _ = deliver(&worker, 1, Duration::from_secs(3600));
}

fn killed_host() {
    leaves_nothing(|| {
        let mut host = alone::program("a host with a busy worker");
        let mut host = host.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut told = BufReader::new(host.stdout.take().unwrap());
        told.read_line(&mut line).unwrap();
        let worker: u32 = line.trim().parse().unwrap();
        assert!(runs(worker));
        host.kill().unwrap();
        host.wait().unwrap();
        until("the worker ends", || !runs(worker));
    });
}

fn not_linked() {
    leaves_nothing(|| {
        let worker =
            worker::worker("tested", Kind::Processor, "foulty", json!({}), 1 << 30).unwrap();
        let fault = fault_of("not linked", AMPLE, || worker.startup(AMPLE));
        assert_unavailable(&fault, "no processor `foulty` is linked", "not linked");
    });
}
