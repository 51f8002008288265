//! Carries a report to the instances, wave by wave, and keeps the store up to date.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;
use veracity_processor::{Delivery, DeliveryStatus, EventRun, Report, Stage, Upcoming};

use crate::attempt::{self, Job, Unheld};
use crate::filter::{View, view};
use crate::ground::Ground;
use crate::hand::{elsewhere, lease};
use crate::host::Delivered;
use crate::instance::Instance;
use crate::isolation::Task;
use crate::keep::Keep;
use crate::letters::Letters;
use crate::settings::On;
use crate::store::{Claimed, Filter, Settlement, Spool};
use crate::told::{Course, left_out};
use crate::waves::Work;

/// The most deliveries of earlier runs that one instance gets within a run.
const MOST_EARLIER: usize = 100;
/// The longest that nobody else may take what this process has not begun to deliver; each
/// attempt extends the lease by what it may take itself. After a crash it passes that long
/// until somebody else delivers.
const LONGEST_CLAIM: Duration = Duration::from_secs(60);

/// A delivery of an earlier run.
#[derive(Debug, Clone)]
pub struct Resumed {
    /// The run.
    pub run: Uuid,
    /// What became of it.
    pub delivery: Delivery,
}

/// What a host needs for carrying reports.
#[derive(Debug)]
pub struct Dispatch {
    pub suite: String,
    pub origin: String,
    pub waves: Arc<Vec<Vec<Arc<Instance>>>>,
    pub ground: Arc<Ground>,
    pub keep: Arc<Keep>,
    /// The run of the report that is delivered, or the one under way.
    pub run: Arc<EventRun>,
    pub letters: Arc<Letters>,
    pub spool: Option<Spool>,
}

impl Dispatch {
    /// Carries `report`; `store_error` says why there is no store although there should be.
    pub fn deliver(&self, report: &Report, store_error: Option<&str>) -> Delivered {
        let mut delivered = Delivered::default();
        let previous = self.previous(report, &mut delivered);
        let mut given: BTreeMap<&str, (Job, Option<Claimed>)> = BTreeMap::new();
        let mut skipped: BTreeMap<&str, Delivery> = BTreeMap::new();
        for instance in self.waves.iter().flatten() {
            let name = instance.name.as_str();
            let skip = |status, reason: &str| {
                let mut delivery = Delivery::new(name, status);
                (delivery.note, delivery.required) =
                    (Some(reason.to_owned()), instance.settings.required);
                delivery
            };
            let Some(stage) = stage_of(instance, report) else {
                continue;
            };
            if let Some(reason) = instance.disabled() {
                skipped.insert(name, skip(DeliveryStatus::Disabled, reason));
                continue;
            }
            let stage = match stage {
                Ok(stage) => stage,
                Err(reason) => {
                    skipped.insert(name, skip(DeliveryStatus::Skipped, &reason));
                    continue;
                }
            };
            match view(
                report,
                previous.as_ref(),
                &instance.settings,
                &instance.capabilities,
            ) {
                View::Nothing(reason) => {
                    skipped.insert(name, skip(DeliveryStatus::Skipped, &reason));
                }
                View::Given(view) => {
                    let job = Job {
                        task: Task::Report(Arc::new(*view)),
                        stage,
                        run: Arc::clone(&self.run),
                        idempotency_key: idempotency_key(report.run.id, name),
                        attempts: 0,
                        insist: true,
                        kept: self.spool.is_some() && !instance.is_output,
                        course: Course::default(),
                    };
                    given.insert(name, (job, None));
                }
            }
        }
        let unstored = self.store(report, &given, store_error, &mut delivered);
        let mut work: BTreeMap<String, Work> = BTreeMap::new();
        let mut claims = self.claim(Vec::new(), &mut delivered);
        let of_this_run = claims.iter().filter(|claim| claim.run_id == report.run.id);
        if of_this_run.count() < given.values().filter(|(job, _)| job.kept).count()
            && claims.len() >= MOST_EARLIER
        {
            // What is left of earlier runs is due earlier, and more than is taken at once.
            let keys = given.values().map(|(job, _)| job.idempotency_key.clone());
            claims.extend(self.claim(keys.collect(), &mut delivered));
        }
        for claim in claims {
            if claim.run_id == report.run.id {
                if let Some((_, claimed)) = given.get_mut(claim.processor.as_str()) {
                    *claimed = Some(claim);
                }
            } else {
                self.take_up(claim, &mut work, &mut delivered);
            }
        }
        let stored = self.keep.is_kept() && !unstored;
        for (name, (job, claim)) in given {
            if stored && job.kept && claim.is_none() {
                // Stored, but not ours: another process was quicker, or it is settled.
                skipped.insert(name, elsewhere(name, &job));
            } else {
                work.entry(name.to_owned()).or_default().now = Some((job, claim));
            }
        }
        let skipped = skipped
            .into_iter()
            .map(|(name, skip)| (name.to_owned(), skip))
            .collect();
        self.waves(work, skipped, &mut delivered);
        if unstored {
            // Before there are letters, which are not kept.
            self.keep_rest_in_spool(report, &mut delivered);
        }
        self.deliver_letters(Some(report), unstored, &mut delivered);
        delivered.warnings.extend(self.keep.complaints());
        delivered
    }

    /// Delivers what is left of earlier runs.
    pub fn resume(&self, store_error: Option<&str>) -> Delivered {
        let mut delivered = Delivered::default();
        if let Some(error) = store_error {
            delivered.store_failed = true;
            delivered
                .warnings
                .push(format!("the store cannot be opened: {error}"));
            return delivered;
        }
        self.drain_spool(&mut delivered);
        let mut work = BTreeMap::new();
        for claim in self.claim(Vec::new(), &mut delivered) {
            self.take_up(claim, &mut work, &mut delivered);
        }
        self.waves(work, BTreeMap::new(), &mut delivered);
        self.deliver_letters(None, false, &mut delivered);
        delivered.warnings.extend(self.keep.complaints());
        delivered
    }

    /// Carries `report` to `instance`, without storing it.
    pub fn replay(&self, instance: &Arc<Instance>, report: &Report) -> Delivery {
        let mut settings = instance.settings.clone();
        settings.on = On::Always;
        let mut delivery = Delivery::new(&instance.name, DeliveryStatus::Skipped);
        if let Some(reason) = instance.disabled() {
            delivery.status = DeliveryStatus::Disabled;
            delivery.note = Some(reason.to_owned());
            return delivery;
        }
        match view(report, None, &settings, &instance.capabilities) {
            View::Nothing(reason) => {
                delivery.note = Some(reason);
                delivery
            }
            View::Given(view) => {
                let job = Job {
                    task: Task::Report(Arc::new(*view)),
                    stage: Stage::AfterRun,
                    run: self.ground.run_of(report),
                    idempotency_key: idempotency_key(report.run.id, &instance.name),
                    attempts: 0,
                    insist: true,
                    kept: false,
                    course: Course::default(),
                };
                attempt::deliver(instance, &job, &self.ground, &Unheld).delivery
            }
        }
    }

    /// Claims what is due for instances that can take it; only the deliveries with one of
    /// `idempotency_keys`, if there are any.
    fn claim(&self, idempotency_keys: Vec<String>, delivered: &mut Delivered) -> Vec<Claimed> {
        let instances = self.waves.iter().flatten();
        // An output may be called as a processor of earlier runs was.
        let able = instances.filter(|one| one.disabled().is_none() && !one.is_output);
        let able: Vec<&Arc<Instance>> = able.collect();
        let lease = able.iter().map(|instance| lease(instance)).max();
        let filter = Filter {
            idempotency_keys,
            suite: Some(self.suite.clone()),
            processors: able.iter().map(|instance| instance.name.clone()).collect(),
            limit: MOST_EARLIER * able.len(),
        };
        self.claim_with(filter, lease.unwrap_or_default(), delivered)
    }

    /// Claims what is due for `reader` under one of `names`.
    pub(crate) fn claim_of(
        &self,
        reader: &Instance,
        names: Vec<String>,
        delivered: &mut Delivered,
    ) -> Vec<Claimed> {
        let filter = Filter {
            idempotency_keys: Vec::new(),
            suite: Some(self.suite.clone()),
            processors: names,
            limit: MOST_EARLIER,
        };
        self.claim_with(filter, lease(reader), delivered)
    }

    fn claim_with(
        &self,
        filter: Filter,
        lease: Duration,
        delivered: &mut Delivered,
    ) -> Vec<Claimed> {
        if filter.processors.is_empty() {
            return Vec::new();
        }
        let lease = lease.min(LONGEST_CLAIM);
        let owner = Uuid::now_v7().to_string();
        match self
            .keep
            .with(|store, now| store.claim(&filter, &owner, lease, now))
        {
            Some(Ok(claims)) => claims,
            Some(Err(error)) => {
                delivered.store_failed = true;
                delivered
                    .warnings
                    .push(format!("deliveries could not be claimed: {error}"));
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    /// Makes `claim`, of an earlier run, work for its instance.
    fn take_up(
        &self,
        claim: Claimed,
        work: &mut BTreeMap<String, Work>,
        delivered: &mut Delivered,
    ) {
        let Some(instance) = self.instance(&claim.processor) else {
            return;
        };
        let report = match self.keep.with(|store, _| store.report(claim.run_id)) {
            Some(Ok(Some(report))) => report,
            Some(Err(error)) => {
                let run = claim.run_id;
                delivered
                    .warnings
                    .push(format!("the report of run {run} cannot be read: {error}"));
                return;
            }
            _ => return,
        };
        // Whether it is to be delivered was decided in its own run.
        let mut settings = instance.settings.clone();
        settings.on = On::Always;
        let stage = stage_of(instance, &report).and_then(Result::ok);
        let run = self.ground.run_of(&report);
        let report = match view(&report, None, &settings, &instance.capabilities) {
            View::Given(report) => *report,
            View::Nothing(reason) => {
                let mut delivery = Delivery::new(&instance.name, DeliveryStatus::Skipped);
                delivery.attempts = claim.attempts;
                delivery.idempotency_key = Some(claim.idempotency_key.clone());
                delivery.note = Some(reason.clone());
                let note = Some(reason);
                self.settle(&claim, Settlement::Skipped { note }, claim.attempts);
                left_out(&self.ground, &run, Stage::AfterRun, &delivery, false);
                return;
            }
        };
        let job = Job {
            task: Task::Report(Arc::new(report)),
            stage: stage.unwrap_or(Stage::AfterRun),
            run,
            idempotency_key: claim.idempotency_key.clone(),
            attempts: claim.attempts,
            insist: false,
            kept: true,
            course: Course::default(),
        };
        work.entry(claim.processor.clone())
            .or_default()
            .earlier
            .push((job, claim));
    }

    pub(crate) fn settle(&self, claim: &Claimed, settlement: Settlement, attempts: u32) -> bool {
        let settled = self
            .keep
            .with(|store, now| store.settle(claim, settlement, attempts, now));
        matches!(settled, Some(Ok(true)))
    }
}

/// The stage at which `instance` gets `report`, or why it does not get it; `None` if it gets
/// no reports at all.
fn stage_of(instance: &Instance, report: &Report) -> Option<Result<Stage, String>> {
    let after = instance.serves(Stage::AfterRun);
    let on_error = instance.serves(Stage::OnError);
    if !after && !on_error {
        return None;
    }
    let unmet = instance
        .conditions
        .unmet(&Upcoming::of(report), Some(report.verdict));
    Some(match unmet {
        Some(reason) => Err(reason),
        None if on_error && has_error(report) => Ok(Stage::OnError),
        None if after => Ok(Stage::AfterRun),
        None => Err("the run had no error".to_owned()),
    })
}

/// Whether the run did not reach its end, or something could not be evaluated.
fn has_error(report: &Report) -> bool {
    let ended_early = report.run.interrupted.is_some() && report.run.gate.is_none();
    ended_early
        || report.summary.error > 0
        || report
            .datasets
            .iter()
            .any(|dataset| dataset.error.is_some())
}

/// The same for every delivery of one run to one instance, on whatever machine.
pub fn idempotency_key(run: Uuid, instance: &str) -> String {
    Uuid::new_v5(&run, instance.as_bytes()).to_string()
}
