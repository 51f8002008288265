//! Processors on threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use veracity_host::isolation::{Fault, Isolated, MAX_ABANDONED, Thread, abandoned_threads};
use veracity_processor::{HealthStatus, ProcessorError};

use crate::Test;
use crate::faulty::open;
use crate::ground::{
    AMPLE, SHORT, assert_delivered, assert_hung, assert_panicked, assert_unavailable, deliver,
    fault_of, leaves_nothing, on_thread, plugin, until,
};

pub const TOGETHER: &[Test] = &[
    ("thread: errors and states come through", errors_and_states),
    (
        "thread: what is built is built once, on the first call",
        laziness,
    ),
    (
        "thread: a refused configuration is a permanent error",
        refused_configuration,
    ),
    ("thread: calls to one instance wait for each other", turns),
    (
        "thread: an async wait without end is dropped, and the instance goes on",
        never_ready,
    ),
    ("thread: it carries the name of its instance", names),
    ("thread: dropping an instance waits for nothing", dropping),
];

pub const ALONE: &[Test] = &[
    (
        "thread: any panic in any call is caught, without noise",
        panics,
    ),
    (
        "thread: a blocked thread is given up, others go on",
        blocked,
    ),
    (
        "thread: with too many blocked threads no other is started",
        too_many,
    ),
    ("thread: nothing is left after shutdown", nothing_left),
];

const PANICS: [(&str, &str); 4] = [
    ("panic", "text at "),
    ("panic with a String", "text at "),
    ("panic with a value", "a value that is no text at "),
    (
        "panic with a value that panics when dropped",
        "a value that is no text at ",
    ),
];

/// What a call to the part `part` of a life gives.
fn fault_in(part: &str, thread: &Thread, limit: Duration) -> Fault {
    fault_of(part, limit, || match part {
        "process" => deliver(thread, 1, limit).result.map(|_| ()),
        "health" => thread.health(limit).map(|_| ()),
        "shutdown" | "drop" => {
            thread.startup(AMPLE)?;
            thread.shutdown(limit)
        }
        _ => thread.startup(limit),
    })
}

const PARTS: [&str; 6] = ["build", "startup", "process", "health", "shutdown", "drop"];

fn panics() {
    let other = on_thread(json!({}));
    for part in PARTS {
        for (act, text) in PANICS {
            let label = format!("{act} in {part}");
            let thread = on_thread(json!({part: act}));
            assert_panicked(&fault_in(part, &thread, AMPLE), text, &label);
            assert_delivered(&deliver(&other, 1, AMPLE), &label);
            match part {
                "build" => assert_panicked(&fault_in(part, &thread, AMPLE), text, &label),
                "shutdown" | "drop" => {
                    assert_unavailable(&fault_in("health", &thread, AMPLE), "shut down", &label);
                }
                _ => assert_delivered(&deliver(&thread, 2, AMPLE), &label),
            }
        }
    }
    let act = "never be ready, and panic when dropped";
    let thread = on_thread(json!({"process": act})).with_grace(AMPLE);
    assert_panicked(&fault_in("process", &thread, SHORT), "text at ", act);
    let thread = on_thread(json!({"process": "spawn a task that panics"}));
    let told = deliver(&thread, 1, AMPLE).result.unwrap().note.unwrap();
    assert!(told.contains("in a task"), "{told}");
}

fn errors_and_states() {
    let seven = Duration::from_secs(7);
    let cases = [
        ("refuse", ProcessorError::permanent("refused")),
        ("be busy", ProcessorError::retryable("busy").after(seven)),
    ];
    for (act, error) in cases {
        let thread = on_thread(json!({"process": act, "startup": act, "health": act}));
        let failed = Fault::Failed(error);
        assert_eq!(thread.startup(AMPLE), Err(failed.clone()));
        assert_eq!(thread.health(AMPLE), Err(failed.clone()));
        let attempt = deliver(&thread, 1, AMPLE);
        assert_eq!(attempt.result, Err(failed));
        assert_eq!(attempt.state.unwrap()["seen"], 2, "also after an error");
    }
    let panicking = on_thread(json!({"process": "panic"}));
    let state = deliver(&panicking, 1, AMPLE).state.unwrap();
    assert_eq!(state["seen"], 2, "also after a panic");
    let healthy = on_thread(json!({"health": "slow today"}));
    let health = healthy.health(AMPLE).unwrap();
    assert_eq!(
        (health.status, health.detail.as_deref()),
        (HealthStatus::Degraded, Some("slow today"))
    );
}

fn laziness() {
    let built = Arc::new(AtomicBool::new(false));
    let make = |built: &Arc<AtomicBool>| {
        let built = Arc::clone(built);
        Thread::new("lazy", move || {
            assert!(!built.swap(true, Ordering::Relaxed), "twice");
            plugin().build_processor(Value::Null)
        })
    };
    let unused = make(&built);
    assert_eq!(unused.shutdown(AMPLE), Ok(()));
    let fault = fault_in("health", &unused, AMPLE);
    assert_unavailable(&fault, "shut down", "after shutdown");
    assert!(!built.load(Ordering::Relaxed), "nobody called it");
    let used = make(&built);
    for attempt in 1..=3 {
        assert_delivered(&deliver(&used, attempt, AMPLE), "used");
    }
    assert!(built.load(Ordering::Relaxed));
}

fn refused_configuration() {
    let thread = on_thread(json!({"build": "error"}));
    let refused = Fault::Failed(ProcessorError::permanent("build: it shall fail"));
    for _ in 0..2 {
        assert_eq!(fault_in("startup", &thread, AMPLE), refused);
    }
}

fn turns() {
    let thread = on_thread(json!({"process": "sleep", "gate": "turns"})).with_grace(AMPLE);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| deliver(&thread, 1, AMPLE));
        // Until the first call has its turn, which takes no time, others get an answer.
        until("the thread is busy", || thread.health(SHORT).is_err());
        let fault = fault_in("health", &thread, SHORT);
        assert_unavailable(&fault, "another call", "while it is busy");
        let second = scope.spawn(|| thread.health(AMPLE));
        open("turns");
        assert_delivered(&first.join().unwrap(), "the first");
        second.join().unwrap().unwrap();
    });
}

fn never_ready() {
    for part in ["startup", "process", "health"] {
        // Nothing but the limit itself ends the wait.
        let thread = on_thread(json!({part: "never be ready"})).with_grace(AMPLE);
        assert_hung(&fault_in(part, &thread, SHORT), SHORT, part);
        assert_delivered(&deliver(&thread, 2, AMPLE), part);
        assert_eq!(thread.late(), 0, "{part}");
    }
    let thread = on_thread(json!({"shutdown": "never be ready"})).with_grace(AMPLE);
    thread.startup(AMPLE).unwrap();
    assert_hung(&fault_in("shutdown", &thread, SHORT), SHORT, "shutdown");
}

fn blocked() {
    let other = on_thread(json!({}));
    for part in PARTS {
        for act in ["sleep", "spin"] {
            let label = format!("{act} in {part}");
            let thread = on_thread(json!({part: act, "gate": label}));
            assert_hung(&fault_in(part, &thread, SHORT), SHORT, &label);
            assert_eq!(abandoned_threads(), 1, "{label}");
            let fault = fault_in("process", &thread, SHORT);
            let quarantined = "quarantined: an earlier call blocked its thread";
            assert_unavailable(&fault, quarantined, &label);
            assert_eq!(fault_in("shutdown", &thread, SHORT), fault, "{label}");
            assert_delivered(&deliver(&other, 1, AMPLE), &label);
            open(&label);
            until("the answer comes late", || thread.late() == 1);
            until("the thread ends", || abandoned_threads() == 0);
            let fault = fault_in("process", &thread, SHORT);
            assert_unavailable(&fault, quarantined, &label);
        }
    }
}

fn too_many() {
    let block = || on_thread(json!({"process": "sleep", "gate": "many"}));
    let used = on_thread(json!({}));
    used.startup(AMPLE).unwrap();
    let mut blocked = Vec::new();
    for _ in 0..=MAX_ABANDONED {
        let thread = block();
        let limit = Duration::from_millis(50);
        assert_hung(&fault_in("process", &thread, limit), limit, "blocked");
        blocked.push(thread);
    }
    assert_eq!(abandoned_threads(), MAX_ABANDONED + 1);
    let new = on_thread(json!({}));
    let fault = fault_in("process", &new, AMPLE);
    assert_unavailable(&fault, "9 threads of other processors are blocked", "new");
    assert_delivered(&deliver(&used, 1, AMPLE), "what runs goes on");
    open("many");
    until("the threads end", || abandoned_threads() == 0);
    assert_delivered(&deliver(&new, 1, AMPLE), "there is room again");
}

fn names() {
    let named = |name: &str| {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let mut names =
            tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.any(|found| found.trim_end() == name)
    };
    let thread = Thread::new("nam\0ed", || plugin().build_processor(Value::Null));
    thread.startup(AMPLE).unwrap();
    assert!(named("vp:named"));
    drop(thread);
    until("the thread ends", || !named("vp:named"));
}

fn dropping() {
    for part in ["process", "drop"] {
        let thread = on_thread(json!({part: "sleep", "gate": "dropping"}));
        if part == "process" {
            assert_hung(&fault_in(part, &thread, SHORT), SHORT, part);
        } else {
            thread.startup(AMPLE).unwrap();
        }
        let begun = Instant::now();
        drop(thread);
        assert!(begun.elapsed() < AMPLE, "the gate is still closed");
    }
    open("dropping");
}

fn nothing_left() {
    leaves_nothing(|| {
        for act in ["", "panic", "never be ready", "refuse"] {
            let thread = on_thread(json!({"process": act})).with_grace(AMPLE);
            let _ = deliver(&thread, 1, SHORT);
            thread.shutdown(AMPLE).unwrap();
            let _ = deliver(&on_thread(json!({"process": act})), 1, SHORT);
        }
    });
}
