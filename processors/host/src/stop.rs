//! Asks everything that is under way to come to an end.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Asks a host to come to an end, from another thread: after SIGTERM, say.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    shared: Arc<(Mutex<Option<Instant>>, Condvar)>,
}

impl Stop {
    fn deadline(&self) -> MutexGuard<'_, Option<Instant>> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything shall end within `time`; what does not is left.
    pub fn within(&self, time: Duration) {
        let deadline = Instant::now() + time;
        let mut current = self.deadline();
        *current = Some(current.map_or(deadline, |earlier| earlier.min(deadline)));
        self.shared.1.notify_all();
    }

    /// The time left, if somebody asked for an end.
    pub fn remaining(&self) -> Option<Duration> {
        let deadline = *self.deadline();
        deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// `limit`, or the time left if that is less.
    pub fn cut(&self, limit: Duration) -> Duration {
        self.remaining().map_or(limit, |left| left.min(limit))
    }

    /// Waits for `time`; false if somebody asked for an end meanwhile.
    pub fn wait(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        let mut deadline = self.deadline();
        loop {
            if deadline.is_some() {
                return false;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            let woken = self.shared.1.wait_timeout(deadline, left);
            deadline = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_when_somebody_asks_for_an_end() {
        let stop = Stop::default();
        assert!(stop.wait(Duration::from_millis(1)));
        assert_eq!(stop.cut(Duration::from_secs(9)), Duration::from_secs(9));
        let other = stop.clone();
        let waiting = std::thread::spawn(move || other.wait(Duration::from_secs(60)));
        stop.within(Duration::from_secs(5));
        assert!(!waiting.join().unwrap());
        stop.within(Duration::from_secs(50));
        assert!(stop.cut(Duration::from_secs(9)) <= Duration::from_secs(5));
    }
}
