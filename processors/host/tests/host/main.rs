//! What a suite's processors do, or do wrong, and what the host makes of it: seen from
//! outside, through its public interface.
//!
//! Plugins here block threads, change the process and end it, so every test has a process of
//! its own: this program, run again.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests and bad plugins may panic and print"
)]

mod actions;
mod acts;
mod alone;
mod carrier;
mod channels;
mod durable;
mod ending;
mod events;
mod executables;
mod faults;
mod ground;
mod hooks;
mod kill;
mod left;
mod letters;
mod order;
mod outage;
mod player;
mod prepare;
mod retries;
mod scale;
mod secrets;
mod stager;
mod stages;
mod states;
mod taps;
mod unruly;
mod watcher;

use libtest_mimic::{Arguments, Trial};
use veracity_host::isolation::serve_if_worker;

/// A test, or another program that tests need.
type Test = (&'static str, fn());

/// Functions with their names.
macro_rules! tests {
    ($($test:ident),* $(,)?) => { &[$((stringify!($test), $test)),*] };
}
pub(crate) use tests;

fn main() {
    serve_if_worker();
    let tests: Vec<Test> = [
        faults::TESTS,
        retries::TESTS,
        ending::TESTS,
        left::TESTS,
        order::TESTS,
        prepare::TESTS,
        secrets::TESTS,
        durable::TESTS,
        outage::TESTS,
        executables::TESTS,
        scale::TESTS,
        kill::TESTS,
        events::TESTS,
        hooks::TESTS,
        unruly::TESTS,
        actions::TESTS,
        channels::TESTS,
        stages::TESTS,
        letters::TESTS,
        states::TESTS,
    ]
    .concat();
    alone::run_if_asked(&[
        &tests,
        durable::PROGRAMS,
        kill::PROGRAMS,
        letters::PROGRAMS,
        states::PROGRAMS,
    ]);
    let trials = tests.into_iter().map(|(name, _)| {
        let trial = move || alone::passes(name).map_err(Into::into);
        Trial::test(name, trial)
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}
