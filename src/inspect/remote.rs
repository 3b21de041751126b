//! Layer 6: the table of tasks, asked for on another thread.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use super::gather::tasks;
use super::tasks::Tasks;
use crate::executor::current;
use crate::runtime::Remote;

impl Remote {
    /// The tasks of the runtime, asked for on another thread: blocks this one until the loop has
    /// answered, or `patience` is over.
    ///
    /// The loop answers between two polls of tasks, so it cannot while it is blocked or between the
    /// turns of a foreign loop. In a task of another runtime, do not block: await
    /// `remote.spawn(|| async { selkie::inspect::tasks() })`.
    ///
    /// # Errors
    /// Of kind `TimedOut` if there was no answer, `BrokenPipe` if the runtime is gone, and
    /// `Deadlock` inside a running runtime, whose loop would be blocked by this: that is answered by
    /// [`inspect::tasks`](crate::inspect::tasks).
    pub fn tasks(&self, patience: Duration) -> io::Result<Tasks> {
        if current::is_any_running() {
            return Err(io::Error::new(
                io::ErrorKind::Deadlock,
                "Remote::tasks was called inside a running selkie runtime, which it would block; \
                 call selkie::inspect::tasks there",
            ));
        }
        let (sender, answer) = mpsc::sync_channel(1);
        let _asks = self.spawn_named("Remote::tasks", move || async move {
            // Fails if nobody has the patience any more.
            let _ = sender.send(tasks().without_running());
        })?;
        answer.recv_timeout(patience).map_err(|error| match error {
            RecvTimeoutError::Timeout => io::Error::new(
                io::ErrorKind::TimedOut,
                format!(
                    "the loop has not answered within {patience:?}: a task blocks it, or nobody \
                     takes turns; look at what its thread does"
                ),
            ),
            RecvTimeoutError::Disconnected => io::Error::new(
                io::ErrorKind::BrokenPipe,
                "the runtime of this remote has ended without an answer; keep it alive for as long \
                 as it is asked",
            ),
        })
    }
}
