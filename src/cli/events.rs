//! `veracity events SUITE`

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use serde_json::Value;
use veracity_processor::{Event, EventName, EventSink, Subscription, Test};

use super::exit::{Exit, Failure};
use super::options::{About, Limits, Patience, Selection};
use super::suite_file;
use super::verify::follow;
use crate::delivery;
use crate::error::{Error, did_you_mean, listed};

/// Verifies what a suite file says and prints what happens, as it happens, as JSON lines.
#[derive(Debug, Args)]
#[command(
    help_template = super::TEMPLATE,
    after_help = "\
Examples:
  veracity events suite.yaml
  veracity events suite.yaml --event 'delivery.*' --event '*.error'
  veracity events suite.yaml --event assertion.end --where outcome=failed

Events are called WHAT.MOMENT: suite, dataset, check, assertion, processor, delivery or
action; start, end, error, skip, retry or dead. Everything else is as with `run`, also the
exit code; the report is not printed."
)]
pub struct EventsArgs {
    /// The suite file; `-` is stdin. Paths in it are relative to its folder.
    #[arg(value_name = "SUITE")]
    suite: PathBuf,
    /// Only events of this name; `*` stands for any text. Repeatable.
    #[arg(long = "event", value_name = "PATTERN")]
    events: Vec<String>,
    /// Only events whose field has this value; repeatable.
    #[arg(long = "where", value_name = "FIELD=VALUE", value_parser = super::quantity::field)]
    condition: Vec<(String, String)>,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    about: About,
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    limits: Limits,
}

/// Runs the suite and prints its events.
pub fn events(args: EventsArgs) -> Result<Exit, Failure> {
    let lines = Lines::new(&args)?;
    let file = suite_file::load(&args.suite, &args.about.variables())?;
    let origin = suite_file::origin(&args.suite);
    let host = delivery::host(&file.suite, &file.folder, &origin)
        .map_err(|error| suite_file::failure(&file, error))?;
    let engine = args.about.engine().base(&file.folder);
    let engine = args.selection.apply(engine, &file.suite)?;
    let engine = args.limits.apply(args.patience.apply(engine));
    let lines = Arc::new(lines);
    host.tap(Arc::clone(&lines) as Arc<dyn EventSink>);
    let exit = follow(&file.suite, engine, host)?;
    Ok(
        match lines.failed.load(Ordering::Relaxed) && exit == Exit::PASSED {
            true => Exit::NOT_DELIVERED,
            false => exit,
        },
    )
}

/// Prints events, one a line.
struct Lines {
    subscription: Subscription,
    /// Nobody reads any more, or nothing can be written.
    closed: AtomicBool,
    /// Something could not be written although somebody wants it.
    failed: AtomicBool,
}

impl Lines {
    /// # Errors
    ///
    /// If there are no events of one of the names.
    fn new(args: &EventsArgs) -> Result<Self, Error> {
        let mut subscription = Subscription::default();
        for pattern in &args.events {
            if !EventName::all().any(|name| name.matches(pattern)) {
                let names: Vec<String> = EventName::all().map(|name| name.to_string()).collect();
                let hint = did_you_mean(pattern, names.iter().map(String::as_str));
                let message = format!("no event is called `{pattern}`{hint}");
                let advice = "events are called `assertion.end`, `delivery.*`, `*.error`";
                return Err(Error::configuration(message).with_help(advice));
            }
        }
        for (field, _) in &args.condition {
            if !Event::is_field(field) {
                let hint = did_you_mean(field, Event::FIELDS.iter().copied());
                let message = format!("no event has a field `{field}`{hint}");
                let advice = format!("fields are {}", listed(Event::FIELDS.iter().copied()));
                return Err(Error::configuration(message).with_help(advice));
            }
        }
        if !args.events.is_empty() {
            subscription.events.clone_from(&args.events);
        }
        let tests: BTreeMap<String, Test> = args.condition.iter().map(test).collect();
        subscription.condition = tests;
        Ok(Self {
            subscription,
            closed: AtomicBool::new(false),
            failed: AtomicBool::new(false),
        })
    }
}

/// `FIELD=VALUE`: a value that is JSON is one, everything else is text.
fn test((field, value): &(String, String)) -> (String, Test) {
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value.as_str()));
    (field.clone(), Test::Is(value))
}

impl EventSink for Lines {
    fn wants(&self, name: EventName) -> bool {
        let mut patterns = self.subscription.events.iter();
        patterns.any(|pattern| name.matches(pattern))
    }

    fn emit(&self, events: Vec<Event>) {
        if self.closed.load(Ordering::Relaxed) {
            return;
        }
        let mut lines = Vec::new();
        for event in events.iter().filter(|event| self.subscription.takes(event)) {
            // Events are maps with names: they are JSON.
            if serde_json::to_writer(&mut lines, event).is_ok() {
                lines.push(b'\n');
            }
        }
        let mut stdout = std::io::stdout().lock();
        if let Err(error) = stdout.write_all(&lines).and_then(|()| stdout.flush()) {
            self.closed.store(true, Ordering::Relaxed);
            // Who closes a pipe has seen enough.
            let enough = error.kind() == std::io::ErrorKind::BrokenPipe;
            self.failed.store(!enough, Ordering::Relaxed);
        }
    }
}
