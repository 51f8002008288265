//! A value for one thread at a time, the others wait for a limited time.

use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A mutex whose lock can be waited for with a limit.
pub(crate) struct Exclusive<T> {
    value: Mutex<Option<T>>,
    freed: Condvar,
}

/// The value, until it is dropped.
pub(crate) struct Taken<'e, T> {
    of: &'e Exclusive<T>,
    value: Option<T>,
}

impl<T> Exclusive<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            value: Mutex::new(Some(value)),
            freed: Condvar::new(),
        }
    }

    /// The value, as soon as nobody has it; `None` if that takes longer than `limit`.
    pub(crate) fn take(&self, limit: Duration) -> Option<Taken<'_, T>> {
        let (mut slot, _) = self
            .freed
            .wait_timeout_while(self.slot(), limit, |slot| slot.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        let value = slot.take()?;
        Some(Taken {
            of: self,
            value: Some(value),
        })
    }

    fn slot(&self) -> MutexGuard<'_, Option<T>> {
        // Nothing can panic while the slot is locked.
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Deref for Taken<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("the value leaves in drop alone")
    }
}

impl<T> DerefMut for Taken<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("the value leaves in drop alone")
    }
}

impl<T> Drop for Taken<'_, T> {
    fn drop(&mut self) {
        *self.of.slot() = self.value.take();
        self.of.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_second_waits_but_not_for_ever() {
        let value = Exclusive::new(1);
        let first = value.take(Duration::ZERO).unwrap();
        assert!(value.take(Duration::from_millis(10)).is_none());
        std::thread::scope(|scope| {
            let second = scope.spawn(|| {
                let mut taken = value.take(Duration::from_secs(60)).unwrap();
                *taken += 1;
            });
            drop(first);
            second.join().unwrap();
        });
        assert_eq!(*value.take(Duration::ZERO).unwrap(), 2);
    }
}
