//! A circuit breaker: who fails again and again is left alone for a while.
//!
//! A pure state machine; the time is passed in, so that it can be kept in a store between
//! the processes of a batch job.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Failures in a row that open the circuit.
pub const THRESHOLD: u32 = 5;
/// How long it stays open at first; twice as long each time a probe fails.
pub const FIRST_PAUSE: Duration = Duration::from_secs(30);
/// The longest it stays open.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);

/// What is known of the other side. Times are milliseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Breaker {
    /// Calls are made.
    Closed {
        /// Failures since the last success.
        failures: u32,
    },
    /// No calls are made until then.
    Open {
        /// When a probe may be made.
        until: i64,
        /// How long this pause is, in milliseconds.
        pause: u64,
    },
    /// One probe is under way; it decides.
    HalfOpen {
        /// When the probe counts as lost, and another may be made.
        until: i64,
        /// How long the pause before it was, in milliseconds.
        pause: u64,
    },
    /// Written by a later version; taken as closed.
    #[default]
    #[serde(other)]
    Unknown,
}

/// Whether a call may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// It may.
    Granted,
    /// Not before this time, in milliseconds since the epoch.
    Refused {
        /// When to ask again.
        until: i64,
    },
}

impl Breaker {
    /// Asks whether a call, which takes at most `limit`, may be made now.
    pub fn ask(&mut self, now: i64, limit: Duration) -> Permission {
        match *self {
            Self::Closed { .. } | Self::Unknown => Permission::Granted,
            // A clock that was set back must not keep it shut for longer than a pause.
            Self::Open { until, pause } | Self::HalfOpen { until, pause } => {
                if now < until && until - now <= millis(LONGEST_PAUSE) {
                    return Permission::Refused { until };
                }
                let until = now.saturating_add(millis(limit));
                *self = Self::HalfOpen { until, pause };
                Permission::Granted
            }
        }
    }

    /// A call succeeded.
    pub fn succeeded(&mut self) {
        *self = Self::Closed { failures: 0 };
    }

    /// A call failed.
    pub fn failed(&mut self, now: i64) {
        *self = match *self {
            Self::Closed { failures } if failures + 1 < THRESHOLD => Self::Closed {
                failures: failures + 1,
            },
            Self::Unknown => Self::Closed { failures: 1 },
            Self::Closed { .. } => Self::open(now, FIRST_PAUSE),
            Self::HalfOpen { pause, .. } => {
                let doubled = Duration::from_millis(pause.saturating_mul(2));
                Self::open(now, doubled.min(LONGEST_PAUSE))
            }
            open @ Self::Open { .. } => open,
        };
    }

    /// A call failed in a way that will not pass by itself.
    pub fn failed_for_good(&mut self, now: i64) {
        match *self {
            Self::HalfOpen { .. } => self.failed(now),
            _ => *self = Self::open(now, FIRST_PAUSE),
        }
    }

    fn open(now: i64, pause: Duration) -> Self {
        Self::Open {
            until: now.saturating_add(millis(pause)),
            pause: u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..THRESHOLD {
            assert_eq!(breaker.ask(0, LIMIT), Permission::Granted);
            breaker.failed(0);
        }
        breaker
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_a_success_between_does_not() {
        let mut breaker = opened();
        assert_eq!(
            breaker.ask(29_999, LIMIT),
            Permission::Refused { until: 30_000 }
        );
        let mut breaker2 = Breaker::default();
        for _ in 0..20 {
            breaker2.failed(0);
            breaker2.failed(0);
            breaker2.succeeded();
        }
        assert_eq!(breaker2.ask(0, LIMIT), Permission::Granted);
        breaker.succeeded();
        assert_eq!(breaker, Breaker::Closed { failures: 0 });
    }

    #[test]
    fn one_probe_is_let_through_and_decides() {
        let mut breaker = opened();
        assert_eq!(breaker.ask(30_000, LIMIT), Permission::Granted);
        assert_eq!(
            breaker.ask(30_001, LIMIT),
            Permission::Refused { until: 40_000 }
        );
        let mut good = breaker;
        good.succeeded();
        assert_eq!(good.ask(30_002, LIMIT), Permission::Granted);
        breaker.failed(31_000);
        assert_eq!(
            breaker.ask(31_000, LIMIT),
            Permission::Refused { until: 91_000 }
        );
    }

    #[test]
    fn a_probe_that_was_lost_is_made_again() {
        let mut breaker = opened();
        assert_eq!(breaker.ask(30_000, LIMIT), Permission::Granted);
        assert_eq!(breaker.ask(40_000, LIMIT), Permission::Granted);
    }

    #[test]
    fn pauses_double_up_to_a_quarter_of_an_hour() {
        let mut breaker = opened();
        let mut pauses = Vec::new();
        let mut now = 0;
        for _ in 0..8 {
            let Permission::Refused { until } = breaker.ask(now, LIMIT) else {
                panic!("it is open");
            };
            pauses.push((until - now) / 1000);
            now = until;
            assert_eq!(breaker.ask(now, LIMIT), Permission::Granted);
            breaker.failed(now);
        }
        assert_eq!(pauses, [30, 60, 120, 240, 480, 900, 900, 900]);
    }

    #[test]
    fn a_clock_set_back_by_a_year_does_not_keep_it_open() {
        let mut breaker = opened();
        assert_eq!(breaker.ask(-31_536_000_000, LIMIT), Permission::Granted);
    }

    #[test]
    fn what_will_not_pass_by_itself_opens_it_at_once() {
        let mut breaker = Breaker::default();
        breaker.failed_for_good(0);
        assert_eq!(breaker.ask(1, LIMIT), Permission::Refused { until: 30_000 });
    }

    #[test]
    fn it_can_be_kept_and_a_later_version_is_no_error() {
        let breaker = opened();
        let json = serde_json::to_string(&breaker).unwrap();
        assert_eq!(serde_json::from_str::<Breaker>(&json).unwrap(), breaker);
        let later: Breaker = serde_json::from_str(r#"{"state": "ajar", "by": 3}"#).unwrap();
        assert_eq!(later, Breaker::Unknown);
    }
}
