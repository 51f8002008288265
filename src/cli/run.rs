//! `veracity run SUITE`

use std::path::PathBuf;

use clap::Args;
use veracity_host::Host;

use super::exit::{Exit, Failure};
use super::options::{About, Format, Limits, Patience, Selection, Showing};
use super::suite_file;
use super::terminal::Terminal;
use super::verify::{shown, verify};
use crate::delivery;

/// Verifies what a suite file says and prints the report.
#[derive(Debug, Args)]
#[command(
    help_template = super::TEMPLATE,
    after_help = "\
Examples:
  veracity run suite.yaml
  veracity run suite.yaml --only daily --date 2026-11-20
  veracity run suite.yaml --var region=eu --tag env=prod
  veracity run suite.yaml --memory-limit 512MiB --time-limit 10min
  veracity run suite.yaml --format json > report.json
  veracity run suite.yaml --output junit=report.xml --output sarif=report.sarif"
)]
pub struct RunArgs {
    /// The suite file; `-` is stdin. Paths in it are relative to its folder.
    #[arg(value_name = "SUITE")]
    suite: PathBuf,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    about: About,
    #[command(flatten)]
    showing: Showing,
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    limits: Limits,
}

/// Runs the suite.
pub fn run(args: RunArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let mut file = suite_file::load(&args.suite, &args.about.variables())?;
    let processing = &mut file.suite.processing;
    processing.outputs = args
        .showing
        .outputs(!processing.plugin_directories.is_empty())?;
    let origin = suite_file::origin(&args.suite);
    let host = delivery::host(&file.suite, &file.folder, &origin)
        .map_err(|error| suite_file::failure(&file, error))?;
    let mut showing = args.showing;
    // A suite that prints with `json` alone is one for programs.
    if showing.format.is_none() && prints_json(&host) {
        showing.format = Some(Format::Json);
    }
    let engine = args.about.engine().base(&file.folder);
    let engine = args.selection.apply(engine, &file.suite)?;
    let engine = args.limits.apply(args.patience.apply(engine));
    verify(&file.suite, engine, host, &showing, terminal)
}

fn prints_json(host: &Host) -> bool {
    let json: Option<veracity_json::Settings> = shown(host, "json");
    let console: Option<veracity_console::Settings> = shown(host, "console");
    json.is_some() && console.is_none()
}
