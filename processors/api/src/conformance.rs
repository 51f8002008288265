//! Holds a processor to the contract.
//!
//! ```no_run
//! use veracity_processor::{Plugin, conformance};
//!
//! let plugin = Plugin::linked().find(|plugin| plugin.name() == "ledger");
//! let plugin = plugin.expect("the crate that registers it is linked");
//! let config = serde_json::json!({"path": "runs.txt"});
//! assert_eq!(conformance::check(plugin, &config), Vec::<String>::new());
//! ```

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use semver::{Version, VersionReq};
use serde_json::{Value, json};

use crate::{
    AssertionResult, Health, Kind, Outcome, OutcomeStatus, PLUGIN_API_VERSION, Plugin, PluginInfo,
    ProcessContext, ProcessorError, Report, ResultProcessor, Run, RunKey, StartContext, Status,
    Summary, Symbol, Verdict, sample_report,
};

/// How long any one call may take here.
const LIMIT: Duration = Duration::from_secs(30);

/// Everything in which the processor `plugin` breaks the contract, when it is configured
/// with `config`; nothing if it keeps to it.
///
/// `config` must point at something that works and may be written to: reports are
/// delivered. The plugin must describe itself fully, refuse settings it does not know,
/// build without a runtime, deliver every kind of report twice under one key, survive
/// hostile names and ten thousand failures, say that it is healthy, and shut down. No
/// call may panic, or take more than thirty seconds.
pub fn check(plugin: &Plugin, config: &Value) -> Vec<String> {
    let mut faults = Faults(Vec::new());
    let info = faults.guard("info", || plugin.info());
    if let Some(info) = info {
        described(&info, &mut faults);
        settings(plugin, &info, config, &mut faults);
    }
    if plugin.kind() == Kind::Processor {
        lives(plugin, config, &mut faults);
    }
    faults.0
}

/// What was found.
struct Faults(Vec<String>);

impl Faults {
    fn unless(&mut self, holds: bool, fault: impl Into<String>) {
        if !holds {
            self.0.push(fault.into());
        }
    }

    /// What `call` returns, unless it panics.
    fn guard<T>(&mut self, name: &str, call: impl FnOnce() -> T) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(call)) {
            Ok(value) => Some(value),
            Err(payload) => {
                // Dropping a foreign payload may panic again.
                std::mem::forget(payload);
                self.0.push(format!("`{name}` panics"));
                None
            }
        }
    }
}

fn described(info: &PluginInfo, faults: &mut Faults) {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    faults.unless(
        info.name.starts_with(|c: char| c.is_ascii_lowercase()) && info.name.chars().all(legal),
        format!(
            "name `{}` is not lower-case letters, digits, `-` and `_`",
            info.name
        ),
    );
    faults.unless(
        Version::parse(&info.version).is_ok(),
        format!("version `{}` is not semver", info.version),
    );
    let fits = VersionReq::parse(&info.requires_api)
        .ok()
        .zip(Version::parse(PLUGIN_API_VERSION).ok())
        .is_some_and(|(required, ours)| required.matches(&ours));
    faults.unless(
        fits,
        format!(
            "requires_api `{}` does not take {PLUGIN_API_VERSION}",
            info.requires_api
        ),
    );
    faults.unless(!info.description.is_empty(), "there is no description");
    faults.unless(
        !info.description.contains('\n'),
        "the description has several lines",
    );
    faults.unless(!info.author.is_empty(), "there is no author");
    faults.unless(!info.example_config.is_empty(), "there is no example");
}

fn settings(plugin: &Plugin, info: &PluginInfo, config: &Value, faults: &mut Faults) {
    let schema = &info.config_schema;
    faults.unless(schema["type"] == "object", "the config schema is no object");
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        faults.unless(
            property["description"].is_string(),
            format!("setting `{name}` has no description"),
        );
    }
    if plugin.kind() != Kind::Processor {
        return;
    }
    let mut build = |config: Value| {
        let built = faults.guard("build", || plugin.build_processor(config).err())?;
        Some(built.map(|error| error.to_string()))
    };
    let own = build(config.clone()).flatten();
    let mut odd = config.clone();
    odd["no_such_setting"] = json!(true);
    let unknown = build(odd);
    let kind = build(json!("a text"));
    if let Some(error) = own {
        faults.0.push(format!("build refuses the config: {error}"));
    }
    let refused = |built: &Option<Option<String>>| matches!(built, None | Some(Some(_)));
    faults.unless(refused(&unknown), "build takes a setting it does not know");
    faults.unless(refused(&kind), "build takes a text for settings");
}

/// Startup, reports of all kinds, health, shutdown.
fn lives(plugin: &Plugin, config: &Value, faults: &mut Faults) {
    let built = faults.guard("build", || plugin.build_processor(config.clone()));
    let Some(Ok(processor)) = built else { return };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else {
        return faults.0.push("no runtime could be made".to_owned());
    };
    let processor: &dyn ResultProcessor = &*processor;
    let mut call = Calls { runtime, faults };
    let start = StartContext::new("conformance", LIMIT);
    call.make("startup", processor.startup(&start));
    for (number, (label, report)) in reports().into_iter().enumerate() {
        let key = format!("00000000-0000-5000-8000-{number:012}");
        for attempt in 1..=2 {
            let mut context = ProcessContext::new("conformance", &key, LIMIT);
            (context.config.0, context.attempt) = (config.clone(), attempt);
            let name = format!("process of {label}, attempt {attempt}");
            if let Some(outcome) = call.make(&name, processor.process(&report, &context)) {
                call.faults.outcome(&name, &outcome);
            }
        }
    }
    let health: Option<Health> = call.make("health", processor.health());
    if let Some(health) = health {
        let healthy = health.status == crate::HealthStatus::Healthy;
        let fault = format!("it delivers, but its health is {health:?}");
        call.faults.unless(healthy, fault);
    }
    call.make("shutdown", processor.shutdown());
}

struct Calls<'f> {
    runtime: tokio::runtime::Runtime,
    faults: &'f mut Faults,
}

impl Calls<'_> {
    /// What `future` returns; a fault if it panics, fails or takes too long.
    fn make<T>(
        &mut self,
        name: &str,
        future: impl Future<Output = Result<T, ProcessorError>>,
    ) -> Option<T> {
        let runtime = &self.runtime;
        let ended = self.faults.guard(name, || {
            runtime.block_on(async { tokio::time::timeout(LIMIT, future).await })
        })?;
        match ended {
            Ok(Ok(value)) => return Some(value),
            Ok(Err(error)) => self.faults.0.push(format!("`{name}` fails: {error}")),
            Err(_) => self
                .faults
                .0
                .push(format!("`{name}` takes more than {LIMIT:?}")),
        }
        None
    }
}

impl Faults {
    fn outcome(&mut self, name: &str, outcome: &Outcome) {
        self.unless(
            outcome.status == OutcomeStatus::Done || outcome.reason.is_some(),
            format!("`{name}` ends with {:?} without a reason", outcome.status),
        );
    }
}

/// Reports that a processor may get.
fn reports() -> Vec<(&'static str, Report)> {
    vec![
        ("the sample report", sample_report()),
        (
            "a report that passed",
            of("passed", vec![result("a", Status::Passed)]),
        ),
        ("a report without results", of("empty", Vec::new())),
        ("hostile names", hostile()),
        (
            "ten thousand failures",
            of(
                "large",
                (0..10_000)
                    .map(|n| result(&format!("assertion {n}"), Status::Failed))
                    .collect(),
            ),
        ),
    ]
}

fn result(name: &str, status: Status) -> AssertionResult {
    AssertionResult {
        dataset: "d".into(),
        expression: "row_count() > 0".into(),
        status,
        ..AssertionResult::new("check", name)
    }
}

fn of(suite: &str, results: Vec<AssertionResult>) -> Report {
    let id = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, suite.as_bytes());
    let key = RunKey::new("2026-11-20", BTreeMap::new());
    let mut report = Report::new(Run::new(id, suite, key, "2026-11-20T06:00:00Z"));
    report.summary = Summary::of(&results);
    report.verdict = match &report.summary {
        summary if summary.failed > 0 => Verdict::Failed,
        summary if summary.passed > 0 => Verdict::Passed,
        _ => Verdict::NotEvaluated,
    };
    report.results = results;
    report
}

/// Names and values that mean something to some receiver.
pub const HOSTILE: &[&str] = &[
    "a\r\nBcc: everyone@example.org",
    "nul \0, bell \u{7}, escape \u{1b}[2J",
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "{{7*7}} ${7*7} {% raw %}",
    "'; drop table veracity_runs; --",
    "\\'; delete from veracity_results; --",
    "=cmd|' /C calc'!A0",
    "::stop-commands::x",
    "##vso[task.complete]",
    "<!channel> <@U123> *bold* `code`",
    "[link](javascript:alert(1))",
    "\u{202e}reversed\u{202c} \u{200b}",
    "\u{1f600}\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
    "../../../../etc/passwd",
    "%s%n%x",
];

/// A report all of whose texts are hostile.
pub fn hostile() -> Report {
    let long = "x".repeat(10_000);
    let names = HOSTILE.iter().copied().chain([long.as_str(), ""]);
    let results = names
        .map(|name| AssertionResult {
            dataset: name.into(),
            expression: name.into(),
            actual: Some(name.into()),
            expected: Some(name.into()),
            reason: Some(name.into()),
            tags: vec![name.into()],
            symbols: vec!["x_1".into()],
            status: Status::Failed,
            ..AssertionResult::new(name, name)
        })
        .collect();
    let mut report = of(HOSTILE[0], results);
    report
        .run
        .key
        .tags
        .insert(HOSTILE[2].into(), HOSTILE[0].into());
    for (number, name) in HOSTILE.iter().enumerate() {
        let mut symbol = Symbol::new(format!("x_{}", number + 1), *name, *name);
        symbol.value = Some(json!(name));
        symbol.error = Some((*name).to_owned());
        report.symbols.push(symbol);
        report.warnings.push((*name).to_owned());
    }
    report
}
