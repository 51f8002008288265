//! At most one request in a while, for all who send to the same receiver.
//!
//! Some receivers take a request a second, whoever sends it, and shut out who goes on
//! regardless. Turns are given in the order in which they were asked for, across all
//! instances and suites of this process; other processes are not known.
//!
//! ```no_run
//! # use veracity_http::{Answer, Endpoint, Request, pace};
//! # use veracity_processor::{ProcessContext, ProcessorError};
//! # async fn send(endpoint: &Endpoint, request: Request, context: &ProcessContext)
//! # -> Result<Answer, ProcessorError> {
//! let second = std::time::Duration::from_secs(1);
//! let key = endpoint.url().as_str();
//! pace::turn(key, second, context.deadline).await?;
//! let answer = endpoint.send(request).await?;
//! if let Some(wait) = answer.retry_after {
//!     pace::pause(key, wait); // the others need not hear it, too
//! }
//! # Ok(answer)
//! # }
//! ```

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use veracity_processor::ProcessorError;

/// The most receivers that are kept waiting at once.
const MOST: usize = 4096;

/// The longest that turns may be apart, so that no time overflows.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

static TURNS: Mutex<Turns> = Mutex::new(Turns(BTreeMap::new()));

/// Keys are URLs with secrets in them: only a keyed hash of one is kept.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// Returns when it is this caller's turn for `key`, `every` or more after the turn
/// before. A caller that stops waiting has used up its turn.
///
/// # Errors
///
/// Retryable, at once, if the turn would come after `deadline`; the turn is not used up
/// then, and the error says how long to wait for it.
pub async fn turn(key: &str, every: Duration, deadline: Instant) -> Result<(), ProcessorError> {
    let now = Instant::now();
    let turn = turns().take(hash(key), every, now, deadline);
    let turn = turn.map_err(|wait| {
        let message = format!(
            "at most one request in {every:?} is sent there, and the next turn, in {wait:.1?}, \
             is after the time limit"
        );
        ProcessorError::retryable(message).after(wait)
    })?;
    tokio::time::sleep_until(turn.into()).await;
    Ok(())
}

/// Gives nobody a turn for `key` before `wait` is over, as a receiver asked. Turns that
/// were given stay.
pub fn pause(key: &str, wait: Duration) {
    turns().pause(hash(key), wait, Instant::now());
}

fn hash(key: &str) -> u64 {
    HASHER.hash_one(key)
}

fn turns() -> MutexGuard<'static, Turns> {
    // The map is whole even if a thread panicked while it held the lock.
    TURNS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// When the next turn is free, by key.
struct Turns(BTreeMap<u64, Instant>);

impl Turns {
    /// The next turn; the time until then if it is after `deadline`.
    fn take(
        &mut self,
        key: u64,
        every: Duration,
        now: Instant,
        deadline: Instant,
    ) -> Result<Instant, Duration> {
        self.make_room(key, now)?;
        let turn = self.0.get(&key).map_or(now, |free| now.max(*free));
        if turn > deadline {
            return Err(turn - now);
        }
        self.0.insert(key, turn + every.min(LONGEST));
        Ok(turn)
    }

    fn pause(&mut self, key: u64, wait: Duration, now: Instant) {
        if self.make_room(key, now).is_ok() {
            let free = self.0.entry(key).or_insert(now);
            *free = now.max(*free).max(now + wait.min(LONGEST));
        }
    }

    /// Forgets turns gone by if there are too many; if all are to come, the time until
    /// one is over.
    fn make_room(&mut self, key: u64, now: Instant) -> Result<(), Duration> {
        if self.0.len() < MOST || self.0.contains_key(&key) {
            return Ok(());
        }
        self.0.retain(|_, free| *free > now);
        match self.0.values().min() {
            Some(first) if self.0.len() >= MOST => Err(*first - now),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn turns_are_apart_and_in_order() {
        let now = Instant::now();
        let mut turns = Turns(BTreeMap::new());
        let far = now + SECOND * 60;
        let mut take = |key, after| turns.take(key, SECOND, now + after, far).unwrap() - now;
        let second = Duration::from_secs;
        let cases = [
            ("the first at once", 1, second(0), second(0)),
            ("the next a second later", 1, second(0), second(1)),
            ("the third after that", 1, SECOND / 2, second(2)),
            ("another receiver at once", 2, SECOND / 2, SECOND / 2),
            ("after a pause at once", 1, second(10), second(10)),
        ];
        for (label, key, after, expected) in cases {
            assert_eq!(take(key, after), expected, "{label}");
        }
    }

    #[test]
    fn a_turn_after_the_deadline_is_not_used_up() {
        let now = Instant::now();
        let mut turns = Turns(BTreeMap::new());
        for _ in 0..3 {
            turns.take(1, SECOND, now, now + SECOND * 10).unwrap();
        }
        for _ in 0..3 {
            assert_eq!(
                turns.take(1, SECOND, now, now + SECOND * 2),
                Err(SECOND * 3)
            );
        }
        let turn = turns.take(1, SECOND, now, now + SECOND * 3);
        assert_eq!(turn, Ok(now + SECOND * 3));
    }

    #[test]
    fn a_receiver_that_asks_for_a_pause_has_it() {
        let now = Instant::now();
        let mut turns = Turns(BTreeMap::new());
        turns.pause(1, SECOND * 30, now);
        turns.pause(1, SECOND, now);
        assert_eq!(turns.take(1, SECOND, now, now + SECOND), Err(SECOND * 30));
        let far = now + SECOND * 60;
        assert_eq!(turns.take(1, SECOND, now, far), Ok(now + SECOND * 30));
        assert_eq!(turns.take(2, SECOND, now, now), Ok(now));
        turns.pause(2, Duration::MAX, now);
    }

    #[test]
    fn only_receivers_that_are_waited_for_are_remembered() {
        let now = Instant::now();
        let mut turns = Turns(BTreeMap::new());
        for key in 0..MOST as u64 {
            turns.take(key, SECOND, now, now).unwrap();
        }
        assert_eq!(turns.take(u64::MAX, SECOND, now, now), Err(SECOND));
        assert!(turns.take(0, SECOND, now, now + SECOND).is_ok());
        let later = now + SECOND;
        assert_eq!(turns.take(u64::MAX, SECOND, later, later), Ok(later));
        assert_eq!(turns.0.len(), 2, "the others' turns are over");
    }

    #[tokio::test]
    async fn callers_wait_for_their_turn_or_say_when_it_is() {
        let (began, every) = (Instant::now(), Duration::from_millis(100));
        let key = "https://hooks.example.org/c4nary";
        let turn = || turn(key, every, began + Duration::from_secs(60));
        let (one, two, three) = tokio::join!(turn(), turn(), turn());
        assert_eq!((one, two, three), (Ok(()), Ok(()), Ok(())));
        assert!(began.elapsed() >= every * 2, "{:?}", began.elapsed());
        pause(key, Duration::from_secs(600));
        let error = super::turn(key, every, began + Duration::from_secs(60)).await;
        let error = error.unwrap_err();
        assert!(!error.message().contains("c4nary"), "{error}");
        let ProcessorError::Retryable {
            retry_after: Some(wait),
            ..
        } = error
        else {
            panic!("not retryable: {error}");
        };
        assert!(wait > Duration::from_secs(300), "{wait:?}");
    }
}
