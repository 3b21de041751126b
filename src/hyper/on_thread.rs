//! Layer 6: a value that other threads may hold. Invariant: it is touched, and dropped, on the
//! thread that made it alone.

use std::fmt;
use std::io::{self, IoSlice};
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread::{self, ThreadId};

use ::hyper::rt;

/// A value that is `Send`, and stays on its thread all the same: for hyper's upgrades, which ask for
/// a connection that is `Send` and never send it.
///
/// To use it on another thread is a panic, and to drop it there leaks it.
///
/// ```
/// use selkie::hyper::OnThread;
///
/// let value = OnThread::new(std::rc::Rc::new(7));
/// assert_eq!(**value, 7);
/// std::thread::spawn(move || drop(value)).join().unwrap(); // Leaked.
/// ```
pub struct OnThread<T> {
    value: ManuallyDrop<T>,
    owner: ThreadId,
}

// SAFETY: to send it needs that no other thread can do with the value what only its own may. `value`
// is private; `deref` and `deref_mut`, through which everything else goes, return only on the thread
// that made it, whose id is never used again; and `drop` drops it there alone. Who could break it: a
// method that reads `value` without them.
unsafe impl<T> Send for OnThread<T> {}

// SAFETY: as for `Send`: a reference gives the value away on its own thread only.
unsafe impl<T> Sync for OnThread<T> {}

impl<T> OnThread<T> {
    /// Makes this thread the value's.
    pub fn new(value: T) -> Self {
        Self { value: ManuallyDrop::new(value), owner: thread::current().id() }
    }

    fn is_here(&self) -> bool {
        thread::current().id() == self.owner
    }

    #[track_caller]
    fn check(&self) {
        assert!(
            self.is_here(),
            "a value of another thread was used; use it on the thread that made it"
        );
    }

    /// Takes the value out.
    ///
    /// # Panics
    /// On another thread than the value's.
    #[track_caller]
    pub fn into_inner(mut self) -> T {
        self.check();
        // SAFETY: `take` needs that the value is not used again: `self` is forgotten, so that it is
        // not dropped.
        let value = unsafe { ManuallyDrop::take(&mut self.value) };
        std::mem::forget(self);
        value
    }
}

impl<T> Drop for OnThread<T> {
    fn drop(&mut self) {
        if self.is_here() {
            // SAFETY: `drop` needs that the value is not used again, and it was not taken:
            // `into_inner` forgets `self`.
            unsafe { ManuallyDrop::drop(&mut self.value) }
        }
    }
}

/// # Panics
/// On another thread than the value's.
impl<T> std::ops::Deref for OnThread<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.check();
        &self.value
    }
}

/// # Panics
/// On another thread than the value's.
impl<T> std::ops::DerefMut for OnThread<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.check();
        &mut self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for OnThread<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tuple = f.debug_tuple("OnThread");
        if self.is_here() {
            tuple.field(&*self.value).finish()
        } else {
            tuple.finish_non_exhaustive()
        }
    }
}

impl<T: rt::Read + Unpin> rt::Read for OnThread<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut **self).poll_read(cx, buf)
    }
}

impl<T: rt::Write + Unpin> rt::Write for OnThread<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut **self).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut **self).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut **self).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        (**self).is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut **self).poll_write_vectored(cx, bufs)
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::rc::Rc;
    use std::thread;

    use super::OnThread;

    #[test]
    fn a_value_that_is_dropped_on_another_thread_is_leaked_and_not_touched() {
        let value = Rc::new(7);
        let sent = OnThread::new(Rc::clone(&value));
        thread::spawn(move || drop(sent)).join().unwrap();
        assert_eq!(Rc::strong_count(&value), 2);
        drop(OnThread::new(Rc::clone(&value)));
        assert_eq!(Rc::strong_count(&value), 2, "dropped on its own thread");
        assert_eq!(*OnThread::new(Rc::clone(&value)).into_inner(), 7);
        assert_eq!(Rc::strong_count(&value), 2);
    }

    #[test]
    fn a_value_cannot_be_used_on_another_thread() {
        let mut sent = OnThread::new(Rc::new(7));
        thread::scope(|scope| {
            scope.spawn(|| {
                assert_eq!(format!("{sent:?}"), "OnThread(..)");
                let used = catch_unwind(AssertUnwindSafe(|| **sent));
                let text = *used.unwrap_err().downcast::<&str>().unwrap();
                assert!(text.contains("use it on the thread that made it"), "{text}");
                catch_unwind(AssertUnwindSafe(|| *sent = Rc::new(8))).unwrap_err();
                catch_unwind(AssertUnwindSafe(|| sent.into_inner())).unwrap_err();
            });
        });
    }
}
