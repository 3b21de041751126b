//! Layer 3: the thread's pointer to its current runtime, the crate's only static.
//! Imports `inner`. Invariant: set exactly while a turn, a `block_on` or an `enter` of that runtime
//! is on the stack, in a panic too.

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::rc::Rc;

use super::inner::Inner;
use crate::executor::{self, Executor};
use crate::reactor::Reactor;
use crate::sync::thread_local;

thread_local! {
    static CURRENT: Local = const { Local { runtime: Cell::new(None), running: Cell::new(0) } };
}

/// Has no destructor, so that it is there until the thread is gone.
struct Local {
    /// Dropped by [`Entered`].
    runtime: Cell<Option<ManuallyDrop<Rc<Inner>>>>,
    /// How many runtimes are running on this thread's stack.
    running: Cell<u32>,
}

/// Puts the outer runtime back when it is dropped.
pub(super) struct Entered {
    outer: Option<ManuallyDrop<Rc<Inner>>>,
    is_running: bool,
}

/// Makes `inner` the current runtime.
pub(super) fn enter(inner: Rc<Inner>) -> Entered {
    Entered::new(inner, false)
}

/// Makes `inner` the current runtime, which is running from now on.
pub(super) fn run(inner: Rc<Inner>) -> Entered {
    Entered::new(inner, true)
}

impl Entered {
    fn new(inner: Rc<Inner>, is_running: bool) -> Self {
        let outer = CURRENT.with(|current| {
            current.running.set(current.running.get() + u32::from(is_running));
            current.runtime.replace(Some(ManuallyDrop::new(inner)))
        });
        Self { outer, is_running }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let left = CURRENT.with(|current| {
            current.running.set(current.running.get() - u32::from(self.is_running));
            current.runtime.replace(self.outer.take())
        });
        // Perhaps the last reference to a runtime, whose drop runs user code.
        drop(left.map(ManuallyDrop::into_inner));
    }
}

pub(super) fn get() -> Option<Rc<Inner>> {
    with(Rc::clone)
}

/// True if a runtime on this thread's stack is running: to block the thread would block it.
pub(super) fn is_running() -> bool {
    CURRENT.with(|current| current.running.get() > 0)
}

/// The current runtime, lent: for `f` there is none, so it must not call out.
#[inline]
fn with<R>(f: impl FnOnce(&Rc<Inner>) -> R) -> Option<R> {
    let lend = |current: &Local| {
        let inner = current.runtime.take()?;
        let result = f(&inner);
        current.runtime.set(Some(inner));
        Some(result)
    };
    // Never an error without a destructor; but inlined, as `with` is not.
    CURRENT.try_with(lend).ok().flatten()
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
