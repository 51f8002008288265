//! What plugins can do wrong, in threads and in processes, and what comes of it.
//!
//! This program is its own worker, so it has no harness that would begin before it. Tests
//! that change or count what a whole process has run in one of their own, too.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests and bad plugins may panic and print"
)]

mod alone;
mod executables;
mod faulty;
mod ground;
mod overhead;
mod threads;
mod watching;
mod workers;

use libtest_mimic::{Arguments, Trial};
use veracity_host::isolation::serve_if_worker;

/// A test, and whether it has a process to itself.
type Test = (&'static str, fn());

fn main() {
    serve_if_worker();
    let alone: Vec<Test> = [
        threads::ALONE,
        workers::ALONE,
        executables::ALONE,
        watching::ALONE,
    ]
    .concat();
    alone::run_if_asked(&[&alone, alone::OTHER_PROGRAMS]);
    let arguments = Arguments::from_args();
    let mut trials: Vec<Trial> = threads::TOGETHER
        .iter()
        .map(|&(name, test)| {
            Trial::test(name, move || {
                test();
                Ok(())
            })
        })
        .collect();
    trials.extend(
        alone
            .iter()
            .map(|&(name, _)| Trial::test(name, move || alone::passes(name).map_err(Into::into))),
    );
    trials.push(overhead::trial());
    libtest_mimic::run(&arguments, trials).exit();
}
