//! `veracity init FILE`: a first suite from what a data file shows.
//!
//! The file is profiled by the engine itself ([`profile`]), what holds is proposed
//! ([`proposal`]) and written down ([`writing`]). The suite is run before it is written:
//! what does not pass is left out.

mod profile;
mod proposal;
mod sql;
mod writing;

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Component, Path, PathBuf};

use clap::Args;
use futures::executor::block_on;
use veracity_processor::Status;

use super::check::{dataset_name, literal};
use super::exit::{Exit, Failure};
use super::options::Limits;
use super::terminal::{Terminal, say};
use crate::engine::Engine;
use crate::error::Error;
use crate::suite::{Dataset, file};
use profile::Profile;
use proposal::Section;
use writing::Heading;

/// Writes a first suite for a data file, of what holds for it now.
#[derive(Debug, Args)]
#[command(
    help_template = super::TEMPLATE,
    after_help = "\
Examples:
  veracity init orders.parquet
  veracity init 'orders/*.parquet' --output checks/orders.yaml
  veracity init orders.csv --output -

The data is read in full. The suite passes on it; look at each bound before you rely on it."
)]
pub struct InitArgs {
    /// The data: a file, a folder or a glob.
    #[arg(value_name = "FILE")]
    path: String,
    /// Where to write the suite; `-` is stdout.
    #[arg(short, long, value_name = "SUITE", default_value = "suite.yaml")]
    output: PathBuf,
    /// Overwrite the suite file if it is there.
    #[arg(short, long)]
    force: bool,
    #[command(flatten)]
    limits: Limits,
}

/// Profiles the data and writes the suite.
pub fn init(args: &InitArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let to_stdout = args.output == Path::new("-");
    if !to_stdout && !args.force && args.output.exists() {
        return Err(exists(&args.output).into());
    }
    let folder = match args.output.parent() {
        Some(folder) if !to_stdout => folder,
        _ => Path::new(""),
    };
    if !folder.as_os_str().is_empty() && !folder.is_dir() {
        let message = format!("there is no folder `{}`", folder.display());
        return Err(Error::configuration(message).into());
    }
    let path = literal(&relative(&args.path, folder));
    let name = dataset_name(&args.path);
    let engine = args.limits.apply(Engine::builder().base(folder)).build()?;
    let dataset = Dataset::from(Dataset::path(&name, &path));
    let profile = block_on(Profile::take(&engine, &dataset))?;
    let heading = Heading {
        name: &name,
        path: &path,
        profile: &profile,
    };
    let sections = proposal::propose(&profile);
    let sections = block_on(passing(&engine, &heading, sections))?;
    let text = writing::suite(&heading, &sections);
    if to_stdout {
        return Ok(terminal.print(text.as_bytes(), Exit::PASSED));
    }
    write(&args.output, &text, args.force)?;
    let assertions: usize = sections.iter().map(|section| section.proposals.len()).sum();
    say(&format!(
        "wrote `{0}` with {assertions} assertions about {1} columns; `veracity run {0}` verifies them",
        args.output.display(),
        profile.columns.len(),
    ));
    Ok(Exit::PASSED)
}

/// Those proposals of `sections` that pass when they are written and read as a suite.
async fn passing(
    engine: &Engine,
    heading: &Heading<'_>,
    mut sections: Vec<Section>,
) -> Result<Vec<Section>, Error> {
    let text = writing::suite(heading, &sections);
    let suite = file::parse(&text, "", &|_| None)?.suite;
    let report = engine.run(&suite).await;
    let mut results = report.results.iter().map(|result| result.status);
    for section in &mut sections {
        section
            .proposals
            .retain(|_| results.next() == Some(Status::Passed));
    }
    sections.retain(|section| !section.proposals.is_empty());
    if sections.is_empty() {
        return Err(Error::execution(
            "nothing could be found out about the data",
        ));
    }
    Ok(sections)
}

fn exists(output: &Path) -> Error {
    Error::configuration(format!(
        "`{}` exists and is not overwritten",
        output.display()
    ))
    .with_help("choose another file with `--output`, or overwrite it with `--force`")
}

fn write(output: &Path, text: &str, force: bool) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create(true)
        .truncate(true)
        .create_new(!force);
    let written = options
        .open(output)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => exists(output),
        _ => Error::configuration(format!("cannot write `{}`: {error}", output.display())),
    })
}

/// `path`, which is relative to the current folder, relative to `folder`.
fn relative(path: &str, folder: &Path) -> String {
    if folder.as_os_str().is_empty() || Path::new(path).is_absolute() || path.contains("://") {
        return path.to_owned();
    }
    let (Some(from), Some(to)) = (absolute(folder), absolute(Path::new(path))) else {
        return path.to_owned();
    };
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..".to_owned(), from.len() - common);
    let parts: Vec<String> = up.chain(to[common..].iter().cloned()).collect();
    parts.join("/")
}

/// The parts of `path` from the root on, without `.` and `..`.
fn absolute(path: &Path) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    for part in std::path::absolute(path).ok()?.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                parts.pop();
            }
            part => parts.push(part.as_os_str().to_string_lossy().into_owned()),
        }
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_written_relative_to_the_suite() {
        let cases = [
            ("the same folder", "a.csv", "", "a.csv"),
            ("a folder below", "a.csv", "checks", "../a.csv"),
            ("beside it", "data/a.csv", "checks", "../data/a.csv"),
            ("in it", "checks/data/a.csv", "checks", "data/a.csv"),
            ("with dots", "./x/../a.csv", "./checks/.", "../a.csv"),
            ("absolute", "/data/a.csv", "checks", "/data/a.csv"),
        ];
        for (label, path, folder, expected) in cases {
            assert_eq!(relative(path, Path::new(folder)), expected, "{label}");
        }
    }
}
