//! What is stored of a report before it is carried, or spooled where that cannot be.

use std::collections::BTreeMap;
use std::sync::Arc;

use veracity_processor::{DeliveryStatus, Report};

use crate::attempt::Job;
use crate::dispatch::Dispatch;
use crate::host::Delivered;
use crate::instance::Instance;
use crate::settings::On;
use crate::store::{Claimed, NewDelivery, Time};

/// The most runs that did not begin between one and the last one that did.
const MOST_GATED: usize = 1_000;

impl Dispatch {
    /// The suite's last report, if an instance asks for changes.
    pub(crate) fn previous(&self, report: &Report, delivered: &mut Delivered) -> Option<Report> {
        let mut instances = self.waves.iter().flatten();
        if !instances.any(|instance| instance.settings.on == On::Change) {
            return None;
        }
        let mut run = report.run.clone();
        // Runs that did not begin changed nothing.
        for _ in 0..MOST_GATED {
            match self.keep.with(|store, _| store.last_report(&run))? {
                Ok(Some(previous)) if previous.run.gate.is_some() => run = previous.run,
                Ok(previous) => return previous,
                Err(error) => {
                    let warning = format!("the last report cannot be read: {error}");
                    delivered.warnings.push(warning);
                    return None;
                }
            }
        }
        None
    }

    /// Stores the report and what is to be delivered, or spools both. Returns whether the
    /// store, which should have them, has not.
    pub(crate) fn store(
        &self,
        report: &Report,
        given: &BTreeMap<&str, (Job, Option<Claimed>)>,
        store_error: Option<&str>,
        delivered: &mut Delivered,
    ) -> bool {
        let Some(spool) = &self.spool else {
            return false;
        };
        let new = self.new_deliveries(
            given
                .iter()
                .map(|(name, (job, _))| (*name, &*job.idempotency_key)),
        );
        let error = match store_error {
            Some(error) => error.to_owned(),
            None => {
                self.drain_spool(delivered);
                match self
                    .keep
                    .with(|store, now| store.record(report, &self.origin, &new, now))
                {
                    Some(Ok(())) => return false,
                    Some(Err(error)) => error.to_string(),
                    None => "it is not open".to_owned(),
                }
            }
        };
        delivered.store_failed = true;
        let mut warning = format!("the report could not be stored: {error}");
        match spool.write(report, &self.origin, &new) {
            Ok(path) => warning.push_str(&format!("; it is kept in `{}`", path.display())),
            Err(error) => warning.push_str(&format!("; nor could it be kept in a file: {error}")),
        }
        delivered.warnings.push(warning);
        true
    }

    fn new_deliveries<'n>(
        &self,
        names: impl Iterator<Item = (&'n str, &'n str)>,
    ) -> Vec<NewDelivery> {
        let new = names.filter_map(|(name, key)| {
            let instance = self.instance(name).filter(|one| !one.is_output)?;
            Some(NewDelivery {
                processor: name.to_owned(),
                plugin: instance.plugin.clone(),
                idempotency_key: key.to_owned(),
                due: Time(self.keep.now()),
                max_attempts: instance.settings.max_attempts,
            })
        });
        new.collect()
    }

    pub(crate) fn instance(&self, name: &str) -> Option<&Arc<Instance>> {
        self.waves
            .iter()
            .flatten()
            .find(|instance| instance.name == name)
    }

    /// Takes what was spooled into the store.
    pub(crate) fn drain_spool(&self, delivered: &mut Delivered) {
        let Some(spool) = &self.spool else { return };
        match self.keep.with(|store, now| spool.drain(store, now)) {
            Some(Ok(drained)) => delivered.warnings.extend(drained.problems),
            Some(Err(error)) => delivered.warnings.push(error.to_string()),
            None => {}
        }
    }

    /// What was not delivered stays in the spool, what was goes.
    pub(crate) fn keep_rest_in_spool(&self, report: &Report, delivered: &mut Delivered) {
        let Some(spool) = &self.spool else { return };
        let mut rest = Vec::new();
        for delivery in &mut delivered.deliveries {
            let kept = self
                .instance(&delivery.processor)
                .is_some_and(|one| !one.is_output);
            let again = kept
                && !delivery.status.is_settled()
                && !matches!(
                    delivery.status,
                    DeliveryStatus::Dead | DeliveryStatus::Panicked
                );
            if let (true, Some(key)) = (again, &delivery.idempotency_key) {
                rest.push((delivery.processor.clone(), key.clone()));
                delivery.pending = true;
            }
        }
        let rest = rest.iter().map(|(name, key)| (name.as_str(), key.as_str()));
        let new = self.new_deliveries(rest);
        if let Err(error) = spool.write(report, &self.origin, &new) {
            delivered.warnings.push(format!(
                "what is left to be delivered could not be kept: {error}"
            ));
        }
    }
}
