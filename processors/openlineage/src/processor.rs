//! The processor.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};
use uuid::Uuid;
use veracity_http::within;
use veracity_processor::{
    Capability, ConfigError, Health, HealthStatus, Message, Outcome, Plugin, ProcessContext,
    Processor, ProcessorError, Report, ResultProcessor, Stage, StartContext, State, Upcoming,
    async_trait, register,
};

use crate::environment::Environment;
use crate::event::RunEvent;
use crate::ledger::{Ledger, OpenRun};
use crate::receiver::Receiver;
use crate::route::{self, Route};
use crate::settings::Settings;

/// How long a receiver that did not answer is left alone: longer than a host waits within
/// a run.
const REST: Duration = Duration::from_secs(90);

/// How long the health check of a receiver may take; the host waits five seconds.
const HEALTH_PATIENCE: Duration = Duration::from_secs(4);

register!(
    Plugin::processor::<OpenLineage>("openlineage", env!("CARGO_PKG_VERSION"))
        .description("Tells OpenLineage receivers when a run begins and how it ended")
        .author("the veracity authors")
        .capabilities(&[Capability::Output])
        .stages(&[Stage::AfterRun, Stage::BeforeRun])
        .example(
            "openlineage:
  url: https://lineage.example.org
  api_key: ${secret:OPENLINEAGE_KEY}
  dataset_names:
    orders: {namespace: 'postgres://db.example.org:5432', name: shop.public.orders}"
        )
);

/// Sends OpenLineage events about runs.
pub struct OpenLineage {
    settings: Settings,
    /// What stands for the environment of the process.
    variables: Option<BTreeMap<String, String>>,
    /// `None` if it is switched off.
    route: OnceLock<Option<Route>>,
    waited: Mutex<Waited>,
}

/// How long receivers kept the run waiting before it began.
#[derive(Debug, Default)]
struct Waited {
    run: Uuid,
    time: Duration,
}

impl fmt::Debug for OpenLineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenLineage")
            .field("route", &self.route)
            .finish_non_exhaustive()
    }
}

impl Processor for OpenLineage {
    type Config = Settings;

    fn build(settings: Settings) -> Result<Self, ConfigError> {
        route::check(&settings)?;
        Ok(Self {
            settings,
            variables: None,
            route: OnceLock::new(),
            waited: Mutex::default(),
        })
    }
}

impl OpenLineage {
    /// With `variables` instead of the environment of the process, which is otherwise read
    /// at `startup`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the settings.
    pub fn with_environment(
        settings: Settings,
        variables: BTreeMap<String, String>,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            variables: Some(variables),
            ..Self::build(settings)?
        })
    }

    fn route(&self) -> Result<Option<&Route>, ProcessorError> {
        if let Some(route) = self.route.get() {
            return Ok(route.as_ref());
        }
        let environment = match &self.variables {
            Some(variables) => Environment::read(variables)?,
            None => Environment::read(&variables())?,
        };
        let route = Route::new(&self.settings, environment)?;
        Ok(self.route.get_or_init(|| route).as_ref())
    }

    fn waited(&self) -> MutexGuard<'_, Waited> {
        // It is whole even if a thread panicked while it held the lock.
        self.waited.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The variables of the process that are text.
fn variables() -> BTreeMap<String, String> {
    let all = std::env::vars_os();
    let text =
        all.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    text.filter(|(name, _)| name.starts_with("OPENLINEAGE"))
        .collect()
}

const DISABLED: &str = "`OPENLINEAGE_DISABLED` switches it off";

#[async_trait]
impl ResultProcessor for OpenLineage {
    async fn startup(&self, _context: &StartContext) -> Result<(), ProcessorError> {
        for receiver in self.route()?.into_iter().flat_map(|route| &route.receivers) {
            if let Receiver::Http(http) = receiver {
                http.endpoint.prepare()?;
            }
        }
        Ok(())
    }

    async fn before_run(
        &self,
        upcoming: &Upcoming,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let Some(route) = self.route()? else {
            return Ok(Outcome::skipped(DISABLED));
        };
        // The rest is for the end of the run.
        let limit = route.timeout.mul_f64(0.4);
        let began = Instant::now();
        let ended = timely(limit, context, begin(route, upcoming, &context.state)).await;
        *self.waited() = Waited {
            run: upcoming.run.id,
            time: match ended {
                Ok(_) => Duration::ZERO,
                Err(_) => began.elapsed(),
            },
        };
        ended
    }

    async fn process(
        &self,
        report: &Report,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let Some(route) = self.route()? else {
            return Ok(Outcome::skipped(DISABLED));
        };
        let before = {
            let waited = self.waited();
            if waited.run == report.run.id {
                waited.time
            } else {
                Duration::ZERO
            }
        };
        let limit = route.timeout.saturating_sub(before).max(route.timeout / 2);
        timely(limit, context, end(route, report, &context.state)).await
    }

    async fn notify(&self, _: &Message, _: &ProcessContext) -> Result<Outcome, ProcessorError> {
        Ok(Outcome::skipped("a message is no lineage"))
    }

    async fn health(&self) -> Result<Health, ProcessorError> {
        let Some(route) = self.route()? else {
            return Ok(Health::healthy().with_detail(DISABLED));
        };
        let mut found = Health::healthy();
        for receiver in &route.receivers {
            if let Receiver::Http(http) = receiver {
                let patience = HEALTH_PATIENCE / u32::try_from(route.receivers.len()).unwrap_or(4);
                found = http.endpoint.health(patience).await?;
                if found.status != HealthStatus::Healthy {
                    break;
                }
            }
        }
        Ok(found)
    }
}

/// What `work` returns, or an error that asks for a rest if it takes longer than `limit`.
async fn timely<T>(
    limit: Duration,
    context: &ProcessContext,
    work: impl Future<Output = Result<T, ProcessorError>>,
) -> Result<T, ProcessorError> {
    let limited = async {
        timeout(limit, work).await.unwrap_or_else(|_| {
            let message = format!("no complete answer within {limit:.1?}");
            Err(ProcessorError::retryable(message).after(REST))
        })
    };
    within(context, limited).await
}

/// Ends runs that nobody else will end, and sends START.
async fn begin(
    route: &Route,
    upcoming: &Upcoming,
    state: &State,
) -> Result<Outcome, ProcessorError> {
    let mut ledger = Ledger::load(state);
    let mut faults = Faults::default();
    let run = &upcoming.run;
    for orphan in ledger.orphans(run) {
        let Some(open) = ledger.find(orphan).map(|open| open.clone()) else {
            continue;
        };
        let event = text(&route.messages.abandoned(&open, upcoming))?;
        let mut left_open = false;
        for receiver in &route.receivers {
            let name = receiver.to_string();
            if !open.began.contains(&name) || open.ended.contains(&name) {
                continue;
            }
            match receiver.take(&event).await {
                Ok(()) => {
                    ledger.find(orphan).map(|open| open.ended.insert(name));
                    ledger.save(state);
                }
                Err(fault) => {
                    // Trying again would not help if it is permanent.
                    left_open |= fault.is_retryable();
                    faults.add(fault);
                }
            }
        }
        if !left_open {
            ledger.close(orphan);
            ledger.save(state);
        }
    }
    if !ledger.has_ended(run.id) {
        let start = route.messages.start(upcoming);
        let json = text(&start)?;
        for receiver in &route.receivers {
            let begun = started(&mut ledger, run, &start, &json, receiver, state).await;
            faults.note(begun);
        }
    }
    ledger.tidy();
    ledger.save(state);
    faults.end().map(|()| Outcome::done())
}

/// Sends START where that was not done, and the terminal event.
async fn end(route: &Route, report: &Report, state: &State) -> Result<Outcome, ProcessorError> {
    let mut ledger = Ledger::load(state);
    let run = &report.run;
    if ledger.has_ended(run.id) {
        return Ok(Outcome::skipped(
            "the last event of this run was sent before",
        ));
    }
    let start = route.messages.start(&Upcoming::of(report));
    let (event, omitted) = route.messages.ended(report);
    let (start_json, event_json) = (text(&start)?, text(&event)?);
    ledger.open(run, &start).reported = true;
    ledger.save(state);
    let mut faults = Faults::default();
    for receiver in &route.receivers {
        let name = receiver.to_string();
        if is_in(&mut ledger, run.id, |open| &open.ended, &name) {
            continue;
        }
        let begun = started(&mut ledger, run, &start, &start_json, receiver, state).await;
        if !faults.note(begun) {
            continue;
        }
        let taken = receiver.take(&event_json).await;
        if faults.note(taken) {
            ledger.open(run, &start).ended.insert(name);
            ledger.save(state);
        }
    }
    let result = faults.end();
    match &result {
        Ok(()) => ledger.close(run.id),
        // The host will not come again with this report, so the next run has to end it.
        Err(fault) if !fault.is_retryable() => ledger.open(run, &start).reported = false,
        Err(_) => {}
    }
    ledger.tidy();
    ledger.save(state);
    result.map(|()| match omitted {
        0 => Outcome::done(),
        omitted => Outcome::done().with_note(format!(
            "{omitted} of {} results were left out of the event, which would have been too large",
            report.results.len()
        )),
    })
}

/// Sends START to `receiver` unless it has it.
async fn started(
    ledger: &mut Ledger,
    run: &veracity_processor::Run,
    start: &RunEvent,
    json: &str,
    receiver: &Receiver,
    state: &State,
) -> Result<(), ProcessorError> {
    let name = receiver.to_string();
    if is_in(ledger, run.id, |open| &open.began, &name) {
        return Ok(());
    }
    receiver.take(json).await?;
    ledger.open(run, start).began.insert(name);
    ledger.save(state);
    Ok(())
}

fn is_in(
    ledger: &mut Ledger,
    run: Uuid,
    which: impl Fn(&OpenRun) -> &BTreeSet<String>,
    name: &str,
) -> bool {
    ledger
        .find(run)
        .is_some_and(|open| which(open).contains(name))
}

fn text(event: &RunEvent) -> Result<String, ProcessorError> {
    event
        .to_json()
        .map_err(|error| ProcessorError::permanent(format!("cannot write the event: {error}")))
}

/// What went wrong at several receivers.
#[derive(Debug, Default)]
struct Faults(Vec<ProcessorError>);

impl Faults {
    fn add(&mut self, fault: ProcessorError) {
        if !self.0.contains(&fault) {
            self.0.push(fault);
        }
    }

    /// Whether it went well.
    fn note(&mut self, result: Result<(), ProcessorError>) -> bool {
        result.map_err(|fault| self.add(fault)).is_ok()
    }

    /// All of it in one error, which is retryable if one of them is.
    fn end(mut self) -> Result<(), ProcessorError> {
        if self.0.len() == 1 {
            return Err(self.0.remove(0));
        }
        let messages: Vec<&str> = self.0.iter().map(ProcessorError::message).collect();
        let message = messages.join("; ");
        let waits = self.0.iter().filter_map(|fault| match fault {
            ProcessorError::Retryable { retry_after, .. } => *retry_after,
            _ => None,
        });
        let wait = waits.max();
        match self.0.iter().any(ProcessorError::is_retryable) {
            _ if self.0.is_empty() => Ok(()),
            false => Err(ProcessorError::permanent(message)),
            true => Err(match wait {
                Some(wait) => ProcessorError::retryable(message).after(wait),
                None => ProcessorError::retryable(message),
            }),
        }
    }
}
