//! Layer 0: panics that must not go on where they happen.
//! Invariant: nothing in here panics, whatever the payload does when it is dropped.

use std::any::Any;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::thread;

/// What a panic left behind; user code may have made it, so even to drop it may panic.
pub(crate) type Payload = Box<dyn Any + Send>;

/// Runs `f`, and returns its panic as a value.
pub(crate) fn catch<R>(f: impl FnOnce() -> R) -> Result<R, Payload> {
    panic::catch_unwind(AssertUnwindSafe(f))
}

/// Drops a payload. The payload of a panic in its destructor is leaked: to go on would have no end.
pub(crate) fn discard(payload: Payload) {
    if let Err(another) = catch(|| drop(payload)) {
        mem::forget(another);
    }
}

/// Keeps the first of several panics.
#[derive(Default)]
pub(crate) struct FirstPanic(Option<Payload>);

impl FirstPanic {
    /// Runs `f`; true if it did not panic.
    pub(crate) fn watch(&mut self, f: impl FnOnce()) -> bool {
        let Err(payload) = catch(f) else { return true };
        match &self.0 {
            None => self.0 = Some(payload),
            Some(_) => discard(payload),
        }
        false
    }

    /// Goes on with the first panic, unless the thread panics already, as it may where sources and
    /// runtimes are dropped.
    pub(crate) fn resume(self) {
        match self.0 {
            Some(payload) if thread::panicking() => discard(payload),
            Some(payload) => panic::resume_unwind(payload),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic::panic_any(Bomb);
        }
    }

    #[test]
    fn a_payload_whose_destructor_panics_without_end_is_dropped_without_a_panic() {
        let payload = catch(|| panic::panic_any(Bomb)).expect_err("it panics");
        discard(payload);
    }

    #[test]
    fn the_first_of_several_panics_goes_on() {
        let mut first = FirstPanic::default();
        for payload in ["one", "two"] {
            assert!(!first.watch(|| panic::panic_any(payload)));
        }
        assert!(!first.watch(|| panic::panic_any(Bomb)));
        let payload = catch(|| first.resume()).expect_err("it goes on");
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"one"));
    }
}
