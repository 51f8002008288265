//! What hooks are told of a delivery.

use std::sync::Arc;
use std::time::Duration;

use veracity_processor::{Delivery, Event, EventRun, Kind, Moment, Stage, Subject};

use crate::actions::Origin;
use crate::attempt::Job;
use crate::ground::{Ground, milliseconds};
use crate::instance::Instance;

/// What hooks are told of a delivery that is being made.
pub struct Told<'t> {
    pub ground: &'t Arc<Ground>,
    pub instance: &'t Arc<Instance>,
    pub job: &'t Job,
}

impl Told<'_> {
    /// Who asks, when it asks for actions.
    pub fn origin(&self) -> Origin {
        Origin {
            kind: Kind::Processor,
            name: self.instance.name.clone(),
            idempotency_key: Some(self.job.idempotency_key.clone()),
            run: Arc::clone(&self.job.run),
        }
    }

    fn tell(&self, moment: Moment, more: impl FnOnce(Event) -> Event) {
        self.ground.tell(Subject::Delivery, moment, || {
            let event = Event::new(&self.job.run, Subject::Delivery, moment)
                .processor(self.instance.name.as_str())
                .with("idempotency_key", self.job.idempotency_key.as_str());
            let event = match self.job.stage {
                Stage::AfterRun => event,
                stage => event.with("stage", stage.to_string()),
            };
            more(event)
        });
    }

    /// The first attempt begins.
    pub fn begun(&self, attempt: u32) {
        self.tell(Moment::Start, |event| event.with("attempt", attempt));
    }

    /// Another attempt follows after `wait`.
    pub fn retry(&self, delivery: &Delivery, wait: Duration) {
        self.tell(Moment::Retry, |event| {
            event
                .outcome(delivery.status.to_string())
                .with("attempt", delivery.attempts)
                .with("wait_ms", milliseconds(wait))
                .with("reason", reason(delivery))
        });
    }

    /// It ended, for now.
    pub fn ended(&self, delivery: &Delivery, begun: bool, given_up: bool) {
        let moment = match (begun, delivery.status.is_settled()) {
            (false, _) => Moment::Skip,
            (true, true) => Moment::End,
            (true, false) => Moment::Error,
        };
        let about = |event: Event| {
            let event = event
                .outcome(delivery.status.to_string())
                .with("attempts", delivery.attempts)
                .with("duration_ms", delivery.duration_ms)
                .with("pending", delivery.pending);
            match moment {
                Moment::End => event,
                _ => event.with("reason", reason(delivery)),
            }
        };
        self.tell(moment, about);
        if given_up {
            self.tell(Moment::Dead, |event| {
                event
                    .outcome(delivery.status.to_string())
                    .with("attempts", delivery.attempts)
                    .with("reason", reason(delivery))
            });
        }
    }
}

/// Tells the hooks of a delivery of `run` that is not made.
pub fn left_out(ground: &Arc<Ground>, run: &Arc<EventRun>, delivery: &Delivery) {
    ground.tell(Subject::Delivery, Moment::Skip, || {
        Event::new(run, Subject::Delivery, Moment::Skip)
            .processor(delivery.processor.as_str())
            .outcome(delivery.status.to_string())
            .with("reason", reason(delivery))
    });
}

fn reason(delivery: &Delivery) -> String {
    let reason = delivery.error.as_ref().or(delivery.note.as_ref());
    reason.cloned().unwrap_or_default()
}
