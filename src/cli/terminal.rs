//! The two streams: results go to stdout, everything else to stderr.

use std::io::{self, ErrorKind, IsTerminal, Write};

use clap::ValueEnum;

use super::exit::{Exit, Failure};
use crate::suite::diagnostic;

/// When to use colors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Color {
    /// Where a terminal shows it.
    #[default]
    Auto,
    /// Also in files and pipes.
    Always,
    /// Nowhere.
    Never,
}

/// Where the command writes.
#[derive(Debug)]
pub struct Terminal {
    color: bool,
    /// Whether neither the command line nor the environment decides about colors.
    color_is_open: bool,
    /// Columns of stdout, if it is a terminal.
    pub width: Option<usize>,
    /// Whether stderr is a terminal on which lines can be rewritten.
    pub is_watched: bool,
    error_color: bool,
}

impl Terminal {
    /// Looks at the streams and the environment.
    pub fn new(color: Color) -> Self {
        let environment = |name: &str| std::env::var(name).ok();
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let size = terminal_size::terminal_size().filter(|_| out);
        Self {
            color: is_colored(color, &environment, out),
            color_is_open: is_colored(color, &environment, true)
                && !is_colored(color, &environment, false),
            width: size.map(|(width, _)| usize::from(width.0)),
            is_watched: err && environment("TERM").is_none_or(|term| term != "dumb"),
            error_color: is_colored(color, &environment, err),
        }
    }

    /// Whether to use colors on stdout, where the suite may say something about it.
    pub fn color_or(&self, configured: Option<bool>) -> bool {
        configured
            .filter(|_| self.color_is_open)
            .unwrap_or(self.color)
    }

    /// Writes the result of the command to stdout and returns `exit`.
    ///
    /// A reader that has seen enough (`| head`) is no failure; a full disk is, unless
    /// `exit` already tells something worse.
    pub fn print(&self, output: &[u8], exit: Exit) -> Exit {
        let mut out = io::stdout().lock();
        let written = out.write_all(output).and_then(|()| out.flush());
        match written {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                say(&format!("error: cannot write to stdout: {error}"));
                if exit == Exit::PASSED {
                    Exit::NOT_DELIVERED
                } else {
                    exit
                }
            }
            _ => exit,
        }
    }

    /// Says on stderr what is wrong.
    pub fn complain(&self, failure: &Failure) {
        let (file, text) = match &failure.source {
            Some((file, text)) => (file.as_str(), text.as_str()),
            None => ("", ""),
        };
        say(diagnostic::render(&failure.error, file, text, self.error_color).trim_end());
    }
}

/// Writes a message to stderr; if nobody hears it, the exit code has to do.
pub fn say(message: &str) {
    let _ = writeln!(io::stderr().lock(), "{message}");
}

/// Whether to use colors on a stream. NO_COLOR outweighs CLICOLOR_FORCE, and what the
/// command line says outweighs both.
fn is_colored(
    choice: Color,
    environment: &dyn Fn(&str) -> Option<String>,
    is_terminal: bool,
) -> bool {
    let is_set = |name: &str| environment(name).is_some_and(|value| !value.is_empty());
    let forces = |name: &str| environment(name).is_some_and(|value| !matches!(&*value, "" | "0"));
    match choice {
        Color::Always => true,
        Color::Never => false,
        Color::Auto if is_set("NO_COLOR") => false,
        Color::Auto if forces("CLICOLOR_FORCE") || forces("FORCE_COLOR") => true,
        Color::Auto => is_terminal && environment("TERM").is_none_or(|term| term != "dumb"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Label, choice, environment, whether it is a terminal, whether it is colored.
    type Case = (
        &'static str,
        Color,
        &'static [(&'static str, &'static str)],
        bool,
        bool,
    );

    #[test]
    fn colors_are_used_where_they_are_shown_and_not_refused() {
        use Color::{Always, Auto, Never};
        let cases: &[Case] = &[
            ("a terminal", Auto, &[], true, true),
            ("a file", Auto, &[], false, false),
            ("refused", Auto, &[("NO_COLOR", "1")], true, false),
            (
                "an empty NO_COLOR says nothing",
                Auto,
                &[("NO_COLOR", "")],
                true,
                true,
            ),
            ("forced", Auto, &[("CLICOLOR_FORCE", "1")], false, true),
            ("not forced", Auto, &[("CLICOLOR_FORCE", "0")], false, false),
            ("the other name", Auto, &[("FORCE_COLOR", "1")], false, true),
            (
                "both",
                Auto,
                &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")],
                true,
                false,
            ),
            ("a dumb terminal", Auto, &[("TERM", "dumb")], true, false),
            ("a good terminal", Auto, &[("TERM", "xterm")], true, true),
            ("asked for", Always, &[("NO_COLOR", "1")], false, true),
            ("not wanted", Never, &[("CLICOLOR_FORCE", "1")], true, false),
        ];
        for (label, choice, variables, is_terminal, expected) in cases {
            let environment = |name: &str| {
                let found = variables.iter().find(|(variable, _)| *variable == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(
                is_colored(*choice, &environment, *is_terminal),
                *expected,
                "{label}"
            );
        }
    }
}
