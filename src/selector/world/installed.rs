//! Layer 1: the world of a thread.
//! Invariant: set exactly while the `Installed` that set it lives.

// A second static beside the thread's pointer to its current runtime: selectors ask this one, which
// are two layers below what the other points to. Nothing reads it but what opens a back end or a
// runtime, and the clock outside of a runtime.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::rc::Rc;
use std::time::Instant;

use super::World;
use crate::selector::backend::system_now;

thread_local! {
    // Without a destructor, so that it is there until the thread is gone.
    static INSTALLED: Cell<Option<ManuallyDrop<Rc<dyn World>>>> = const { Cell::new(None) };
}

/// Makes `world` that of this thread, until the result is dropped; then the former one is again.
///
/// Every back end that is opened on the thread meanwhile is the world's: those of
/// [`DefaultSelector::new`](crate::DefaultSelector), [`Builder::build`](crate::Builder::build),
/// [`Runtime::new`](crate::Runtime::new) and [`block_on`](crate::block_on). So are the sockets of
/// the runtimes that are made meanwhile, to their end, and [`time::now`](crate::time::now) outside a
/// runtime. A selector or a back end whose type names the system call, such as `EpollSelector`, is
/// the system's.
#[must_use = "the world is that of the thread while this lives"]
pub fn install(world: Rc<dyn World>) -> Installed {
    let outer = INSTALLED.replace(Some(ManuallyDrop::new(world)));
    Installed { outer, not_send: PhantomData }
}

/// Keeps a world installed; from [`install`].
pub struct Installed {
    outer: Option<ManuallyDrop<Rc<dyn World>>>,
    /// It belongs to its thread.
    not_send: PhantomData<*const ()>,
}

impl Drop for Installed {
    fn drop(&mut self) {
        let left = INSTALLED.replace(self.outer.take());
        // Perhaps the last reference to it, whose drop runs user code.
        drop(left.map(ManuallyDrop::into_inner));
    }
}

impl fmt::Debug for Installed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Installed").finish_non_exhaustive()
    }
}

/// The world of this thread, if it is not the system.
pub(crate) fn current() -> Option<Rc<dyn World>> {
    INSTALLED.with(|installed| {
        let world = installed.take();
        let copy = world.as_deref().cloned();
        installed.set(world);
        copy
    })
}

/// The time in the world of this thread.
pub(crate) fn present() -> Instant {
    current().map_or_else(system_now, |world| world.now())
}
