//! Tells people about events.

mod gathered;
mod title;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use schemars::JsonSchema;
use serde::Deserialize;
use veracity_processor::{
    Action, ConfigError, Event, EventHook, EventRun, FieldError, Hook, Message, Outcome, Plugin,
    ProcessContext, ProcessorError, Run, Subscription, Timestamp, async_trait, register,
};

use self::gathered::{Gathered, Memory, is_own};
use self::title::{Place, Title};
use crate::words::clipped;

register!(
    Plugin::hook::<Notify>("notify", env!("CARGO_PKG_VERSION"))
        .description("Tells people about events through a processor, not too often")
        .author("the veracity authors")
        .subscribes(subscription)
        .example("notify: {to: oncall, every: 10m}")
);

fn subscription() -> Subscription {
    let mut subscription = Subscription::default();
    subscription.events = ["delivery.dead", "*.error"].map(str::to_owned).to_vec();
    subscription
}

/// The most lines that may be asked for; what is held back has room in the state then.
const MOST_LINES: usize = 40;
/// The most characters of a title.
const MOST_OF_TITLE: usize = 200;

/// Settings of the `notify` hook.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotifySettings {
    /// The name under which the processor is configured that tells people.
    #[schemars(length(min = 1), extend("format" = "messages"))]
    pub to: String,
    /// The title of messages, with places for facts: `{suite}`, `{date}`, `{run}`, `{count}`,
    /// `{events}`. Default: `{suite}: {events}`.
    #[serde(default)]
    pub title: Option<String>,
    /// How long nothing more is told after a message about the same suite, except by the run
    /// that sent it. What is held back is told with the next message.
    #[serde(default = "default_every")]
    pub every: String,
    /// Whether the events of a run are gathered and told in one message at its end. If not,
    /// they are told as they happen.
    #[serde(default = "yes")]
    pub digest: bool,
    /// Whether the first event of a run is told at once even if the rest is gathered.
    #[serde(default)]
    pub immediate: bool,
    /// The most lines of a message, one an event; the others are counted.
    #[serde(default = "default_max_lines")]
    #[schemars(range(min = 1, max = MOST_LINES))]
    pub max_lines: usize,
}

fn default_every() -> String {
    "1m".to_owned()
}

fn yes() -> bool {
    true
}

fn default_max_lines() -> usize {
    20
}

/// Says what time it is.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Tells people about events.
pub struct Notify {
    to: String,
    title: Title,
    every: Duration,
    digest: bool,
    immediate: bool,
    max_lines: usize,
    clock: Clock,
    waiting: Mutex<Option<Waiting>>,
}

/// What was gathered in a run.
struct Waiting {
    run: Arc<EventRun>,
    /// When the run began.
    began: Timestamp,
    gathered: Gathered,
}

impl Hook for Notify {
    type Config = NotifySettings;

    fn build(settings: NotifySettings) -> Result<Self, ConfigError> {
        Self::with_clock(settings, Arc::new(SystemTime::now))
    }
}

impl Notify {
    /// The hook, told by `clock` what time it is.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the settings.
    pub fn with_clock(settings: NotifySettings, clock: Clock) -> Result<Self, ConfigError> {
        let mut errors = Vec::new();
        if settings.to.is_empty() {
            let message = "the name of a processor is wanted";
            errors.push(FieldError::new("/to", message));
        }
        let template = settings.title.as_deref().unwrap_or("{suite}: {events}");
        let title = Title::read(template).map_err(|error| FieldError::new("/title", error));
        let every = humantime::parse_duration(&settings.every).map_err(|error| {
            let every = &settings.every;
            let message = format!("`{every}` is no duration such as `10m`: {error}");
            FieldError::new("/every", message)
        });
        if !(1..=MOST_LINES).contains(&settings.max_lines) {
            let message = format!("must be at least 1 and at most {MOST_LINES}");
            errors.push(FieldError::new("/max_lines", message));
        }
        match (title, every) {
            (Ok(title), Ok(every)) if errors.is_empty() => Ok(Self {
                to: settings.to,
                title,
                every,
                digest: settings.digest,
                immediate: settings.immediate,
                max_lines: settings.max_lines,
                clock,
                waiting: Mutex::default(),
            }),
            (title, every) => {
                errors.extend(title.err().into_iter().chain(every.err()));
                Err(ConfigError(errors))
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Option<Waiting>> {
        // What is gathered is whole even if a thread panicked while it held the lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gather(&self, waiting: &mut Option<Waiting>, event: &Event) {
        let waiting = waiting.get_or_insert_with(|| Waiting {
            run: Arc::clone(&event.run),
            began: event.time,
            gathered: Gathered::since(event),
        });
        // The newest run is the one that a message is about.
        waiting.run = Arc::clone(&event.run);
        waiting.began = began(event);
        waiting.gathered.add(event, self.max_lines);
    }

    /// The message about what `waiting` gathered and what `memory` held back.
    fn message(&self, waiting: Waiting, memory: &Memory, now: SystemTime) -> Message {
        let Waiting {
            run,
            began,
            gathered: mut all,
        } = waiting;
        if let Some(held) = &memory.held {
            all.join(held.clone(), self.max_lines);
        }
        let title = self.title.fill(|place| match place {
            Place::Suite => run.suite.clone(),
            Place::Date => run.key.date.clone(),
            Place::Run => run.id.to_string(),
            Place::Count => all.count().to_string(),
            Place::Events => all.summary(),
        });
        let about = Run::new(run.id, &*run.suite, run.key.clone(), began.to_string());
        let mut message = Message::new(clipped(&title, MOST_OF_TITLE), about);
        message.severity = all.severity;
        if let Some(held) = &memory.held {
            message.text = format!(
                "{} of them since {}, held back because there is at most one message in {}",
                held.count(),
                clock_time(held.since, now),
                humantime::format_duration(self.every),
            );
        }
        message.lines = all.lines();
        message.more = all.count().saturating_sub(message.lines.len() as u64);
        let events = all.events.into_iter();
        message.fields = events
            .map(|(name, count)| (name, count.to_string()))
            .collect();
        message
    }

    /// Sends what waits, if it is time, or if its run sent a message and is at its end.
    fn send(
        &self,
        waiting: &mut Option<Waiting>,
        context: &ProcessContext,
        at_end: bool,
    ) -> Option<Action> {
        let now = (self.clock)();
        let mut memory = Memory::of(context);
        let run = waiting.as_ref()?.run.id;
        let goes_on = at_end && memory.run == Some(run.to_string());
        if memory.is_early(now, self.every) && !goes_on {
            return None;
        }
        let mut message = self.message(waiting.take()?, &memory, now);
        memory.held = None;
        memory.sent = Some(now.into());
        memory.run = Some(run.to_string());
        memory.count = memory.count.saturating_add(1);
        // A run may have several messages with the same title.
        let number = format!("{} {}", context.instance, memory.count);
        message.id = Message::new(number, message.run.clone()).id;
        memory.keep(context);
        Some(Action::Notify {
            to: self.to.clone(),
            message: Box::new(message),
        })
    }
}

/// When the run of `event` began.
fn began(event: &Event) -> Timestamp {
    let time: SystemTime = event.time.into();
    time.checked_sub(event.elapsed).unwrap_or(time).into()
}

/// `14:05 UTC`, with the date if that is not the one of `now`.
fn clock_time(time: Timestamp, now: SystemTime) -> String {
    let (time, now) = (time.to_string(), Timestamp::from(now).to_string());
    // RFC 3339 begins with ten letters of date, and has the time after a `T`.
    match (time.split_once('T'), now.split_once('T')) {
        (Some((date, time)), Some((today, _))) => {
            let minute = time.get(..5).unwrap_or(time);
            match date == today {
                true => format!("{minute} UTC"),
                false => format!("{date} {minute} UTC"),
            }
        }
        _ => time,
    }
}

#[async_trait]
impl EventHook for Notify {
    async fn handle(
        &self,
        events: &[Arc<Event>],
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let mut waiting = self.waiting();
        let mut outcome = Outcome::done();
        for event in events {
            if is_own(event, &self.to, context) {
                continue;
            }
            self.gather(&mut waiting, event);
            let told = || Memory::of(context).run == Some(event.run.id.to_string());
            let first = self.digest && self.immediate && !told();
            if first {
                outcome
                    .actions
                    .extend(self.send(&mut waiting, context, false));
            }
        }
        if !self.digest {
            outcome
                .actions
                .extend(self.send(&mut waiting, context, false));
        }
        Ok(outcome)
    }

    async fn flush(&self, context: &ProcessContext) -> Result<Outcome, ProcessorError> {
        let mut waiting = self.waiting();
        let mut outcome = Outcome::done();
        outcome
            .actions
            .extend(self.send(&mut waiting, context, true));
        if let Some(held) = waiting.take() {
            let mut memory = Memory::of(context);
            match &mut memory.held {
                Some(before) => before.join(held.gathered, self.max_lines),
                none => *none = Some(held.gathered),
            }
            memory.keep(context);
        }
        Ok(outcome)
    }
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notify")
            .field("to", &self.to)
            .field("every", &self.every)
            .finish_non_exhaustive()
    }
}
