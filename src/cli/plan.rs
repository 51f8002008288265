//! `veracity plan SUITE`

use std::path::PathBuf;

use clap::Args;
use veracity_json::Json;
use veracity_processor::printable;

use super::exit::{Exit, Failure};
use super::options::{About, Format, Selection};
use super::suite_file;
use super::terminal::Terminal;

/// Shows what a run would read and compute, without reading table data.
#[derive(Debug, Args)]
#[command(
    help_template = super::TEMPLATE,
    after_help = "\
Examples:
  veracity plan suite.yaml
  veracity plan suite.yaml --only daily
  veracity plan suite.yaml --format json

It ends with 3 if an assertion cannot be evaluated, such as one that names no column."
)]
pub struct PlanArgs {
    /// The suite file; `-` is stdin. Paths in it are relative to its folder.
    #[arg(value_name = "SUITE")]
    suite: PathBuf,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    about: About,
    /// How to print the plan.
    #[arg(
        long,
        value_enum,
        value_name = "table|json",
        hide_possible_values = true,
        default_value = "table",
        env = "VERACITY_FORMAT",
        hide_env_values = true
    )]
    format: Format,
}

/// Plans the suite.
pub fn plan(args: PlanArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let file = suite_file::load(&args.suite, &args.about.variables())?;
    let engine = args.about.engine().base(&file.folder);
    let engine = args.selection.apply(engine, &file.suite)?;
    let engine = engine.build()?;
    let plan = futures::executor::block_on(engine.plan(&file.suite))?;
    let mut output = Vec::new();
    match args.format {
        Format::Json => Json { pretty: true }
            .write(&plan, &mut output)
            .expect("writing to memory does not fail"),
        Format::Table => {
            for line in plan.tree().lines() {
                output.extend_from_slice(printable(line).as_bytes());
                output.push(b'\n');
            }
        }
    }
    let exit = if plan.errors.is_empty() {
        Exit::PASSED
    } else {
        Exit::NOT_EVALUATED
    };
    Ok(terminal.print(&output, exit))
}
