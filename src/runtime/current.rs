//! Layer 3: the thread's pointer to its current runtime, the crate's only static.
//! Imports `inner`. Invariant: set exactly while a turn, a
//! `block_on` or an `enter` of that runtime is on the stack, in a panic too.

use std::cell::RefCell;
use std::mem;
use std::rc::Rc;

use super::inner::Inner;
use crate::executor::{self, Executor};
use crate::reactor::Reactor;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Inner>>> = const { RefCell::new(None) };
}

/// Puts the outer runtime back when it is dropped.
pub(super) struct Entered {
    outer: Option<Rc<Inner>>,
}

/// Makes `inner` the current runtime.
pub(super) fn enter(inner: Rc<Inner>) -> Entered {
    // While the thread's locals are being destroyed there is no current runtime.
    let outer = CURRENT.try_with(|current| current.replace(Some(inner))).unwrap_or(None);
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
    CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
}

/// The current runtime's reactor.
///
/// # Panics
/// If there is none.
#[track_caller]
pub(crate) fn reactor() -> Rc<Reactor> {
    let reactor = CURRENT
        .try_with(|current| current.borrow().as_ref().map(|inner| Rc::clone(&inner.reactor)));
    match reactor {
        Ok(Some(reactor)) => reactor,
        _ => no_runtime(),
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
        get().map(|inner| Rc::clone(&inner.executor))
    }

    #[inline]
    fn with_running<R>(f: impl FnOnce(&Executor) -> R) -> Option<R> {
        let with = |current: &RefCell<Option<Rc<Inner>>>| match &*current.borrow() {
            Some(inner) if inner.is_running.get() => Some(f(&inner.executor)),
            _ => None,
        };
        CURRENT.try_with(with).ok().flatten()
    }
}
