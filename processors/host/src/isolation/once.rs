//! One call to code of a plugin, on a thread of its own.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use super::{Fault, panics};

/// What `call` returns. It runs on a thread of its own, which shows `name`; a panic in it
/// and an endless loop are survived.
///
/// # Errors
///
/// [`Fault::Panicked`], [`Fault::Hung`], or [`Fault::Unavailable`] if there is no thread.
pub fn once<T: Send + 'static>(
    name: &str,
    limit: Duration,
    call: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let work = move || {
        panics::watch_this_thread();
        // Nobody listens any more if it took too long.
        let _ = sender.send(panics::catch(call));
    };
    std::thread::Builder::new()
        .name(format!("vp:{name}"))
        .spawn(work)
        .map_err(|error| Fault::unavailable(format!("no thread could be started: {error}")))?;
    match receiver.recv_timeout(limit) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(message)) => Err(Fault::Panicked { message }),
        Err(RecvTimeoutError::Timeout) => Err(Fault::Hung { limit }),
        Err(RecvTimeoutError::Disconnected) => {
            Err(Fault::unavailable("the thread ended without an answer"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_and_an_endless_loop_are_survived() {
        let limit = Duration::from_secs(60);
        assert_eq!(once("a", limit, || 7), Ok(7));
        let panicked = once("b", limit, || -> u8 { panic!("on purpose") });
        let Err(Fault::Panicked { message }) = panicked else {
            panic!("{panicked:?}");
        };
        assert!(message.starts_with("on purpose at "), "{message}");
        let limit = Duration::from_millis(50);
        let hung = once("c", limit, || std::thread::sleep(Duration::from_secs(600)));
        assert_eq!(hung, Err(Fault::Hung { limit }));
    }
}
