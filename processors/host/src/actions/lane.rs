//! One thread for each target of actions: one that hangs holds up no other.

use std::collections::BTreeMap;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use veracity_processor::{
    Action, ActionRecord, Capability, Event, Kind, Moment, Parcel, ProcessorError, Stage,
};

use super::desk::OVER;
use super::{ChannelSettings, Origin};
use crate::attempt::{PATIENCE, clean};
use crate::backoff;
use crate::ground::{Ground, milliseconds};
use crate::instance::{Given, Instance};
use crate::isolation::{Call, Fault, Task};
use crate::names::{did_you_mean, listed};
use crate::redact::Redactor;

/// An action on its way.
#[derive(Debug)]
pub struct Job {
    pub origin: Origin,
    pub action: Action,
    pub target: Target,
    /// Stays the same however often it is tried.
    pub idempotency_key: String,
}

/// Where an action goes.
#[derive(Debug, Clone)]
pub enum Target {
    /// The channel of this name.
    Channel(String),
    /// The processor of this name.
    Processor(String),
    /// This URL, which may hold a secret.
    Url(String),
}

impl Job {
    /// What people are told of where it goes.
    fn shown(&self) -> Option<String> {
        match &self.target {
            Target::Channel(name) | Target::Processor(name) => Some(self.origin.shown(name)),
            Target::Url(url) => host_of(url),
        }
    }
}

fn host_of(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    url.host_str().map(str::to_owned)
}

impl Target {
    fn lane(&self) -> String {
        match self {
            Self::Channel(name) => format!("channel {name}"),
            Self::Processor(name) => format!("processor {name}"),
            Self::Url(url) => format!("url {}", host_of(url).unwrap_or_default()),
        }
    }
}

/// Has `job` done on the thread of its target. What those who watch are to be told, if
/// that cannot be.
pub fn send(ground: &Arc<Ground>, job: Job) -> Option<Event> {
    let open = || {
        let (sender, receiver) = mpsc::channel::<Job>();
        let on = Arc::clone(ground);
        let thread = std::thread::Builder::new().name("veracity-action".to_owned());
        thread.spawn(move || {
            while let Ok(job) = receiver.recv() {
                let done = match on.actions.desk.is_closed() {
                    false => carry(&on, &job),
                    true => (0, Some(OVER.to_owned())),
                };
                let event = finish(&on, &job, done);
                on.spread((event.into_iter().collect(), job.origin.hook()));
                on.actions.desk.end();
            }
        })?;
        Ok(sender)
    };
    let begun = ground.actions.desk.begin(job.target.lane(), job, open);
    let (job, error) = begun.err()?;
    finish(ground, &job, (0, Some(error)))
}

/// Does `job`, with retries. Returns how often it was tried, and why it was not done.
fn carry(ground: &Arc<Ground>, job: &Job) -> (u32, Option<String>) {
    let instance = match instance(ground, job) {
        Ok(instance) => instance,
        Err(error) => return (0, Some(error)),
    };
    let begun = Instant::now();
    let mut attempts = 0;
    let mut waited = Duration::ZERO;
    let error = loop {
        let limit = ground.stop.cut(instance.settings.time_limit);
        if limit.is_zero() {
            break Some("the run was asked to end".to_owned());
        }
        attempts += 1;
        let Err(fault) = attempt(ground, &instance, job, attempts, limit) else {
            break None;
        };
        let error = clean(&instance, &fault.to_string());
        let asked = match &fault {
            Fault::Failed(ProcessorError::Retryable { retry_after, .. }) => *retry_after,
            Fault::Crashed { .. } => None,
            _ => break Some(error),
        };
        let wait = backoff::wait(attempts, asked, fastrand::f64());
        let patient = waited + wait <= PATIENCE && begun.elapsed() <= 2 * PATIENCE;
        if attempts > instance.settings.retries || !patient {
            break Some(error);
        }
        let (origin, kind) = (&job.origin, job.action.kind());
        let retry = ground.event_of_action(origin, Moment::Retry, kind, attempts);
        let retry = retry.map(|event| {
            let event = event.with("wait_ms", milliseconds(wait));
            let event = event.with("reason", error.as_str());
            event.with("target", job.shown().unwrap_or_default())
        });
        ground.spread((retry.into_iter().collect(), origin.hook()));
        if ground.actions.desk.is_closed() || !ground.stop.wait(wait) {
            break Some(error);
        }
        waited += wait;
    };
    if matches!(job.target, Target::Url(_)) {
        // It was made for this job alone.
        let _ = instance.end(Duration::from_secs(1));
    }
    (attempts, error)
}

fn finish(ground: &Ground, job: &Job, done: (u32, Option<String>)) -> Option<Event> {
    let mut record = ActionRecord::done(job.action.kind());
    record.target = job.shown();
    (record.attempts, record.error) = done;
    ground.record(&job.origin, record, &job.action)
}

/// The plugin that does `job`.
fn instance(ground: &Ground, job: &Job) -> Result<Arc<Instance>, String> {
    let instance = match &job.target {
        Target::Channel(name) => {
            let channels = &ground.actions.channels;
            let found = channels.get(name).cloned();
            found.ok_or_else(|| {
                let names = channels.keys().map(String::as_str);
                unknown(&job.origin, "channel", name, names.collect())
            })?
        }
        Target::Processor(name) => {
            let all = ground.processors();
            let found = all.iter().find(|instance| &instance.name == name);
            let found = found.cloned().ok_or_else(|| {
                let names = all.iter().map(|instance| instance.name.as_str());
                unknown(&job.origin, "processor", name, names.collect())
            })?;
            if !found.capabilities.contains(&Capability::Messages) {
                return Err(format!("`{}` takes reports, no messages", found.plugin));
            }
            found
        }
        Target::Url(_) => Arc::new(webhook(ground, job)?),
    };
    match instance.disabled() {
        Some(reason) => Err(format!("`{}` is switched off: {reason}", instance.name)),
        None => Ok(instance),
    }
}

fn unknown(origin: &Origin, what: &str, name: &str, names: Vec<&str>) -> String {
    let near = did_you_mean(name, names.iter().copied());
    let name = origin.shown(name);
    match names.is_empty() {
        true => format!("there is no {what} `{name}`; none is configured"),
        false => format!(
            "there is no {what} `{name}`{near}; there are {}",
            listed(names)
        ),
    }
}

/// A channel to a URL that the plugin names itself.
fn webhook(ground: &Ground, job: &Job) -> Result<Instance, String> {
    let Action::Webhook(webhook) = &job.action else {
        return Err("it is no request to a URL".to_owned());
    };
    let mut config: Map<String, Value> = ground.actions.webhooks.clone();
    config.insert("use".to_owned(), "webhook".into());
    config.insert("url".to_owned(), webhook.url.as_str().into());
    config.insert("headers".to_owned(), json!(webhook.headers));
    config.insert("raw".to_owned(), true.into());
    let mut secrets = ground.actions.secrets.clone();
    secrets.push(webhook.url.clone());
    secrets.extend(webhook.headers.values().cloned());
    let given = Given {
        name: "webhook",
        config: Value::Object(config),
        base: &ground.actions.base,
        secrets: &secrets,
    };
    let made = Instance::of_kind::<ChannelSettings>(&ground.actions.registry, Kind::Channel, given);
    made.map(|(instance, _)| instance).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        job.origin
            .shown(&Redactor::new(secrets.clone()).redact(&errors.join("; ")))
    })
}

fn attempt(
    ground: &Arc<Ground>,
    instance: &Arc<Instance>,
    job: &Job,
    number: u32,
    limit: Duration,
) -> Result<(), Fault> {
    ground.start(instance, limit)?;
    let run = &job.origin.run;
    let remembers = matches!(job.target, Target::Processor(_));
    let state = match remembers {
        true => ground.keep().state(&run.suite, &instance.name),
        false => BTreeMap::new(),
    };
    let task = match &job.action {
        Action::Publish { message, key, .. } => {
            let mut parcel = Parcel::new(message.clone(), job.origin.name(), &run.suite);
            parcel.key.clone_from(key);
            Task::Publish(Arc::new(parcel))
        }
        Action::Webhook(webhook) => {
            let body = webhook.body.clone();
            Task::Publish(Arc::new(Parcel::new(body, job.origin.name(), &run.suite)))
        }
        Action::Notify { message, .. } => Task::Message(Arc::from(message.clone())),
        _ => return Ok(()),
    };
    let call = Call {
        instance: instance.name.clone(),
        config: veracity_processor::Config(instance.config.clone()),
        idempotency_key: job.idempotency_key.clone(),
        attempt: number,
        stage: Stage::AfterRun,
        metrics: Vec::new(),
        state: state.clone(),
    };
    let attempt = instance.call(task, call, limit);
    if let (true, Some(new)) = (remembers, attempt.state) {
        // Whether it is kept does not decide whether people were told.
        let _ = ground
            .keep()
            .save_state(&run.suite, &instance.name, &state, new);
    }
    // What a target asks for in return is not done: it would have no end.
    attempt.result.map(drop)
}
