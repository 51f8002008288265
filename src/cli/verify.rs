//! A suite run and its report shown, as `run` and `check` do it.

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use veracity_console::{Console, Verbosity};
use veracity_host::{Delivered, Host, Instance};
use veracity_json::Json;
use veracity_processor::{Report, printable};

use super::exit::{Exit, Failure, exit_of};
use super::interrupt::Signals;
use super::options::{Format, Showing};
use super::progress;
use super::terminal::{Terminal, say};
use crate::delivery::run_watched;
use crate::engine::{Engine, EngineBuilder};
use crate::suite::VerificationSuite;

/// How long what is under way may take after SIGINT or SIGTERM.
const GRACE: Duration = Duration::from_secs(8);

/// Runs `suite`, carries the report to the processors of `host`, and prints it.
pub fn verify(
    suite: &VerificationSuite,
    engine: EngineBuilder,
    host: Host,
    showing: &Showing,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let engine = engine.build()?;
    let look = Look::new(&host, showing, terminal);
    let watched = terminal.is_watched && !look.is_quiet();
    let verified = verified(suite, &engine, host, watched);
    Ok(terminal.print(&look.render(&verified.report), verified.exit))
}

/// Runs `suite` and carries the report to the processors of `host`, without printing it.
pub fn follow(
    suite: &VerificationSuite,
    engine: EngineBuilder,
    host: Host,
) -> Result<Exit, Failure> {
    let engine = engine.build()?;
    Ok(verified(suite, &engine, host, false).exit)
}

/// A run that was made.
struct Verified {
    report: Report,
    exit: Exit,
}

fn verified(suite: &VerificationSuite, engine: &Engine, mut host: Host, watched: bool) -> Verified {
    host.leave_out(is_shown);
    let (interrupt, stop) = (engine.interrupt(), host.stop());
    let signals = Signals::watch(move |reason| {
        interrupt.interrupt(reason);
        stop.within(GRACE);
    });
    host.open_store();
    let shown = watched.then(|| progress::show(engine.progress()));
    let (report, delivered) = run_watched(suite, engine, &host);
    drop(shown);
    log(&host, &delivered);
    complain(&report, &delivered);
    let mut exit = match signals.received() {
        Some(number) => Exit::signal(number),
        None => exit_of(&report, suite.fail_on),
    };
    if exit == Exit::PASSED && !delivered.is_complete() {
        exit = Exit::NOT_DELIVERED;
    }
    signals.end_at_once();
    Verified { report, exit }
}

/// Says on stderr what plugins asked to be logged, unless a hook does.
fn log(host: &Host, delivered: &Delivered) {
    let logs = |hook: &Arc<Instance>| hook.plugin == "log" && hook.disabled().is_none();
    if host.hooks().any(logs) {
        return;
    }
    for line in &delivered.lines {
        let (level, from) = (line.level, printable(&line.from));
        say(&format!("{level}: `{from}`: {}", printable(&line.message)));
    }
}

/// Whether an instance is but the way the report is printed: one that names no file.
pub fn is_shown(instance: &Instance) -> bool {
    let prints = matches!(instance.plugin.as_str(), "console" | "json");
    let to_stdout = match instance.config.get("path") {
        None | Some(Value::Null) => true,
        Some(path) => path == "-" || path == "/dev/stdout",
    };
    prints && to_stdout
}

/// The settings of the instance of `plugin` by which the report is printed, if there is one.
pub fn shown<S: DeserializeOwned>(host: &Host, plugin: &str) -> Option<S> {
    let mut instances = host.instances();
    let instance = instances.find(|instance| {
        is_shown(instance) && instance.plugin == plugin && instance.disabled().is_none()
    })?;
    serde_json::from_value(instance.config.clone()).ok()
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

/// How the report is printed: as the command line says, and where that says nothing as
/// the suite does.
struct Look {
    console: Console,
    /// Instead of the text.
    json: Option<Json>,
}

impl Look {
    fn new(host: &Host, showing: &Showing, terminal: &Terminal) -> Self {
        let text: veracity_console::Settings = shown(host, "console").unwrap_or_default();
        let json: veracity_json::Settings = shown(host, "json").unwrap_or_default();
        let verbosity = match (showing.quiet, showing.verbose) {
            (true, _) => Verbosity::Quiet,
            (_, true) => Verbosity::Verbose,
            _ => text.verbosity.unwrap_or_default(),
        };
        let pretty = json.pretty.unwrap_or(true);
        Self {
            console: Console {
                color: terminal.color_or(text.color),
                verbosity,
                width: terminal.width,
            },
            json: (showing.format == Some(Format::Json)).then_some(Json { pretty }),
        }
    }

    fn is_quiet(&self) -> bool {
        self.console.verbosity == Verbosity::Quiet
    }

    fn render(&self, report: &Report) -> Vec<u8> {
        let mut output = Vec::new();
        let written = match &self.json {
            Some(json) => json.render(report, &mut output),
            None => self.console.render(report, &mut output),
        };
        written.expect("writing to memory does not fail");
        output
    }
}
