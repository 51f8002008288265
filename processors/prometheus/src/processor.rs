//! The processor.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::timeout;
use veracity_http::within;
use veracity_processor::{
    Capability, ConfigError, FieldError, Health, Message, Outcome, Plugin, ProcessContext,
    Processor, ProcessorError, Report, ResultProcessor, StartContext, async_trait, register,
    write_file,
};

use crate::gateway::Gateway;
use crate::history::History;
use crate::settings::Settings;
use crate::{exposition, families};

/// How long a gateway that did not answer is left alone: longer than a host waits within
/// a run.
const REST: Duration = Duration::from_secs(90);

/// How long the health check may take; the host waits five seconds.
const HEALTH_PATIENCE: Duration = Duration::from_secs(4);

/// The fewest series that may be asked for: what is known of a run as a whole.
const FEWEST_SERIES: usize = 20;

register!(
    Plugin::processor::<Prometheus>("prometheus", env!("CARGO_PKG_VERSION"))
        .description("Shows the run to Prometheus: a textfile for node_exporter, a Pushgateway")
        .author("the veracity authors")
        .capabilities(&[Capability::Metrics, Capability::Output])
        .example("prometheus: {path: /var/lib/node_exporter/textfile/orders.prom}")
);

/// Shows runs to Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    path: Option<PathBuf>,
    gateway: Option<Gateway>,
    max_series: usize,
}

impl Processor for Prometheus {
    type Config = Settings;

    fn build(settings: Settings) -> Result<Self, ConfigError> {
        let mut faults = Vec::new();
        if settings.path.is_none() && settings.pushgateway.is_none() {
            let message = "`path` or `pushgateway` says where metrics go";
            faults.push(FieldError::new("", message));
        }
        if settings.max_series < FEWEST_SERIES {
            let message = format!("must be at least {FEWEST_SERIES}");
            faults.push(FieldError::new("/max_series", message));
        }
        let gateway = settings.pushgateway;
        let gateway = gateway.and_then(|settings| Gateway::new(settings, &mut faults));
        match faults.is_empty() {
            true => Ok(Self {
                path: settings.path,
                gateway,
                max_series: settings.max_series,
            }),
            false => Err(ConfigError(faults)),
        }
    }
}

#[async_trait]
impl ResultProcessor for Prometheus {
    async fn startup(&self, _context: &StartContext) -> Result<(), ProcessorError> {
        match &self.gateway {
            Some(gateway) => gateway.endpoint.prepare(),
            None => Ok(()),
        }
    }

    async fn process(
        &self,
        report: &Report,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let Some(history) = History::load(&context.state).after(report) else {
            return Ok(Outcome::skipped("a later run is shown already"));
        };
        // Before anything is shown: it is true however that goes.
        history.save(&context.state);
        let group = self
            .gateway
            .as_ref()
            .map(|gateway| gateway.group(&report.run.suite));
        let (group, stated) = (group.unwrap_or_default(), &context.metrics);
        let shown = families::of(report, &history, stated, &group, self.max_series);
        let text = exposition::text(shown.families());
        let written = self
            .path
            .as_deref()
            .map_or(Ok(()), |path| write(path, &text));
        let pushed = match &self.gateway {
            Some(gateway) => push(gateway, report, text, context).await,
            None => Ok(()),
        };
        // What may work later comes first, because then it is tried again.
        match (written, pushed) {
            (Ok(()), Ok(())) => {}
            (Err(error), Ok(())) | (Ok(()), Err(error)) => return Err(error),
            (Err(one), Err(other)) => {
                let (first, second) = if other.is_retryable() {
                    (other, one)
                } else {
                    (one, other)
                };
                return Err(first.context(second));
            }
        }
        Ok(match shown.dropped {
            0 => Outcome::done(),
            dropped => Outcome::done().with_note(format!(
                "{dropped} series were left out, because there are more than `max_series: {}` or \
                 they were not fit to be shown",
                self.max_series
            )),
        })
    }

    async fn notify(&self, _: &Message, _: &ProcessContext) -> Result<Outcome, ProcessorError> {
        Ok(Outcome::skipped("a message is no metric"))
    }

    async fn health(&self) -> Result<Health, ProcessorError> {
        match &self.gateway {
            Some(gateway) => gateway.endpoint.health(HEALTH_PATIENCE).await,
            None => Ok(Health::healthy()),
        }
    }
}

/// Replaces the file at `path`. One that is new may be read by everybody: node_exporter
/// is another user. One that is there keeps its permissions.
fn write(path: &Path, text: &str) -> Result<(), ProcessorError> {
    let is_new = !path.exists();
    write_file(path, text.as_bytes())?;
    #[cfg(unix)]
    if is_new && path.is_file() {
        use std::fs::{Permissions, set_permissions};
        use std::os::unix::fs::PermissionsExt;
        set_permissions(path, Permissions::from_mode(0o644)).map_err(|error| {
            let path = path.display();
            ProcessorError::permanent(format!("`{path}` cannot be made readable: {error}"))
        })?;
    }
    #[cfg(not(unix))]
    let _ = is_new;
    Ok(())
}

async fn push(
    gateway: &Gateway,
    report: &Report,
    text: String,
    context: &ProcessContext,
) -> Result<(), ProcessorError> {
    let limited = async {
        let limit = gateway.timeout;
        let pushed = timeout(limit, gateway.push(&report.run.suite, text)).await;
        pushed.unwrap_or_else(|_| {
            let message = format!("no complete answer within {limit:.1?}");
            Err(gateway
                .endpoint
                .named(ProcessorError::retryable(message).after(REST)))
        })
    };
    within(context, limited).await
}
