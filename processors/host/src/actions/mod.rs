//! What plugins ask the host to do, done apart from everything else.

mod desk;
mod lane;
mod settings;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use uuid::Uuid;
use veracity_processor::{
    Action, ActionRecord, Event, EventRun, Kind, Level, Metric, Moment, Subject,
};

use crate::ground::Ground;
use crate::instance::Instance;
use crate::registry::Registry;
pub use desk::{Desk, Recorded};
use lane::{Job, Target};
pub use settings::ChannelSettings;

/// The most actions that one plugin may ask for in one run.
const MOST_ACTIONS: usize = 1_000;

/// Who asks for an action.
#[derive(Debug, Clone)]
pub struct Origin {
    /// What it is.
    pub kind: Kind,
    /// The name it is configured under.
    pub name: String,
    /// The delivery it belongs to.
    pub idempotency_key: Option<String>,
    /// The run it is about.
    pub run: Arc<EventRun>,
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
    /// What is under way, and what became of the rest.
    pub desk: Desk,
}

impl Ground {
    /// Does what `origin` asks for, or has it done; waits for nothing.
    pub fn act(self: &Arc<Self>, origin: &Origin, actions: Vec<Action>) {
        for action in actions {
            let number = match self.actions.desk.admit(&origin.name, MOST_ACTIONS) {
                Ok(number) => number,
                Err(first) => {
                    if first {
                        let error = format!("it asked for more than {MOST_ACTIONS} actions");
                        self.record(origin, self.failed(&action, None, 0, error), &action);
                    }
                    return;
                }
            };
            self.act_once(origin, action, number);
        }
    }

    fn act_once(self: &Arc<Self>, origin: &Origin, action: Action, number: usize) {
        let kind = action.kind();
        let target = match &action {
            Action::Log {
                level,
                message,
                fields,
            } => {
                let line = LogLine {
                    from: origin.name.clone(),
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
                    Err(error) => self.failed(&action, Some(metric.name.clone()), 1, error),
                };
                return self.record(origin, record, &action);
            }
            Action::Publish { channel, .. } => Target::Channel(channel.clone()),
            Action::Webhook(webhook) => Target::Url(webhook.url.clone()),
            Action::Notify { to, .. } => Target::Processor(to.clone()),
            other => {
                let error = "this program does not know the action".to_owned();
                return self.record(origin, self.failed(other, None, 0, error), other);
            }
        };
        let about = format!(
            "{}:{}:{}:{number}",
            origin.kind,
            origin.name,
            origin.idempotency_key.as_deref().unwrap_or_default()
        );
        let job = Job {
            origin: origin.clone(),
            action,
            target,
            idempotency_key: Uuid::new_v5(&origin.run.id, about.as_bytes()).to_string(),
        };
        lane::send(self, job);
    }

    fn failed(
        &self,
        action: &Action,
        target: Option<String>,
        attempts: u32,
        error: String,
    ) -> ActionRecord {
        let mut record = ActionRecord::done(action.kind());
        (record.target, record.attempts, record.error) = (target, attempts, Some(error));
        record
    }

    /// Writes down what became of an action, and tells the hooks; but not of each value of
    /// a metric.
    pub(crate) fn record(self: &Arc<Self>, origin: &Origin, record: ActionRecord, action: &Action) {
        if matches!(action, Action::Metric(_)) && record.error.is_none() {
            let origin = origin.clone();
            return self.actions.desk.record(Recorded { origin, record });
        }
        let moment = match record.error {
            None => Moment::End,
            Some(_) => Moment::Error,
        };
        self.tell(Subject::Action, moment, || {
            let mut event = Event::new(&origin.run, Subject::Action, moment)
                .processor(origin.name.as_str())
                .with("type", record.kind.to_string())
                .with("attempts", record.attempts);
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
            event
        });
        self.actions.desk.record(Recorded {
            origin: origin.clone(),
            record,
        });
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
