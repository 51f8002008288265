//! A clock that goes when it is told to.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// A clock that stands still until it is advanced. Clones are the same clock.
///
/// For plugins that are given their clock rather than looking at the system's.
///
/// ```
/// use std::time::Duration;
/// use veracity_processor::testing::faults::Clock;
///
/// let clock = Clock::at("2026-11-20T06:00:00Z");
/// let same = clock.clone();
/// clock.advance(Duration::from_secs(90));
/// assert_eq!(same.to_string(), "2026-11-20T06:01:30.000000Z");
/// ```
#[derive(Debug, Clone)]
pub struct Clock(Arc<Mutex<SystemTime>>);

impl Clock {
    /// A clock that shows `time` (RFC 3339, UTC).
    ///
    /// # Panics
    ///
    /// If that is no time.
    #[track_caller]
    pub fn at(time: &str) -> Self {
        let clock = Self(Arc::new(Mutex::new(SystemTime::UNIX_EPOCH)));
        clock.set(time);
        clock
    }

    fn time(&self) -> MutexGuard<'_, SystemTime> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it shows.
    pub fn now(&self) -> SystemTime {
        *self.time()
    }

    /// Sets it forward.
    pub fn advance(&self, by: Duration) {
        *self.time() += by;
    }

    /// Sets it to `time` (RFC 3339, UTC), forward or back, as administrators and time
    /// servers do.
    ///
    /// # Panics
    ///
    /// If that is no time.
    #[track_caller]
    pub fn set(&self, time: &str) {
        match humantime::parse_rfc3339(time) {
            Ok(time) => *self.time() = time,
            Err(error) => panic!("`{time}` is no time like 2026-11-20T06:00:00Z: {error}"),
        }
    }
}

impl std::fmt::Display for Clock {
    /// RFC 3339, to the microsecond.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        humantime::format_rfc3339_micros(self.now()).fmt(f)
    }
}
