//! What carrying a report to processors that do nothing costs, what telling hooks of every
//! event costs, and what finding plugins costs. `cargo bench -p veracity-host`; the table is in
//! `benches/README.md`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints and may panic"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;
use veracity_host::isolation::serve_if_worker;
use veracity_host::{Configuration, Host, Registry};
use veracity_processor::{
    ConfigError, Event, EventHook, EventRun, EventSink, Hook, Kind, Moment, Outcome, Plugin,
    ProcessContext, Processor, ProcessorError, Report, ResultProcessor, RunKey, Subject,
    async_trait, register, sample_report,
};

register!(Plugin::processor::<Nothing>("nothing", "1.0.0"));

/// Does nothing.
struct Nothing;

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {}

impl Processor for Nothing {
    type Config = Settings;

    fn build(_: Settings) -> Result<Self, ConfigError> {
        Ok(Self)
    }
}

#[async_trait]
impl ResultProcessor for Nothing {
    async fn process(&self, _: &Report, _: &ProcessContext) -> Result<Outcome, ProcessorError> {
        Ok(Outcome::done())
    }
}

register!(Plugin::hook::<Nothing>("deaf", "1.0.0"));

impl Hook for Nothing {
    type Config = Settings;

    fn build(_: Settings) -> Result<Self, ConfigError> {
        Ok(Self)
    }
}

#[async_trait]
impl EventHook for Nothing {
    async fn handle(
        &self,
        _: &[Arc<Event>],
        _: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        Ok(Outcome::done())
    }
}

/// A run that is short.
const RUN: Duration = Duration::from_millis(5);

fn main() {
    serve_if_worker();
    let report = sample_report();
    let whole = |count: usize, extra: Value| {
        let host = prepared(count, &extra);
        host.start();
        // The engine works meanwhile, for longer than this as a rule.
        std::thread::sleep(RUN);
        black_box(host.deliver(&report));
        host.shutdown();
    };
    // The first one pays for what a process pays once.
    whole(5, json!({}));
    let none = median(200, || whole(0, json!({})));
    let five = median(200, || whole(5, json!({})));
    tell(
        "a run with five processors against one with none",
        five.saturating_sub(none),
        "target 1 ms",
    );

    let only_prepared = median(200, || drop(black_box(prepared(5, &json!({})))));
    tell("  of which prepared", only_prepared, "");
    let started = median(200, || {
        let host = prepared(5, &json!({}));
        host.start();
        black_box(host.shutdown());
    });
    tell(
        "  of which started and ended",
        started.saturating_sub(only_prepared),
        "",
    );

    let host = prepared(5, &json!({}));
    host.start();
    host.deliver(&report);
    let fed = median(1000, || drop(black_box(host.deliver(&report))));
    tell(
        "one report to one of five running ones",
        fed / 5,
        "target 100 us",
    );
    host.shutdown();

    let process = median(20, || whole(1, json!({"isolation": "process"})));
    tell(
        "one in a process of its own, started and ended",
        process.saturating_sub(none),
        "target 50 ms",
    );

    hooks();

    let folder = tempfile::tempdir().unwrap();
    for number in 0..1000 {
        let plugin = folder.path().join(format!("p{number}"));
        std::fs::create_dir(&plugin).unwrap();
        let manifest = format!(
            "name: p{number}\nkind: processor\nversion: 1.0.0\ndescription: x\ncommand: [x]\n"
        );
        std::fs::write(plugin.join("plugin.yaml"), manifest).unwrap();
    }
    let discovered = || {
        let registry = Registry::linked().unwrap();
        registry.add_directory(folder.path());
        registry
    };
    tell(
        "1,000 plugins found",
        median(20, || drop(black_box(discovered()))),
        "target 50 ms",
    );
    let registry = discovered();
    let found = median(1000, || {
        drop(black_box(registry.get(Kind::Processor, "p777")))
    });
    tell("one of them looked up", found, "target 10 us");
}

/// What five hooks add to a run of 500 assertions, of which they get every event.
fn hooks() {
    let none = watched(&[], json!({}));
    tell("a run without hooks, telling and ending", none, "");
    let (queued, waited_for) = (["queued"; 5], ["synchronous"; 5]);
    let mixed = ["queued", "queued", "queued", "synchronous", "synchronous"];
    for (what, modes, settings) in [
        ("  five hooks that are queued add", queued, json!({})),
        (
            "  five hooks that are waited for add",
            waited_for,
            json!({}),
        ),
        ("  three and two add", mixed, json!({})),
        (
            "  five that are waited for, for each event, add",
            waited_for,
            json!({"batch": 1}),
        ),
    ] {
        let took = watched(&modes, settings).saturating_sub(none);
        tell(what, took, "target 4000 us: 1 % of a run");
    }
}

/// From the first event of a run until all hooks in `modes` have had all of them.
fn watched(modes: &[&str], settings: Value) -> Duration {
    let report = sample_report();
    let mut configuration = Configuration::default();
    configuration.suite = "bench".to_owned();
    for (number, mode) in modes.iter().enumerate() {
        let mut own = settings.clone();
        (own["use"], own["mode"]) = (json!("deaf"), json!(mode));
        configuration.hooks.push((format!("h{number}"), own));
    }
    let host = Host::prepare(configuration).unwrap();
    host.start();
    let took = median(100, || {
        if let Some(sink) = host.sink() {
            run(&*sink);
        }
        black_box(host.deliver(&report));
    });
    for record in host.hook_records() {
        assert_eq!((record.dropped, record.failed), (0, 0), "{record:?}");
        assert_eq!(record.handled, 100 * 1_112, "{record:?}");
    }
    host.shutdown();
    took
}

/// Tells `sink` of a run of 500 assertions in 50 checks of 5 datasets, as the engine does.
fn run(sink: &dyn EventSink) {
    let run = Arc::new(EventRun::new(Uuid::now_v7(), "bench", RunKey::default()));
    let event = |subject, moment| Event::new(&run, subject, moment);
    let tell = |event: Event| sink.emit(vec![event]);
    let datasets: Vec<Arc<str>> = (0..5).map(|n| format!("dataset{n}").into()).collect();
    tell(event(Subject::Suite, Moment::Start).with("assertions", 500));
    for dataset in &datasets {
        tell(event(Subject::Dataset, Moment::Start).dataset(Arc::clone(dataset)));
        let end = event(Subject::Dataset, Moment::End).dataset(Arc::clone(dataset));
        tell(end.with("rows", 1_000_000).with("duration_ms", 12.5));
    }
    let mut results = Vec::new();
    for check in 0..50 {
        let check: Arc<str> = format!("check{check}").into();
        results.push(event(Subject::Check, Moment::Start).check(Arc::clone(&check)));
        for assertion in 0..10 {
            let assertion: Arc<str> = format!("completeness(column{assertion}) = 1").into();
            for moment in [Moment::Start, Moment::End] {
                let about = event(Subject::Assertion, moment)
                    .check(Arc::clone(&check))
                    .assertion(Arc::clone(&assertion))
                    .dataset(Arc::clone(&datasets[0]))
                    .with("severity", "P1");
                results.push(match moment {
                    Moment::Start => about,
                    _ => about
                        .outcome("passed")
                        .with("actual", 1.0)
                        .with("expected", "= 1"),
                });
            }
        }
        let end = event(Subject::Check, Moment::End).check(Arc::clone(&check));
        results.push(end.outcome("passed").with("assertions", 10));
    }
    sink.emit(results);
    tell(event(Subject::Suite, Moment::End).outcome("passed"));
}

fn prepared(count: usize, settings: &Value) -> Host {
    let mut configuration = Configuration::default();
    configuration.suite = "bench".to_owned();
    for number in 0..count {
        let mut own = settings.clone();
        own["use"] = json!("nothing");
        configuration.processors.push((format!("n{number}"), own));
    }
    Host::prepare(configuration).unwrap()
}

fn median(rounds: usize, mut work: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..rounds)
        .map(|_| {
            let begun = Instant::now();
            work();
            begun.elapsed()
        })
        .collect();
    times.sort();
    times[rounds / 2]
}

fn tell(what: &str, took: Duration, target: &str) {
    println!(
        "{what:<52} {:>10.1} us   {target}",
        took.as_secs_f64() * 1e6
    );
}
