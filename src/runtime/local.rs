//! Layer 4: values that belong to a runtime: thread-locals that end with it.

use std::rc::Rc;
use std::sync::Arc;

use crate::executor::current;

/// The current runtime's value of type `T`; made by `init` when it is first asked for.
///
/// For libraries that keep something for each runtime, a pool or a cache, without a global. It is
/// dropped with the runtime, after its tasks and before its sources; the value that was made last
/// goes first.
///
/// ```
/// use std::cell::Cell;
///
/// struct Requests(Cell<u64>);
///
/// selkie::block_on(async {
///     let count = || selkie::local(|| Requests(Cell::new(0)));
///     count().0.set(count().0.get() + 1);
///     assert_eq!(count().0.get(), 1);
/// });
/// ```
///
/// # Panics
/// If called outside [`Runtime::block_on`](crate::Runtime::block_on),
/// [`Runtime::enter`](crate::Runtime::enter) and tasks.
#[track_caller]
pub fn local<T: 'static>(init: impl FnOnce() -> T) -> Rc<T> {
    current::expect().locals.get_or_init(init)
}

/// The value of type `T` that the current runtime's [`Builder::local`](crate::Builder::local) was
/// given, if any.
///
/// # Panics
/// As [`local`].
#[must_use]
#[track_caller]
pub fn setting<T: Send + Sync + 'static>() -> Option<Arc<T>> {
    current::expect().locals.setting()
}
