//! Assertions on what a plugin answered, whose messages show what came instead.

use std::fmt;

use super::{Answer, Delivered, Fault};
use crate::{Action, ActionKind, Outcome, OutcomeStatus, ProcessorError};

/// What the assertions take: what a call gave, directly or through a
/// [`RecordingHost`](super::RecordingHost).
pub trait Answered {
    /// What came.
    fn came(&self) -> Came<'_>;
}

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Came<'a> {
    /// An outcome.
    Outcome(&'a Outcome),
    /// An error of the plugin.
    Error(&'a ProcessorError),
    /// No answer at all.
    Fault(&'a Fault),
}

impl Answered for Outcome {
    fn came(&self) -> Came<'_> {
        Came::Outcome(self)
    }
}

impl Answered for Result<Outcome, ProcessorError> {
    fn came(&self) -> Came<'_> {
        match self {
            Ok(outcome) => Came::Outcome(outcome),
            Err(error) => Came::Error(error),
        }
    }
}

impl Answered for Answer {
    fn came(&self) -> Came<'_> {
        match self {
            Ok(outcome) => Came::Outcome(outcome),
            Err(Fault::Failed(error)) => Came::Error(error),
            Err(fault) => Came::Fault(fault),
        }
    }
}

impl Answered for Delivered {
    fn came(&self) -> Came<'_> {
        self.answer.came()
    }
}

impl fmt::Display for Came<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Came::Outcome(outcome) => {
                f.write_str(match outcome.status {
                    OutcomeStatus::Done => "the outcome `done`",
                    OutcomeStatus::Skipped => "the outcome `skipped`",
                    OutcomeStatus::Stop => "the outcome `stop`",
                })?;
                if let Some(reason) = &outcome.reason {
                    write!(f, " because `{reason}`")?;
                }
                if let Some(note) = &outcome.note {
                    write!(f, " with the note `{note}`")?;
                }
                Ok(())
            }
            Came::Error(error) if error.is_retryable() => write!(f, "a retryable error: {error}"),
            Came::Error(error) => write!(f, "a permanent error: {error}"),
            Came::Fault(fault) => write!(f, "no answer: {fault}"),
        }
    }
}

/// Asserts that it was handled: done, or stopped after it was.
///
/// # Panics
///
/// If it was not.
#[track_caller]
pub fn assert_delivered(answer: &impl Answered) {
    let came = answer.came();
    let delivered =
        matches!(came, Came::Outcome(outcome) if outcome.status != OutcomeStatus::Skipped);
    assert!(delivered, "expected a delivery, got {came}");
}

/// Asserts that there was nothing to do, for a reason that contains `reason`.
///
/// # Panics
///
/// If it was anything else.
#[track_caller]
pub fn assert_skipped(answer: &impl Answered, reason: &str) {
    ended(answer, OutcomeStatus::Skipped, "`skipped`", reason);
}

/// Asserts that it ends what comes after it (a run, at the stage `before_run`), for a
/// reason that contains `reason`.
///
/// # Panics
///
/// If it was anything else.
#[track_caller]
pub fn assert_stops(answer: &impl Answered, reason: &str) {
    ended(answer, OutcomeStatus::Stop, "`stop`", reason);
}

#[track_caller]
fn ended(answer: &impl Answered, status: OutcomeStatus, named: &str, reason: &str) {
    let came = answer.came();
    let as_expected = matches!(came, Came::Outcome(outcome) if outcome.status == status
        && outcome.reason.as_deref().unwrap_or_default().contains(reason));
    assert!(
        as_expected,
        "expected {named} because of `{reason}`, got {came}"
    );
}

/// Asserts that it failed with an error that may pass, whose message contains `message`.
///
/// # Panics
///
/// If it was anything else.
#[track_caller]
pub fn assert_retryable(answer: &impl Answered, message: &str) {
    failed(answer, true, "a retryable", message);
}

/// Asserts that it failed with an error that does not pass, whose message contains
/// `message`.
///
/// # Panics
///
/// If it was anything else.
#[track_caller]
pub fn assert_permanent(answer: &impl Answered, message: &str) {
    failed(answer, false, "a permanent", message);
}

#[track_caller]
fn failed(answer: &impl Answered, retryable: bool, named: &str, message: &str) {
    let came = answer.came();
    let as_expected = matches!(came, Came::Error(error)
        if error.is_retryable() == retryable && error.message().contains(message));
    assert!(
        as_expected,
        "expected {named} error with `{message}`, got {came}"
    );
}

/// The first action of this kind that the plugin asks for.
///
/// # Panics
///
/// If it asks for none; the message says which it asks for.
#[track_caller]
pub fn assert_action(answer: &impl Answered, kind: ActionKind) -> &Action {
    let came = answer.came();
    let actions = match came {
        Came::Outcome(outcome) => &outcome.actions[..],
        _ => panic!("expected the action `{kind}`, got {came}"),
    };
    match actions.iter().find(|action| action.kind() == kind) {
        Some(action) => action,
        None if actions.is_empty() => {
            panic!("expected the action `{kind}`, got {came} without actions")
        }
        None => panic!("expected the action `{kind}`, got {actions:#?}"),
    }
}

/// Asserts that none of `secrets` stands in `text`, for instance in all that a plugin
/// [`said`](super::RecordingHost::said).
///
/// # Panics
///
/// If one does; the message shows where.
#[track_caller]
pub fn assert_no_secret(text: &str, secrets: &[&str]) {
    for secret in secrets {
        assert!(!secret.is_empty(), "an empty secret stands everywhere");
        if let Some(at) = text.find(secret) {
            let from = text.floor_char_boundary(at.saturating_sub(40));
            let to = text.ceil_char_boundary((at + secret.len() + 40).min(text.len()));
            panic!(
                "the secret `{secret}` is told: ..{}..",
                text[from..to].escape_debug()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;
    use std::time::Duration;

    use super::*;

    /// What is told when `assertion` does not hold.
    fn told(assertion: impl FnOnce() + std::panic::UnwindSafe) -> String {
        let payload = catch_unwind(assertion).unwrap_err();
        *payload.downcast::<String>().unwrap()
    }

    #[test]
    fn what_is_as_expected_passes() {
        let outcome = Outcome::done().with_action(Action::publish("alerts", "x"));
        assert_delivered(&outcome);
        assert_delivered(&Ok::<_, ProcessorError>(Outcome::stop("enough")));
        assert_skipped(&Outcome::skipped("it is in the ledger"), "the ledger");
        assert_stops(&Outcome::stop("it is a holiday"), "holiday");
        let busy: Answer = Err(ProcessorError::retryable("busy").into());
        assert_retryable(&busy, "busy");
        let refused: Result<Outcome, _> = Err(ProcessorError::permanent("refused"));
        assert_permanent(&refused, "");
        let action = assert_action(&outcome, ActionKind::Publish);
        assert_eq!(action, &Action::publish("alerts", "x"));
        assert_no_secret("nothing", &["hunter2"]);
    }

    #[test]
    fn what_came_instead_is_told() {
        let hung: Answer = Err(Fault::Hung {
            limit: Duration::from_secs(2),
        });
        let cases = [
            (
                told(|| assert_delivered(&Outcome::skipped("it is in the ledger"))),
                "expected a delivery, got the outcome `skipped` because `it is in the ledger`",
            ),
            (
                told(move || assert_delivered(&hung)),
                "expected a delivery, got no answer: no answer within 2s",
            ),
            (
                told(|| assert_skipped(&Outcome::done().with_note("late"), "old")),
                "expected `skipped` because of `old`, got the outcome `done` with the note `late`",
            ),
            (
                told(|| assert_stops(&Outcome::stop("a holiday"), "maintenance")),
                "expected `stop` because of `maintenance`, got the outcome `stop` because `a holiday`",
            ),
            (
                told(|| {
                    let busy: Answer = Err(ProcessorError::retryable("busy").into());
                    assert_permanent(&busy, "busy");
                }),
                "expected a permanent error with `busy`, got a retryable error: busy",
            ),
            (
                told(|| {
                    let refused: Answer = Err(ProcessorError::permanent("refused").into());
                    assert_retryable(&refused, "busy");
                }),
                "expected a retryable error with `busy`, got a permanent error: refused",
            ),
            (
                told(|| {
                    assert_action(&Outcome::done(), ActionKind::Publish);
                }),
                "expected the action `publish`, got the outcome `done` without actions",
            ),
            (
                told(|| {
                    let refused: Answer = Err(ProcessorError::permanent("refused").into());
                    assert_action(&refused, ActionKind::Log);
                }),
                "expected the action `log`, got a permanent error: refused",
            ),
            (
                told(|| assert_no_secret("user:hunter2@host\n", &["x1", "hunter2"])),
                "the secret `hunter2` is told: ..user:hunter2@host\\n..",
            ),
        ];
        for (told, expected) in cases {
            assert_eq!(told, expected);
        }
        let other = Outcome::done().with_action(Action::publish("alerts", "x"));
        let told = told(move || {
            assert_action(&other, ActionKind::Log);
        });
        assert!(told.contains("got [") && told.contains("alerts"), "{told}");
    }
}
