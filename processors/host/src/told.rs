//! What those who watch are told of a delivery.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use veracity_processor::{Delivery, Event, EventRun, Moment, Stage, Subject};

use crate::actions::Origin;
use crate::attempt::Job;
use crate::ground::{Ground, milliseconds};
use crate::instance::Instance;

/// How much was told of a delivery: that it began once, and that it ended once, whoever
/// tells it first.
#[derive(Debug, Clone, Default)]
pub struct Course(Arc<Mutex<Phase>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    #[default]
    New,
    Begun,
    Over,
}

impl Course {
    fn phase(&self) -> MutexGuard<'_, Phase> {
        // A word is whole even if a thread panicked while it was locked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What those who watch are told of a delivery that is being made.
pub struct Told<'t> {
    pub ground: &'t Arc<Ground>,
    pub instance: &'t Arc<Instance>,
    pub job: &'t Job,
}

impl Told<'_> {
    /// Who asks, when it asks for actions.
    pub fn origin(&self) -> Origin {
        Origin {
            instance: Arc::clone(self.instance),
            idempotency_key: Some(self.job.idempotency_key.clone()),
            run: Arc::clone(&self.job.run),
        }
    }

    fn tell(&self, moment: Moment, more: impl FnOnce(Event) -> Event) {
        let (name, stage) = (&self.instance.name, self.job.stage);
        tell(self.ground, &self.job.run, (name, stage), moment, |event| {
            more(event.with("idempotency_key", self.job.idempotency_key.as_str()))
        });
    }

    /// The first attempt begins.
    pub fn begun(&self, attempt: u32) {
        let mut phase = self.job.course.phase();
        if *phase == Phase::New {
            *phase = Phase::Begun;
            self.tell(Moment::Start, |event| event.with("attempt", attempt));
        }
    }

    /// Another attempt follows after `wait`.
    pub fn retry(&self, delivery: &Delivery, wait: Duration) {
        if *self.job.course.phase() != Phase::Begun {
            return;
        }
        self.tell(Moment::Retry, |event| {
            event
                .outcome(delivery.status.name())
                .with("attempt", delivery.attempts)
                .with("wait_ms", milliseconds(wait))
                .with("reason", reason(delivery))
        });
    }

    /// It ended, for now or for ever.
    pub fn ended(&self, delivery: &Delivery, given_up: bool) {
        let mut phase = self.job.course.phase();
        let moment = match (*phase, delivery.status.is_settled()) {
            (Phase::Over, _) => return,
            (Phase::New, _) => Moment::Skip,
            (Phase::Begun, true) => Moment::End,
            (Phase::Begun, false) => Moment::Error,
        };
        *phase = Phase::Over;
        self.tell(moment, |event| ending(event, moment, delivery));
        if given_up {
            self.tell(Moment::Dead, |event| ending(event, Moment::Dead, delivery));
        }
    }
}

/// Tells of a delivery of `run` that is not begun; for ever, if it is `given_up`.
pub fn left_out(
    ground: &Arc<Ground>,
    run: &Arc<EventRun>,
    stage: Stage,
    delivery: &Delivery,
    given_up: bool,
) {
    let dead = given_up.then_some(Moment::Dead);
    for moment in [Moment::Skip].into_iter().chain(dead) {
        let about = (&delivery.processor, stage);
        tell(ground, run, about, moment, |event| {
            let event = match &delivery.idempotency_key {
                Some(key) => event.with("idempotency_key", key.as_str()),
                None => event,
            };
            ending(event, moment, delivery)
        });
    }
}

fn tell(
    ground: &Arc<Ground>,
    run: &Arc<EventRun>,
    (processor, stage): (&String, Stage),
    moment: Moment,
    more: impl FnOnce(Event) -> Event,
) {
    ground.tell(Subject::Delivery, moment, || {
        let event = Event::new(run, Subject::Delivery, moment).processor(processor.as_str());
        more(match stage {
            Stage::AfterRun => event,
            stage => event.with("stage", stage.to_string()),
        })
    });
}

/// How `delivery` ended.
fn ending(event: Event, moment: Moment, delivery: &Delivery) -> Event {
    let event = event
        .outcome(delivery.status.name())
        .with("attempts", delivery.attempts);
    let event = match moment {
        Moment::Dead => event,
        _ => event.with("pending", delivery.pending),
    };
    let event = match moment {
        Moment::End | Moment::Error => event.with("duration_ms", delivery.duration_ms),
        _ => event,
    };
    match moment {
        Moment::End => event,
        _ => event.with("reason", reason(delivery)),
    }
}

fn reason(delivery: &Delivery) -> String {
    let reason = delivery.error.as_ref().or(delivery.note.as_ref());
    reason.cloned().unwrap_or_default()
}
