//! How the command ends: exit codes, and failures with what is shown of them.

use veracity_processor::{Report, Severity, Status};

use crate::error::Error;

/// An exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit(pub u8);

impl Exit {
    /// Everything that counts holds; or the command did what it was asked.
    pub const PASSED: Self = Self(0);
    /// An assertion that counts does not hold.
    pub const FAILED: Self = Self(1);
    /// The arguments or the suite file are wrong; nothing was done.
    pub const CONFIGURATION: Self = Self(2);
    /// Something could not be evaluated, or nothing was.
    pub const NOT_EVALUATED: Self = Self(3);
    /// The verdict is good, but the report could not be written or delivered.
    pub const NOT_DELIVERED: Self = Self(4);
    /// A bug of veracity.
    pub const BUG: Self = Self(101);

    /// Ended by the signal of this number.
    pub fn signal(number: u8) -> Self {
        Self(number.saturating_add(128))
    }
}

/// The exit code that a report asks for, where failures count from `fail_on` on.
///
/// What could not be evaluated is told first: until it is repaired, the failures may not
/// be all there are.
pub fn exit_of(report: &Report, fail_on: Severity) -> Exit {
    let counts = |severity: Severity| severity >= fail_on;
    let open = report.results.iter().any(|result| match result.status {
        Status::Error => true,
        Status::NotEvaluated => counts(result.severity),
        _ => false,
    });
    let evaluated = report.summary.passed + report.summary.failed;
    let failed = |result: &veracity_processor::AssertionResult| {
        result.status == Status::Failed && counts(result.severity)
    };
    if open || evaluated == 0 || report.run.interrupted.is_some() {
        Exit::NOT_EVALUATED
    } else if report.results.iter().any(failed) {
        Exit::FAILED
    } else {
        Exit::PASSED
    }
}

/// What ends a command early.
#[derive(Debug)]
pub struct Failure {
    /// What is wrong.
    pub error: Box<Error>,
    /// The suite file that places in the error are of, and its text.
    pub source: Option<(String, String)>,
    /// The exit code.
    pub exit: Exit,
}

impl Failure {
    /// What could not be delivered, or not be looked up in the store.
    pub fn undelivered(message: impl Into<String>) -> Self {
        Self {
            error: Box::new(Error::execution(message)),
            source: None,
            exit: Exit::NOT_DELIVERED,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match &error {
            Error::Configuration { .. } | Error::File { .. } | Error::Many(_) => {
                Exit::CONFIGURATION
            }
            _ => Exit::NOT_EVALUATED,
        };
        Self {
            error: Box::new(error),
            source: None,
            exit,
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;
    use veracity_processor::{AssertionResult, Run, RunKey, Summary};

    use super::*;

    /// Label, statuses with severities, reason of an early end, exit code.
    type Case = (
        &'static str,
        &'static [(Status, Severity)],
        Option<&'static str>,
        u8,
    );

    #[test]
    fn what_was_not_evaluated_comes_before_what_failed() {
        use Severity::{P0, P1, P2};
        use Status::{Error, Failed, NotEvaluated, Passed, Skipped};
        let cases: &[Case] = &[
            ("all hold", &[(Passed, P0), (Passed, P1)], None, 0),
            ("one fails", &[(Passed, P1), (Failed, P1)], None, 1),
            ("one fails that does not count", &[(Failed, P2)], None, 0),
            ("nothing declared", &[], None, 3),
            ("nothing evaluated", &[(Skipped, P0)], None, 3),
            ("some skipped", &[(Skipped, P0), (Passed, P2)], None, 0),
            ("an error", &[(Passed, P1), (Error, P1)], None, 3),
            (
                "an error always counts",
                &[(Passed, P1), (Error, P2)],
                None,
                3,
            ),
            ("undefined", &[(Passed, P1), (NotEvaluated, P1)], None, 3),
            (
                "undefined that does not count",
                &[(Passed, P1), (NotEvaluated, P2)],
                None,
                0,
            ),
            (
                "an error and a failure",
                &[(Failed, P0), (Error, P2)],
                None,
                3,
            ),
            (
                "undefined and a failure",
                &[(Failed, P0), (NotEvaluated, P1)],
                None,
                3,
            ),
            (
                "out of time",
                &[(Passed, P0), (Skipped, P1)],
                Some("time"),
                3,
            ),
            (
                "failed, then out of time",
                &[(Failed, P0), (Skipped, P1)],
                Some("time"),
                3,
            ),
        ];
        for (label, results, interrupted, expected) in cases {
            let mut run = Run::new(Uuid::nil(), "s", RunKey::default(), "");
            run.interrupted = interrupted.map(str::to_owned);
            let mut report = Report::new(run);
            for (status, severity) in *results {
                let mut result = AssertionResult::new("c", "a");
                (result.status, result.severity) = (*status, *severity);
                report.results.push(result);
            }
            report.summary = Summary::of(&report.results);
            assert_eq!(exit_of(&report, P1), Exit(*expected), "{label}");
        }
    }
}
