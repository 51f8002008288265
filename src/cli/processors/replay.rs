//! `veracity processors run NAME --suite SUITE --report FILE`

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use veracity_processor::{Delivery, Report, printable};

use super::{Shown, configured};
use crate::cli::exit::{Exit, Failure};
use crate::cli::options::{About, Printing};
use crate::cli::terminal::{Terminal, say};
use crate::error::Error;

/// The largest report that is read.
const MAX_BYTES: u64 = 1 << 30;

/// Delivers a stored report to one processor of a suite.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The name the processor is configured under.
    name: String,
    /// The suite it is configured in.
    #[arg(long, value_name = "SUITE")]
    suite: PathBuf,
    /// The report, as `run --format json` prints it; `-` is stdin.
    #[arg(long, value_name = "FILE")]
    report: PathBuf,
    #[command(flatten)]
    about: About,
    #[command(flatten)]
    printing: Printing,
}

#[derive(Debug, Serialize)]
struct Replayed {
    schema_version: u32,
    run: String,
    #[serde(flatten)]
    delivery: Delivery,
}

/// Delivers it.
pub fn run(args: &RunArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let (_, mut host) = configured(&args.suite, &args.about)?;
    let names = || host.instances().map(|instance| instance.name.as_str());
    if !names().any(|name| name == args.name) {
        let hint = crate::error::did_you_mean(&args.name, names());
        let message = format!("the suite has no processor `{}`{hint}", args.name);
        let advice = format!("it has {}", crate::error::listed(names()));
        return Err(Error::configuration(message).with_help(advice).into());
    }
    let report = read(&args.report)?;
    host.leave_out(|instance| instance.name != args.name);
    host.open_store();
    host.start();
    let delivery = host.replay(&report);
    for warning in host.shutdown() {
        say(&format!("warning: {}", printable(&warning)));
    }
    let Some(delivery) = delivery else {
        return Err(Error::execution("nothing was delivered").into());
    };
    let exit = if delivery.status.is_settled() {
        Exit::PASSED
    } else {
        Exit::NOT_DELIVERED
    };
    let replayed = Replayed {
        schema_version: 1,
        run: report.run.id.to_string(),
        delivery,
    };
    Ok(terminal.print(&replayed.shown(args.printing.format), exit))
}

fn read(path: &Path) -> Result<Report, Failure> {
    let failed = |message: String| Error::File {
        path: path.to_owned(),
        message,
    };
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin()
            .lock()
            .take(MAX_BYTES)
            .read_to_string(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text))
    };
    read.map_err(|error| Failure::from(failed(error.to_string())))?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::from(failed(format!("it is no report: {error}"))))
}

impl Shown for Replayed {
    fn text(&self) -> String {
        let Delivery {
            processor,
            status,
            attempts,
            duration_ms,
            ..
        } = &self.delivery;
        let said = [&self.delivery.error, &self.delivery.note]
            .into_iter()
            .flatten();
        let said: Vec<&str> = said.map(String::as_str).collect();
        let times = if *attempts == 1 {
            "attempt"
        } else {
            "attempts"
        };
        let said = printable(&said.join("; ")).into_owned();
        format!("{status}  {processor}  {attempts} {times}  {duration_ms} ms  {said}\n")
    }
}
