//! The `veracity` command: what it understands, what it prints, how it ends.
//!
//! Another program becomes the whole command by calling [`main`], and so can bring
//! processors of its own.

mod check;
mod completions;
mod deliver;
mod events;
mod exit;
mod init;
mod interrupt;
mod metrics;
mod options;
mod plan;
mod processors;
mod progress;
mod quantity;
mod run;
mod schema;
mod suite_file;
mod terminal;
mod verify;

use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

use clap::{ArgAction, Parser, Subcommand};
use veracity_host::isolation::serve_if_worker;

use exit::{Exit, Failure};
use terminal::{Color, Terminal};

/// Usage and examples before the options: they are what is looked for.
const TEMPLATE: &str = "{about-with-newline}\n{usage-heading} {usage}{after-help}\n\n{all-args}";

/// Verifies data: a suite of SQL assertions, one scan, one report.
#[derive(Debug, Parser)]
#[command(
    name = "veracity",
    version,
    help_template = TEMPLATE,
    arg_required_else_help = true,
    disable_help_flag = true,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  veracity init orders.parquet                         write a first suite for a file
  veracity run suite.yaml                              verify what a suite says
  veracity plan suite.yaml                             show what a run would read
  veracity check orders.csv 'completeness(id) = 1'     verify one thing, without a suite

Exit codes:
  0 passed   1 failed   2 wrong usage or configuration   3 something could not be evaluated
  4 the report could not be written or delivered   130, 143 interrupted   101 a bug of veracity

NO_COLOR, CLICOLOR_FORCE and TERM=dumb are honored."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Colors: auto, always or never.
    #[arg(
        long,
        global = true,
        display_order = 900,
        value_enum,
        value_name = "WHEN",
        hide_possible_values = true,
        default_value_t,
        env = "VERACITY_COLOR",
        hide_env_values = true
    )]
    color: Color,
    /// Print help.
    #[arg(short, long, global = true, display_order = 901, action = ArgAction::HelpShort)]
    help: Option<bool>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunArgs),
    Plan(plan::PlanArgs),
    Check(check::CheckArgs),
    Init(init::InitArgs),
    Metrics(metrics::MetricsArgs),
    Processors(processors::ProcessorsArgs),
    Deliver(deliver::DeliverArgs),
    Events(events::EventsArgs),
    Schema(schema::SchemaArgs),
    Completions(completions::CompletionsArgs),
}

/// Does what the command line says and returns the exit code.
///
/// The report, plan or listing goes to stdout and nothing else does; whatever is wrong
/// goes to stderr. No input makes it panic; should it panic all the same, it says so and
/// returns 101.
pub fn main() -> ExitCode {
    serve_if_worker();
    announce_panics();
    let exit = guarded(|| match Cli::try_parse() {
        Ok(cli) => execute(cli),
        Err(error) => {
            // Nothing can be done if nobody reads the help.
            let _ = error.print();
            u8::try_from(error.exit_code()).map_or(Exit::CONFIGURATION, Exit)
        }
    });
    ExitCode::from(exit.0)
}

fn execute(cli: Cli) -> Exit {
    let terminal = Terminal::new(cli.color);
    let done = match cli.command {
        Command::Run(args) => run::run(args, &terminal),
        Command::Plan(args) => plan::plan(args, &terminal),
        Command::Check(args) => check::check(args, &terminal),
        Command::Init(args) => init::init(&args, &terminal),
        Command::Metrics(args) => metrics::metrics(&args, &terminal),
        Command::Processors(args) => processors::processors(args, &terminal),
        Command::Events(args) => events::events(args),
        Command::Deliver(args) => deliver::deliver(&args, &terminal),
        Command::Schema(args) => schema::schema(&args, &terminal),
        Command::Completions(args) => completions::completions(&args, &terminal),
    };
    done.unwrap_or_else(|failure: Failure| {
        terminal.complain(&failure);
        failure.exit
    })
}

/// What `command` returns, or the exit code of a bug if it panics.
fn guarded(command: impl FnOnce() -> Exit) -> Exit {
    panic::catch_unwind(AssertUnwindSafe(command)).unwrap_or(Exit::BUG)
}

/// A panic is told in one short message; the backtrace comes when it is asked for.
fn announce_panics() {
    let with_backtrace = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
            with_backtrace(info);
        }
        let what = info.payload_as_str().unwrap_or("unknown");
        let place = info
            .location()
            .map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
        terminal::say(&format!(
            "veracity {} has a bug: {what}{place}\n\
             Please report it at {}/issues with the suite and what you did; \
             RUST_BACKTRACE=1 tells more.",
            env!("CARGO_PKG_VERSION"),
            env!("CARGO_PKG_REPOSITORY"),
        ));
    }));
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_panic_is_a_bug_and_ends_with_101() {
        assert_eq!(guarded(|| panic!("told by the test")), Exit(101));
        assert_eq!(guarded(|| Exit::FAILED), Exit::FAILED);
    }

    #[test]
    fn every_option_says_in_one_line_what_it_does() {
        for command in Cli::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for argument in command.get_arguments() {
                let help = argument.get_help().map(ToString::to_string);
                let help = help.unwrap_or_default();
                let (command, name) = (command.get_name(), argument.get_id());
                assert!(!help.is_empty(), "{command} {name} says nothing");
                assert!(help.len() < 110, "{command} {name} says too much: {help}");
            }
        }
    }
}
