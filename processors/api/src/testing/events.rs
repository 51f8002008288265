//! The events of a run, for tests of hooks.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::{AssertionResult, Event, EventRun, Moment, Report, Status, Subject, Timestamp};

/// The events of the run that gave `report`, from `suite.start` to `suite.end`, in order and
/// a millisecond apart. What happened to the report afterwards, its deliveries, is not
/// among them.
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
        let start = stream.event(Subject::Dataset, Moment::Start);
        stream.push(start.dataset(&*dataset.name));
        let end = match &dataset.error {
            Some(reason) => stream
                .event(Subject::Dataset, Moment::Error)
                .with("reason", reason.as_str()),
            None => stream
                .event(Subject::Dataset, Moment::End)
                .with("rows", dataset.rows),
        };
        stream.push(end.dataset(&*dataset.name));
    }
    let mut checks: Vec<&str> = Vec::new();
    for result in &report.results {
        if !checks.contains(&&*result.check) {
            checks.push(&result.check);
        }
    }
    for check in checks {
        let results = report.results.iter().filter(|one| one.check == check);
        stream.check(check, &results.collect::<Vec<_>>());
    }
    let end = match &run.interrupted {
        Some(reason) => stream
            .event(Subject::Suite, Moment::Error)
            .with("reason", reason.as_str()),
        None => stream.event(Subject::Suite, Moment::End),
    };
    stream.push(end.outcome(word(&report.verdict)));
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

    fn check(&mut self, check: &str, results: &[&AssertionResult]) {
        let start = self.event(Subject::Check, Moment::Start);
        self.push(start.check(check));
        for result in results {
            if result.status != Status::Skipped {
                self.assertion(result, Moment::Start);
            }
            self.assertion(
                result,
                match result.status {
                    Status::Error => Moment::Error,
                    Status::Skipped => Moment::Skip,
                    _ => Moment::End,
                },
            );
        }
        let end = self.event(Subject::Check, Moment::End);
        self.push(end.check(check).outcome(word(&worst(results))));
    }

    fn assertion(&mut self, result: &AssertionResult, moment: Moment) {
        let mut event = self
            .event(Subject::Assertion, moment)
            .dataset(&*result.dataset)
            .check(&*result.check)
            .assertion(&*result.assertion)
            .with("severity", result.severity.to_string());
        if moment != Moment::Start {
            event = event.outcome(word(&result.status));
            if let Some(actual) = &result.actual {
                event = event.with("actual", actual.clone());
            }
            if let Some(reason) = &result.reason {
                event = event.with("reason", reason.as_str());
            }
        }
        self.push(event);
    }
}

/// The status of a check, from those of its assertions.
fn worst(results: &[&AssertionResult]) -> Status {
    let order = [
        Status::Failed,
        Status::Error,
        Status::NotEvaluated,
        Status::Passed,
    ];
    let mut order = order.into_iter();
    let found = order.find(|status| results.iter().any(|result| result.status == *status));
    found.unwrap_or(Status::Skipped)
}

/// The word of the report's JSON for a status or a verdict.
fn word(status: &impl Serialize) -> String {
    let json = serde_json::to_value(status).unwrap_or_default();
    json.as_str().unwrap_or_default().to_owned()
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
            .error("keys", "min(x) > 0", "no column `x`")
            .not_evaluated("mean", "avg(x) > 0", "no rows")
            .interrupted("interrupted")
            .build();
        let lines: Vec<String> = events(&report)
            .iter()
            .filter(|event| event.outcome.is_some())
            .map(|event| {
                format!(
                    "{} {} {}",
                    event.name,
                    event.outcome.as_deref().unwrap_or_default(),
                    serde_json::Value::Object(event.metadata.clone())
                )
            })
            .collect();
        assert_eq!(
            lines,
            [
                r#"assertion.end failed {"severity":"P1","actual":0.98}"#,
                r#"assertion.error error {"severity":"P1","reason":"no column `x`"}"#,
                "check.end failed {}",
                r#"assertion.end not_evaluated {"severity":"P1","reason":"no rows"}"#,
                "check.end not_evaluated {}",
                r#"suite.error failed {"reason":"interrupted"}"#,
            ]
        );
    }
}
