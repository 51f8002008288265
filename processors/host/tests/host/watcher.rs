//! Hooks that write down what they hear, and do what their configuration says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use veracity_processor::{
    ConfigError, Event, EventHook, Hook, Mode, Outcome, Plugin, ProcessContext, ProcessorError,
    StartContext, Subscription, Test, async_trait, register,
};

use crate::acts::{actions, does, jot};

/// What it does; nothing unusual where nothing stands.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Part {
    startup: String,
    handle: String,
    flush: String,
    shutdown: String,
    /// Where it writes down what it hears.
    heard: String,
    /// How long it blocks or waits, where it shall.
    millis: u64,
    /// Only its first calls misbehave, so many; all, if it is 0.
    times: u64,
    /// Whether it remembers how many events there were.
    counts: bool,
    /// What it remembers.
    set: BTreeMap<String, Value>,
    /// What it asks for whenever it hears something.
    actions: Vec<Value>,
    /// What it asks for when it is flushed.
    flush_actions: Vec<Value>,
}

pub struct Watcher {
    part: Part,
    calls: AtomicU64,
}

register!(
    Plugin::hook::<Watcher>("watcher", "1.0.0").description("Does what it is told, however bad")
);

register!(
    Plugin::hook::<Watcher>("guard", "1.0.0")
        .description("Wants what it wants")
        .subscribes(errors)
);

fn errors() -> Subscription {
    let mut subscription = Subscription::default();
    subscription.events = vec!["*.error".to_owned()];
    let is = Test::Is("P0".into());
    subscription.condition.insert("severity".to_owned(), is);
    (subscription.priority, subscription.mode) = (5, Mode::Synchronous);
    subscription
}

impl Hook for Watcher {
    type Config = Part;

    fn build(part: Part) -> Result<Self, ConfigError> {
        let calls = AtomicU64::new(0);
        Ok(Self { part, calls })
    }
}

#[async_trait]
impl EventHook for Watcher {
    async fn startup(&self, _: &StartContext) -> Result<(), ProcessorError> {
        does(&self.part.startup, self.part.millis).await
    }

    async fn handle(
        &self,
        events: &[Arc<Event>],
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let part = &self.part;
        jot(
            &part.heard,
            &json!({"hook": context.instance, "events": events.iter().map(|event| &**event).collect::<Vec<&Event>>()}),
        );
        if part.counts {
            let seen = context.state.get("seen").and_then(|seen| seen.as_u64());
            context
                .state
                .set("seen", seen.unwrap_or(0) + events.len() as u64);
        }
        for (name, value) in &part.set {
            context.state.set(name, value.clone());
        }
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        if part.times == 0 || call < part.times {
            does(&part.handle, part.millis).await?;
        }
        let mut outcome = Outcome::done();
        outcome.actions = actions(&part.actions);
        Ok(outcome)
    }

    async fn flush(&self, context: &ProcessContext) -> Result<Outcome, ProcessorError> {
        let part = &self.part;
        jot(
            &part.heard,
            &json!({"hook": context.instance, "flush": true}),
        );
        does(&part.flush, part.millis).await?;
        let mut outcome = Outcome::done();
        outcome.actions = actions(&part.flush_actions);
        Ok(outcome)
    }

    async fn shutdown(&self) -> Result<(), ProcessorError> {
        does(&self.part.shutdown, self.part.millis).await
    }
}
