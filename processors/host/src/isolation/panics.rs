//! Catches panics of plugins, with their place and without noise.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The most bytes of a panic's message that are kept: more than are shown, so that no
/// secret is cut into what cannot be found before it is struck out.
const LONGEST_MESSAGE: usize = 64 * 1024;

thread_local! {
    static WATCHED: Cell<bool> = const { Cell::new(false) };
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// How often the hook was found removed.
static REMOVALS: AtomicU64 = AtomicU64::new(0);

/// Whether the hook has to be set: it was not yet, or somebody removed it.
static MISSING: AtomicBool = AtomicBool::new(true);

/// From now on panics of this thread are recorded rather than printed.
pub(super) fn watch_this_thread() {
    keep_hook();
    WATCHED.set(true);
}

/// How often the process's panic hook was replaced by one that forgot ours. Whenever that
/// is found, ours is set again, around the other.
pub(super) fn replacements() -> u64 {
    keep_hook();
    REMOVALS.load(Ordering::Relaxed)
}

/// Part of the hook, which goes when the hook goes.
struct Presence;

impl Drop for Presence {
    fn drop(&mut self) {
        REMOVALS.fetch_add(1, Ordering::Relaxed);
        MISSING.store(true, Ordering::Release);
    }
}

/// Wraps the process's panic hook if it is not wrapped.
fn keep_hook() {
    // Nobody may do so while panicking.
    if std::thread::panicking() || !MISSING.swap(false, Ordering::AcqRel) {
        return;
    }
    let previous = panic::take_hook();
    let presence = Presence;
    panic::set_hook(Box::new(move |info| {
        let _kept = &presence;
        // Without its thread-locals a thread is about to end.
        if WATCHED.try_with(Cell::get).unwrap_or(false) {
            record(info);
        } else {
            previous(info);
        }
    }));
}

fn record(info: &PanicHookInfo<'_>) {
    let mut message = told(info.payload_as_str());
    if let Some(place) = info.location() {
        message = format!("{message} at {}:{}", place.file(), place.line());
    }
    let _ = LAST.try_with(|last| {
        if let Ok(mut last) = last.try_borrow_mut() {
            *last = Some(message);
        }
    });
}

/// What `call` returns, or the message of its panic.
///
/// A panic while another one unwinds ends the process; nothing can be done about it here.
pub(super) fn catch<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    keep_hook();
    LAST.set(None);
    panic::catch_unwind(AssertUnwindSafe(call)).map_err(|payload| {
        let message = LAST.take().unwrap_or_else(|| told(text_of(&*payload)));
        // Dropping a foreign payload may panic again.
        std::mem::forget(payload);
        message
    })
}

fn text_of(payload: &(dyn Any + Send)) -> Option<&str> {
    let owned = payload.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| payload.downcast_ref::<&str>().copied())
}

fn told(text: Option<&str>) -> String {
    let Some(text) = text else {
        return "a value that is no text".to_owned();
    };
    let end = text.floor_char_boundary(LONGEST_MESSAGE);
    let mark = if end < text.len() { ".." } else { "" };
    format!("{}{mark}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a thread of its own, because being watched is for life.
    fn watched<T: Send>(call: impl FnOnce() -> T + Send) -> Result<T, String> {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                watch_this_thread();
                catch(call)
            });
            thread.join().unwrap()
        })
    }

    struct Vicious;

    impl Drop for Vicious {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }

    #[test]
    fn a_panic_is_told_with_its_place() {
        let line = line!() + 1;
        let told = watched(|| panic!("no {}", "luck"));
        assert_eq!(told, Err::<(), _>(format!("no luck at {}:{line}", file!())));
        assert_eq!(watched(|| 1), Ok(1));
    }

    #[test]
    fn a_payload_may_be_anything() {
        let strange = watched(|| panic::panic_any(17)).unwrap_err();
        assert!(
            strange.starts_with("a value that is no text at "),
            "{strange}"
        );
        let vicious = watched(|| panic::panic_any(Vicious)).unwrap_err();
        assert!(
            vicious.starts_with("a value that is no text at "),
            "{vicious}"
        );
    }

    #[test]
    fn a_panic_that_no_hook_sees_is_told_without_a_place() {
        let silent = watched(|| panic::resume_unwind(Box::new("by hand")));
        assert_eq!(silent, Err::<(), _>("by hand".into()));
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let message = watched(|| panic!("{}", "ä".repeat(1 << 20))).unwrap_err();
        assert!(message.starts_with("ää") && message.len() < LONGEST_MESSAGE + 200);
    }
}
