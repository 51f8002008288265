//! A suite run and its report shown, as `run` and `check` do it.

use veracity_console::{Console, Verbosity};
use veracity_json::Json;
use veracity_processor::Report;

use super::exit::{Exit, Failure, exit_of};
use super::interrupt::Signals;
use super::options::{Format, Showing};
use super::progress;
use super::terminal::Terminal;
use crate::engine::EngineBuilder;
use crate::suite::VerificationSuite;

/// Runs `suite` and prints the report.
pub fn verify(
    suite: &VerificationSuite,
    engine: EngineBuilder,
    showing: &Showing,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let engine = engine.build()?;
    let signals = Signals::watch(engine.interrupt());
    let watched =
        (terminal.is_watched && !showing.quiet).then(|| progress::show(engine.progress()));
    // The engine has threads of its own; this one only waits.
    let report = futures::executor::block_on(suite.run(&engine));
    drop(watched);
    let exit = match signals.received() {
        Some(number) if report.run.interrupted.is_some() => Exit::signal(number),
        _ => exit_of(&report, suite.fail_on),
    };
    signals.end_at_once();
    Ok(terminal.print(&rendered(&report, showing, terminal), exit))
}

fn rendered(report: &Report, showing: &Showing, terminal: &Terminal) -> Vec<u8> {
    let mut output = Vec::new();
    let verbosity = match (showing.quiet, showing.verbose) {
        (true, _) => Verbosity::Quiet,
        (_, true) => Verbosity::Verbose,
        _ => Verbosity::Normal,
    };
    let written = match showing.format {
        Some(Format::Json) => Json { pretty: true }.render(report, &mut output),
        _ => {
            let console = Console {
                color: terminal.color,
                verbosity,
                width: terminal.width,
            };
            console.render(report, &mut output)
        }
    };
    written.expect("writing to memory does not fail");
    output
}
