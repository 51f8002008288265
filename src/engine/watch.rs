//! What those who watch a run are told.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde_json::Value;
use veracity_processor::{
    AssertionResult, DatasetReport, Event, EventName, EventRun, EventSink, Moment, Report, Run,
    Status, Subject,
};

use super::execute::Cost;

/// Tells of a run, if somebody watches.
pub struct Watch {
    sink: Option<Arc<dyn EventSink>>,
    run: Arc<EventRun>,
    datasets: Mutex<Datasets>,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("run", &self.run.id)
            .finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Datasets {
    /// Since when each is read; `None` when it was told how that ended.
    begun: BTreeMap<String, Option<Instant>>,
    /// The run is over: queries that are still under way are not told of any more.
    over: bool,
}

impl Watch {
    /// Tells `sink` of `run`.
    pub fn new(run: &Run, sink: Option<Arc<dyn EventSink>>) -> Self {
        let known = sink.as_ref().and_then(|sink| sink.run());
        let known = known.filter(|known| known.id == run.id);
        let new = || Arc::new(EventRun::new(run.id, &run.suite, run.key.clone()));
        Self {
            sink,
            run: known.unwrap_or_else(new),
            datasets: Mutex::default(),
        }
    }

    /// The sink, if it wants one of `moments` of `subject`.
    fn sink(&self, subject: Subject, moments: &[Moment]) -> Option<&Arc<dyn EventSink>> {
        let sink = self.sink.as_ref()?;
        let mut moments = moments.iter();
        let wants = moments.any(|&moment| sink.wants(EventName { subject, moment }));
        wants.then_some(sink)
    }

    fn event(&self, subject: Subject, moment: Moment) -> Event {
        Event::new(&self.run, subject, moment)
    }

    fn tell(&self, subject: Subject, moment: Moment, more: impl FnOnce(Event) -> Event) {
        if let Some(sink) = self.sink(subject, &[moment]) {
            sink.emit(vec![more(self.event(subject, moment))]);
        }
    }

    /// The run begins, with so many assertions.
    pub fn begins(&self, assertions: u64) {
        self.tell(Subject::Suite, Moment::Start, |event| {
            event.with("assertions", assertions)
        });
    }

    /// A dataset is about to be read.
    pub fn dataset_begins(&self, name: &str) {
        if self.sink.is_none() {
            return;
        }
        // Held while it is told, so that nothing overtakes it.
        let mut datasets = self.datasets.lock().unwrap_or_else(PoisonError::into_inner);
        if datasets.over || datasets.begun.contains_key(name) {
            return;
        }
        datasets.begun.insert(name.to_owned(), Some(Instant::now()));
        self.tell(Subject::Dataset, Moment::Start, |event| event.dataset(name));
    }

    /// A dataset was read, at this cost.
    pub fn dataset_ends(&self, name: &str, cost: &Cost) {
        if self.sink.is_none() {
            return;
        }
        let mut report = DatasetReport::new(name);
        (report.scans, report.rows) = (cost.scans, cost.rows);
        // Of text nobody counts.
        report.bytes_read = (cost.bytes > 0).then_some(cost.bytes);
        report.error.clone_from(&cost.error);
        let mut datasets = self.datasets.lock().unwrap_or_else(PoisonError::into_inner);
        if !datasets.over {
            self.dataset_ended(&mut datasets, &report);
        }
    }

    fn dataset_ended(&self, datasets: &mut Datasets, report: &DatasetReport) {
        let Some(since) = datasets.begun.get_mut(&report.name).and_then(Option::take) else {
            return;
        };
        let about = |event: Event| {
            let mut event = event
                .dataset(report.name.as_str())
                .with("duration_ms", since.elapsed().as_micros() as f64 / 1000.0)
                .with("scans", report.scans);
            if let Some(rows) = report.rows {
                event = event.with("rows", rows);
            }
            if let Some(bytes) = report.bytes_read {
                event = event.with("bytes_read", bytes);
            }
            event
        };
        match &report.error {
            None => self.tell(Subject::Dataset, Moment::End, |event| {
                about(event).outcome("read")
            }),
            Some(error) => self.tell(Subject::Dataset, Moment::Error, |event| {
                about(event).outcome("error").with("reason", error.as_str())
            }),
        }
    }

    /// The run did not begin, as `report` says.
    pub fn skipped(&self, report: &Report) {
        if self.sink.is_none() {
            return;
        }
        self.datasets_end(report);
        self.results(report);
        self.tell(Subject::Suite, Moment::Skip, |event| {
            let reason = report.run.interrupted.as_deref();
            let by = report.run.gate.as_deref();
            event
                .outcome("skipped")
                .with("reason", reason.unwrap_or_default())
                .with("gate", by.unwrap_or_default())
        });
    }

    /// The run ended, as `report` says.
    pub fn ends(&self, report: &Report) {
        if self.sink.is_none() {
            return;
        }
        self.datasets_end(report);
        self.results(report);
        let about = |event: Event| {
            let summary = report.summary;
            event
                .outcome(report.verdict.name())
                .with("duration_ms", report.run.duration_ms)
                .with("declared", summary.declared)
                .with("passed", summary.passed)
                .with("failed", summary.failed)
                .with("not_evaluated", summary.not_evaluated)
                .with("error", summary.error)
                .with("skipped", summary.skipped)
        };
        match &report.run.interrupted {
            None => self.tell(Subject::Suite, Moment::End, about),
            Some(reason) => self.tell(Subject::Suite, Moment::Error, |event| {
                about(event).with("reason", reason.as_str())
            }),
        }
    }

    /// Whatever is still open of the datasets ends, and those that were never read are told
    /// of as well.
    fn datasets_end(&self, report: &Report) {
        let mut datasets = self.datasets.lock().unwrap_or_else(PoisonError::into_inner);
        datasets.over = true;
        for dataset in &report.datasets {
            let name = dataset.name.as_str();
            match datasets.begun.get(name) {
                Some(None) => {}
                Some(Some(_)) => {
                    let mut dataset = dataset.clone();
                    dataset
                        .error
                        .get_or_insert("the run ended before it was read".to_owned());
                    self.dataset_ended(&mut datasets, &dataset);
                }
                None if dataset.error.is_some() => {
                    datasets.begun.insert(name.to_owned(), Some(Instant::now()));
                    self.tell(Subject::Dataset, Moment::Start, |event| event.dataset(name));
                    self.dataset_ended(&mut datasets, dataset);
                }
                None => self.tell(Subject::Dataset, Moment::Skip, |event| {
                    let reason = match report.run.interrupted {
                        Some(_) => "the run ended before it was read",
                        None => "nothing was to be read of it",
                    };
                    event.dataset(name).with("reason", reason)
                }),
            }
        }
    }

    /// Checks and assertions, in the order of the suite.
    fn results(&self, report: &Report) {
        const ALL: [Moment; 4] = [Moment::Start, Moment::End, Moment::Error, Moment::Skip];
        let of_checks = self.sink(Subject::Check, &ALL);
        let of_assertions = self.sink(Subject::Assertion, &ALL);
        let Some(sink) = of_checks.or(of_assertions) else {
            return;
        };
        let (of_checks, of_assertions) = (of_checks.is_some(), of_assertions.is_some());
        let mut events = Vec::new();
        for results in report.results.chunk_by(|a, b| a.check == b.check) {
            let check: Arc<str> = results[0].check.as_str().into();
            let about = |moment| self.event(Subject::Check, moment).check(Arc::clone(&check));
            let skipped = results
                .iter()
                .all(|result| result.status == Status::Skipped);
            if of_checks && !skipped {
                events.push(about(Moment::Start));
            }
            if of_assertions {
                for result in results {
                    self.assertion(&check, result, &mut events);
                }
            }
            if of_checks {
                events.push(checked(about, results, skipped));
            }
        }
        sink.emit(events);
    }

    fn assertion(&self, check: &Arc<str>, result: &AssertionResult, events: &mut Vec<Event>) {
        let (name, dataset): (Arc<str>, Arc<str>) = (
            result.assertion.as_str().into(),
            result.dataset.as_str().into(),
        );
        let about = |moment| {
            let mut event = self
                .event(Subject::Assertion, moment)
                .check(Arc::clone(check))
                .assertion(Arc::clone(&name))
                .dataset(Arc::clone(&dataset))
                .with("severity", result.severity.to_string());
            if let Some(group) = &result.group {
                event = event.with("group", group.clone());
            }
            event
        };
        let moment = match result.status {
            Status::Skipped => Moment::Skip,
            Status::Error => Moment::Error,
            _ => Moment::End,
        };
        if moment != Moment::Skip {
            events.push(about(Moment::Start));
        }
        let mut event = about(moment).outcome(result.status.name());
        let more: [(&str, Option<Value>); 4] = [
            ("actual", result.actual.clone()),
            ("expected", result.expected.as_deref().map(Value::from)),
            ("violations", result.violations.map(Value::from)),
            ("reason", result.reason.as_deref().map(Value::from)),
        ];
        for (name, value) in more {
            if let Some(value) = value {
                event = event.with(name, value);
            }
        }
        events.push(event);
    }
}

/// How a check ended: as badly as the worst of its assertions.
fn checked(about: impl Fn(Moment) -> Event, results: &[AssertionResult], skipped: bool) -> Event {
    let count = |status| results.iter().filter(|one| one.status == status).count();
    let worst = [
        Status::Error,
        Status::Failed,
        Status::NotEvaluated,
        Status::Passed,
    ];
    let worst = worst.into_iter().find(|&status| count(status) > 0);
    let moment = if skipped { Moment::Skip } else { Moment::End };
    let event = about(moment)
        .outcome(worst.unwrap_or(Status::Skipped).name())
        .with("assertions", results.len());
    match (skipped, &results[0].reason) {
        (true, Some(reason)) => event.with("reason", reason.as_str()),
        (true, None) => event,
        (false, _) => event
            .with("passed", count(Status::Passed))
            .with("failed", count(Status::Failed)),
    }
}
