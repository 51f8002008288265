//! What the host and a plugin in a process of its own say to each other: JSON, one object
//! a line, an answer to each request.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use veracity_processor::{
    Action, DeadLetter, Event, Health, Kind, Message, Metric, Outcome, OutcomeStatus, Parcel,
    ProcessorError, Report, Stage, Upcoming, printable,
};

use super::{Call, Fault, Task};

/// The version of the contract that the messages carry.
pub(super) const API: &str = "1.0";

/// The longest answer, in bytes.
pub(super) const LONGEST_LINE: usize = 1024 * 1024;

type State = BTreeMap<String, Value>;

/// What the host says.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Request<'r> {
    /// Get ready.
    Start(Start<'r>),
    /// May this run begin?
    BeforeRun {
        run: Box<Cow<'r, Upcoming>>,
        context: Context<'r>,
    },
    /// Handle a report.
    Process {
        report: Box<Cow<'r, Report>>,
        context: Context<'r>,
    },
    /// Tell people.
    Notify {
        message: Box<Cow<'r, Message>>,
        context: Context<'r>,
    },
    /// Take what was given up elsewhere.
    DeadLetter {
        letter: Box<Cow<'r, DeadLetter>>,
        context: Context<'r>,
    },
    /// Take events.
    Events {
        #[serde(with = "shared")]
        events: Arc<Vec<Arc<Event>>>,
        context: Context<'r>,
    },
    /// Nothing more is waiting.
    Flush { context: Context<'r> },
    /// Carry a message.
    Publish {
        parcel: Box<Cow<'r, Parcel>>,
        context: Context<'r>,
    },
    /// Could a report be delivered now?
    Health,
    /// No report follows: answer and end, or just end.
    Stop,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Start<'r> {
    pub(super) api: Cow<'r, str>,
    pub(super) config: Cow<'r, Value>,
    pub(super) instance: Cow<'r, str>,
    /// For a worker: the linked plugin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) plugin: Option<Cow<'r, str>>,
    /// For a worker: its kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<Kind>,
    /// For a worker: what it may take beyond what it has when it starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) memory_limit_bytes: Option<u64>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Context<'r> {
    pub(super) instance: Cow<'r, str>,
    pub(super) idempotency_key: Cow<'r, str>,
    pub(super) attempt: u32,
    pub(super) time_limit_ms: u64,
    pub(super) stage: Stage,
    #[serde(default, skip_serializing_if = "<[Metric]>::is_empty")]
    pub(super) metrics: Cow<'r, [Metric]>,
    pub(super) state: Cow<'r, State>,
}

impl<'r> Request<'r> {
    /// What has `task` done, within `left`.
    pub(super) fn of(task: &'r Task, call: &'r Call, left: Duration) -> Self {
        let context = Context {
            instance: call.instance.as_str().into(),
            idempotency_key: call.idempotency_key.as_str().into(),
            attempt: call.attempt,
            time_limit_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
            stage: call.stage,
            metrics: call.metrics.as_slice().into(),
            state: Cow::Borrowed(&call.state),
        };
        match task {
            Task::BeforeRun(run) => Self::BeforeRun {
                run: Box::new(Cow::Borrowed(run)),
                context,
            },
            Task::Report(report) => Self::Process {
                report: Box::new(Cow::Borrowed(report)),
                context,
            },
            Task::Message(message) => Self::Notify {
                message: Box::new(Cow::Borrowed(message)),
                context,
            },
            Task::Letter(letter) => Self::DeadLetter {
                letter: Box::new(Cow::Borrowed(letter)),
                context,
            },
            Task::Events(events) => Self::Events {
                events: Arc::clone(events),
                context,
            },
            Task::Flush => Self::Flush { context },
            Task::Publish(parcel) => Self::Publish {
                parcel: Box::new(Cow::Borrowed(parcel)),
                context,
            },
        }
    }
}

impl Request<'static> {
    /// The task it is, and what goes with it; itself, if it is none.
    pub(super) fn into_task(self) -> Result<(Task, Context<'static>), Box<Self>> {
        Ok(match self {
            Self::BeforeRun { run, context } => {
                (Task::BeforeRun(Arc::new(run.into_owned())), context)
            }
            Self::Process { report, context } => {
                (Task::Report(Arc::new(report.into_owned())), context)
            }
            Self::Notify { message, context } => {
                (Task::Message(Arc::new(message.into_owned())), context)
            }
            Self::DeadLetter { letter, context } => {
                (Task::Letter(Arc::new(letter.into_owned())), context)
            }
            Self::Events { events, context } => (Task::Events(events), context),
            Self::Flush { context } => (Task::Flush, context),
            Self::Publish { parcel, context } => {
                (Task::Publish(Arc::new(parcel.into_owned())), context)
            }
            other => return Err(Box::new(other)),
        })
    }
}

/// Events behind two pointers, as a list.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serializer};
    use veracity_processor::Event;

    pub(super) fn serialize<S: Serializer>(
        events: &Arc<Vec<Arc<Event>>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(events.iter().map(|event| &**event))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<Vec<Arc<Event>>>, D::Error> {
        let events = Vec::<Event>::deserialize(deserializer)?;
        Ok(Arc::new(events.into_iter().map(Arc::new).collect()))
    }
}

/// What a plugin says. Fields that are not known are not looked at.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Answer {
    /// To `start`; also to `stop`.
    Ready,
    /// To `process`.
    Outcome {
        status: OutcomeStatus,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
        /// What the host is to do; one that cannot be read spoils nothing else.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        actions: Vec<Value>,
        /// All that is remembered from now on; left out if that did not change.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        state: Option<State>,
    },
    /// To `health`.
    Health(Health),
    /// To anything.
    Error {
        message: String,
        /// Whether another attempt may work. Rather one too many than a report lost.
        #[serde(default = "yes")]
        retryable: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        state: Option<State>,
    },
    /// From a worker: the processor panicked.
    Panic {
        message: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        state: Option<State>,
    },
    /// From a worker: there is nothing that could be called.
    Unavailable { message: String },
}

fn yes() -> bool {
    true
}

impl Answer {
    /// Reads a line.
    ///
    /// # Errors
    ///
    /// How it breaches the protocol.
    pub(super) fn read(line: &[u8]) -> Result<Self, String> {
        let text = str::from_utf8(line).map_err(|error| {
            format!("its answer is not UTF-8 after byte {}", error.valid_up_to())
        })?;
        let text = text.trim();
        serde_json::from_str(text)
            .map_err(|error| format!("its answer cannot be read: {error}: `{}`", beginning(text)))
    }

    /// How an answer to something else is told.
    pub(super) fn unexpected(&self) -> Fault {
        let kind = match self {
            Self::Ready => "ready",
            Self::Outcome { .. } => "outcome",
            Self::Health(_) => "health",
            Self::Error { .. } => "error",
            Self::Panic { .. } => "panic",
            Self::Unavailable { .. } => "unavailable",
        };
        Fault::Crashed {
            message: format!("its answer is a `{kind}`, which was not asked for"),
        }
    }

    /// The answer that tells `fault`; none for a hang, which is no answer.
    pub(super) fn of_fault(fault: Fault, state: Option<State>) -> Option<Self> {
        Some(match fault {
            Fault::Failed(error) => Self::Error {
                retryable: error.is_retryable(),
                retry_after_ms: match &error {
                    ProcessorError::Retryable { retry_after, .. } => {
                        retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
                    }
                    _ => None,
                },
                message: error.message().to_owned(),
                state,
            },
            Fault::Panicked { message } => Self::Panic { message, state },
            Fault::Unavailable { message } | Fault::Crashed { message } => {
                Self::Unavailable { message }
            }
            Fault::Hung { .. } => return None,
        })
    }

    /// The fault that this answer tells, if it tells one, and the state that came along.
    pub(super) fn into_fault(self) -> Result<(Fault, Option<State>), Self> {
        match self {
            Self::Error {
                message,
                retryable,
                retry_after_ms,
                state,
            } => {
                let error = match (retryable, retry_after_ms) {
                    (false, _) => ProcessorError::permanent(message),
                    (true, None) => ProcessorError::retryable(message),
                    (true, Some(wait)) => {
                        ProcessorError::retryable(message).after(Duration::from_millis(wait))
                    }
                };
                Ok((Fault::Failed(error), state))
            }
            Self::Panic { message, state } => Ok((Fault::Panicked { message }, state)),
            Self::Unavailable { message } => Ok((Fault::Unavailable { message }, None)),
            other => Err(other),
        }
    }
}

/// `outcome` as an answer.
pub(super) fn answer_of(outcome: Outcome, state: Option<State>) -> Answer {
    Answer::Outcome {
        status: outcome.status,
        reason: outcome.reason,
        note: outcome.note,
        actions: written_actions(&outcome.actions),
        state,
    }
}

fn written_actions(actions: &[Action]) -> Vec<Value> {
    let actions = actions.iter();
    // What cannot be written is a number that is none; nobody could read it.
    actions
        .filter_map(|action| serde_json::to_value(action).ok())
        .collect()
}

/// An outcome from its parts.
pub(super) fn outcome(
    status: OutcomeStatus,
    reason: Option<String>,
    note: Option<String>,
    actions: Vec<Value>,
) -> Outcome {
    let mut outcome = Outcome::done();
    (outcome.status, outcome.reason) = (status, reason);
    let mut notes: Vec<String> = note.into_iter().collect();
    for action in actions {
        match serde_json::from_value(action) {
            Ok(action) => outcome.actions.push(action),
            Err(error) => notes.push(format!("an action it asked for cannot be read: {error}")),
        }
    }
    outcome.note = (!notes.is_empty()).then(|| notes.join("; "));
    outcome
}

/// `message` as a line.
pub(super) fn line_of(message: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    Ok(line)
}

/// The first characters of `text`, harmless to print.
fn beginning(text: &str) -> String {
    let end = text.floor_char_boundary(80);
    if end == text.len() {
        return printable(text).into_owned();
    }
    // Not within a word: it may be a secret, which nobody could find any more.
    let cut = text[..end].rfind(|c: char| c.is_whitespace() || c == '"');
    format!("{}..", printable(&text[..cut.unwrap_or(0)]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use veracity_processor::sample_report;

    use super::*;

    #[test]
    fn answers_are_read_as_written_and_more_is_not_looked_at() {
        let stop = Answer::Outcome {
            status: OutcomeStatus::Stop,
            reason: Some("enough".into()),
            note: None,
            actions: vec![json!({"type": "publish", "channel": "x", "message": {"a": 1}})],
            state: Some(BTreeMap::from([("seen".into(), json!(2))])),
        };
        let bare = |message: &str, retryable| Answer::Error {
            message: message.into(),
            retryable,
            retry_after_ms: None,
            state: None,
        };
        let cases: &[(&str, Answer)] = &[
            (r#"{"type":"ready","pid":17}"#, Answer::Ready),
            (
                r#"{"type":"outcome","status":"stop","reason":"enough","state":{"seen":2},"actions":[{"type":"publish","channel":"x","message":{"a":1}}]}"#,
                stop,
            ),
            (
                r#"{"status":"degraded","detail":"slow","type":"health"}"#,
                Answer::Health(Health::degraded("slow")),
            ),
            (r#"{"type":"error","message":"busy"}"#, bare("busy", true)),
            (
                r#"{"type":"error","message":"refused","retryable":false}"#,
                bare("refused", false),
            ),
        ];
        for (line, answer) in cases {
            assert_eq!(Answer::read(line.as_bytes()).as_ref(), Ok(answer), "{line}");
        }
    }

    #[test]
    fn a_breach_of_the_protocol_is_told_with_its_beginning() {
        let cases: &[(&[u8], &str)] = &[
            (
                b"nonsense",
                "its answer cannot be read: expected ident at line 1 column 2: `nonsense`",
            ),
            (
                b"{\"type\":\"ready\"} x",
                "its answer cannot be read: trailing characters at line 1 column 18: `{\"type\":\"ready\"} x`",
            ),
            (
                b"{\"type\":\"r\xff\"}",
                "its answer is not UTF-8 after byte 10",
            ),
            (
                b"{}",
                "its answer cannot be read: missing field `type` at line 1 column 2: `{}`",
            ),
        ];
        for (line, told) in cases {
            assert_eq!(Answer::read(line), Err((*told).into()));
        }
        let unknown = Answer::read(br#"{"type":"hello"}"#).unwrap_err();
        assert!(unknown.contains("unknown variant `hello`"), "{unknown}");
    }

    #[test]
    fn faults_survive_the_way_through_a_pipe() {
        let wait = Duration::from_millis(1500);
        let faults = [
            Fault::Failed(ProcessorError::permanent("refused")),
            Fault::Failed(ProcessorError::retryable("busy")),
            Fault::Failed(ProcessorError::retryable("busy").after(wait)),
            Fault::Panicked {
                message: "oops at a.rs:1".into(),
            },
            Fault::unavailable("gone"),
        ];
        for fault in faults {
            let answer = Answer::of_fault(fault.clone(), None).unwrap();
            let answer = Answer::read(&serde_json::to_vec(&answer).unwrap()).unwrap();
            assert_eq!(answer.into_fault(), Ok((fault, None)));
        }
    }

    #[test]
    fn requests_look_as_documented() {
        let start = Request::Start(Start {
            api: API.into(),
            config: Cow::Owned(json!({"to": "a"})),
            instance: "oncall".into(),
            plugin: None,
            kind: None,
            memory_limit_bytes: None,
        });
        assert_eq!(
            serde_json::to_string(&start).unwrap(),
            r#"{"type":"start","api":"1.0","config":{"to":"a"},"instance":"oncall"}"#
        );
        let process = Request::Process {
            report: Box::new(Cow::Owned(sample_report())),
            context: Context {
                instance: "oncall".into(),
                idempotency_key: "k".into(),
                attempt: 2,
                time_limit_ms: 1000,
                stage: Stage::AfterRun,
                metrics: Cow::Borrowed(&[]),
                state: Cow::Owned(BTreeMap::new()),
            },
        };
        let line = line_of(&process).unwrap();
        assert_eq!(line.iter().filter(|&&byte| byte == b'\n').count(), 1);
        let value: Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(
            value["context"],
            json!({"instance": "oncall", "idempotency_key": "k", "attempt": 2,
                   "time_limit_ms": 1000, "stage": "after_run", "state": {}})
        );
        let Request::Process { report, .. } = serde_json::from_slice(&line).unwrap() else {
            panic!("not a process request");
        };
        assert_eq!(**report, sample_report());
    }
}
