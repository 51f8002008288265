//! Letters about reports that were given up: what the stage `dead_letter` is called with.
//!
//! In the store a letter is a delivery of the run to a name made of both instances, so that
//! all that is promised of deliveries holds for letters.

use std::sync::Arc;

use veracity_processor::{DeadLetter, Delivery, DeliveryStatus, Report, Stage};

use crate::attempt::{self, Job, Unheld};
use crate::dispatch::{Dispatch, Resumed, idempotency_key};
use crate::hand::Hand;
use crate::host::Delivered;
use crate::instance::Instance;
use crate::isolation::Task;
use crate::keep::Keep;
use crate::store::{Claimed, DeliveryFilter, DeliveryState, NewDelivery, Settlement, Time};
use crate::waves::Work;

/// Stands between the one who gets a letter and the one it is about.
const ABOUT: &str = " <dead letter of> ";

/// Who gets letters.
#[derive(Debug, Default)]
pub struct Letters {
    /// The suite file.
    pub origin: String,
    /// Those that serve the stage.
    pub readers: Vec<Arc<Instance>>,
}

/// The name of a letter to `reader` about `dead`.
fn name(reader: &str, dead: &str) -> String {
    format!("{reader}{ABOUT}{dead}")
}

impl Letters {
    pub fn new(origin: &str, instances: impl Iterator<Item = Arc<Instance>>) -> Self {
        let reads = |instance: &Arc<Instance>| {
            instance.serves(Stage::DeadLetter) && instance.disabled().is_none()
        };
        Self {
            origin: origin.to_owned(),
            readers: instances.filter(reads).collect(),
        }
    }

    /// Who reads about `dead`: nobody about itself.
    fn readers_of(&self, dead: &str) -> impl Iterator<Item = &Arc<Instance>> {
        self.readers
            .iter()
            .filter(move |reader| reader.name != dead)
    }

    /// Stores letters about `report`, which is given up at `dead`. Returns what went wrong.
    pub fn store(&self, keep: &Keep, report: &Report, dead: &str) -> Option<String> {
        let due = Time(keep.now());
        let letters = self.readers_of(dead).map(|reader| {
            let name = name(&reader.name, dead);
            NewDelivery {
                idempotency_key: idempotency_key(report.run.id, &name),
                processor: name,
                plugin: reader.plugin.clone(),
                due,
                max_attempts: reader.settings.max_attempts,
            }
        });
        let letters: Vec<NewDelivery> = letters.collect();
        if letters.is_empty() {
            return None;
        }
        let origin = &self.origin;
        let stored = keep.with(|store, now| {
            let letters = &letters;
            async move { store.record(report, origin, letters, now).await }
        })?;
        stored
            .err()
            .map(|error| format!("the letters about `{dead}` could not be stored: {error}"))
    }
}

impl Dispatch {
    /// Delivers letters: about what was given up of `report`, and with a store about all
    /// that was given up in runs of the suite.
    pub(crate) fn deliver_letters(&self, report: Option<&Report>, delivered: &mut Delivered) {
        if self.letters.readers.is_empty() {
            return;
        }
        if self.keep.is_kept() {
            return self.deliver_stored_letters(report, delivered);
        }
        let Some(report) = report else { return };
        let given_up = |delivery: &&Delivery| !delivery.status.is_settled() && !delivery.pending;
        let dead: Vec<Delivery> = delivered
            .deliveries
            .iter()
            .filter(given_up)
            .cloned()
            .collect();
        for dead in dead {
            for reader in self.letters.readers_of(&dead.processor) {
                let job = self.letter(reader, dead.clone(), report);
                let mut ended = attempt::deliver(reader, &job, &self.ground, &Unheld).delivery;
                ended.note = Some(about(&dead.processor, ended.note));
                delivered.deliveries.push(ended);
            }
        }
    }

    fn letter(&self, reader: &Instance, dead: Delivery, report: &Report) -> Job {
        let key = idempotency_key(report.run.id, &name(&reader.name, &dead.processor));
        Job {
            task: Task::Letter(Arc::new(DeadLetter::new(dead, report.clone()))),
            stage: Stage::DeadLetter,
            run: self.ground.run_of(report),
            idempotency_key: key,
            attempts: 0,
            insist: true,
            kept: false,
        }
    }

    fn deliver_stored_letters(&self, report: Option<&Report>, delivered: &mut Delivered) {
        for reader in &self.letters.readers {
            let instances = self.waves.iter().flatten();
            let others = instances.filter(|other| other.name != reader.name);
            let names = others
                .map(|other| name(&reader.name, &other.name))
                .collect();
            for claim in self.claim_of(reader, names, delivered) {
                let Some((_, dead)) = claim.processor.split_once(ABOUT) else {
                    continue;
                };
                let dead = dead.to_owned();
                let (job, run) = match self.stored_letter(reader, &dead, &claim) {
                    Ok(found) => found,
                    Err(error) => {
                        let at = Time(self.keep.now());
                        delivered.warnings.push(error.clone());
                        self.settle(&claim, Settlement::Retry { at, error }, claim.attempts);
                        continue;
                    }
                };
                let hand = Hand {
                    instance: Arc::clone(reader),
                    ground: Arc::clone(&self.ground),
                    letters: Arc::default(),
                };
                let done = hand.does(Work {
                    earlier: Vec::new(),
                    now: Some((job, Some(claim))),
                });
                delivered.warnings.extend(done.complaints);
                let Some(mut ended) = done.now.map(|now| now.delivery) else {
                    continue;
                };
                ended.note = Some(about(&dead, ended.note));
                match report.is_some_and(|report| report.run.id == run) {
                    true => delivered.deliveries.push(ended),
                    false => delivered.resumed.push(Resumed {
                        run,
                        delivery: ended,
                    }),
                }
            }
        }
    }

    /// The letter that `claim` stands for.
    fn stored_letter(
        &self,
        reader: &Instance,
        dead: &str,
        claim: &Claimed,
    ) -> Result<(Job, uuid::Uuid), String> {
        let run = claim.run_id;
        let report = match self.keep.with(|store, _| store.report(run)) {
            Some(Ok(Some(report))) => report,
            Some(Err(error)) => return Err(error.to_string()),
            _ => return Err(format!("the report of run {run} is not there")),
        };
        let filter = DeliveryFilter {
            run_id: Some(run),
            processor: Some(dead.to_owned()),
            ..DeliveryFilter::default()
        };
        let mut delivery = Delivery::new(dead, DeliveryStatus::Dead);
        if let Some(Ok(stored)) = self.keep.with(|store, _| store.list(&filter))
            && let Some(stored) = stored.into_iter().next()
        {
            delivery.attempts = stored.attempts;
            delivery.idempotency_key = Some(stored.idempotency_key);
            delivery.error = stored.error;
            delivery.pending = stored.state == DeliveryState::Pending;
        }
        let mut job = self.letter(reader, delivery, &report);
        job.idempotency_key.clone_from(&claim.idempotency_key);
        (job.attempts, job.kept) = (claim.attempts, true);
        Ok((job, run))
    }
}

/// `note`, after what the letter is about.
fn about(dead: &str, note: Option<String>) -> String {
    let about = format!("a letter about `{dead}`, which was given up");
    match note {
        Some(note) => format!("{about}; {note}"),
        None => about,
    }
}
