//! Attempts, until something is delivered, deferred or given up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

use super::request::Request;
use super::{Answer, Call, Delivered, Fault, RecordingHost};
use crate::{
    Capability, Config, DeliveryStatus, OutcomeStatus, ProcessContext, ProcessorError, Stage, State,
};

/// The longest that the waits between the attempts of one delivery may take together.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest wait that a plugin can ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);
/// The longest wait after a first attempt.
const FIRST_WAIT: Duration = Duration::from_millis(500);

impl RecordingHost {
    /// Tries until it is delivered, deferred or given up.
    #[track_caller]
    pub(super) fn carry(&mut self, request: Request, suite: String, id: Uuid) -> Delivered {
        self.expect(request.kind(), request.method());
        let key = Uuid::new_v5(&id, self.instance.as_bytes()).to_string();
        let mut tried = 0;
        let mut waits = Vec::new();
        loop {
            tried += 1;
            let number = {
                let count = self.attempts.entry(key.clone()).or_default();
                *count += 1;
                *count
            };
            let answer = self.attempt(&request, &suite, &key, number);
            let status = status_of(&answer);
            let mut delivered = Delivered {
                status,
                attempts: tried,
                answer,
                waits,
                again_in: None,
            };
            if !matches!(status, DeliveryStatus::Deferred | DeliveryStatus::Hung) {
                return delivered;
            }
            let asked = match &delivered.answer {
                Err(Fault::Failed(ProcessorError::Retryable { retry_after, .. })) => *retry_after,
                _ => None,
            };
            let wait = wait_after(number, asked);
            if let Some(call) = self.calls.last_mut() {
                call.wait = Some(wait);
            }
            let waited: Duration = delivered.waits.iter().sum();
            let is_worth_it = tried <= self.retries
                && waited + wait <= PATIENCE
                && matches!(delivered.answer, Err(Fault::Failed(_)));
            if !is_worth_it {
                delivered.again_in = Some(wait);
                return delivered;
            }
            delivered.waits.push(wait);
            waits = delivered.waits;
            if let Some(clock) = &self.clock {
                clock.advance(wait);
            }
        }
    }

    #[track_caller]
    pub(super) fn once(&mut self, request: Request, suite: String, id: Option<Uuid>) -> Answer {
        self.expect(request.kind(), request.method());
        // Hooks are told no key.
        let key = id.map(|id| Uuid::new_v5(&id, self.instance.as_bytes()).to_string());
        self.attempt(&request, &suite, &key.unwrap_or_default(), 1)
    }

    fn attempt(&mut self, request: &Request, suite: &str, key: &str, number: u32) -> Answer {
        self.startup()?;
        let mut context = ProcessContext::new(&*self.instance, key, self.limit);
        context.config = Config(self.config.clone());
        context.attempt = number;
        context.stage = request.stage().or(self.stage).unwrap_or(Stage::AfterRun);
        context.state = State::new(self.state(suite));
        if self.may(Capability::Metrics) {
            context.metrics = self.metrics.clone();
        }
        let context = Arc::new(context);
        let (given, asked) = (Arc::clone(&context), request.clone());
        let answer = self.thread.call(self.limit, async move |plugged| {
            asked.put(plugged, &given).await
        });
        let changed = context.state.is_changed();
        let kept = changed.then(|| self.keep(suite, &context.state.values()));
        self.calls.push(Call {
            method: request.method(),
            attempt: number,
            idempotency_key: key.to_owned(),
            answer: answer.clone(),
            state: self.state(suite),
            state_error: kept.and_then(Result::err),
            wait: None,
        });
        answer
    }

    /// Keeps what the plugin wants to remember, after its way through JSON.
    fn keep(&mut self, suite: &str, values: &BTreeMap<String, Value>) -> Result<(), String> {
        let json = serde_json::to_string(values).map_err(|error| error.to_string())?;
        let (bytes, most) = (json.len(), State::MAX_BYTES);
        if bytes > most {
            return Err(format!("it is {bytes} bytes of JSON; it may be {most}"));
        }
        let values = serde_json::from_str(&json).map_err(|error| error.to_string())?;
        self.states.insert(suite.to_owned(), values);
        Ok(())
    }
}

fn status_of(answer: &Answer) -> DeliveryStatus {
    match answer {
        Ok(outcome) if outcome.status == OutcomeStatus::Skipped => DeliveryStatus::Skipped,
        Ok(_) => DeliveryStatus::Delivered,
        Err(Fault::Failed(ProcessorError::Permanent { .. })) => DeliveryStatus::Dead,
        Err(Fault::Panicked { .. }) => DeliveryStatus::Panicked,
        Err(Fault::Hung { .. }) => DeliveryStatus::Hung,
        Err(_) => DeliveryStatus::Deferred,
    }
}

/// How long to wait after attempt number `attempt`: as asked for, or the longest that the
/// real host would choose.
fn wait_after(attempt: u32, asked: Option<Duration>) -> Duration {
    let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1).min(20));
    let wait = asked.unwrap_or_else(|| FIRST_WAIT.saturating_mul(doubled));
    wait.min(LONGEST_WAIT)
}
