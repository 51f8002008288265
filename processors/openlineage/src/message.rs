//! The events of a run: what they say.

use std::cmp::Reverse;

use veracity_processor::{Report, Status, Upcoming};

use crate::environment::Parent;
use crate::event::{EventType, Job, Run, RunEvent};
use crate::facets::{Facet, RunFacets, schema};
use crate::inputs::{Assertions, Inputs, Names};
use crate::ledger::OpenRun;
use crate::metrics::DataQualityMetrics;
use crate::results::{Assertion, Symbols, TestExecution, told};

/// What does not depend on the run.
#[derive(Debug)]
pub struct Messages {
    /// The namespace of the job.
    pub namespace: String,
    /// The run that started ours.
    pub parent: Option<Parent>,
    /// What datasets are called.
    pub names: Names,
    /// The most bytes of results in an event.
    pub max_bytes: usize,
}

impl Messages {
    /// That `upcoming` begins.
    pub fn start(&self, upcoming: &Upcoming) -> RunEvent {
        let run = &upcoming.run;
        let facets = RunFacets::of(run, self.parent.as_ref());
        let mut event = self.event(EventType::Start, run, &run.started_at, facets);
        let mut inputs = Inputs::default();
        for dataset in &upcoming.datasets {
            inputs.place(dataset, &self.names);
        }
        event.inputs = inputs.list;
        event
    }

    /// That `open` ended without a word, which was found when `upcoming` began.
    pub fn abandoned(&self, open: &OpenRun, upcoming: &Upcoming) -> RunEvent {
        let facets = RunFacets::default().with_error("the run ended without a report");
        let run = Run {
            run_id: open.run,
            facets,
        };
        let job = open.job.as_ref();
        let job = job.map_or_else(
            || Job::new(&self.namespace, &upcoming.run.suite),
            |job| Job::new(&job.namespace, &job.name),
        );
        let mut event = RunEvent::new(EventType::Abort, &upcoming.run.started_at, run, job);
        event.inputs = open.inputs();
        event
    }

    /// How the run of `report` ended; and how many of its results are left out, because
    /// there is no room for them.
    pub fn ended(&self, report: &Report) -> (RunEvent, usize) {
        let (event_type, error) = fate(report);
        let mut facets = RunFacets::of(&report.run, self.parent.as_ref());
        if let Some(error) = error {
            facets = facets.with_error(&error);
        }
        let mut inputs = Inputs::default();
        for dataset in &report.datasets {
            inputs.place(&dataset.name, &self.names);
        }
        let room = self.measure(report, &mut inputs);
        let omitted = self.judge(report, &mut inputs, &mut facets, room);
        let mut event = self.event(event_type, &report.run, &report.run.finished_at, facets);
        event.inputs = inputs.list;
        (event, omitted)
    }

    fn event(
        &self,
        event_type: EventType,
        run: &veracity_processor::Run,
        time: &str,
        facets: RunFacets,
    ) -> RunEvent {
        let job = Job::new(&self.namespace, &run.suite);
        let run = Run {
            run_id: run.id,
            facets,
        };
        RunEvent::new(event_type, time, run, job)
    }

    /// Adds metrics, and returns the room that is left for the rest.
    fn measure(&self, report: &Report, inputs: &mut Inputs) -> usize {
        let share = self.max_bytes / 4;
        let mut room = share;
        let mut metrics: Vec<DataQualityMetrics> = Vec::new();
        metrics.resize_with(inputs.list.len(), DataQualityMetrics::default);
        let symbols = report.symbols.iter();
        for symbol in symbols.filter(|symbol| !symbol.dataset.is_empty()) {
            let place = inputs.place(&symbol.dataset, &self.names);
            metrics.resize_with(inputs.list.len(), DataQualityMetrics::default);
            metrics[place].note(symbol, &mut room);
        }
        for dataset in &report.datasets {
            metrics[inputs.place(&dataset.name, &self.names)].note_dataset(dataset);
        }
        for (input, metrics) in inputs.list.iter_mut().zip(metrics) {
            if !metrics.is_empty() {
                let schema = schema!("1-0-3", "DataQualityMetricsInputDatasetFacet");
                input.facets.data_quality_metrics = Some(Facet::new(schema, metrics));
            }
        }
        self.max_bytes - (share - room)
    }

    /// Adds what became of assertions, as far as there is `room` in bytes: what failed
    /// before what passed, the severe before the less so.
    fn judge(
        &self,
        report: &Report,
        inputs: &mut Inputs,
        facets: &mut RunFacets,
        mut room: usize,
    ) -> usize {
        let symbols = Symbols::of(report);
        let mut order: Vec<usize> = (0..report.results.len()).collect();
        order.sort_by_key(|&at| {
            let result = &report.results[at];
            let rank = match result.status {
                Status::Failed | Status::Error => 0,
                Status::NotEvaluated => 1,
                Status::Passed => 2,
                _ => 3,
            };
            (rank, Reverse(result.severity), at)
        });
        let mut kept: Vec<(usize, TestExecution, Option<Assertion>)> = Vec::new();
        for at in order {
            let (test, assertion) = told(&report.results[at], &symbols);
            let Some(left) = room.checked_sub(size(&test) + size(&assertion)) else {
                break;
            };
            room = left;
            kept.push((at, test, assertion));
        }
        kept.sort_by_key(|(at, ..)| *at);
        let omitted = report.results.len() - kept.len();
        let mut tests = Vec::with_capacity(kept.len());
        for (at, test, assertion) in kept {
            tests.push(test);
            let dataset = &report.results[at].dataset;
            let Some(assertion) = assertion.filter(|_| !dataset.is_empty()) else {
                continue;
            };
            let place = inputs.place(dataset, &self.names);
            let facet = &mut inputs.list[place].facets.data_quality_assertions;
            let schema = schema!("1-1-0", "DataQualityAssertionsDatasetFacet");
            let facet = facet.get_or_insert_with(|| {
                let assertions = Vec::new();
                Facet::new(schema, Assertions { assertions })
            });
            facet.body.assertions.push(assertion);
        }
        if !report.results.is_empty() {
            *facets = std::mem::take(facets).with_tests(tests, omitted);
        }
        omitted
    }
}

/// Bytes of `value` as JSON.
fn size(value: &impl serde::Serialize) -> usize {
    // A comma more than the text itself.
    serde_json::to_vec(value).map_or(usize::MAX / 4, |text| text.len() + 1)
}

/// How the run of `report` ended, and why if it did not come to its end. That assertions
/// failed is no failure of the run.
fn fate(report: &Report) -> (EventType, Option<String>) {
    if let Some(reason) = &report.run.interrupted {
        return (EventType::Abort, Some(reason.clone()));
    }
    let summary = &report.summary;
    if summary.passed + summary.failed > 0 {
        return (EventType::Complete, None);
    }
    let datasets = report.datasets.iter();
    let unreadable = datasets.filter_map(|dataset| dataset.error.as_ref()).next();
    if unreadable.is_none() && summary.error + summary.not_evaluated == 0 {
        // There was nothing to do.
        return (EventType::Complete, None);
    }
    let open = |status| {
        let mut results = report.results.iter();
        let first = results.find(|result| result.status == status && result.reason.is_some());
        first.and_then(|result| result.reason.as_ref())
    };
    let reason = unreadable
        .or_else(|| open(Status::Error))
        .or_else(|| open(Status::NotEvaluated));
    let reason = reason.map_or("nothing could be evaluated", String::as_str);
    (EventType::Fail, Some(reason.to_owned()))
}

#[cfg(test)]
mod tests {
    use veracity_processor::{DatasetReport, sample_report};

    use super::*;

    #[test]
    fn a_run_fails_only_if_nothing_could_be_evaluated() {
        let report = |summary: [u64; 5]| {
            let mut report = sample_report();
            report.datasets = vec![DatasetReport::new("t")];
            report
                .results
                .retain(|result| result.status != Status::Failed);
            let [passed, failed, not_evaluated, error, skipped] = summary;
            let counts = &mut report.summary;
            counts.declared = summary.iter().sum();
            (counts.passed, counts.failed) = (passed, failed);
            (counts.not_evaluated, counts.error) = (not_evaluated, error);
            counts.skipped = skipped;
            report
        };
        let mut interrupted = report([1, 0, 0, 0, 9]);
        interrupted.run.interrupted = Some("interrupted".into());
        let mut unreadable = report([0, 0, 0, 0, 0]);
        unreadable.datasets[0].error = Some("end of file".into());
        let mut half = report([1, 0, 0, 1, 0]);
        half.datasets[0].error = Some("end of file".into());
        let no_column = "flights has no column `tailnm`, did you mean `tailnum`?";
        let cases = [
            (
                "all passed",
                report([3, 0, 0, 0, 0]),
                EventType::Complete,
                None,
            ),
            (
                "one failed",
                report([0, 1, 0, 5, 0]),
                EventType::Complete,
                None,
            ),
            (
                "nothing declared",
                report([0; 5]),
                EventType::Complete,
                None,
            ),
            (
                "all skipped",
                report([0, 0, 0, 0, 2]),
                EventType::Complete,
                None,
            ),
            ("one of two in error", half, EventType::Complete, None),
            (
                "all in error",
                report([0, 0, 0, 3, 0]),
                EventType::Fail,
                Some(no_column),
            ),
            (
                "no data",
                report([0, 0, 2, 0, 1]),
                EventType::Fail,
                Some(no_column),
            ),
            (
                "unreadable",
                unreadable,
                EventType::Fail,
                Some("end of file"),
            ),
            (
                "interrupted",
                interrupted,
                EventType::Abort,
                Some("interrupted"),
            ),
        ];
        for (label, report, event_type, error) in cases {
            let (found, reason) = fate(&report);
            assert_eq!((found, reason.as_deref()), (event_type, error), "{label}");
        }
    }
}
