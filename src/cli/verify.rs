//! A suite run and its report shown, as `run` and `check` do it.

use std::time::Duration;

use futures::executor::block_on;
use veracity_console::{Console, Verbosity};
use veracity_host::{Delivered, Host, Instance};
use veracity_json::Json;
use veracity_processor::{Report, printable};

use super::exit::{Exit, Failure, exit_of};
use super::interrupt::Signals;
use super::options::{Format, Showing};
use super::progress;
use super::terminal::{Terminal, say};
use crate::delivery::deliver;
use crate::engine::EngineBuilder;
use crate::suite::VerificationSuite;

/// How long what is under way may take after SIGINT or SIGTERM.
const GRACE: Duration = Duration::from_secs(8);

/// Runs `suite`, carries the report to the processors of `host`, and prints it.
pub fn verify(
    suite: &VerificationSuite,
    engine: EngineBuilder,
    mut host: Host,
    showing: &Showing,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let engine = engine.build()?;
    host.leave_out(is_shown);
    let (interrupt, stop) = (engine.interrupt(), host.stop());
    let signals = Signals::watch(move |reason| {
        interrupt.interrupt(reason);
        stop.within(GRACE);
    });
    host.open_store();
    host.start();
    let watched =
        (terminal.is_watched && !showing.quiet).then(|| progress::show(engine.progress()));
    // The engine has threads of its own; this one only waits.
    let mut report = block_on(suite.run(&engine));
    drop(watched);
    let delivered = deliver(&host, &mut report);
    complain(&report, &delivered);
    let mut exit = match signals.received() {
        Some(number) => Exit::signal(number),
        None => exit_of(&report, suite.fail_on),
    };
    if exit == Exit::PASSED && !delivered.is_complete() {
        exit = Exit::NOT_DELIVERED;
    }
    signals.end_at_once();
    Ok(terminal.print(&rendered(&report, showing, terminal), exit))
}

/// Whether an instance is but the way the report is printed: one that names no file.
pub fn is_shown(instance: &Instance) -> bool {
    let prints = matches!(instance.plugin.as_str(), "console" | "json");
    prints && instance.config.get("path").is_none()
}

/// Says on stderr what was not delivered, and what else went wrong.
pub fn complain(report: &Report, delivered: &Delivered) {
    for delivery in &report.deliveries {
        if delivery.status.is_settled() {
            continue;
        }
        let again = if delivery.pending {
            "; it will be tried again"
        } else {
            ""
        };
        let error = delivery.error.as_deref().unwrap_or("no reason was given");
        let (name, status) = (&delivery.processor, delivery.status);
        say(&format!(
            "warning: `{name}` did not get the report ({status}): {error}{again}"
        ));
    }
    for warning in &delivered.warnings {
        say(&format!("warning: {}", printable(warning)));
    }
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
