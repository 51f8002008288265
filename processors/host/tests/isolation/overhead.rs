//! What isolation costs. It decides nothing: `cargo test --release --test isolation -- \
//! --ignored` prints it.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::json;
use veracity_host::isolation::Isolated;

use crate::ground::{AMPLE, assert_delivered, call, in_worker, on_thread, report};

/// Prints what a call costs.
pub fn trial() -> Trial {
    let measure = || {
        println!();
        let thread = on_thread(json!({}));
        shown("a call on a thread", 10_000, || deliver(&thread));
        let worker = in_worker(json!({}));
        shown("a call to a worker that runs", 1_000, || deliver(&worker));
        shown("a worker started, called and stopped", 100, || {
            let worker = in_worker(json!({}));
            deliver(&worker);
            worker.shutdown(AMPLE).unwrap();
        });
        Ok(())
    };
    Trial::test("the overhead of isolation", measure).with_ignored_flag(true)
}

/// Delivers the sample report.
fn deliver(processor: &impl Isolated) {
    let attempt = processor.process(report(), call(2), AMPLE);
    assert_delivered(&attempt, "measured");
}

/// Prints the median and the 99th percentile of `call`.
fn shown(name: &str, times: usize, call: impl Fn()) {
    call();
    let mut taken: Vec<Duration> = (0..times)
        .map(|_| {
            let begun = Instant::now();
            call();
            begun.elapsed()
        })
        .collect();
    taken.sort();
    let (median, late) = (taken[times / 2], taken[times * 99 / 100]);
    println!("{name}: {median:.1?}, one in a hundred {late:.1?}");
}
