//! `veracity completions SHELL`

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;
use super::exit::{Exit, Failure};
use super::terminal::Terminal;

/// Prints a script that lets a shell complete the command line.
#[derive(Debug, Args)]
#[command(
    help_template = super::TEMPLATE,
    after_help = "\
Examples:
  veracity completions bash > ~/.local/share/bash-completion/completions/veracity
  veracity completions zsh > ~/.zfunc/_veracity
  veracity completions fish > ~/.config/fish/completions/veracity.fish"
)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script.
pub fn completions(args: &CompletionsArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "veracity", &mut script);
    Ok(terminal.print(&script, Exit::PASSED))
}
