//! Layer 3: the thread's pointer to its current runtime: beside the thread's world
//! (`selector/world`), the core's only static.
//! Invariant: set exactly while a turn, a `block_on` or an `enter` of that runtime is on the stack,
//! in a panic too.

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::rc::Rc;

use super::Executor;
use crate::sync::thread_local;

thread_local! {
    static CURRENT: Local = const { Local { executor: Cell::new(None), running: Cell::new(0) } };
}

/// Has no destructor, so that it is there until the thread is gone.
struct Local {
    /// Dropped by [`Entered`].
    executor: Cell<Option<ManuallyDrop<Rc<Executor>>>>,
    /// How many runtimes are running on this thread's stack.
    running: Cell<u32>,
}

/// While it lives, an executor is the thread's current one; then the outer one is again.
pub(crate) struct Entered {
    outer: Option<ManuallyDrop<Rc<Executor>>>,
    /// What was left of the outer one's budget, if that is another one's, which may be in a poll.
    suspended: Option<i64>,
}

impl Entered {
    pub(crate) fn new(executor: Rc<Executor>) -> Self {
        let inner = Rc::as_ptr(&executor);
        let executor = Some(ManuallyDrop::new(executor));
        let outer = CURRENT.with(|current| current.executor.replace(executor));
        let another = outer.as_ref().filter(|outer| Rc::as_ptr(outer) != inner);
        let suspended = another.map(|outer| outer.reactor.budget().suspend());
        Self { outer, suspended }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        if let (Some(outer), Some(left)) = (&self.outer, self.suspended) {
            outer.reactor.budget().resume(left);
        }
        let left = CURRENT.with(|current| current.executor.replace(self.outer.take()));
        // Perhaps the last reference to a runtime, whose drop runs user code.
        drop(left.map(ManuallyDrop::into_inner));
    }
}

/// While it lives, a turn or a `block_on` of an executor is on the stack.
///
/// At its end, which may be a panic, whoever comes from then on makes the runtime's descriptor
/// readable, as do those who could not go on.
pub(crate) struct Running {
    executor: Rc<Executor>,
    _entered: Entered,
}

impl Running {
    /// # Panics
    /// If the executor is running already.
    #[track_caller]
    pub(crate) fn start(executor: &Rc<Executor>) -> Self {
        assert!(
            !executor.is_running(),
            "a turn of this runtime was called inside one of its own tasks; return to the loop \
             instead, or spawn another task"
        );
        executor.reactor.set_running(true);
        CURRENT.with(|current| current.running.set(current.running.get() + 1));
        let executor = Rc::clone(executor);
        Self { _entered: Entered::new(Rc::clone(&executor)), executor }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        CURRENT.with(|current| current.running.set(current.running.get() - 1));
        self.executor.reactor.set_running(false);
        self.executor.sleep();
    }
}

/// True if a runtime on this thread's stack is running: to block the thread would block it.
pub(crate) fn is_any_running() -> bool {
    CURRENT.with(|current| current.running.get() > 0)
}

pub(crate) fn get() -> Option<Rc<Executor>> {
    with(Rc::clone)
}

/// The current runtime.
///
/// # Panics
/// If there is none.
#[track_caller]
pub(crate) fn expect() -> Rc<Executor> {
    match get() {
        Some(executor) => executor,
        None => no_runtime(),
    }
}

#[track_caller]
#[cold]
fn no_runtime() -> ! {
    panic!(
        "there is no selkie runtime on this thread just now; call this inside \
         Runtime::block_on, Runtime::enter or a task"
    )
}

/// Runs `f` with the current executor. Meanwhile there is no current one, so `f` must not call
/// user code.
#[inline]
pub(crate) fn with<R>(f: impl FnOnce(&Rc<Executor>) -> R) -> Option<R> {
    let lend = |current: &Local| {
        let executor = current.executor.take()?;
        let result = f(&executor);
        current.executor.set(Some(executor));
        Some(result)
    };
    // Cannot fail (the value has no destructor), and, unlike `with`, it is inlined.
    CURRENT.try_with(lend).ok().flatten()
}
