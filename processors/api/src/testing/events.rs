//! The events of a run, for tests of hooks.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::{
    AssertionResult, DatasetReport, Event, EventRun, Moment, Report, Status, Subject, Timestamp,
};

/// The events of the run that gave `report`, from `suite.start` to `suite.end`, in order and
/// a millisecond apart, as the engine tells them. What happened to the report afterwards,
/// its deliveries, is not among them.
///
/// ```
/// use veracity_processor::testing::{ReportBuilder, events};
///
/// let report = ReportBuilder::new("orders").failed("keys", "uniqueness(id) = 1").build();
/// let names: Vec<String> = events(&report).iter().map(|event| event.name.to_string()).collect();
/// assert_eq!(
///     names,
///     [
///         "suite.start", "dataset.start", "dataset.end", "check.start", "assertion.start",
///         "assertion.end", "check.end", "suite.end",
///     ]
/// );
/// ```
pub fn events(report: &Report) -> Vec<Arc<Event>> {
    let run = &report.run;
    let began = humantime::parse_rfc3339(&run.started_at).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut stream = Stream {
        run: Arc::new(EventRun::new(run.id, &*run.suite, run.key.clone())),
        began,
        events: Vec::new(),
    };
    let start = stream.event(Subject::Suite, Moment::Start);
    stream.push(start.with("assertions", report.summary.declared));
    for dataset in &report.datasets {
        stream.dataset(dataset);
    }
    for results in report.results.chunk_by(|a, b| a.check == b.check) {
        stream.check(results);
    }
    stream.end(report);
    stream.events
}

struct Stream {
    run: Arc<EventRun>,
    began: SystemTime,
    events: Vec<Arc<Event>>,
}

impl Stream {
    fn event(&self, subject: Subject, moment: Moment) -> Event {
        Event::new(&self.run, subject, moment)
    }

    fn push(&mut self, mut event: Event) {
        let number = u64::try_from(self.events.len()).unwrap_or(u64::MAX);
        event.elapsed = Duration::from_millis(number);
        event.time = Timestamp::from(self.began + event.elapsed);
        self.events.push(Arc::new(event));
    }

    fn dataset(&mut self, dataset: &DatasetReport) {
        let start = self.event(Subject::Dataset, Moment::Start);
        self.push(start.dataset(&*dataset.name));
        let end = match &dataset.error {
            Some(reason) => {
                let error = self.event(Subject::Dataset, Moment::Error);
                error.outcome("error").with("reason", reason.as_str())
            }
            None => self.event(Subject::Dataset, Moment::End).outcome("read"),
        };
        let end = end
            .dataset(&*dataset.name)
            .with("duration_ms", 1.0)
            .with("scans", dataset.scans);
        self.push(with_some(end, "rows", dataset.rows.map(Value::from)));
    }

    fn check(&mut self, results: &[AssertionResult]) {
        let check = &*results[0].check;
        let count = |status| results.iter().filter(|one| one.status == status).count();
        let is_skipped = count(Status::Skipped) == results.len();
        if !is_skipped {
            let start = self.event(Subject::Check, Moment::Start);
            self.push(start.check(check));
        }
        for result in results {
            self.assertion(result);
        }
        let moment = if is_skipped {
            Moment::Skip
        } else {
            Moment::End
        };
        let end = self
            .event(Subject::Check, moment)
            .check(check)
            .outcome(worst(results).name())
            .with("assertions", results.len());
        self.push(match is_skipped {
            true => with_some(end, "reason", results[0].reason.as_deref().map(Value::from)),
            false => end
                .with("passed", count(Status::Passed))
                .with("failed", count(Status::Failed)),
        });
    }

    fn assertion(&mut self, result: &AssertionResult) {
        let about = |stream: &Self, moment| {
            let event = stream
                .event(Subject::Assertion, moment)
                .dataset(&*result.dataset)
                .check(&*result.check)
                .assertion(&*result.assertion)
                .with("severity", result.severity.to_string());
            with_some(event, "group", result.group.clone())
        };
        let moment = match result.status {
            Status::Error => Moment::Error,
            Status::Skipped => Moment::Skip,
            _ => Moment::End,
        };
        if moment != Moment::Skip {
            self.push(about(self, Moment::Start));
        }
        let mut event = about(self, moment).outcome(result.status.name());
        let text = |text: &Option<String>| text.as_deref().map(Value::from);
        event = with_some(event, "actual", result.actual.clone());
        event = with_some(event, "expected", text(&result.expected));
        event = with_some(event, "violations", result.violations.map(Value::from));
        self.push(with_some(event, "reason", text(&result.reason)));
    }

    fn end(&mut self, report: &Report) {
        let (run, summary) = (&report.run, report.summary);
        let reason = run.interrupted.as_deref();
        if let Some(gate) = &run.gate {
            let skip = self.event(Subject::Suite, Moment::Skip).outcome("skipped");
            let skip = skip.with("reason", reason.unwrap_or_default());
            return self.push(skip.with("gate", gate.as_str()));
        }
        let moment = match reason {
            Some(_) => Moment::Error,
            None => Moment::End,
        };
        let end = self
            .event(Subject::Suite, moment)
            .outcome(report.verdict.name())
            .with("duration_ms", run.duration_ms)
            .with("declared", summary.declared)
            .with("passed", summary.passed)
            .with("failed", summary.failed)
            .with("not_evaluated", summary.not_evaluated)
            .with("error", summary.error)
            .with("skipped", summary.skipped);
        self.push(with_some(end, "reason", reason.map(Value::from)));
    }
}

fn with_some(event: Event, name: &str, value: Option<Value>) -> Event {
    match value {
        Some(value) => event.with(name, value),
        None => event,
    }
}

/// The status of a check, from those of its assertions.
fn worst(results: &[AssertionResult]) -> Status {
    let order = [
        Status::Error,
        Status::Failed,
        Status::NotEvaluated,
        Status::Passed,
    ];
    let mut order = order.into_iter();
    let found = order.find(|status| results.iter().any(|result| result.status == *status));
    found.unwrap_or(Status::Skipped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample_report;
    use crate::testing::ReportBuilder;

    #[test]
    fn every_start_has_one_end_and_what_is_skipped_has_no_start() {
        for report in [
            sample_report(),
            ReportBuilder::new("empty").build(),
            ReportBuilder::new("cut")
                .skipped("a", "b", "filtered out")
                .failed("a", "c")
                .interrupted("interrupted")
                .build(),
            ReportBuilder::new("left out")
                .skipped("a", "b", "filtered out")
                .build(),
        ] {
            let events = events(&report);
            let mut open = Vec::new();
            for event in &events {
                let of = (
                    event.name.subject,
                    event.dataset.clone(),
                    event.check.clone(),
                    event.assertion.clone(),
                );
                match event.name.moment {
                    Moment::Start => open.push(of),
                    Moment::Skip => assert!(!open.contains(&of), "{event:?}"),
                    _ => assert_eq!(open.pop(), Some(of), "{event:?}"),
                }
            }
            assert_eq!(open, [], "{}", report.run.suite);
            let of_assertions = events.iter().filter(|event| {
                event.name.subject == Subject::Assertion && event.name.moment != Moment::Start
            });
            assert_eq!(of_assertions.count(), report.results.len());
        }
    }

    #[test]
    fn an_end_says_what_the_report_says() {
        let report = ReportBuilder::new("orders")
            .failed("keys", "uniqueness(id) = 1")
            .actual(0.98)
            .expected("= 1")
            .error("keys", "min(x) > 0", "no column `x`")
            .not_evaluated("mean", "avg(x) > 0", "no rows")
            .interrupted("interrupted")
            .build();
        let told = |event: &Arc<Event>| {
            let outcome = event.outcome.as_deref()?;
            let more = Value::Object(event.metadata.clone());
            Some(format!("{} {outcome} {more}", event.name))
        };
        let lines: Vec<String> = events(&report).iter().filter_map(told).collect();
        assert_eq!(
            lines,
            [
                r#"dataset.end read {"duration_ms":1.0,"scans":0}"#,
                r#"assertion.end failed {"severity":"P1","actual":0.98,"expected":"= 1"}"#,
                r#"assertion.error error {"severity":"P1","reason":"no column `x`"}"#,
                r#"check.end error {"assertions":2,"passed":0,"failed":1}"#,
                r#"assertion.end not_evaluated {"severity":"P1","reason":"no rows"}"#,
                r#"check.end not_evaluated {"assertions":1,"passed":0,"failed":0}"#,
                r#"suite.error failed {"duration_ms":100,"declared":3,"passed":0,"failed":1,"not_evaluated":1,"error":1,"skipped":0,"reason":"interrupted"}"#,
            ]
        );
    }
}
