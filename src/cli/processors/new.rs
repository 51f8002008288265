//! `veracity processors new NAME`

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;
use veracity_processor::Plugin;
use veracity_scaffold::{Contract, Created, new as scaffold};

use super::Shown;
use crate::cli::exit::{Exit, Failure};
use crate::cli::options::Printing;
use crate::cli::terminal::Terminal;
use crate::error::Error;

/// Makes a new plugin to begin with.
#[derive(Debug, Args)]
pub struct NewArgs {
    /// Its name: lower-case letters, digits, `-` and `_`.
    name: String,
    /// What it is written in.
    #[arg(long, value_enum, default_value = "rust")]
    lang: Lang,
    /// What it does.
    #[arg(long, value_enum, default_value = "processor")]
    kind: Kind,
    /// The folder it is made in, which must not hold anything. Default: its name.
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    /// For Rust: the folder of the crate `veracity-processor`, if it is not to be downloaded.
    #[arg(long, value_name = "DIR")]
    contract: Option<PathBuf>,
    #[command(flatten)]
    printing: Printing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Lang {
    /// A crate that is linked into the program.
    Rust,
    /// A program of its own, in a plugin directory.
    Python,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// It receives reports.
    Processor,
    /// It watches runs.
    Hook,
}

/// What was made.
#[derive(Debug, Serialize)]
struct Made {
    folder: PathBuf,
    files: Vec<PathBuf>,
    next: Vec<String>,
}

/// Makes it.
pub fn new(args: &NewArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let lang = match args.lang {
        Lang::Rust => veracity_scaffold::Lang::Rust,
        Lang::Python => veracity_scaffold::Lang::Python,
    };
    let kind = match args.kind {
        Kind::Processor => veracity_scaffold::Kind::Processor,
        Kind::Hook => veracity_scaffold::Kind::Hook,
    };
    let taken = |plugin: &&Plugin| {
        let same_kind = match args.kind {
            Kind::Processor => plugin.kind() == veracity_processor::Kind::Processor,
            Kind::Hook => plugin.kind() == veracity_processor::Kind::Hook,
        };
        same_kind && plugin.name() == args.name
    };
    if Plugin::linked().find(taken).is_some() {
        let name = &args.name;
        let message = format!("there is a plugin `{name}` already, in this program");
        let advice = format!("choose another name, such as `my-{name}`");
        return Err(Error::configuration(message).with_help(advice).into());
    }
    let contract = match &args.contract {
        Some(folder) => Contract::Path(std::path::absolute(folder).unwrap_or(folder.clone())),
        None => Contract::Published,
    };
    let folder = args.into.clone();
    let folder = folder.unwrap_or_else(|| PathBuf::from(&args.name));
    let created = scaffold(&args.name, lang, kind, &folder, &contract);
    let Created {
        folder,
        files,
        next,
        ..
    } = created.map_err(|error| Error::configuration(error.to_string()))?;
    let made = Made {
        folder,
        files,
        next,
    };
    Ok(terminal.print(&made.shown(args.printing.format), Exit::PASSED))
}

impl Shown for Made {
    fn text(&self) -> String {
        let mut text = format!("made `{}`:\n", self.folder.display());
        for file in &self.files {
            text.push_str(&format!("  {}\n", file.display()));
        }
        text.push_str("next:\n");
        for command in &self.next {
            text.push_str(&format!("  {command}\n"));
        }
        text
    }
}
