//! Compares suites with the queries a person would write instead, in one process.
//!
//! `cargo bench --bench compare -- [--rounds N] [NAME..]`; benches/README.md says what is
//! measured. Both sides read the same file, open it anew in every round, and take turns, so
//! that a busy machine slows both.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for the developers of this crate"
)]

#[path = "compare/cases.rs"]
mod cases;
#[path = "compare/cheap.rs"]
mod cheap;
#[path = "compare/contender.rs"]
mod contender;
#[path = "compare/lineitem.rs"]
mod lineitem;
#[path = "compare/measure.rs"]
mod measure;

use std::error::Error;

use cases::{Case, cases};
use contender::Machine;
use measure::{Cost, alternate};

/// The allocator of the `veracity` binary, for both sides.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "cargo bench --bench compare -- [--rounds N] [NAME..]";
const ROUNDS: usize = 7;

struct Arguments {
    rounds: usize,
    names: Vec<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Some(arguments) = arguments()? else {
        println!("{USAGE}");
        return Ok(());
    };
    let machine = Machine::new(&lineitem::folder()?)?;
    println!("| case | measure | this | reference | ratio | target | |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for case in cases(&machine)? {
        if arguments.wants(case.name) {
            compare(&case, arguments.rounds)?;
        }
    }
    Ok(())
}

/// What to do, or nothing: `cargo test --all-targets` starts benches, too.
fn arguments() -> Result<Option<Arguments>, Box<dyn Error>> {
    let mut rounds = ROUNDS;
    let mut names = Vec::new();
    let mut is_bench = false;
    let mut given = std::env::args().skip(1);
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "--bench" => is_bench = true,
            "--rounds" => rounds = given.next().ok_or(USAGE)?.parse()?,
            flag if flag.starts_with('-') => return Ok(None),
            name => names.push(name.to_owned()),
        }
    }
    Ok(is_bench.then_some(Arguments { rounds, names }))
}

impl Arguments {
    fn wants(&self, case: &str) -> bool {
        self.names.is_empty()
            || self
                .names
                .iter()
                .any(|name| case.starts_with(name.as_str()))
    }
}

fn compare(case: &Case<'_>, rounds: usize) -> Result<(), Box<dyn Error>> {
    let costs =
        alternate(&case.contenders(), rounds).map_err(|error| format!("{}: {error}", case.name))?;
    let (ours, theirs) = (costs[0], costs.get(1).copied());
    type Figure = fn(Cost) -> f64;
    let rows: [(&str, Figure); 2] = [("CPU", Cost::cpu_ms), ("wall", Cost::wall_ms)];
    for (measure, of) in rows {
        let this = of(ours);
        let (reference, ratio) = match theirs {
            Some(theirs) => (format!("{:.1} ms", of(theirs)), Some(this / of(theirs))),
            None => ("-".to_owned(), None),
        };
        let (target, verdict) = match (case.target, ratio) {
            (Some(target), Some(ratio)) => (format!("{target:.2}"), verdict(ratio, target)),
            // An absolute target is a time a person waits.
            (Some(target), None) if measure == "wall" => {
                (format!("{target:.0} ms"), verdict(this, target))
            }
            _ => ("-".to_owned(), ""),
        };
        let ratio = ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
        println!(
            "| {}: {} | {measure} | {this:.1} ms | {reference} | {ratio} | {target} | {verdict} |",
            case.name, case.meaning
        );
    }
    Ok(())
}

fn verdict(measured: f64, target: f64) -> &'static str {
    if measured <= target { "ok" } else { "missed" }
}
