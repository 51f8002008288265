//! The recording host, held against plugins of every kind and manner.

mod kinds;
mod registered;

use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use super::faults::{Clock, Flaky};
use super::*;
use crate::{
    DeadLetter, Delivery, DeliveryStatus, Health, HealthStatus, Message, Outcome, ProcessContext,
    ProcessorError, Report, ResultProcessor, Stage, StartContext, State, async_trait,
};

/// A processor that does what its closure does, with the report.
struct Does<F>(F);

#[async_trait]
impl<F> ResultProcessor for Does<F>
where
    F: Fn(&Report, &ProcessContext) -> Result<Outcome, ProcessorError> + Send + Sync,
{
    async fn process(
        &self,
        report: &Report,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        (self.0)(report, context)
    }
}

fn does<F>(call: F) -> RecordingHost
where
    F: Fn(&Report, &ProcessContext) -> Result<Outcome, ProcessorError> + Send + Sync + 'static,
{
    RecordingHost::processor(Box::new(Does(call)))
}

fn report() -> Report {
    ReportBuilder::new("orders").failed("keys", "a = b").build()
}

/// The methods that were called, with the numbers of their attempts.
fn told(host: &RecordingHost) -> Vec<String> {
    let calls = host.calls().iter();
    calls
        .map(|call| format!("{} {}", call.method, call.attempt))
        .collect()
}

#[test]
fn retryable_errors_are_tried_again_under_one_key_without_sleeping() {
    let clock = Clock::at("2026-11-20T06:00:00Z");
    let seen = clock.clone();
    let times: Arc<Mutex<Vec<SystemTime>>> = Arc::default();
    let noted = Arc::clone(&times);
    let mut host = does(move |_, context| {
        noted.lock().unwrap().push(seen.now());
        match context.attempt {
            1 => Err(ProcessorError::retryable("busy")),
            2 => Err(ProcessorError::retryable("slow down").after(Duration::from_secs(30))),
            _ => Ok(Outcome::done()),
        }
    })
    .clock(&clock);
    let delivered = host.deliver(&report());
    assert_delivered(&delivered);
    assert_eq!(delivered.status, DeliveryStatus::Delivered);
    let waits = [Duration::from_millis(500), Duration::from_secs(30)];
    assert_eq!((delivered.attempts, &delivered.waits[..]), (3, &waits[..]));
    assert_eq!(
        told(&host),
        ["startup 1", "process 1", "process 2", "process 3"]
    );
    let calls: Vec<&Call> = host.calls_of("process").collect();
    assert_eq!(calls[0].idempotency_key, calls[2].idempotency_key);
    assert_eq!(calls[1].wait, Some(waits[1]));
    assert_eq!(calls[2].wait, None);
    assert_eq!(clock.to_string(), "2026-11-20T06:00:30.500000Z");
    let times = times.lock().unwrap();
    assert_eq!(times[2].duration_since(times[1]).unwrap(), waits[1]);
    drop(times);
    let other = ReportBuilder::new("orders").run(2).build();
    host.deliver(&other);
    let keys: Vec<&str> = host
        .calls_of("process")
        .map(|call| &*call.idempotency_key)
        .collect();
    assert_ne!(keys[0], keys[3], "another run has another key");
}

#[test]
fn what_does_not_help_is_deferred_and_goes_on_later() {
    let mut host =
        does(|_, context| Err(ProcessorError::retryable(format!("no {}", context.attempt))));
    let delivered = host.deliver(&report());
    assert_retryable(&delivered, "no 4");
    assert_eq!(delivered.status, DeliveryStatus::Deferred);
    assert_eq!(delivered.again_in, Some(Duration::from_secs(4)));
    assert_retryable(&host.deliver(&report()), "no 8");

    let mut impatient = does(|_, _| {
        let hour = Duration::from_secs(3600);
        Err(ProcessorError::retryable("come back tomorrow").after(hour))
    });
    let delivered = impatient.deliver(&report());
    assert_eq!((delivered.attempts, &delivered.waits[..]), (1, &[][..]));
    assert_eq!(delivered.again_in, Some(Duration::from_secs(15 * 60)));

    let mut once = does(|_, _| Err(ProcessorError::retryable("busy"))).retries(0);
    assert_eq!(once.deliver(&report()).attempts, 1);
}

#[test]
fn permanent_errors_panics_and_skips_are_final() {
    let mut refused = does(|_, _| Err(ProcessorError::permanent("unknown recipient")));
    let delivered = refused.deliver(&report());
    assert_permanent(&delivered, "unknown recipient");
    assert_eq!(
        (delivered.status, delivered.attempts),
        (DeliveryStatus::Dead, 1)
    );

    let mut panics = does(|_, _| panic!("no luck"));
    let delivered = panics.deliver(&report());
    assert_eq!(
        (delivered.status, delivered.attempts),
        (DeliveryStatus::Panicked, 1)
    );
    let message = "no luck".to_owned();
    assert_eq!(delivered.answer, Err(Fault::Panicked { message }));

    let mut skips = does(|_, _| Ok(Outcome::skipped("it is in the ledger")));
    let delivered = skips.deliver(&report());
    assert_skipped(&delivered, "ledger");
    assert_eq!(delivered.status, DeliveryStatus::Skipped);
}

/// Waits for ever, in the way its field says.
struct Waits {
    blocks: bool,
}

#[async_trait]
impl ResultProcessor for Waits {
    async fn process(
        &self,
        _: &Report,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        context.state.set("begun", true);
        if self.blocks {
            loop {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        std::future::pending().await
    }
}

#[test]
fn a_hang_ends_at_the_limit_and_only_one_that_blocks_is_not_called_again() {
    let limit = Duration::from_millis(50);
    for blocks in [false, true] {
        let mut host = RecordingHost::processor(Box::new(Waits { blocks })).limit(limit);
        let delivered = host.deliver(&report());
        assert_eq!(
            (delivered.status, delivered.attempts),
            (DeliveryStatus::Hung, 1)
        );
        assert_eq!(delivered.answer, Err(Fault::Hung { limit }));
        assert_eq!(host.state("orders")["begun"], true, "kept all the same");
        let again = host.deliver(&report()).answer.unwrap_err();
        assert_eq!(
            matches!(again, Fault::Unavailable { .. }),
            blocks,
            "{again}"
        );
    }
}

#[test]
fn the_state_goes_from_call_to_call_for_each_suite_by_itself() {
    let mut host = does(|_, context| {
        let seen = context.state.get("seen").and_then(|seen| seen.as_u64());
        context.state.set("seen", seen.unwrap_or(0) + 1);
        if context.attempt == 1 {
            return Err(ProcessorError::retryable("busy"));
        }
        Ok(Outcome::done())
    })
    .remembering("flights", "seen", 40);
    host.deliver(&report());
    assert_eq!(host.state("orders")["seen"], 2, "also after an error");
    host.deliver(&ReportBuilder::new("flights").build());
    assert_eq!(host.state("flights")["seen"], 42);
    assert_eq!(host.state("orders")["seen"], 2);
    assert_eq!(host.calls()[1].state["seen"], 1);

    let mut greedy = does(|_, context| {
        context.state.set("all", "x".repeat(State::MAX_BYTES));
        Ok(Outcome::done())
    })
    .remembering("orders", "before", 1);
    assert_delivered(&greedy.deliver(&report()));
    let error = greedy.calls()[1].state_error.as_deref();
    assert_eq!(
        error,
        Some("it is 65557 bytes of JSON; it may be 65536"),
        "it is told"
    );
    assert_eq!(greedy.state("orders")["before"], 1, "and not kept");
}

/// Opens something at the second attempt, and says what is asked of it.
#[derive(Default)]
struct Lives {
    starts: AtomicU32,
}

#[async_trait]
impl ResultProcessor for Lives {
    async fn startup(&self, context: &StartContext) -> Result<(), ProcessorError> {
        match self.starts.fetch_add(1, Ordering::Relaxed) {
            0 => Err(ProcessorError::retryable(format!(
                "{} is not up yet",
                context.instance
            ))),
            _ => Ok(()),
        }
    }

    async fn process(
        &self,
        report: &Report,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let told = format!("{} at {}", report.results.len(), context.stage);
        Ok(Outcome::done().with_note(told))
    }

    async fn notify(
        &self,
        message: &Message,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        self.process(&message.to_report(), context).await
    }

    async fn before_run(
        &self,
        run: &crate::Upcoming,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let stage = context.stage;
        Ok(Outcome::stop(format!("{} at {stage}", run.run.suite)))
    }

    async fn health(&self) -> Result<Health, ProcessorError> {
        Ok(Health::degraded("slow"))
    }

    async fn shutdown(&self) -> Result<(), ProcessorError> {
        Err(ProcessorError::permanent("it would not close"))
    }
}

#[test]
fn a_processor_is_called_at_every_stage_of_its_life() {
    let mut host = RecordingHost::processor(Box::new(Lives::default())).instance("lives");
    let delivered = host.deliver(&report());
    assert_eq!(delivered.attempts, 2, "the first did not start");
    let upcoming = UpcomingBuilder::new("orders").build();
    assert_stops(&host.before_run(&upcoming), "orders at before_run");
    let note = |delivered: Delivered| delivered.answer.unwrap().note.unwrap();
    let mut message = Message::new("look at this", report().run);
    message.lines = vec!["one".into(), "two".into()];
    assert_eq!(note(host.notify(&message)), "2 at after_run");
    let letter = DeadLetter::new(Delivery::new("email", DeliveryStatus::Dead), report());
    assert_eq!(note(host.dead_letter(&letter)), "1 at dead_letter");
    assert_eq!(host.health().unwrap().status, HealthStatus::Degraded);
    let error = host.shutdown().unwrap_err();
    assert_eq!(
        error,
        ProcessorError::permanent("it would not close").into()
    );
    let over = host.deliver(&report()).answer.unwrap_err();
    assert_eq!(over.to_string(), "it was shut down");
    let order = told(&host);
    assert_eq!(
        order,
        [
            "startup 1",
            "startup 1",
            "process 2",
            "before_run 1",
            "notify 1",
            "dead_letter 1",
            "health 1",
            "shutdown 1",
            "startup 1"
        ]
    );
    assert!(
        host.said().contains("lives is not up yet"),
        "{}",
        host.said()
    );
    let mut on_error = RecordingHost::processor(Box::new(Lives::default())).stage(Stage::OnError);
    assert_eq!(note(on_error.deliver(&report())), "1 at on_error");
}

#[test]
#[should_panic(expected = "`flush` is for a hook; this is a processor")]
fn a_call_that_is_for_another_kind_is_told() {
    let _ = does(|_, _| Ok(Outcome::done())).flush();
}

#[test]
fn a_processor_whose_disk_is_full_says_so() {
    let mut host = does(|report, _| {
        let mut disk = Flaky::new(Vec::new()).full_after(3);
        writeln!(disk, "{}", report.run.suite).map_err(|error| {
            ProcessorError::retryable(format!("cannot write: {}", error.kind()))
        })?;
        Ok(Outcome::done())
    })
    .retries(0);
    assert_retryable(&host.deliver(&report()), "cannot write: no storage space");
}

#[tokio::test]
async fn a_host_can_be_used_within_another_runtime() {
    let mut host = does(|_, _| Ok(Outcome::done()));
    assert_delivered(&host.deliver(&report()));
}

#[test]
fn hostile_reports_are_delivered_as_they_are() {
    let mut host = does(|report, _| Ok(Outcome::done().with_note(&*report.run.suite)));
    let hostile = hostile();
    let delivered = host.deliver(&hostile);
    assert_eq!(delivered.answer.unwrap().note, Some(hostile.run.suite));
}
