//! What carrying a report to processors that do nothing costs, and what finding plugins
//! costs. `cargo bench -p veracity-host`; the table is in `benches/README.md`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints and may panic"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use veracity_host::isolation::serve_if_worker;
use veracity_host::{Configuration, Host, Registry};
use veracity_processor::{
    ConfigError, Kind, Outcome, Plugin, ProcessContext, Processor, ProcessorError, Report,
    ResultProcessor, async_trait, register, sample_report,
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
