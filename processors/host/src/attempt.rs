//! One report, one instance: attempts until it is delivered, deferred or given up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use veracity_processor::{
    Capability, Delivery, DeliveryStatus, EventRun, OutcomeStatus, ProcessorError, Stage, printable,
};

use crate::backoff;
use crate::breaker::Permission;
use crate::ground::Ground;
use crate::instance::Instance;
use crate::isolation::{Attempt, Call, Fault, Task};
use crate::keep::{Values, refusal};
use crate::told::{Course, Told};

/// The longest that the waits between the attempts of one run may take together.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// What is told of a delivery that is in other hands.
pub const ELSEWHERE: &str = "another process delivers it";
/// The longest text of a plugin that is kept, in characters.
const LONGEST_TEXT: usize = 4_000;

/// Something on its way to an instance.
#[derive(Debug, Clone)]
pub struct Job {
    /// What the instance is to do.
    pub task: Task,
    /// The stage at which it is to do that.
    pub stage: Stage,
    /// The run it is about.
    pub run: Arc<EventRun>,
    /// Stays the same however often it is delivered.
    pub idempotency_key: String,
    /// Attempts made in earlier runs.
    pub attempts: u32,
    /// Whether it may be tried several times now.
    pub insist: bool,
    /// Whether somebody keeps it for later if it is not delivered now.
    pub kept: bool,
    /// How much those who watch were told of it.
    pub course: Course,
}

/// How a job ended, for now.
#[derive(Debug, Clone)]
pub struct Ended {
    /// For the report.
    pub delivery: Delivery,
    /// What comes next.
    pub next: Next,
    /// Why later waves shall not get the report.
    pub stop: Option<String>,
}

/// What comes next for a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing: it was delivered or skipped.
    Done,
    /// Another attempt, not before this time in milliseconds since the epoch.
    Again(i64),
    /// Nothing: trying again would not help.
    GiveUp,
}

/// Keeps others from delivering the same meanwhile.
pub trait Hold {
    /// Whether nobody else delivers it within `time` from now on.
    fn holds(&self, time: Duration) -> bool;
}

/// There is nobody else.
pub struct Unheld;

impl Hold for Unheld {
    fn holds(&self, _: Duration) -> bool {
        true
    }
}

/// Delivers `job` to `instance`, as long as `hold` holds.
///
/// If it is kept, what may work later is left to later; otherwise it is given up when
/// attempts or patience are used up.
pub fn deliver(
    instance: &Arc<Instance>,
    job: &Job,
    ground: &Arc<Ground>,
    hold: &dyn Hold,
) -> Ended {
    let (keep, stop) = (ground.keep(), &ground.stop);
    let told = Told {
        ground,
        instance,
        job,
    };
    let begun = Instant::now();
    let mut delivery = Delivery::new(&instance.name, DeliveryStatus::Deferred);
    delivery.attempts = job.attempts;
    delivery.required = instance.settings.required;
    delivery.idempotency_key = Some(job.idempotency_key.clone());
    let mut waited = Duration::ZERO;
    let mut tried = 0;
    let mut notes = Vec::new();
    let mut asked = Vec::new();
    let (next, said_stop) = loop {
        let limit = stop.cut(instance.settings.time_limit);
        let now = keep.now();
        match keep.ask_breaker(instance, limit) {
            Permission::Granted => {}
            Permission::Refused { until } => {
                delivery.status = DeliveryStatus::BreakerOpen;
                if delivery.error.is_none() {
                    let seconds = (until - now).max(0) / 1000;
                    let error = format!(
                        "it failed too often lately; it is left alone for another {seconds} s"
                    );
                    delivery.error = Some(error);
                }
                break (Next::Again(until), None);
            }
        }
        if limit.is_zero() {
            delivery
                .error
                .get_or_insert("the run was asked to end".to_owned());
            break (Next::Again(now), None);
        }
        // Those who are told that it begins may take their time too.
        if !hold.holds(limit.saturating_add(ground.patience())) {
            notes.push(ELSEWHERE.to_owned());
            break (Next::Again(now), None);
        }
        tried += 1;
        if tried == 1 {
            told.begun(delivery.attempts + 1);
        }
        let limit = stop.cut(limit);
        if limit.is_zero() {
            let error = || "the run was asked to end".to_owned();
            delivery.error.get_or_insert_with(error);
            break (Next::Again(now), None);
        }
        delivery.attempts += 1;
        let state = keep.state(&job.run.suite, &instance.name);
        let attempt = attempt(instance, job, ground, delivery.attempts, &state, limit);
        if let Some(new) = attempt.state.clone() {
            match keep.save_state(&job.run.suite, &instance.name, &state, new) {
                Ok(refused) if refused.is_empty() => {}
                Ok(refused) => notes.push(refusal(&refused)),
                Err(error) => notes.push(format!("its state was not kept: {error}")),
            }
        }
        let stderr = attempt.stderr.as_deref().map(|text| clean(instance, text));
        let fault = match attempt.result {
            Ok(outcome) => {
                keep.tell_breaker(instance, Ok(()));
                delivery.error = None;
                delivery.status = match outcome.status {
                    OutcomeStatus::Skipped => DeliveryStatus::Skipped,
                    _ => DeliveryStatus::Delivered,
                };
                asked = outcome.actions;
                let reason = outcome.reason.map(|text| clean(instance, &text));
                notes.extend(outcome.note.map(|text| clean(instance, &text)));
                let is_stop = outcome.status == OutcomeStatus::Stop;
                let said_stop = is_stop.then(|| reason.clone().unwrap_or_default());
                notes.extend(reason);
                break (Next::Done, said_stop);
            }
            Err(fault) => fault,
        };
        delivery.status = status_of(&fault);
        let mut error = clean(instance, &fault.to_string());
        if let Some(stderr) = stderr.filter(|text| !text.is_empty() && !error.contains(text)) {
            error = format!("{error}; it wrote: {stderr}");
        }
        delivery.error = Some(error);
        let permanent = matches!(
            fault,
            Fault::Failed(ProcessorError::Permanent { .. }) | Fault::Panicked { .. }
        );
        keep.tell_breaker(instance, Err(permanent));
        if permanent || (job.kept && delivery.attempts >= instance.settings.max_attempts) {
            break (Next::GiveUp, None);
        }
        let patience = match &fault {
            Fault::Failed(ProcessorError::Retryable { retry_after, .. }) => *retry_after,
            _ => None,
        };
        let wait = backoff::wait(delivery.attempts, patience, fastrand::f64());
        let again =
            Next::Again(now.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)));
        let worth_it = job.insist
            && tried <= instance.settings.retries
            && matches!(fault, Fault::Failed(_) | Fault::Crashed { .. });
        if !worth_it {
            break (again, None);
        }
        if waited + wait > PATIENCE {
            notes.push(format!("the next attempt would be in {} s", wait.as_secs()));
            break (again, None);
        }
        if !hold.holds(wait) {
            break (again, None);
        }
        told.retry(&delivery, wait);
        if !stop.wait(wait) {
            break (again, None);
        }
        waited += wait;
    };
    let next = match next {
        Next::Again(_) if !job.kept => Next::GiveUp,
        next => next,
    };
    delivery.pending = matches!(next, Next::Again(_));
    if next == Next::GiveUp && delivery.status == DeliveryStatus::Deferred {
        delivery.status = DeliveryStatus::Dead;
    }
    delivery.note = (!notes.is_empty()).then(|| notes.join("; "));
    delivery.duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    told.ended(&delivery, next == Next::GiveUp);
    let events = ground.act(&told.origin(), asked);
    ground.spread((events, None));
    Ended {
        delivery,
        next,
        stop: said_stop,
    }
}

/// Starts the instance if that is still to be done, and has it do the task.
fn attempt(
    instance: &Arc<Instance>,
    job: &Job,
    ground: &Arc<Ground>,
    number: u32,
    state: &Values,
    limit: Duration,
) -> Attempt {
    if let Err(fault) = ground.start(instance, limit) {
        return Attempt {
            result: Err(fault),
            state: None,
            stderr: None,
        };
    }
    let call = Call {
        instance: instance.name.clone(),
        config: veracity_processor::Config(instance.config.clone()),
        idempotency_key: job.idempotency_key.clone(),
        attempt: number,
        stage: job.stage,
        metrics: match instance.capabilities.contains(&Capability::Metrics) {
            true => ground.metrics(),
            false => Vec::new(),
        },
        state: state.clone(),
    };
    instance.call(job.task.clone(), call, limit)
}

fn status_of(fault: &Fault) -> DeliveryStatus {
    match fault {
        Fault::Panicked { .. } => DeliveryStatus::Panicked,
        Fault::Hung { .. } => DeliveryStatus::Hung,
        Fault::Crashed { .. } => DeliveryStatus::Crashed,
        _ => DeliveryStatus::Deferred,
    }
}

/// A text of a plugin without secrets, on one line, of bearable length.
pub fn clean(instance: &Instance, text: &str) -> String {
    let text = instance.redactor.redact(text.trim());
    let text = printable(&text);
    match text.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => format!("{}.. ({} more bytes)", &text[..end], text.len() - end),
        None => text.into_owned(),
    }
}
