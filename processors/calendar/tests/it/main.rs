//! The calendar, as the host calls it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod closed;
mod settings;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;
use veracity_calendar as _;
use veracity_processor::{
    Outcome, OutcomeStatus, Plugin, ProcessContext, ProcessorError, Run, RunKey, Stage, Upcoming,
    conformance, sample_report,
};

fn plugin() -> &'static Plugin {
    Plugin::linked()
        .find(|plugin| plugin.name() == "calendar")
        .expect("the crate registers it")
}

fn context() -> ProcessContext {
    ProcessContext::new("calendar", Uuid::nil(), Duration::from_secs(60))
}

/// What a calendar with these settings says of a run that begins at `moment` and is about
/// data of `date`.
fn ask(config: &Value, moment: &str, date: &str) -> Result<Outcome, ProcessorError> {
    let processor = plugin().build_processor(config.clone()).unwrap();
    let key = RunKey::new(date, BTreeMap::new());
    let upcoming = Upcoming::new(Run::new(Uuid::nil(), "orders", key, moment));
    block_on(processor.before_run(&upcoming, &context()))
}

/// The reason for which a run that begins at `moment` is ended, if it is.
fn closed(config: &Value, moment: &str) -> Option<String> {
    let outcome = ask(config, moment, "2026-11-20").unwrap();
    match outcome.status {
        OutcomeStatus::Done => assert_eq!(outcome, Outcome::done()),
        status => assert_eq!(status, OutcomeStatus::Stop),
    }
    outcome.reason
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

/// The settings of the README.
fn whole() -> Value {
    json!({
        "timezone": "Europe/Berlin",
        "weekdays": ["mon", "tue", "wed", "thu", "fri"],
        "hours": {"from": "06:00", "until": "22:00"},
        "holidays": ["12-25", "12-26", "2026-04-03"],
        "maintenance": [
            {"from": "2026-12-01 20:00", "until": "2026-12-02 08:00", "reason": "storage upgrade"},
            {"weekdays": ["wed"], "from": "12:00", "until": "13:30", "reason": "backups"},
        ],
    })
}

#[test]
fn the_processor_keeps_to_the_contract() {
    assert_eq!(conformance::check(plugin(), &whole()), Vec::<String>::new());
    assert_eq!(
        conformance::check(plugin(), &json!({})),
        Vec::<String>::new()
    );
}

#[test]
fn it_is_asked_before_runs_and_has_nothing_to_do_with_reports() {
    assert_eq!(plugin().info().stages, [Stage::BeforeRun]);
    let processor = plugin().build_processor(whole()).unwrap();
    let outcome = block_on(processor.process(&sample_report(), &context())).unwrap();
    assert_eq!(outcome.status, OutcomeStatus::Skipped);
}
