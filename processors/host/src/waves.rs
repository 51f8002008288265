//! Work done wave by wave: what comes after others waits for them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use uuid::Uuid;
use veracity_processor::{Capability, Delivery, DeliveryStatus, Stage};

use crate::attempt::{Ended, Job};
use crate::dispatch::{Dispatch, Resumed};
use crate::hand::Hand;
use crate::host::Delivered;
use crate::instance::Instance;
use crate::isolation::Task;
use crate::settings::When;
use crate::store::{Claimed, DeliveryFilter, DeliveryState, Settlement, Time};
use crate::told::{Told, left_out};

/// How long a delivery whose processor comes after one that failed has to wait.
const DEPENDENCY_PAUSE: Duration = Duration::from_secs(10);

/// Work for one instance: first what is left of earlier runs, then this run's report.
#[derive(Debug, Default)]
pub struct Work {
    pub earlier: Vec<(Job, Claimed)>,
    pub now: Option<(Job, Option<Claimed>)>,
}

/// What became of it.
#[derive(Debug, Default)]
pub struct Done {
    /// Of earlier runs; with the reason, if it said stop.
    pub earlier: Vec<(Resumed, Option<String>)>,
    pub now: Option<Ended>,
    pub complaints: Vec<String>,
}

/// What earlier waves mean for later ones.
#[derive(Debug, Default)]
struct Course {
    /// Instances that did not deliver this run's report.
    unsettled: BTreeSet<String>,
    /// Who said stop to this run's report, and why.
    stop: Option<(String, String)>,
    /// The same for reports of earlier runs.
    earlier_stops: BTreeMap<Uuid, (String, String)>,
}

impl Dispatch {
    /// Does `work` wave by wave; `skipped` is what was decided already.
    pub(crate) fn waves(
        &self,
        mut work: BTreeMap<String, Work>,
        mut skipped: BTreeMap<String, Delivery>,
        delivered: &mut Delivered,
    ) {
        let mut course = Course::default();
        for wave in self.waves.iter() {
            let measured =
                |instance: &Arc<Instance>| instance.capabilities.contains(&Capability::Metrics);
            if wave.iter().any(measured) {
                self.ground.flush();
            }
            let (sender, receiver) = mpsc::channel();
            let mut waiting: BTreeMap<usize, Lost> = BTreeMap::new();
            let mut ended: BTreeMap<usize, Delivery> = BTreeMap::new();
            for (number, instance) in wave.iter().enumerate() {
                if let Some(delivery) = skipped.remove(&instance.name) {
                    let stage = Stage::AfterRun;
                    left_out(&self.ground, &self.run, stage, &delivery, false);
                    ended.insert(number, delivery);
                    continue;
                }
                let Some(mut work) = work.remove(&instance.name) else {
                    continue;
                };
                self.hold_back_earlier(instance, &mut work, &course, delivered);
                let held_back = self.hold_back(instance, &mut work, &course);
                ended.extend(held_back.map(|delivery| (number, delivery)));
                if work.now.is_none() && work.earlier.is_empty() {
                    continue;
                }
                waiting.insert(number, Lost::of(instance, &work));
                let hand = Hand {
                    instance: Arc::clone(instance),
                    ground: Arc::clone(&self.ground),
                    letters: Arc::clone(&self.letters),
                };
                let sender = sender.clone();
                let thread = std::thread::Builder::new().name("veracity-wave".to_owned());
                // Without a thread it counts as lost; the store, if any, still has it.
                let _ = thread.spawn(move || {
                    let done = hand.does(work);
                    // Nobody listens any more if the host was asked to end.
                    let _ = sender.send((number, done));
                });
            }
            drop(sender);
            while let Some((number, done)) = self.next(&receiver) {
                waiting.remove(&number);
                ended.extend(course.take(done, delivered).map(|now| (number, now)));
            }
            for (number, lost) in waiting {
                ended.extend(self.give_back(lost).map(|delivery| (number, delivery)));
            }
            for delivery in ended.into_values() {
                if !delivery.status.is_settled() {
                    course.unsettled.insert(delivery.processor.clone());
                }
                delivered.deliveries.push(delivery);
            }
        }
    }

    /// What the next thread has done; `None` when all have ended, or time is up.
    fn next(&self, receiver: &mpsc::Receiver<(usize, Done)>) -> Option<(usize, Done)> {
        loop {
            // Short, so that being asked to end is noticed.
            match receiver.recv_timeout(Duration::from_millis(50)) {
                Ok(done) => return Some(done),
                Err(mpsc::RecvTimeoutError::Disconnected) => return None,
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
            // Calls know the limit themselves; what is not back a second later is left.
            let overdue = self
                .ground
                .stop
                .remaining()
                .is_some_and(|left| left.is_zero());
            if overdue {
                return receiver.recv_timeout(Duration::from_secs(1)).ok();
            }
        }
    }

    /// Takes this run's report out of `work` if the instance is not to get it now.
    fn hold_back(&self, instance: &Instance, work: &mut Work, course: &Course) -> Option<Delivery> {
        let mut delivery = Delivery::new(&instance.name, DeliveryStatus::Skipped);
        delivery.required = instance.settings.required;
        if let Some((who, reason)) = &course.stop {
            let (job, claim) = work.now.take()?;
            delivery.note = Some(said_stop(who, reason));
            if let Some(claim) = claim {
                let note = delivery.note.clone();
                self.settle(&claim, Settlement::Skipped { note }, claim.attempts);
            }
            left_out(&self.ground, &job.run, job.stage, &delivery, false);
            return Some(delivery);
        }
        let before = self.before(instance);
        let failed = before
            .iter()
            .find(|name| course.unsettled.contains(*name))?;
        let (job, claim) = work.now.take()?;
        delivery.status = DeliveryStatus::SkippedDependency;
        delivery.idempotency_key = Some(job.idempotency_key);
        let error = format!("`{failed}`, which it comes after, did not deliver");
        delivery.error = Some(error.clone());
        let given_up = claim.is_none() && !job.kept;
        delivery.pending = match claim {
            Some(claim) => {
                let at = Time(self.ground.keep().now()).after(DEPENDENCY_PAUSE);
                self.settle(&claim, Settlement::Retry { at, error }, claim.attempts)
            }
            None => job.kept,
        };
        left_out(&self.ground, &job.run, job.stage, &delivery, given_up);
        Some(delivery)
    }

    /// Takes reports of earlier runs out of `work` that the instance is not to get now,
    /// because one it comes after has not got them either, or said stop.
    fn hold_back_earlier(
        &self,
        instance: &Instance,
        work: &mut Work,
        course: &Course,
        delivered: &mut Delivered,
    ) {
        let before = self.before(instance);
        work.earlier.retain(|(job, claim)| {
            let settlement = match course.earlier_stops.get(&claim.run_id) {
                Some((who, reason)) => Settlement::Skipped {
                    note: Some(said_stop(who, reason)),
                },
                None => match self.obstacle(&before, claim.run_id) {
                    Some(settlement) => settlement,
                    None => return true,
                },
            };
            let complaint = self.leave(&instance.name, (job, claim), settlement);
            delivered.warnings.extend(complaint);
            false
        });
    }

    /// Settles what is not delivered now to the instance called `name`, and tells those who
    /// watch. Returns what went wrong.
    fn leave(
        &self,
        name: &str,
        (job, claim): (&Job, &Claimed),
        settlement: Settlement,
    ) -> Option<String> {
        let mut delivery = Delivery::new(name, DeliveryStatus::SkippedDependency);
        delivery.attempts = claim.attempts;
        delivery.idempotency_key = Some(claim.idempotency_key.clone());
        let mut complaint = None;
        let mut given_up = false;
        match &settlement {
            Settlement::Skipped { note } => {
                (delivery.status, delivery.note) = (DeliveryStatus::Skipped, note.clone());
            }
            Settlement::Retry { error, .. } => {
                (delivery.error, delivery.pending) = (Some(error.clone()), true);
            }
            Settlement::Dead { error } => {
                delivery.error = Some(error.clone());
                given_up = true;
                if let Task::Report(report) = &job.task {
                    complaint = self.letters.store(&self.keep, report, name);
                }
            }
            Settlement::Delivered { .. } => {}
        }
        self.settle(claim, settlement, claim.attempts);
        left_out(&self.ground, &job.run, job.stage, &delivery, given_up);
        complaint
    }

    /// What is to become of a delivery of `run` that comes after those to `before`, if one
    /// of them was not made.
    fn obstacle(&self, before: &[String], run: Uuid) -> Option<Settlement> {
        if before.is_empty() {
            return None;
        }
        let filter = DeliveryFilter {
            run_id: Some(run),
            states: vec![DeliveryState::Pending, DeliveryState::Dead],
            ..DeliveryFilter::default()
        };
        let open = self.ground.keep().with(|store, _| store.list(&filter))?;
        let at = Time(self.ground.keep().now()).after(DEPENDENCY_PAUSE);
        let open = match open {
            Ok(open) => open,
            Err(error) => {
                let error = error.to_string();
                return Some(Settlement::Retry { at, error });
            }
        };
        let failed = open.iter().find(|one| before.contains(&one.processor))?;
        let name = &failed.processor;
        Some(if failed.state == DeliveryState::Dead {
            let error = format!("`{name}`, which it comes after, was given up");
            Settlement::Dead { error }
        } else {
            let error = format!("`{name}`, which it comes after, has not delivered yet");
            Settlement::Retry { at, error }
        })
    }

    /// Names of the instances without which `instance` gets nothing.
    fn before(&self, instance: &Instance) -> Vec<String> {
        if instance.settings.when == When::Always {
            return Vec::new();
        }
        let of_plugin = |other: &&Arc<Instance>| instance.depends_on.contains(&other.plugin);
        let depended = self.waves.iter().flatten().filter(of_plugin);
        let depended = depended.map(|other| other.name.clone());
        depended
            .chain(instance.settings.after.iter().cloned())
            .collect()
    }

    /// Gives back what a thread that did not return in time had claimed, and tells of it.
    fn give_back(&self, lost: Lost) -> Option<Delivery> {
        for claim in &lost.claims {
            let (at, error) = (Time(self.ground.keep().now()), OVERDUE.to_owned());
            self.settle(claim, Settlement::Retry { at, error }, claim.attempts + 1);
        }
        for (job, delivery) in &lost.jobs {
            let told = Told {
                ground: &self.ground,
                instance: &lost.instance,
                job,
            };
            told.ended(delivery, !delivery.pending);
        }
        lost.now
    }
}

const OVERDUE: &str = "the run was asked to end before it returned";

fn said_stop(who: &str, reason: &str) -> String {
    format!("`{who}` said stop: {reason}")
}

impl Course {
    /// Takes in what an instance has `done`; returns what became of this run's report.
    fn take(&mut self, done: Done, delivered: &mut Delivered) -> Option<Delivery> {
        delivered.warnings.extend(done.complaints);
        for (resumed, stop) in done.earlier {
            if let Some(reason) = stop {
                let who = resumed.delivery.processor.clone();
                self.earlier_stops.insert(resumed.run, (who, reason));
            }
            delivered.resumed.push(resumed);
        }
        let now = done.now?;
        if let (None, Some(reason)) = (&self.stop, now.stop) {
            self.stop = Some((now.delivery.processor.clone(), reason));
        }
        Some(now.delivery)
    }
}

/// What is known of work whose thread does not come back.
struct Lost {
    instance: Arc<Instance>,
    now: Option<Delivery>,
    claims: Vec<Claimed>,
    jobs: Vec<(Job, Delivery)>,
}

impl Lost {
    fn of(instance: &Arc<Instance>, work: &Work) -> Self {
        let overdue = |job: &Job| {
            let mut delivery = Delivery::new(&instance.name, DeliveryStatus::Hung);
            delivery.required = instance.settings.required;
            (delivery.pending, delivery.attempts) = (job.kept, job.attempts + 1);
            delivery.idempotency_key = Some(job.idempotency_key.clone());
            delivery.error = Some(OVERDUE.to_owned());
            (job.clone(), delivery)
        };
        let earlier = work.earlier.iter().map(|(_, claim)| claim.clone());
        let mut claims: Vec<Claimed> = earlier.collect();
        let mut jobs: Vec<(Job, Delivery)> =
            work.earlier.iter().map(|(job, _)| overdue(job)).collect();
        let now = work.now.as_ref().map(|(job, claim)| {
            claims.extend(claim.clone());
            let (job, delivery) = overdue(job);
            jobs.push((job, delivery.clone()));
            delivery
        });
        Self {
            instance: Arc::clone(instance),
            now,
            claims,
            jobs,
        }
    }
}
