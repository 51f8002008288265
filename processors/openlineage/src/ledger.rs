//! What was sent of which run, as the state of the instance remembers it.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;
use veracity_processor::{Run, State, Timestamp};

use crate::event::RunEvent;
use crate::inputs::{Identity, Input, InputFacets};

/// The most runs that are remembered of either kind.
const MOST_RUNS: usize = 8;

/// The most bytes of names that are remembered of a run; a state has no room for more.
const MOST_BYTES: usize = 4 * 1024;

/// How long the report of a run may be on its way; deliveries are given up long before.
const LONGEST_WAY: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What was sent of which run.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Ledger {
    /// Runs of which the terminal event is still to be sent.
    pub open: Vec<OpenRun>,
    /// Runs of which everything was sent, the last ones.
    ended: Vec<Uuid>,
}

/// A run that began.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct OpenRun {
    /// Its id.
    pub run: Uuid,
    /// When it began.
    started_at: String,
    /// What ran, unless its name is very long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<Identity>,
    /// What it reads, unless that is very much.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    datasets: Vec<Identity>,
    /// The receivers that have its START.
    pub began: BTreeSet<String>,
    /// The receivers that have its terminal event.
    pub ended: BTreeSet<String>,
    /// Whether there is a report, which may still be on its way.
    pub reported: bool,
}

impl OpenRun {
    /// What it reads.
    pub fn inputs(&self) -> Vec<Input> {
        let inputs = self.datasets.iter().map(|identity| Input {
            identity: identity.clone(),
            facets: InputFacets::default(),
        });
        inputs.collect()
    }

    /// Whether nobody else will end it, at the time `now` (RFC 3339).
    fn is_orphan(&self, now: &str) -> bool {
        let age = || time(now)?.duration_since(time(&self.started_at)?).ok();
        !self.reported || age().is_some_and(|age| age > LONGEST_WAY)
    }
}

fn time(text: &str) -> Option<SystemTime> {
    let time: Option<Timestamp> = serde_json::from_value(Value::from(text)).ok();
    time.map(SystemTime::from)
}

impl Ledger {
    const NAME: &str = "runs";

    /// What `state` remembers; what it cannot be read from is forgotten.
    pub fn load(state: &State) -> Self {
        let known = state.get(Self::NAME);
        known
            .and_then(|known| serde_json::from_value(known).ok())
            .unwrap_or_default()
    }

    /// Lets `state` remember it.
    pub fn save(&self, state: &State) {
        match serde_json::to_value(self) {
            Ok(value) if *self != Self::default() => state.set(Self::NAME, value),
            _ => state.remove(Self::NAME),
        }
    }

    /// Whether everything was sent of `run`.
    pub fn has_ended(&self, run: Uuid) -> bool {
        self.ended.contains(&run)
    }

    /// The runs that were left open before `next`, which is about to begin.
    pub fn orphans(&self, next: &Run) -> Vec<Uuid> {
        let open = self.open.iter();
        let left = open.filter(|open| open.run != next.id && open.is_orphan(&next.started_at));
        left.map(|open| open.run).collect()
    }

    /// The entry of `run`, if it is open.
    pub fn find(&mut self, run: Uuid) -> Option<&mut OpenRun> {
        self.open.iter_mut().find(|open| open.run == run)
    }

    /// The entry of `run`, of which `start` tells that it began. The oldest run is
    /// forgotten if there are too many.
    pub fn open(&mut self, run: &Run, start: &RunEvent) -> &mut OpenRun {
        let place = self.open.iter().position(|open| open.run == run.id);
        let place = place.unwrap_or_else(|| {
            if self.open.len() >= MOST_RUNS {
                self.open.remove(0);
            }
            self.open.push(entry(run, start));
            self.open.len() - 1
        });
        &mut self.open[place]
    }

    /// Forgets `run`; nothing will be sent of it any more.
    pub fn close(&mut self, run: Uuid) {
        self.open.retain(|open| open.run != run);
        if self.ended.len() >= MOST_RUNS {
            self.ended.remove(0);
        }
        self.ended.push(run);
    }

    /// Forgets runs that nobody heard of.
    pub fn tidy(&mut self) {
        self.open.retain(|open| !open.began.is_empty());
    }
}

impl PartialEq for Ledger {
    fn eq(&self, other: &Self) -> bool {
        let runs = |ledger: &Self| ledger.open.iter().map(|open| open.run).collect::<Vec<_>>();
        runs(self) == runs(other) && self.ended == other.ended
    }
}

fn entry(run: &Run, start: &RunEvent) -> OpenRun {
    let mut room = MOST_BYTES;
    let mut fits = |identity: &Identity| {
        // In JSON a character may take six bytes for one.
        let bytes = 6 * (identity.namespace.len() + identity.name.len());
        room.checked_sub(bytes).map(|left| room = left).is_some()
    };
    let job = Identity {
        namespace: start.job.namespace.clone(),
        name: start.job.name.clone(),
    };
    let job = fits(&job).then_some(job);
    let datasets = start.inputs.iter().map(|input| &input.identity);
    let datasets: Vec<Identity> = match datasets.clone().all(fits) {
        true => datasets.cloned().collect(),
        false => Vec::new(),
    };
    OpenRun {
        run: run.id,
        started_at: run.started_at.clone(),
        job,
        datasets,
        ..OpenRun::default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use veracity_processor::RunKey;

    use super::*;
    use crate::event::{self, EventType, Job};
    use crate::facets::RunFacets;

    fn run(number: u128, day: u32) -> Run {
        let key = RunKey::new("2026-11-20", BTreeMap::new());
        let started = format!("2026-11-{day:02}T06:00:00Z");
        Run::new(Uuid::from_u128(number), "orders", key, started)
    }

    fn start(run: &Run, name: &str) -> RunEvent {
        let facets = RunFacets::default();
        let id = event::Run {
            run_id: run.id,
            facets,
        };
        let job = Job::new("veracity", name);
        RunEvent::new(EventType::Start, &run.started_at, id, job)
    }

    #[test]
    fn a_run_without_a_report_is_an_orphan_and_one_with_a_report_after_a_week() {
        let mut ledger = Ledger::default();
        for number in 1..=3 {
            let run = run(number, 1);
            ledger.open(&run, &start(&run, "s")).reported = number == 2;
        }
        let ids = |day| {
            let found = ledger.orphans(&run(3, day));
            found.into_iter().map(|id| id.as_u128()).collect::<Vec<_>>()
        };
        assert_eq!(ids(2), [1]);
        assert_eq!(ids(8), [1], "exactly a week");
        assert_eq!(ids(9), [1, 2]);
    }

    #[test]
    fn a_ledger_is_read_back_and_bounded() {
        let state = State::default();
        let mut ledger = Ledger::load(&state);
        let long = "\u{1}".repeat(10_000);
        for number in 0..20 {
            let run = run(number, 1);
            let open = ledger.open(&run, &start(&run, &long));
            open.began.insert("console".into());
            ledger.close(Uuid::from_u128(100 + number));
        }
        ledger.save(&state);
        let bytes = serde_json::to_vec(&state.values()).unwrap().len();
        assert!(bytes < State::MAX_BYTES / 2, "{bytes}");
        let read = Ledger::load(&state);
        assert!(read == ledger);
        assert_eq!((read.open.len(), read.ended.len()), (MOST_RUNS, MOST_RUNS));
        assert!(read.has_ended(Uuid::from_u128(119)));
        assert!(
            read.open[0].job.is_none(),
            "its name is too long to be kept"
        );
    }

    #[test]
    fn names_are_kept_if_they_are_short() {
        let run = run(1, 1);
        let entry = entry(&run, &start(&run, "orders.daily"));
        assert_eq!(entry.job.unwrap().name, "orders.daily");
    }

    #[test]
    fn a_state_of_somebody_else_is_forgotten() {
        let state = State::new(BTreeMap::from([("runs".to_owned(), Value::from("x"))]));
        assert!(Ledger::load(&state).open.is_empty());
    }
}
