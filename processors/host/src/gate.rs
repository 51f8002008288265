//! May a run begin? The stage `before_run`.

use std::sync::Arc;

use uuid::Uuid;
use veracity_processor::{Capability, EventRun, Outcome, OutcomeStatus, Stage, Upcoming};

use crate::actions::Origin;
use crate::attempt::clean;
use crate::dispatch::idempotency_key;
use crate::host::{Host, each};
use crate::instance::Instance;
use crate::isolation::{Call, Fault, Task};
use crate::keep::refusal;

/// What came of asking whether a run may begin.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Before {
    /// Why it may not, if somebody says so.
    pub closed: Option<Closed>,
    /// What else is worth knowing.
    pub warnings: Vec<String>,
}

/// A run that may not begin.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Closed {
    /// The processor that says so, by the name it is configured under.
    pub by: String,
    /// Its reason.
    pub reason: String,
}

impl Host {
    /// From now on events are about the run of `upcoming`.
    pub fn announce(&self, upcoming: &Upcoming) {
        let run = &upcoming.run;
        self.ground
            .begin(EventRun::new(run.id, &run.suite, run.key.clone()));
    }

    /// Asks the processors that serve the stage `before_run` whether it may begin, wave by
    /// wave; those of later waves are not asked when one said no. One that fails does not
    /// keep the run from beginning. Blocks.
    pub fn before_run(&self, upcoming: &Upcoming) -> Before {
        self.ground.start_hooks();
        let upcoming = Arc::new(upcoming.clone());
        let mut before = Before::default();
        for wave in self.waves() {
            let asked = wave.iter().filter(|instance| {
                instance.serves(Stage::BeforeRun)
                    && instance.disabled().is_none()
                    && instance.unmet_before(&upcoming).is_none()
            });
            let asked: Vec<Arc<Instance>> = asked.cloned().collect();
            let said = each(&asked, |instance| {
                let (said, complaint) = self.ask(instance, &upcoming);
                (Arc::clone(instance), said, complaint)
            });
            for (instance, said, complaint) in said {
                before.warnings.extend(complaint);
                let (name, instance) = (&instance.name, &instance);
                if let Ok(Outcome {
                    note: Some(note), ..
                }) = &said
                {
                    let note = clean(instance, note);
                    before.warnings.push(format!("`{name}`: {note}"));
                }
                match said {
                    Ok(outcome) if outcome.status == OutcomeStatus::Stop => {
                        let reason = outcome.reason.map(|text| clean(instance, &text));
                        before.closed.get_or_insert(Closed {
                            by: name.clone(),
                            reason: reason.unwrap_or_else(|| "it gave no reason".to_owned()),
                        });
                    }
                    Ok(_) => {}
                    Err(fault) => {
                        let fault = clean(instance, &fault.to_string());
                        before.warnings.push(format!(
                            "`{name}` could not say whether the run may begin: {fault}"
                        ));
                    }
                }
            }
            if before.closed.is_some() {
                break;
            }
        }
        before
    }

    fn ask(
        &self,
        instance: &Arc<Instance>,
        upcoming: &Arc<Upcoming>,
    ) -> (Result<Outcome, Fault>, Option<String>) {
        let ground = &self.ground;
        let limit = ground.stop.cut(instance.settings.time_limit);
        if let Err(fault) = ground.start(instance, limit) {
            return (Err(fault), None);
        }
        let (suite, keep) = (&upcoming.run.suite, ground.keep());
        let state = keep.state(suite, &instance.name);
        let key = key(upcoming.run.id, &instance.name);
        let call = Call {
            instance: instance.name.clone(),
            config: veracity_processor::Config(instance.config.clone()),
            idempotency_key: key.clone(),
            attempt: 1,
            stage: Stage::BeforeRun,
            metrics: match instance.capabilities.contains(&Capability::Metrics) {
                true => ground.metrics(),
                false => Vec::new(),
            },
            state: state.clone(),
        };
        let attempt = instance.call(Task::BeforeRun(Arc::clone(upcoming)), call, limit);
        let complaint = attempt.state.and_then(|new| {
            let name = &instance.name;
            match keep.save_state(suite, name, &state, new) {
                Ok(refused) if refused.is_empty() => None,
                Ok(refused) => Some(format!("`{name}`: {}", refusal(&refused))),
                Err(error) => Some(format!("`{name}`: its state was not kept: {error}")),
            }
        });
        let mut result = attempt.result;
        if let Ok(outcome) = &mut result {
            let origin = Origin {
                instance: Arc::clone(instance),
                idempotency_key: Some(key),
                run: ground.run(),
            };
            let events = ground.act(&origin, std::mem::take(&mut outcome.actions));
            ground.spread((events, None));
        }
        (result, complaint)
    }
}

/// Stays the same for one run and instance.
fn key(run: Uuid, instance: &str) -> String {
    idempotency_key(run, &format!("{instance} before the run"))
}
