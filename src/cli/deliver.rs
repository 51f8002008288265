//! `veracity deliver SUITE`

use std::fmt::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use veracity_host::store::{DeliveryFilter, DeliveryState, StoredDelivery};
use veracity_host::{Delivered, Host};
use veracity_json::Json;
use veracity_processor::{Delivery, printable};

use super::exit::{Exit, Failure};
use super::interrupt::Signals;
use super::options::{About, Format, Printing};
use super::quantity;
use super::suite_file;
use super::terminal::{Terminal, say};
use super::verify::is_shown;
use crate::delivery;
use crate::error::Error;

/// How long what is under way may take after SIGINT or SIGTERM.
const GRACE: Duration = Duration::from_secs(8);
/// How long to wait before looking again for what is due.
const PAUSE: Duration = Duration::from_millis(500);

/// Delivers what earlier runs of a suite could not deliver yet.
#[derive(Debug, Args)]
#[command(
    help_template = super::TEMPLATE,
    after_help = "\
Examples:
  veracity deliver suite.yaml                     deliver what is due
  veracity deliver suite.yaml --wait 10min        and what becomes due within ten minutes
  veracity deliver suite.yaml --list              what is still to be delivered, or given up
  veracity deliver suite.yaml --retry ID          try one again that was given up

It needs a suite with a `store:`. It ends with 0 if nothing is left to be delivered, otherwise
with 4."
)]
pub struct DeliverArgs {
    /// The suite file.
    #[arg(value_name = "SUITE")]
    suite: PathBuf,
    /// Only list what is to be delivered and what was given up.
    #[arg(long, conflicts_with_all = ["retry", "wait"])]
    list: bool,
    /// Try a delivery again that was given up; repeatable.
    #[arg(long, value_name = "ID")]
    retry: Vec<String>,
    /// Go on until nothing is left, at most this long.
    #[arg(long, value_name = "TIME", value_parser = quantity::duration)]
    wait: Option<Duration>,
    #[command(flatten)]
    printing: Printing,
    #[command(flatten)]
    about: About,
}

/// What the command prints.
#[derive(Debug, Serialize)]
struct Outcome {
    schema_version: u32,
    suite: String,
    /// What was tried now.
    attempted: Vec<Attempted>,
    /// What is still to be delivered, or was given up.
    left: Vec<StoredDelivery>,
    /// Whether reports wait in files for the store.
    spooled: bool,
}

#[derive(Debug, Serialize)]
struct Attempted {
    run: String,
    #[serde(flatten)]
    delivery: Delivery,
}

/// Delivers what is left.
pub fn deliver(args: &DeliverArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let file = suite_file::load(&args.suite, &args.about.variables())?;
    let suite = &file.suite;
    if suite.processing.store.is_none() {
        let error =
            Error::configuration("the suite has no `store:`, so nothing is kept to be delivered");
        let help = "add `store: sqlite://.veracity/veracity.db`";
        return Err(suite_file::failure(&file, error.with_help(help)));
    }
    let origin = suite_file::origin(&args.suite);
    let mut host = delivery::host(suite, &file.folder, &origin)
        .map_err(|error| suite_file::failure(&file, error))?;
    host.leave_out(is_shown);
    host.open_store();
    if let Some(error) = host.store_error() {
        let error = format!("the store cannot be opened: {error}");
        return Err(Failure::undelivered(error));
    }
    let known = all(&host, &suite.name)?;
    for id in &args.retry {
        let ids = || known.iter().map(|one| one.idempotency_key.as_str());
        if !ids().any(|known| known == id) {
            let near = crate::error::did_you_mean(id, ids());
            let message = format!(
                "no delivery of suite `{}` has the id `{id}`{near}",
                suite.name
            );
            let advice = "`--list` shows those that are left";
            return Err(Error::configuration(message).with_help(advice).into());
        }
        let retried = host.keep().with(|store, now| store.retry(id, now));
        if let Some(Err(error)) = retried {
            return Err(Error::configuration(error.to_string()).into());
        }
    }
    let mut outcome = Outcome {
        schema_version: 1,
        suite: suite.name.clone(),
        attempted: Vec::new(),
        left: Vec::new(),
        spooled: false,
    };
    let mut signal = None;
    if !args.list {
        let stop = host.stop();
        let signals = Signals::watch(move |_| stop.within(GRACE));
        host.start();
        resume(&host, args.wait, &suite.name, &mut outcome)?;
        signal = signals.received();
    }
    outcome.left = left(&host, &suite.name)?;
    outcome.spooled = host.has_spooled();
    for one in &outcome.left {
        let name = &one.processor;
        if !host.instances().any(|instance| &instance.name == name) {
            say(&format!(
                "warning: the suite has no processor `{}` any more, which a delivery is for",
                printable(name)
            ));
        }
    }
    for warning in host.shutdown() {
        say(&format!("warning: {}", printable(&warning)));
    }
    let exit = match signal {
        Some(number) => Exit::signal(number),
        None if args.list || (outcome.left.is_empty() && !outcome.spooled) => Exit::PASSED,
        None => Exit::NOT_DELIVERED,
    };
    Ok(terminal.print(&shown(&outcome, args.printing.format), exit))
}

fn resume(
    host: &Host,
    wait: Option<Duration>,
    suite: &str,
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    let until = wait.map(|wait| Instant::now() + wait);
    loop {
        let Delivered {
            resumed, warnings, ..
        } = host.resume();
        for warning in warnings {
            say(&format!("warning: {}", printable(&warning)));
        }
        let attempted = resumed.into_iter().map(|resumed| Attempted {
            run: resumed.run.to_string(),
            delivery: resumed.delivery,
        });
        outcome.attempted.extend(attempted);
        let over = until.is_none_or(|until| Instant::now() >= until);
        let pending = |left: &StoredDelivery| left.state == DeliveryState::Pending;
        if over || !left(host, suite)?.iter().any(pending) || !host.stop().wait(PAUSE) {
            return Ok(());
        }
    }
}

/// What is still to be delivered, or was given up.
fn left(host: &Host, suite: &str) -> Result<Vec<StoredDelivery>, Failure> {
    let mut left = all(host, suite)?;
    left.retain(|one| matches!(one.state, DeliveryState::Pending | DeliveryState::Dead));
    Ok(left)
}

/// All deliveries of a suite.
fn all(host: &Host, suite: &str) -> Result<Vec<StoredDelivery>, Failure> {
    let filter = DeliveryFilter {
        suite: Some(suite.to_owned()),
        ..DeliveryFilter::default()
    };
    match host.keep().with(|store, _| store.list(&filter)) {
        Some(Ok(left)) => Ok(left),
        Some(Err(error)) => Err(Failure::undelivered(format!("the store: {error}"))),
        None => Ok(Vec::new()),
    }
}

fn shown(outcome: &Outcome, format: Format) -> Vec<u8> {
    let mut out = Vec::new();
    if format == Format::Json {
        Json { pretty: true }
            .write(outcome, &mut out)
            .expect("writing to memory does not fail");
        return out;
    }
    let mut text = String::new();
    for one in &outcome.attempted {
        let delivery = &one.delivery;
        let (name, status) = (&delivery.processor, delivery.status);
        let why = delivery
            .error
            .as_deref()
            .map_or_else(String::new, |why| format!(": {why}"));
        // A String takes all there is memory for.
        let _ = writeln!(text, "{status}  {name}  run {}{why}", one.run);
    }
    for one in &outcome.left {
        let why = one
            .error
            .as_deref()
            .map_or_else(String::new, |why| format!(": {why}"));
        let when = match &one.lease {
            Some((_, until)) if until.0 > now() => {
                format!("held by a process until {}", clock(until.0))
            }
            _ if one.state == DeliveryState::Pending => format!("due {}", clock(one.due.0)),
            _ => "given up".to_owned(),
        };
        let _ = writeln!(
            text,
            "{}  {}  run {}  {} of {} attempts  {when}  id {}{}",
            one.state,
            one.processor,
            one.run_id,
            one.attempts,
            one.max_attempts,
            one.idempotency_key,
            printable(&why)
        );
    }
    if outcome.spooled {
        let _ = writeln!(text, "reports wait in files until the store can be reached");
    } else if outcome.left.is_empty() {
        let _ = writeln!(
            text,
            "nothing is left to be delivered of `{}`",
            printable(&outcome.suite)
        );
    }
    text.into_bytes()
}

/// Milliseconds since the epoch.
fn now() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

/// A time as people read it, UTC.
fn clock(millis: i64) -> String {
    let time = chrono::DateTime::from_timestamp_millis(millis);
    time.map_or_else(String::new, |time| {
        time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
    })
}
