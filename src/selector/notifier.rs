//! Layer 1: wakes a blocked select from outside.
//! Invariant: a notification is never lost; any number of them before a select end exactly one.

use std::fmt;
use std::io;
use std::sync::Arc;

/// Ends the current select of a selector, or else its next one, from any thread.
///
/// Clones are cheap and may outlive the selector; then a notification does nothing. Many
/// notifications before a select cost one wake-up and, after the first, no system call. A select
/// that a notifier ended reports the keys that were ready beside it, possibly none.
///
/// ```
/// use selkie::{DefaultSelector, Events};
///
/// let mut selector = DefaultSelector::<std::net::TcpStream>::new()?;
/// let notifier = selector.notifier();
/// let waker = std::thread::spawn(move || notifier.notify());
///
/// // For ever, if nobody notified.
/// assert_eq!(selector.select(&mut Events::new(), None)?.count(), 0);
/// waker.join().expect("the thread does not panic")?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Notifier(Arc<dyn Fn() -> io::Result<()> + Send + Sync>);

impl Notifier {
    /// For those who write a [`Backend`](super::backend::Backend): a notifier that calls `wake`.
    ///
    /// To keep the promise of [`Notifier::notify`], `wake` must be safe in a signal handler: no
    /// allocation, no lock.
    pub fn new(wake: impl Fn() -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self(Arc::new(wake))
    }

    /// Ends the current or the next select.
    ///
    /// What this thread wrote before is visible to the thread that returns from that select.
    /// Safe to call in a signal handler: it is an atomic swap and at most one `write(2)` that
    /// does not block, and leaves `errno` alone on Linux. (Cloning and dropping a notifier is
    /// not: clone it beforehand.)
    ///
    /// # Errors
    /// As `write(2)` on an `eventfd(2)`; none is expected while the process has the descriptor.
    pub fn notify(&self) -> io::Result<()> {
        (self.0)()
    }
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifier").finish_non_exhaustive()
    }
}
