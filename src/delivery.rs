//! The processors of a suite, made ready; and a run whose report they get.

use std::path::Path;

use futures::executor::block_on;
use veracity_host::{Configuration, Delivered, Host};
use veracity_processor::{ConfigError, DeliveryStatus, Report};

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::suite::VerificationSuite;

/// Where a report is left when the store cannot be reached, below the suite's folder.
const SPOOL: &str = ".veracity/spool";

/// The processors of `suite`, checked and ready to be started; nothing is opened but the
/// plugin directories. Relative paths in their settings are relative to `folder`; `origin`
/// is the absolute path of the suite file, or empty.
///
/// # Errors
///
/// Everything that is wrong with their configuration, with the places where it is written.
pub fn host(suite: &VerificationSuite, folder: &Path, origin: &str) -> Result<Host> {
    let processing = &suite.processing;
    // A plugin that is a program of its own runs in a folder of its own.
    let folder = std::path::absolute(folder.join("."));
    let folder = folder
        .map_err(|error| Error::configuration(format!("there is no folder to be in: {error}")))?;
    let mut configuration = Configuration::default();
    configuration.suite = suite.name.clone();
    configuration.origin = origin.to_owned();
    configuration.base.clone_from(&folder);
    configuration.processors = processing.processors.clone();
    configuration.outputs = processing.outputs.clone();
    configuration.hooks = processing.hooks.clone();
    configuration.channels = processing.channels.clone();
    configuration.webhooks = processing.webhooks.clone();
    configuration.directories = processing
        .plugin_directories
        .iter()
        .map(Into::into)
        .collect();
    configuration.disabled = processing.disabled.clone();
    let checks = || suite.checks.iter();
    configuration.checks = Some(checks().map(|check| check.name.clone()).collect());
    let tags = checks().flat_map(|check| {
        let assertions = check.assertions.iter();
        let own = assertions.flat_map(|assertion| &assertion.tags);
        check.tags.iter().chain(own)
    });
    configuration.tags = Some(tags.cloned().collect());
    configuration.store = processing.store.clone();
    configuration.spool = folder.join(SPOOL);
    let secrets = processing.secrets.iter();
    configuration.secrets = secrets.map(|secret| secret.expose().to_owned()).collect();
    Host::prepare(configuration).map_err(|error| placed(suite, error))
}

/// The errors with the places of the fields they are about.
fn placed(suite: &VerificationSuite, error: ConfigError) -> Error {
    let errors = error.0.into_iter().map(|error| {
        let location = suite.processing.place(&error.path).cloned();
        Error::configuration_at(error.to_string(), location)
    });
    let mut errors: Vec<Error> = errors.collect();
    match errors.len() {
        1 => errors.remove(0),
        _ => Error::Many(errors),
    }
}

impl VerificationSuite {
    /// Verifies this suite with `engine` and carries the report to its processors, each of
    /// them isolated: what they do is in the report's deliveries, and changes nothing else.
    /// Relative paths in their settings are relative to the current folder.
    ///
    /// # Errors
    ///
    /// If the configuration of the processors is wrong; nothing was run then. Whatever goes
    /// wrong later is in the report.
    pub async fn run_and_deliver(&self, engine: &Engine) -> Result<Report> {
        let mut host = host(self, Path::new(""), "")?;
        // The host blocks, which the thread of a runtime must not.
        let (suite, engine) = (self.clone(), engine.clone());
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let work = move || {
            host.open_store();
            // Nobody waits any more if the future was dropped.
            let _ = sender.send(run_watched(&suite, &engine, &host).0);
        };
        let thread = std::thread::Builder::new().name("veracity-run".to_owned());
        let no_thread = |error| Error::execution(format!("no thread could be started: {error}"));
        thread.spawn(work).map_err(no_thread)?;
        receiver.await.map_err(|_| {
            Error::execution("delivering panicked; this is a bug of veracity".to_owned())
        })
    }
}

/// Starts the processors and hooks of `host`, verifies `suite` with `engine` unless one of
/// them says that it may not begin, carries the report to the processors and ends all of
/// them. Blocks meanwhile.
pub fn run_watched(suite: &VerificationSuite, engine: &Engine, host: &Host) -> (Report, Delivered) {
    let upcoming = engine.upcoming(suite);
    let sink = host.sink();
    host.announce(&upcoming);
    host.start();
    let before = host.before_run(&upcoming);
    let mut report = match &before.closed {
        Some(closed) => {
            let reason = format!(
                "`{}` ended the run before it began: {}",
                closed.by, closed.reason
            );
            engine.skip(suite, &upcoming, (&closed.by, &reason), sink)
        }
        // The engine has threads of its own; this one only waits.
        None => block_on(engine.run_upcoming(suite, &upcoming, sink)),
    };
    report.warnings.extend(before.warnings);
    let delivered = deliver(host, &mut report);
    (report, delivered)
}

/// Carries `report` to the processors of `host`, ends them, and writes down in `report`
/// what became of it. Blocks meanwhile.
pub fn deliver(host: &Host, report: &mut Report) -> Delivered {
    let mut delivered = host.deliver(report);
    delivered.warnings.extend(host.shutdown());
    for resumed in &delivered.resumed {
        let delivery = &resumed.delivery;
        if delivery.status != DeliveryStatus::Delivered {
            delivered.warnings.push(format!(
                "the report of run {} is still not delivered to `{}`: {}",
                resumed.run,
                delivery.processor,
                delivery.error.as_deref().unwrap_or("no reason was given")
            ));
        }
    }
    report.deliveries.clone_from(&delivered.deliveries);
    report.warnings.extend(delivered.warnings.iter().cloned());
    delivered
}
