//! The work of one instance, one delivery after the other, each held against others.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use veracity_processor::{Delivery, DeliveryStatus};

use crate::attempt::{self, ELSEWHERE, Ended, Hold, Job, Next, Unheld};
use crate::dispatch::Resumed;
use crate::ground::Ground;
use crate::instance::Instance;
use crate::isolation::Task;
use crate::keep::Keep;
use crate::letters::Letters;
use crate::store::{Claimed, Settlement, Time};
use crate::waves::{Done, Work};

/// Beyond what is needed, how long nobody else may take a delivery.
const LEASE_MARGIN: Duration = Duration::from_secs(5);

/// How long nobody else may take a delivery to `instance`, for one attempt.
pub fn lease(instance: &Instance) -> Duration {
    instance.settings.time_limit.saturating_add(LEASE_MARGIN)
}

/// What is told of a delivery that is in other hands.
pub fn elsewhere(instance: &str, job: &Job) -> Delivery {
    let mut delivery = Delivery::new(instance, DeliveryStatus::Deferred);
    delivery.note = Some(ELSEWHERE.to_owned());
    delivery.pending = true;
    delivery.idempotency_key = Some(job.idempotency_key.clone());
    delivery
}

/// What a thread needs to do the work of one instance.
pub struct Hand {
    pub instance: Arc<Instance>,
    pub ground: Arc<Ground>,
    /// What is stored when a delivery is given up.
    pub letters: Arc<Letters>,
}

impl Hand {
    /// Does `work`.
    pub fn does(&self, work: Work) -> Done {
        let mut done = Done::default();
        for (job, claim) in work.earlier {
            let run = job.run.id;
            let ended = self.deliver(&job, Some(&claim), &mut done);
            let delivery = ended.delivery;
            done.earlier.push((Resumed { run, delivery }, ended.stop));
        }
        if let Some((job, claim)) = work.now {
            done.now = Some(self.deliver(&job, claim.as_ref(), &mut done));
        }
        done
    }

    fn deliver(&self, job: &Job, claim: Option<&Claimed>, done: &mut Done) -> Ended {
        let Some(claim) = claim else {
            return attempt::deliver(&self.instance, job, &self.ground, &Unheld);
        };
        let keep = self.ground.keep();
        let held = Held {
            claim,
            keep: &keep,
            until: Cell::new(claim.leased_until),
        };
        let ended = attempt::deliver(&self.instance, job, &self.ground, &held);
        let Ended { delivery, next, .. } = &ended;
        if delivery.note.as_deref() == Some(ELSEWHERE) {
            return ended;
        }
        let error = delivery.error.clone().unwrap_or_default();
        let note = delivery.note.clone();
        let settlement = match next {
            Next::Done if delivery.status == DeliveryStatus::Skipped => {
                Settlement::Skipped { note }
            }
            Next::Done => Settlement::Delivered { note },
            Next::Again(at) => Settlement::Retry {
                at: Time(*at),
                error,
            },
            Next::GiveUp => Settlement::Dead { error },
        };
        if let (Settlement::Dead { .. }, Task::Report(report)) = (&settlement, &job.task) {
            // Before it is settled: rather a letter about what is tried once more than none.
            done.complaints
                .extend(self.letters.store(&keep, report, &self.instance.name));
        }
        let attempts = delivery.attempts;
        let settled = keep.with(|store, now| store.settle(claim, settlement, attempts, now));
        let name = &self.instance.name;
        let complaint = match settled {
            Some(Ok(false)) => "its lease ran out; another process delivers it again".to_owned(),
            Some(Err(error)) => {
                format!("how it ended could not be stored, so it may be delivered again: {error}")
            }
            _ => return ended,
        };
        let complaint = format!("`{name}`: {complaint}, with the same key");
        done.complaints.push(complaint);
        ended
    }
}

/// A claim whose lease is extended as it is needed.
struct Held<'h> {
    claim: &'h Claimed,
    keep: &'h Keep,
    until: Cell<Time>,
}

impl Hold for Held<'_> {
    fn holds(&self, time: Duration) -> bool {
        let now = Time(self.keep.now());
        if now.after(time) <= self.until.get() {
            return true;
        }
        let lease = time.saturating_add(LEASE_MARGIN);
        let extended = self
            .keep
            .with(|store, now| store.extend(self.claim, lease, now));
        match extended {
            Some(Ok(true)) => {
                self.until.set(now.after(lease));
                true
            }
            Some(Ok(false)) => false,
            // Where the store does not answer: rather twice than never.
            Some(Err(_)) | None => true,
        }
    }
}
