//! Layer 6: where hyper spawns the streams of an HTTP/2 connection.

use std::future::Future;

use ::hyper::rt;

use crate::runtime::spawn;
use crate::task::Spawner;

/// Spawns on the current runtime, detached.
///
/// To have what is spawned in a [`TaskGroup`](crate::TaskGroup), give hyper the group's
/// [`Spawner`] instead.
///
/// # Panics
/// [`execute`](rt::Executor::execute) panics if there is no current runtime. A connection that is
/// polled in a task has one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Executor;

impl<F> rt::Executor<F> for Executor
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        spawn(future).detach();
    }
}

/// Spawns in the group.
impl<F> rt::Executor<F> for Spawner<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        self.spawn(future);
    }
}
