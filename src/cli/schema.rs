//! `veracity schema`

use clap::{Args, ValueEnum};

use super::exit::{Exit, Failure};
use super::terminal::Terminal;
use crate::engine::describe::Plan;
use crate::suite::file;

/// Prints a JSON Schema, such as that of suite files for editors.
#[derive(Debug, Args)]
#[command(
    help_template = super::TEMPLATE,
    after_help = "\
Examples:
  veracity schema > veracity.schema.json
  veracity schema report

Editors with the YAML language server use it after this first line of a suite file:
  # yaml-language-server: $schema=veracity.schema.json"
)]
pub struct SchemaArgs {
    /// What the schema is of.
    #[arg(value_enum, default_value = "suite")]
    of: Subject,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Subject {
    /// Suite files.
    Suite,
    /// What `run --format json` prints.
    Report,
    /// What `plan --format json` prints.
    Plan,
}

/// Prints the schema.
pub fn schema(args: &SchemaArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let schema = match args.of {
        Subject::Suite => file::schema(),
        Subject::Report => veracity_processor::report_schema(),
        Subject::Plan => schemars::schema_for!(Plan).to_value(),
    };
    Ok(terminal.print(format!("{schema:#}\n").as_bytes(), Exit::PASSED))
}
