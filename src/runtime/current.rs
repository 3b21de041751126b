//! Layer 3: the thread's pointer to its current runtime, the crate's only static.
//! Imports `inner`. Invariant: set exactly while a turn, a `block_on` or an `enter` of that runtime
//! is on the stack, in a panic too.

use std::cell::RefCell;
use std::mem;
use std::rc::Rc;

use super::inner::Inner;
use crate::executor::{self, Executor};
use crate::reactor::Reactor;
use crate::sync::thread_local;

thread_local! {
    static CURRENT: RefCell<Option<Entry>> = const { RefCell::new(None) };
}

struct Entry {
    inner: Rc<Inner>,
    /// True if a runtime that was current before is running, further down on the stack.
    is_inside_another: bool,
}

/// Puts the outer runtime back when it is dropped.
pub(super) struct Entered {
    outer: Option<Entry>,
}

/// Makes `inner` the current runtime.
pub(super) fn enter(inner: Rc<Inner>) -> Entered {
    let entry = Entry { inner, is_inside_another: is_running() };
    // While the thread's locals are being destroyed there is no current runtime.
    let outer = CURRENT.try_with(|current| current.replace(Some(entry))).unwrap_or(None);
    Entered { outer }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let outer = self.outer.take();
        let left = CURRENT.try_with(|current| mem::replace(&mut *current.borrow_mut(), outer));
        // Perhaps the last reference to a runtime: its drop runs user code, after the borrow.
        drop(left);
    }
}

pub(super) fn get() -> Option<Rc<Inner>> {
    with(Rc::clone)
}

/// True if a runtime on this thread's stack is running: to block the thread would block it.
pub(super) fn is_running() -> bool {
    let is_running = |entry: &Entry| entry.is_inside_another || entry.inner.is_running.get();
    CURRENT.try_with(|current| current.borrow().as_ref().is_some_and(is_running)).unwrap_or(false)
}

/// The current runtime, lent: `f` runs under a borrow and must not call out.
#[inline]
fn with<R>(f: impl FnOnce(&Rc<Inner>) -> R) -> Option<R> {
    CURRENT
        .try_with(|current| current.borrow().as_ref().map(|entry| f(&entry.inner)))
        .ok()
        .flatten()
}

/// The current runtime's reactor.
///
/// # Panics
/// If there is none.
#[track_caller]
pub(crate) fn reactor() -> Rc<Reactor> {
    match with(|inner| Rc::clone(&inner.reactor)) {
        Some(reactor) => reactor,
        None => no_runtime(),
    }
}

#[track_caller]
#[cold]
pub(super) fn no_runtime() -> ! {
    panic!(
        "there is no selkie runtime on this thread just now; call this inside \
         Runtime::block_on, Runtime::enter or a task"
    )
}

/// How the executor finds itself.
pub(super) enum Current {}

impl executor::Current for Current {
    fn get() -> Option<Rc<Executor>> {
        with(|inner| Rc::clone(&inner.executor))
    }

    #[inline]
    fn with_running<R>(f: impl FnOnce(&Executor) -> R) -> Option<R> {
        with(|inner| inner.is_running.get().then(|| f(&inner.executor))).flatten()
    }
}
