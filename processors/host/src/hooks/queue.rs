//! Events that wait for a hook: never more than so many, and none lost that is not counted.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use veracity_processor::Event;

use super::settings::Overflow;

/// Events that wait for a hook.
#[derive(Debug)]
pub struct Queue {
    inside: Mutex<Inside>,
    changed: Condvar,
    capacity: usize,
    overflow: Overflow,
}

#[derive(Debug, Default)]
struct Inside {
    waiting: VecDeque<Arc<Event>>,
    /// Events are being handled.
    busy: bool,
    closed: bool,
    dropped: u64,
    most: usize,
}

impl Queue {
    /// A queue for at most `capacity` events.
    pub fn new(capacity: usize, overflow: Overflow) -> Self {
        Self {
            inside: Mutex::default(),
            changed: Condvar::new(),
            capacity: capacity.max(1),
            overflow,
        }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        // Nothing can panic while it is locked.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds `events`, in this order. If it may block, it waits for room for at most
    /// `patience` in all.
    pub fn push(&self, events: impl Iterator<Item = Arc<Event>>, patience: Duration) {
        let mut inside = self.inside();
        let mut deadline = None;
        for event in events {
            if inside.closed {
                inside.dropped += 1;
                continue;
            }
            if inside.waiting.len() >= self.capacity {
                match self.overflow {
                    Overflow::DropOldest => {
                        inside.waiting.pop_front();
                        inside.dropped += 1;
                    }
                    Overflow::Block => {
                        self.changed.notify_all();
                        let deadline = *deadline.get_or_insert_with(|| Instant::now() + patience);
                        inside = self.wait_for_room(inside, deadline);
                        if inside.closed || inside.waiting.len() >= self.capacity {
                            inside.dropped += 1;
                            continue;
                        }
                    }
                }
            }
            inside.waiting.push_back(event);
            inside.most = inside.most.max(inside.waiting.len());
        }
        drop(inside);
        self.changed.notify_all();
    }

    fn wait_for_room<'q>(
        &'q self,
        mut inside: MutexGuard<'q, Inside>,
        deadline: Instant,
    ) -> MutexGuard<'q, Inside> {
        while !inside.closed && inside.waiting.len() >= self.capacity {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let woken = self.changed.wait_timeout(inside, left);
            inside = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        inside
    }

    /// At most `most` events, as soon as there are some; they count as being handled until
    /// [`Queue::done`]. `None` when it is closed and empty.
    pub fn take(&self, most: usize) -> Option<Vec<Arc<Event>>> {
        let inside = self.inside();
        let woken = self
            .changed
            .wait_while(inside, |inside| inside.waiting.is_empty() && !inside.closed);
        let mut inside = woken.unwrap_or_else(PoisonError::into_inner);
        if inside.waiting.is_empty() {
            return None;
        }
        let most = most.min(inside.waiting.len());
        let taken = inside.waiting.drain(..most).collect();
        inside.busy = true;
        drop(inside);
        self.changed.notify_all();
        Some(taken)
    }

    /// What was taken is handled.
    pub fn done(&self) {
        self.inside().busy = false;
        self.changed.notify_all();
    }

    /// Waits until nothing waits and nothing is being handled; false if that takes longer
    /// than `limit`.
    pub fn settle(&self, limit: Duration) -> bool {
        let unsettled = |inside: &mut Inside| inside.busy || !inside.waiting.is_empty();
        let inside = self.inside();
        let woken = self.changed.wait_timeout_while(inside, limit, unsettled);
        !woken.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Takes no more events, and ends who waits for some.
    pub fn close(&self) {
        self.inside().closed = true;
        self.changed.notify_all();
    }

    /// Closes it; what waits is lost, and counted.
    pub fn abandon(&self) {
        let mut inside = self.inside();
        inside.closed = true;
        inside.dropped += inside.waiting.len() as u64;
        inside.waiting.clear();
        drop(inside);
        self.changed.notify_all();
    }

    /// How many events were lost.
    pub fn dropped(&self) -> u64 {
        self.inside().dropped
    }

    /// The most events that ever waited.
    pub fn most(&self) -> usize {
        self.inside().most
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;
    use veracity_processor::{EventRun, Moment, RunKey, Subject};

    use super::*;

    const NO_TIME: Duration = Duration::ZERO;
    const LONG: Duration = Duration::from_secs(60);

    fn events(count: usize) -> Vec<Arc<Event>> {
        let run = Arc::new(EventRun::new(Uuid::nil(), "s", RunKey::default()));
        let event = |n| Event::new(&run, Subject::Assertion, Moment::End).with("n", n);
        (0..count).map(|n| Arc::new(event(n))).collect()
    }

    fn numbers(events: &[Arc<Event>]) -> Vec<u64> {
        let number = |event: &Arc<Event>| event.metadata["n"].as_u64().unwrap();
        events.iter().map(number).collect()
    }

    #[test]
    fn a_full_queue_loses_the_oldest_and_counts() {
        let queue = Queue::new(3, Overflow::DropOldest);
        queue.push(events(5).into_iter(), LONG);
        assert_eq!((queue.dropped(), queue.most()), (2, 3));
        assert_eq!(numbers(&queue.take(10).unwrap()), [2, 3, 4]);
        queue.done();
        assert!(queue.settle(NO_TIME));
    }

    #[test]
    fn a_queue_that_blocks_loses_the_newest_when_patience_ends() {
        let queue = Queue::new(3, Overflow::Block);
        queue.push(events(5).into_iter(), Duration::from_millis(5));
        assert_eq!((queue.dropped(), queue.most()), (2, 3));
        assert_eq!(numbers(&queue.take(2).unwrap()), [0, 1]);
        assert_eq!(numbers(&queue.take(2).unwrap()), [2]);
    }

    #[test]
    fn a_queue_that_blocks_loses_nothing_while_somebody_takes() {
        let queue = Queue::new(2, Overflow::Block);
        std::thread::scope(|scope| {
            let taking = scope.spawn(|| {
                let mut taken = Vec::new();
                while let Some(events) = queue.take(3) {
                    taken.extend(numbers(&events));
                    queue.done();
                }
                taken
            });
            queue.push(events(5_000).into_iter(), LONG);
            queue.close();
            assert_eq!(taking.join().unwrap(), (0..5_000).collect::<Vec<u64>>());
        });
        assert_eq!(queue.dropped(), 0);
        assert!(queue.most() <= 2);
    }

    #[test]
    fn what_comes_after_the_end_is_counted_as_lost() {
        let queue = Queue::new(9, Overflow::Block);
        queue.push(events(2).into_iter(), LONG);
        queue.close();
        queue.push(events(3).into_iter(), LONG);
        assert_eq!(queue.take(9).map(|events| events.len()), Some(2));
        queue.done();
        assert_eq!((queue.take(9), queue.dropped()), (None, 3));
        let queue = Queue::new(9, Overflow::Block);
        queue.push(events(2).into_iter(), LONG);
        queue.abandon();
        assert_eq!((queue.take(9), queue.dropped()), (None, 2));
    }

    #[test]
    fn a_queue_is_settled_when_what_was_taken_is_handled() {
        let queue = Queue::new(9, Overflow::Block);
        assert!(queue.settle(NO_TIME));
        queue.push(events(1).into_iter(), LONG);
        assert!(!queue.settle(NO_TIME));
        queue.take(9);
        assert!(!queue.settle(NO_TIME));
        queue.done();
        assert!(queue.settle(NO_TIME));
    }
}
