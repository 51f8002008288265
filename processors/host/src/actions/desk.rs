//! What is under way of what plugins asked for, and what became of the rest.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::mpsc::Sender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use uuid::Uuid;
use veracity_processor::{ActionKind, ActionRecord, Kind, Metric};

use super::lane::Job;
use super::{LogLine, Origin};

/// The most lines that are kept for whoever prints them.
const MOST_LINES: usize = 1_000;
/// Why nothing is done for anybody any more.
pub const OVER: &str = "the run is over";
/// The most metrics that are kept, by name and labels.
const MOST_METRICS: usize = 10_000;

/// An action that was done, or could not be.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Who asked for it.
    pub origin: Origin,
    /// What became of it.
    pub record: ActionRecord,
}

/// What is under way, and what became of the rest.
#[derive(Debug, Default)]
pub struct Desk {
    inside: Mutex<Inside>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inside {
    pending: usize,
    /// Nothing more is taken.
    closed: bool,
    /// How much each plugin asked for, of metrics and of all else, by run.
    asked: BTreeMap<(Kind, String, Uuid, bool), usize>,
    /// Threads that do it, by target.
    lanes: BTreeMap<String, Sender<Job>>,
    records: Vec<Recorded>,
    lines: Vec<LogLine>,
    metrics: BTreeMap<(String, BTreeMap<String, String>), Metric>,
}

impl Desk {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        // Nothing can panic while it is locked.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of this action among those of `kind` that `origin` asked for, of which
    /// there may be `most`.
    ///
    /// # Errors
    ///
    /// If there are more; whether this is the first one too many.
    pub fn admit(&self, origin: &Origin, kind: ActionKind, most: usize) -> Result<usize, bool> {
        let mut inside = self.inside();
        let plugin = &origin.instance;
        let is_metric = kind == ActionKind::Metric;
        let key = (plugin.kind, plugin.name.clone(), origin.run.id, is_metric);
        let asked = inside.asked.entry(key).or_default();
        *asked += 1;
        match *asked {
            number if number <= most => Ok(number),
            number => Err(number == most + 1),
        }
    }

    /// Forgets what was measured and how much was asked for: another run begins.
    pub fn forget(&self) {
        let mut inside = self.inside();
        inside.metrics.clear();
        inside.asked.clear();
    }

    /// Keeps a line for whoever prints it.
    pub fn log(&self, line: LogLine) {
        let mut inside = self.inside();
        if inside.lines.len() < MOST_LINES {
            inside.lines.push(line);
        }
    }

    /// Takes the lines kept so far.
    pub fn lines(&self) -> Vec<LogLine> {
        std::mem::take(&mut self.inside().lines)
    }

    /// Keeps the value of a metric.
    ///
    /// # Errors
    ///
    /// If its name or that of a label is none, its value is no number, or there are too
    /// many.
    pub fn state(&self, metric: Metric) -> Result<(), String> {
        let legal = |name: &str, colon: bool| {
            let first = |c: char| c.is_ascii_alphabetic() || c == '_' || (colon && c == ':');
            let rest = |c: char| first(c) || c.is_ascii_digit();
            name.len() <= 200 && name.starts_with(first) && name.chars().all(rest)
        };
        if !legal(&metric.name, true) {
            let shown: String = metric.name.chars().take(80).collect();
            return Err(format!("`{shown}` is no name of a metric"));
        }
        if let Some(label) = metric.labels.keys().find(|label| !legal(label, false)) {
            let shown: String = label.chars().take(80).collect();
            return Err(format!("`{shown}` is no name of a label"));
        }
        if !metric.value.is_finite() {
            return Err(format!(
                "the value of `{}` is {}",
                metric.name, metric.value
            ));
        }
        let mut inside = self.inside();
        let key = (metric.name.clone(), metric.labels.clone());
        if inside.metrics.len() >= MOST_METRICS && !inside.metrics.contains_key(&key) {
            return Err(format!("there are more than {MOST_METRICS} metrics"));
        }
        inside.metrics.insert(key, metric);
        Ok(())
    }

    /// The metrics, by name and labels.
    pub fn metrics(&self) -> Vec<Metric> {
        self.inside().metrics.values().cloned().collect()
    }

    /// Counts `job` as under way, and gives it to the thread of its target, which `open`
    /// starts if there is none.
    ///
    /// # Errors
    ///
    /// The job and why nobody does it.
    pub fn begin(
        &self,
        lane: String,
        job: Job,
        open: impl FnOnce() -> std::io::Result<Sender<Job>>,
    ) -> Result<(), (Box<Job>, String)> {
        let mut inside = self.inside();
        if inside.closed {
            return Err((Box::new(job), OVER.to_owned()));
        }
        // While it is locked, so that there is one thread for a target, and one order.
        let opened = match inside.lanes.entry(lane) {
            Entry::Occupied(lane) => Ok(lane.into_mut()),
            Entry::Vacant(lane) => open().map(|sender| lane.insert(sender)),
        };
        let sent = match opened {
            Ok(sender) => sender.send(job),
            Err(error) => {
                let why = format!("no thread could be started: {error}");
                return Err((Box::new(job), why));
            }
        };
        match sent {
            Ok(()) => {
                inside.pending += 1;
                Ok(())
            }
            Err(unsent) => Err((Box::new(unsent.0), "its thread ended".to_owned())),
        }
    }

    /// Something that was under way is not any more.
    pub fn end(&self) {
        let mut inside = self.inside();
        inside.pending = inside.pending.saturating_sub(1);
        drop(inside);
        self.changed.notify_all();
    }

    /// Writes down what became of an action.
    pub fn record(&self, recorded: Recorded) {
        self.inside().records.push(recorded);
    }

    /// Takes what was written down so far.
    pub fn records(&self) -> Vec<Recorded> {
        std::mem::take(&mut self.inside().records)
    }

    /// Waits until nothing is under way; false if that takes longer than `limit`.
    pub fn settle(&self, limit: Duration) -> bool {
        let inside = self.inside();
        let woken = self
            .changed
            .wait_timeout_while(inside, limit, |inside| inside.pending > 0);
        !woken.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// How many are under way.
    pub fn pending(&self) -> usize {
        self.inside().pending
    }

    /// Takes nothing more, and ends the threads when what they are at is done; what waits
    /// for them is not done any more.
    pub fn close(&self) {
        let mut inside = self.inside();
        inside.closed = true;
        inside.lanes.clear();
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.inside().closed
    }
}
