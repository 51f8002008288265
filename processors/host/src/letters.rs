//! Letters about reports that were given up: what the stage `dead_letter` is called with.
//!
//! In the store a letter is a delivery of the run to a name made of both instances, so that
//! all that is promised of deliveries holds for letters.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;
use veracity_processor::{
    Capability, DeadLetter, Delivery, DeliveryStatus, Report, Stage, Upcoming,
};

use crate::attempt::{self, Job, Unheld};
use crate::dispatch::{Dispatch, Resumed, idempotency_key};
use crate::hand::Hand;
use crate::host::Delivered;
use crate::instance::Instance;
use crate::isolation::Task;
use crate::keep::Keep;
use crate::store::{
    Claimed, DeliveryFilter, DeliveryState, NewDelivery, Settlement, StoreError, Time,
};
use crate::told::Course;
use crate::waves::Work;

/// Stands between the one who gets a letter and the one it is about.
const ABOUT: &str = " <dead letter of> ";
/// The most characters of a name that is not shortened; the store takes some more.
const LONGEST_NAME: usize = 120;

/// Who gets letters.
#[derive(Debug, Default)]
pub struct Letters {
    /// The suite file.
    pub origin: String,
    /// Those that serve the stage.
    pub readers: Vec<Arc<Instance>>,
}

/// The name of a letter to `reader` about `dead`, as long as the store takes names.
fn name(reader: &str, dead: &str) -> String {
    let name = format!("{reader}{ABOUT}{dead}");
    match name.chars().count() <= LONGEST_NAME {
        true => name,
        false => format!("{ABOUT}{}", Uuid::new_v5(&Uuid::nil(), name.as_bytes())),
    }
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
    /// that was given up in runs of the suite. `unstored` says that the store should have
    /// `report` but has not.
    pub(crate) fn deliver_letters(
        &self,
        report: Option<&Report>,
        unstored: bool,
        delivered: &mut Delivered,
    ) {
        if self.letters.readers.is_empty() {
            return;
        }
        if let Some(report) = report {
            for dead in self.given_up(unstored, delivered) {
                self.send_letters(&dead, report, unstored, delivered);
            }
        }
        if self.keep.is_kept() {
            self.deliver_stored_letters(report, delivered);
        }
    }

    /// Deliveries of this run that were given up and about which no letters are stored.
    fn given_up(&self, unstored: bool, delivered: &Delivered) -> Vec<Delivery> {
        let is_stored = |delivery: &Delivery| {
            let mut instances = self.waves.iter().flatten();
            let is_output = instances.any(|one| one.name == delivery.processor && one.is_output);
            self.keep.is_kept() && !unstored && !is_output
        };
        let given_up = |delivery: &&Delivery| {
            !delivery.status.is_settled() && !delivery.pending && !is_stored(delivery)
        };
        let deliveries = delivered.deliveries.iter();
        deliveries.filter(given_up).cloned().collect()
    }

    /// Sends letters about `dead`: through the store, if there is one that has `report`.
    fn send_letters(
        &self,
        dead: &Delivery,
        report: &Report,
        unstored: bool,
        delivered: &mut Delivered,
    ) {
        if self.keep.is_kept() && !unstored {
            let name = &dead.processor;
            let complaint = self.letters.store(&self.keep, report, name);
            delivered.warnings.extend(complaint);
            return;
        }
        for reader in self.letters.readers_of(&dead.processor) {
            if unmet(reader, report).is_some() {
                continue;
            }
            let job = self.letter(reader, dead.clone(), report);
            let mut ended = attempt::deliver(reader, &job, &self.ground, &Unheld).delivery;
            ended.note = Some(about(&dead.processor, ended.note));
            delivered.deliveries.push(ended);
        }
    }

    fn letter(&self, reader: &Instance, dead: Delivery, report: &Report) -> Job {
        let key = idempotency_key(report.run.id, &name(&reader.name, &dead.processor));
        let mut report = report.clone();
        report.deliveries.clear();
        if !reader.capabilities.contains(&Capability::RawRows) {
            for result in &mut report.results {
                result.sample.clear();
            }
        }
        let run = self.ground.run_of(&report);
        Job {
            task: Task::Letter(Arc::new(DeadLetter::new(dead, report))),
            stage: Stage::DeadLetter,
            run,
            idempotency_key: key,
            attempts: 0,
            insist: true,
            kept: false,
            course: Course::default(),
        }
    }

    fn deliver_stored_letters(&self, report: Option<&Report>, delivered: &mut Delivered) {
        for reader in &self.letters.readers {
            let instances = self.waves.iter().flatten();
            let others = instances.filter(|other| other.name != reader.name);
            let names: BTreeMap<String, &str> = others
                .map(|other| (name(&reader.name, &other.name), other.name.as_str()))
                .collect();
            for claim in self.claim_of(reader, names.keys().cloned().collect(), delivered) {
                let Some(&dead) = names.get(&claim.processor) else {
                    continue;
                };
                let mut job = match self.stored_letter(reader, dead, &claim) {
                    Ok(job) => job,
                    Err(settlement) => {
                        if let Settlement::Retry { error, .. } | Settlement::Dead { error } =
                            &settlement
                        {
                            delivered.warnings.push(format!(
                                "a letter to `{}` about `{dead}`: {error}",
                                reader.name
                            ));
                        }
                        self.settle(&claim, settlement, claim.attempts);
                        continue;
                    }
                };
                let run = claim.run_id;
                let is_of_this_run = report.is_some_and(|report| report.run.id == run);
                job.insist = is_of_this_run;
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
                let Some(mut delivery) = done.now.map(|now| now.delivery) else {
                    continue;
                };
                delivery.note = Some(about(dead, delivery.note));
                match is_of_this_run {
                    true => delivered.deliveries.push(delivery),
                    false => delivered.resumed.push(Resumed { run, delivery }),
                }
            }
        }
    }

    /// The letter that `claim` stands for, or what is to become of the claim.
    fn stored_letter(
        &self,
        reader: &Instance,
        dead: &str,
        claim: &Claimed,
    ) -> Result<Job, Settlement> {
        let run = claim.run_id;
        let later = |error: StoreError| Settlement::Retry {
            at: Time(self.keep.now()),
            error: error.to_string(),
        };
        let report = match self.keep.with(|store, _| store.report(run)) {
            Some(Ok(Some(report))) => report,
            Some(Err(error)) => return Err(later(error)),
            _ => {
                let error = format!("the report of run {run} is not there");
                return Err(Settlement::Dead { error });
            }
        };
        if let Some(reason) = unmet(reader, &report) {
            let note = Some(reason);
            return Err(Settlement::Skipped { note });
        }
        let filter = DeliveryFilter {
            run_id: Some(run),
            processor: Some(dead.to_owned()),
            ..DeliveryFilter::default()
        };
        let mut delivery = Delivery::new(dead, DeliveryStatus::Dead);
        let stored = self.keep.with(|store, _| store.list(&filter));
        if let Some(stored) = stored.transpose().map_err(later)?.unwrap_or_default().pop() {
            delivery.attempts = stored.attempts;
            delivery.idempotency_key = Some(stored.idempotency_key);
            delivery.error = stored.error;
            delivery.pending = stored.state == DeliveryState::Pending;
        }
        let mut job = self.letter(reader, delivery, &report);
        job.idempotency_key.clone_from(&claim.idempotency_key);
        (job.attempts, job.kept) = (claim.attempts, true);
        Ok(job)
    }
}

/// Why `reader` gets no letters about `report`, if it gets none.
fn unmet(reader: &Instance, report: &Report) -> Option<String> {
    let upcoming = Upcoming::of(report);
    reader.conditions.unmet(&upcoming, Some(report.verdict))
}

/// `note`, after what the letter is about.
fn about(dead: &str, note: Option<String>) -> String {
    let about = format!("a letter about `{dead}`, which was given up");
    match note {
        Some(note) => format!("{about}; {note}"),
        None => about,
    }
}
