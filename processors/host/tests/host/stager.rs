//! Processors that serve several stages, do there what their configuration says, and write
//! down how they were called.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use veracity_processor::{
    Capability, Conditions, ConfigError, DeadLetter, Message, Outcome, Plugin, ProcessContext,
    Processor, ProcessorError, Report, ResultProcessor, Stage, StartContext, Upcoming, async_trait,
    register,
};

use crate::acts::{actions, does, jot, told, wait_for};

/// What it does; nothing unusual where nothing stands.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Part {
    startup: String,
    before_run: String,
    process: String,
    notify: String,
    dead_letter: String,
    shutdown: String,
    /// Where it writes down how it is called.
    calls: String,
    /// How long it blocks or waits, where it shall.
    millis: u64,
    /// Attempts before this one fail for now.
    until: u32,
    /// A call waits until this file is there.
    awaits: String,
    /// A call to deliver fails for now while this file is not there.
    needs: String,
    /// What it remembers.
    set: BTreeMap<String, Value>,
    /// What it asks for in `process`.
    actions: Vec<Value>,
    /// What it asks for before the run.
    gate_actions: Vec<Value>,
    /// What it writes into its standard error, its logs and the names of channels.
    password: Option<veracity_processor::Secret>,
}

pub struct Stager(Part);

const ALL: &[Stage] = &[
    Stage::AfterRun,
    Stage::BeforeRun,
    Stage::OnError,
    Stage::DeadLetter,
];

register!(
    Plugin::processor::<Stager>("stager", "1.0.0")
        .description("Serves every stage")
        .stages(ALL)
        .capabilities(&[Capability::Messages])
);

register!(
    Plugin::processor::<Stager>("watchful", "1.0.0")
        .description("Serves every stage and sees everything")
        .stages(ALL)
        .capabilities(&[Capability::RawRows, Capability::Metrics])
);

register!(
    Plugin::processor::<Stager>("gatekeeper", "1.0.0")
        .description("Serves before runs of `orders*`")
        .stages(&[Stage::BeforeRun])
        .conditions(of_orders)
);

register!(
    Plugin::processor::<Stager>("undertaker", "1.0.0")
        .description("Reads about what was given up")
        .stages(&[Stage::DeadLetter])
);

fn of_orders() -> Conditions {
    Conditions {
        suites: vec!["orders*".to_owned()],
        ..Conditions::default()
    }
}

impl Processor for Stager {
    type Config = Part;

    fn build(part: Part) -> Result<Self, ConfigError> {
        Ok(Self(part))
    }
}

impl Stager {
    /// Does `what`, after it has written down how it was called.
    async fn play(
        &self,
        what: &str,
        mut called: Value,
        more: Value,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let part = &self.0;
        for (name, value) in more.as_object().unwrap() {
            called[name] = value.clone();
        }
        jot(&part.calls, &called);
        wait_for(&part.awaits).await;
        for (name, value) in &part.set {
            context.state.set(name, value.clone());
        }
        if context.attempt < part.until {
            return Err(ProcessorError::retryable("not yet"));
        }
        if !part.needs.is_empty() && !std::path::Path::new(&part.needs).exists() {
            return Err(ProcessorError::retryable("the other side is down"));
        }
        if let Some(reason) = what.strip_prefix("stop: ") {
            return Ok(Outcome::stop(reason));
        }
        if let Some(note) = what.strip_prefix("note: ") {
            return Ok(Outcome::done().with_note(note));
        }
        match what {
            "stop" => return Ok(Outcome::stop("enough")),
            "skip" => return Ok(Outcome::skipped("not my day")),
            "tell the password" => {
                let secret = part.password.as_ref().unwrap().expose();
                return Ok(Outcome::stop(secret));
            }
            "log the password" => {
                let secret = part.password.as_ref().unwrap().expose().to_owned();
                let text = format!("it is {secret}\r\n::error::x\u{1b}[2J");
                let asked = [
                    json!({"type": "log", "level": "warn", "message": text,
                        "fields": {"of": secret, "list": [secret], "n": 1}}),
                    json!({"type": "publish", "channel": secret, "message": 1}),
                    json!({"type": "notify", "to": format!("x\n{secret}"),
                        "message": {"id": uuid::Uuid::nil(), "title": "t",
                            "run": veracity_processor::sample_report().run}}),
                ];
                let mut outcome = Outcome::done();
                outcome.actions = actions(&asked);
                return Ok(outcome);
            }
            _ => does(what, part.millis).await?,
        }
        Ok(Outcome::done())
    }
}

#[async_trait]
impl ResultProcessor for Stager {
    async fn startup(&self, _: &StartContext) -> Result<(), ProcessorError> {
        does(&self.0.startup, self.0.millis).await
    }

    async fn before_run(
        &self,
        run: &Upcoming,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let part = &self.0;
        let called = told("before_run", context);
        let more = json!({"run": run.run.id, "datasets": run.datasets, "tags": run.tags});
        let mut outcome = self.play(&part.before_run, called, more, context).await?;
        outcome.actions.extend(actions(&part.gate_actions));
        Ok(outcome)
    }

    async fn process(
        &self,
        report: &Report,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let part = &self.0;
        let called = told("process", context);
        let datasets = report.results.iter().map(|result| result.dataset.as_str());
        let more = json!({"run": report.run.id, "samples": samples(report),
            "datasets": datasets.collect::<std::collections::BTreeSet<&str>>()});
        let mut outcome = self.play(&part.process, called, more, context).await?;
        outcome.actions.extend(actions(&part.actions));
        Ok(outcome)
    }

    async fn notify(
        &self,
        message: &Message,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let called = told("notify", context);
        let more = json!({"run": message.run.id, "title": message.title});
        self.play(&self.0.notify, called, more, context).await
    }

    async fn dead_letter(
        &self,
        letter: &DeadLetter,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let called = told("dead_letter", context);
        let delivery = &letter.delivery;
        let more = json!({"run": letter.report.run.id, "samples": samples(&letter.report),
            "dead": delivery.processor, "attempts": delivery.attempts, "error": delivery.error});
        let what = &self.0.dead_letter;
        self.play(what, called, more, context).await
    }

    async fn shutdown(&self) -> Result<(), ProcessorError> {
        does(&self.0.shutdown, self.0.millis).await
    }
}

/// How many results show rows.
fn samples(report: &Report) -> usize {
    let shows = |result: &&veracity_processor::AssertionResult| !result.sample.is_empty();
    report.results.iter().filter(shows).count()
}
