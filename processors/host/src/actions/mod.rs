//! What plugins ask the host to do, done apart from everything else.

mod desk;
mod lane;
mod settings;
mod strike;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use uuid::Uuid;
use veracity_processor::{
    Action, ActionKind, ActionRecord, Event, EventName, EventRun, Kind, Level, Metric, Moment,
    Subject,
};

use crate::attempt::clean;
use crate::ground::Ground;
use crate::instance::Instance;
use crate::registry::Registry;
pub use desk::{Desk, Recorded};
use lane::{Job, Target};
pub use settings::ChannelSettings;

/// The most actions that one plugin may ask for in one run, beside metrics.
const MOST_ACTIONS: usize = 1_000;
/// The most metrics that it may state in one run.
const MOST_STATED: usize = 10_000;
/// The most bytes of JSON that the fields of a line may take.
const MOST_FIELDS: usize = 16 * 1024;

/// Who asks for an action.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The plugin.
    pub instance: Arc<Instance>,
    /// The delivery it belongs to.
    pub idempotency_key: Option<String>,
    /// The run it is about.
    pub run: Arc<EventRun>,
}

impl Origin {
    /// The name it is configured under.
    pub fn name(&self) -> &str {
        &self.instance.name
    }

    /// A text of its own, harmless, and at most a line long.
    fn shown(&self, text: &str) -> String {
        let text = clean(&self.instance, text);
        match text.char_indices().nth(200) {
            Some((end, _)) => format!("{}..", &text[..end]),
            None => text,
        }
    }

    /// Itself, if it is a hook.
    fn hook(&self) -> Option<Arc<Instance>> {
        (self.instance.kind == Kind::Hook).then(|| Arc::clone(&self.instance))
    }
}

/// A line that a plugin asked to be logged.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LogLine {
    /// Who asked for it.
    pub from: String,
    /// How much it matters.
    pub level: Level,
    /// The line.
    pub message: String,
    /// Facts by name.
    pub fields: Map<String, Value>,
}

/// Where actions go.
#[derive(Debug, Default)]
pub struct Actions {
    /// The channels of the suite, by name.
    pub channels: BTreeMap<String, Arc<Instance>>,
    /// For requests to URLs that a plugin names itself.
    pub registry: Arc<Registry>,
    /// Settings of those requests.
    pub webhooks: Map<String, Value>,
    /// The folder that relative paths are relative to.
    pub base: PathBuf,
    /// Secrets of the whole suite.
    pub secrets: Vec<String>,
    /// What is under way, and what became of the rest.
    pub desk: Desk,
}

impl Ground {
    /// Does what `origin` asks for, or has it done; waits for nothing. Returns what those
    /// who watch are to be told of it by now.
    #[must_use]
    pub fn act(self: &Arc<Self>, origin: &Origin, actions: Vec<Action>) -> Vec<Event> {
        let mut events = Vec::new();
        for (index, action) in actions.into_iter().enumerate() {
            let most = match action.kind() {
                ActionKind::Metric => MOST_STATED,
                _ => MOST_ACTIONS,
            };
            match self.actions.desk.admit(origin, action.kind(), most) {
                Ok(number) => {
                    // What is delivered again asks again, and for the same.
                    let number = origin.idempotency_key.as_ref().map_or(number, |_| index);
                    events.extend(self.act_once(origin, action, number));
                }
                Err(first) if first => {
                    let what = match action.kind() {
                        ActionKind::Metric => "metrics",
                        _ => "actions",
                    };
                    let error = format!("it asked for more than {most} {what}");
                    let record = failed(&action, None, 0, error);
                    events.extend(self.record(origin, record, &action));
                }
                Err(_) => {}
            }
        }
        events
    }

    fn act_once(
        self: &Arc<Self>,
        origin: &Origin,
        mut action: Action,
        number: usize,
    ) -> Option<Event> {
        let kind = action.kind();
        strike::strike(&origin.instance.redactor, &mut action);
        let target = match &mut action {
            Action::Log {
                level,
                message,
                fields,
            } => {
                *message = clean(&origin.instance, message);
                *fields = harmless(&origin.instance, std::mem::take(fields));
                let line = LogLine {
                    from: origin.name().to_owned(),
                    level: *level,
                    message: message.clone(),
                    fields: fields.clone(),
                };
                self.actions.desk.log(line);
                return self.record(origin, ActionRecord::done(kind), &action);
            }
            Action::Metric(metric) => {
                let record = match self.actions.desk.state(metric.clone()) {
                    Ok(()) => ActionRecord::done(kind),
                    Err(error) => {
                        let name = origin.shown(&metric.name);
                        failed(&action, Some(name), 1, origin.shown(&error))
                    }
                };
                return self.record(origin, record, &action);
            }
            Action::Publish { channel, .. } => Target::Channel(channel.clone()),
            Action::Webhook(webhook) => Target::Url(webhook.url.clone()),
            Action::Notify { to, .. } => Target::Processor(to.clone()),
            other => {
                let error = "this program does not know the action".to_owned();
                return self.record(origin, failed(other, None, 0, error), other);
            }
        };
        let about = format!(
            "{}:{}:{}:{number}",
            origin.instance.kind,
            origin.name(),
            origin.idempotency_key.as_deref().unwrap_or_default()
        );
        let job = Job {
            origin: origin.clone(),
            action,
            target,
            idempotency_key: Uuid::new_v5(&origin.run.id, about.as_bytes()).to_string(),
        };
        lane::send(self, job)
    }

    /// Writes down what became of an action; what those who watch are to be told of it.
    fn record(&self, origin: &Origin, record: ActionRecord, action: &Action) -> Option<Event> {
        let event = self.told(origin, &record, action);
        self.actions.desk.record(Recorded {
            origin: origin.clone(),
            record,
        });
        event
    }

    fn told(&self, origin: &Origin, record: &ActionRecord, action: &Action) -> Option<Event> {
        let moment = match record.error {
            // A value is no event: hooks that count events state many of them.
            None if record.kind == ActionKind::Metric => return None,
            None => Moment::End,
            Some(_) => Moment::Error,
        };
        let mut event = self.event_of_action(origin, moment, record.kind, record.attempts)?;
        if let Some(target) = &record.target {
            event = event.with("target", target.as_str());
        }
        if let Some(error) = &record.error {
            event = event.with("reason", error.as_str());
        }
        if let Action::Log {
            level,
            message,
            fields,
        } = action
        {
            event = event
                .with("level", level.to_string())
                .with("message", message.as_str())
                .with("fields", Value::Object(fields.clone()));
        }
        Some(event)
    }

    /// An event about an action that `origin` asked for, if anybody wants it.
    fn event_of_action(
        &self,
        origin: &Origin,
        moment: Moment,
        kind: ActionKind,
        attempts: u32,
    ) -> Option<Event> {
        let subject = Subject::Action;
        self.is_wanted(EventName { subject, moment }).then(|| {
            Event::new(&origin.run, subject, moment)
                .processor(origin.name())
                .with("type", kind.to_string())
                .with("attempts", attempts)
        })
    }

    /// Waits until everything that was asked for is done, for at most `limit`.
    pub fn finish_actions(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            // Short, so that being asked to end is noticed.
            let left = self
                .stop
                .cut(deadline.saturating_duration_since(Instant::now()));
            if self
                .actions
                .desk
                .settle(left.min(Duration::from_millis(50)))
            {
                return true;
            }
            if left.is_zero() {
                return false;
            }
        }
    }

    /// What was measured so far.
    pub fn metrics(&self) -> Vec<Metric> {
        self.actions.desk.metrics()
    }
}

fn failed(action: &Action, target: Option<String>, attempts: u32, error: String) -> ActionRecord {
    let mut record = ActionRecord::done(action.kind());
    (record.target, record.attempts, record.error) = (target, attempts, Some(error));
    record
}

/// `fields` without secrets and control characters, unless they are too many.
fn harmless(instance: &Instance, fields: Map<String, Value>) -> Map<String, Value> {
    fn harmless(instance: &Instance, value: Value) -> Value {
        match value {
            Value::String(text) => clean(instance, &text).into(),
            Value::Array(items) => {
                let items = items.into_iter();
                items.map(|item| harmless(instance, item)).collect()
            }
            Value::Object(fields) => {
                let fields = fields.into_iter();
                let fields =
                    fields.map(|(name, value)| (clean(instance, &name), harmless(instance, value)));
                Value::Object(fields.collect())
            }
            plain => plain,
        }
    }
    let bytes = serde_json::to_string(&fields).map_or(usize::MAX, |json| json.len());
    if bytes > MOST_FIELDS {
        let told = format!("left out: {bytes} bytes, of {MOST_FIELDS} that they may take");
        return Map::from_iter([("fields".to_owned(), told.into())]);
    }
    match harmless(instance, Value::Object(fields)) {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
