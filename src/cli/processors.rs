//! `veracity processors`

mod info;
mod listing;
mod new;
mod reference;
mod replay;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use veracity_host::{Configuration, Host, Registry};
use veracity_json::Json;
use veracity_processor::Kind;

use super::exit::{Exit, Failure};
use super::options::{About, Format, Printing};
use super::suite_file;
use super::terminal::Terminal;
use crate::delivery;
use crate::error::Error;
use crate::suite::file::SuiteFile;

/// Shows, checks, tries and makes result processors and other plugins.
#[derive(Debug, Args)]
#[command(
    help_template = super::TEMPLATE,
    after_help = "\
Examples:
  veracity processors list
  veracity processors info email
  veracity processors validate suite.yaml
  veracity processors health suite.yaml
  veracity processors run email --suite suite.yaml --report report.json
  veracity processors disable email --suite suite.yaml
  veracity processors new my-alerts --lang python"
)]
pub struct ProcessorsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists processors, hooks and channels, and plugins that are broken.
    List(ListArgs),
    /// Shows what a plugin does and its settings.
    Info(InfoArgs),
    /// Makes a new plugin to begin with.
    New(new::NewArgs),
    /// Prints the reference of all linked plugins as Markdown.
    Reference,
    /// Checks the processors of a suite, without starting them.
    Validate(SuiteArgs),
    /// Asks the processors of a suite whether they could deliver now.
    Health(SuiteArgs),
    /// Lets a processor be used again.
    Enable(SwitchArgs),
    /// Has the store remember that a processor is not to be used.
    Disable(SwitchArgs),
    /// Delivers a stored report to one processor of a suite.
    Run(replay::RunArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Also a folder of plugins that are programs of their own; repeatable.
    #[arg(long, value_name = "DIR")]
    plugins: Vec<PathBuf>,
    /// Also the plugins of this suite's `plugins:`.
    #[arg(long, value_name = "SUITE")]
    suite: Option<PathBuf>,
    #[command(flatten)]
    printing: Printing,
}

#[derive(Debug, Args)]
struct InfoArgs {
    /// The plugin's name.
    name: String,
    /// Its kind, where there are several of one name.
    #[arg(long, value_enum)]
    kind: Option<PluginKind>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Args)]
struct SuiteArgs {
    /// The suite file; `-` is stdin.
    #[arg(value_name = "SUITE")]
    suite: PathBuf,
    #[command(flatten)]
    about: About,
    #[command(flatten)]
    printing: Printing,
}

#[derive(Debug, Args)]
struct SwitchArgs {
    /// A plugin, or the name one is configured under.
    name: String,
    /// The suite whose store remembers it.
    #[arg(long, value_name = "SUITE")]
    suite: PathBuf,
    #[command(flatten)]
    about: About,
    #[command(flatten)]
    printing: Printing,
}

/// A kind of plugin that a suite configures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PluginKind {
    /// Receives reports.
    Processor,
    /// Watches runs.
    Hook,
    /// Carries what other plugins publish.
    Channel,
}

impl From<PluginKind> for Kind {
    fn from(kind: PluginKind) -> Self {
        match kind {
            PluginKind::Processor => Kind::Processor,
            PluginKind::Hook => Kind::Hook,
            PluginKind::Channel => Kind::Channel,
        }
    }
}

/// Does what the arguments say.
pub fn processors(args: ProcessorsArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    match args.command {
        Command::List(args) => {
            let listing = listing::list(&registry(&args)?);
            Ok(terminal.print(&listing.shown(args.printing.format), Exit::PASSED))
        }
        Command::Info(args) => {
            let kind = args.kind.map(Kind::from);
            let info = info::info(&registry(&args.list)?, &args.name, kind)?;
            Ok(terminal.print(&info.shown(args.list.printing.format), Exit::PASSED))
        }
        Command::New(args) => new::new(&args, terminal),
        Command::Reference => {
            let registry = Configuration::default().registry();
            let registry = registry.map_err(|error| Error::configuration(error.to_string()))?;
            let page = reference::reference(&registry)?;
            Ok(terminal.print(page.as_bytes(), Exit::PASSED))
        }
        Command::Validate(args) => {
            let (_, host) = configured(&args.suite, &args.about)?;
            let validated = listing::validated(&host);
            let exit = match validated.is_valid() {
                true => Exit::PASSED,
                false => Exit::CONFIGURATION,
            };
            Ok(terminal.print(&validated.shown(args.printing.format), exit))
        }
        Command::Health(args) => {
            let (_, mut host) = configured(&args.suite, &args.about)?;
            host.open_store();
            host.start();
            let health = listing::health(&host);
            host.shutdown();
            let exit = if health.all_could_deliver() {
                Exit::PASSED
            } else {
                Exit::NOT_DELIVERED
            };
            Ok(terminal.print(&health.shown(args.printing.format), exit))
        }
        Command::Enable(args) => switch(&args, true, terminal),
        Command::Disable(args) => switch(&args, false, terminal),
        Command::Run(args) => replay::run(&args, terminal),
    }
}

/// The plugins there are.
fn registry(args: &ListArgs) -> Result<Registry, Failure> {
    let mut configuration = Configuration::default();
    configuration.directories.clone_from(&args.plugins);
    if let Some(path) = &args.suite {
        let file = suite_file::load(path, &Default::default())?;
        let folders = file.suite.processing.plugin_directories.iter();
        let folders = folders.map(|folder| file.folder.join(folder));
        configuration.directories.extend(folders);
        configuration.disabled = file.suite.processing.disabled;
    }
    let registry = configuration.registry();
    registry.map_err(|error| Error::configuration(error.to_string()).into())
}

/// A suite and its processors, checked.
fn configured(path: &Path, about: &About) -> Result<(SuiteFile, Host), Failure> {
    let file = suite_file::load(path, &about.variables())?;
    let origin = suite_file::origin(path);
    let host = delivery::host(&file.suite, &file.folder, &origin)
        .map_err(|error| suite_file::failure(&file, error))?;
    Ok((file, host))
}

fn switch(args: &SwitchArgs, enabled: bool, terminal: &Terminal) -> Result<Exit, Failure> {
    let (file, mut host) = configured(&args.suite, &args.about)?;
    let names = || {
        let instances = host.instances().chain(host.hooks()).chain(host.channels());
        instances.flat_map(|instance| [instance.name.as_str(), instance.plugin.as_str()])
    };
    if !names().any(|name| name == args.name) {
        let hint = crate::error::did_you_mean(&args.name, names());
        let message = format!("the suite has no plugin `{}`{hint}", args.name);
        let advice = format!("it has {}", crate::error::listed(names()));
        return Err(Error::configuration(message).with_help(advice).into());
    }
    if file.suite.processing.store.is_none() {
        let message = "the suite has no `store:`, which would remember it";
        let advice = "add `store: sqlite://.veracity/veracity.db`, or write `enabled: false`";
        return Err(suite_file::failure(
            &file,
            Error::configuration(message).with_help(advice),
        ));
    }
    host.open_store();
    let keep = host.keep();
    let done = keep.with(|store, now| store.set_enabled(&args.name, enabled, now));
    let error = match (host.store_error(), done) {
        (Some(error), _) => Some(error.to_owned()),
        (None, Some(Err(error))) => Some(error.to_string()),
        _ => None,
    };
    if let Some(error) = error {
        return Err(Failure::undelivered(format!("the store: {error}")));
    }
    let switched = listing::Switched {
        processor: args.name.clone(),
        enabled,
    };
    Ok(terminal.print(&switched.shown(args.printing.format), Exit::PASSED))
}

/// Something that is printed as text or as JSON.
trait Shown: Serialize + Sized {
    /// For people.
    fn text(&self) -> String;

    /// In the format that was asked for.
    fn shown(&self, format: Format) -> Vec<u8> {
        if format == Format::Table {
            return self.text().into_bytes();
        }
        let mut out = Vec::new();
        Json { pretty: true }
            .write(self, &mut out)
            .expect("writing to memory does not fail");
        out
    }
}
