//! Layer 1: a channel from other threads that is a source of a selector.
//! Invariant: outside the lock, the descriptor is readable exactly while there is a message to
//! take, or no sender is left. No message is dropped and no user code runs under the lock.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::bell::Bell;
use crate::sys::{AsFd, AsRawFd, BorrowedFd, RawFd};

/// Room, in messages, that a channel keeps when it has run empty after a burst.
const KEPT: usize = 256;

/// A channel whose receiver is a source: readable while there is something to take.
///
/// For an explicit loop that other threads send to. Register the [`Receiver`] as any source; the
/// loop takes the messages when its key is ready. The first message of an empty channel costs a
/// system call, which makes the receiver readable; those that follow until it has been emptied
/// cost none.
///
/// It is unbounded. A `send` that waits for room would block its thread, and for ever if that is
/// the thread of the loop. Who has to hold senders back counts what is under way, or answers each
/// message.
///
/// ```
/// use std::thread;
/// use selkie::selector::{self, Receiver};
/// use selkie::{DefaultSelector, Events, Interest};
///
/// let (sender, receiver) = selector::channel()?;
/// let counting = thread::spawn(move || (1..=3).try_for_each(|number| sender.send(number)));
///
/// let mut selector = DefaultSelector::<Receiver<u32>>::new()?;
/// selector.register(receiver, Interest::READ, ())?;
/// let (mut events, mut sum) = (Events::new(), 0);
/// while !selector.is_empty() {
///     for (key, _readiness) in selector.select(&mut events, None)? {
///         let receiver = &selector[key].source;
///         sum += receiver.try_iter().sum::<u32>();
///         if receiver.is_disconnected() {
///             selector.unregister(key)?; // Or it would be ready for ever.
///         }
///     }
/// }
/// assert_eq!(sum, 6);
/// # counting.join().expect("the thread does not panic")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As `eventfd(2)`, notably `EMFILE`.
pub fn channel<T>() -> io::Result<(Sender<T>, Receiver<T>)> {
    let state = State { messages: VecDeque::new(), senders: 1, has_receiver: true };
    let shared = Arc::new(Shared { bell: Bell::new()?, state: Mutex::new(state) });
    Ok((Sender { shared: Arc::clone(&shared) }, Receiver { shared }))
}

struct Shared<T> {
    bell: Bell,
    state: Mutex<State<T>>,
}

struct State<T> {
    messages: VecDeque<T>,
    senders: usize,
    has_receiver: bool,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing panics under the lock but an allocation, which leaves the queue as it was.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends to the [`Receiver`] of a [`channel`], from any thread.
///
/// When the last clone is dropped the receiver is disconnected.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Puts a message into the channel. Does not wait. Not for signal handlers: it locks.
    ///
    /// # Errors
    /// If the receiver is gone; the message is handed back.
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        let mut state = self.shared.lock();
        if !state.has_receiver {
            return Err(SendError(message));
        }
        state.messages.push_back(message);
        if state.messages.len() == 1 {
            self.shared.bell.ring();
        }
        Ok(())
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.lock().senders += 1;
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.senders -= 1;
        if state.senders == 0 {
            self.shared.bell.ring();
        }
    }
}

/// The receiving end of a [`channel`], to be registered in a selector, or wrapped in an
/// [`Async`](crate::Async) in a task.
///
/// Its descriptor is readable while there is a message to take, and for ever once all senders are
/// gone. It may go to another thread, but is not cloned.
///
/// ```
/// use selkie::{Async, selector};
///
/// selkie::block_on(async {
///     let (sender, receiver) = selector::channel()?;
///     std::thread::spawn(move || sender.send("from a thread"));
///     let receiver = Async::new(receiver)?;
///     let message = receiver.read_with(|receiver| Ok(receiver.try_recv()?)).await?;
///     assert_eq!(message, "from a thread");
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Receiver<T> {
    /// Takes the next message, if there is one. Does not wait: a select does that.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`] if there is none at present, [`TryRecvError::Disconnected`] if there
    /// will be none any more.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        let mut state = self.shared.lock();
        let message = state.messages.pop_front().ok_or(match state.senders {
            0 => TryRecvError::Disconnected,
            _ => TryRecvError::Empty,
        })?;
        if state.messages.is_empty() {
            if state.senders > 0 {
                self.shared.bell.silence();
            }
            state.messages.shrink_to(KEPT);
        }
        Ok(message)
    }

    /// Takes the messages that are there when this is called, and no more, so that senders cannot
    /// hold the loop up. What comes meanwhile, and what the iterator leaves when it is dropped,
    /// keeps the descriptor readable.
    ///
    /// With [`Mode::Edge`](super::Mode::Edge) go on with [`try_recv`](Self::try_recv) until it says
    /// that there is no more.
    pub fn try_iter(&self) -> impl Iterator<Item = T> + '_ {
        let count = self.shared.lock().messages.len();
        (0..count).map_while(|_| self.try_recv().ok())
    }

    /// True if there is no message, and there will be none: no sender is left.
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        let state = self.shared.lock();
        state.messages.is_empty() && state.senders == 0
    }
}

impl<T> AsFd for Receiver<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.bell.as_fd()
    }
}

impl<T> AsRawFd for Receiver<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.has_receiver = false;
        let messages = std::mem::take(&mut state.messages);
        drop(state);
        drop(messages);
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

/// The receiver of the channel is gone; here is the message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError").finish_non_exhaustive()
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the receiver of the channel is gone, so nobody takes the message; stop sending",
        )
    }
}

impl<T> Error for SendError<T> {}

/// Why [`Receiver::try_recv`] has no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// There is none at present.
    Empty,
    /// There is none, and no sender is left.
    Disconnected,
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the channel has no message; wait until its receiver is readable",
            Self::Disconnected => {
                "the channel has no message and no sender; unregister its receiver"
            }
        })
    }
}

impl Error for TryRecvError {}

/// `Empty` is of kind `WouldBlock`, so that [`Async::read_with`](crate::Async::read_with) waits;
/// `Disconnected` is of kind `BrokenPipe`.
impl From<TryRecvError> for io::Error {
    fn from(error: TryRecvError) -> Self {
        let kind = match error {
            TryRecvError::Empty => io::ErrorKind::WouldBlock,
            TryRecvError::Disconnected => io::ErrorKind::BrokenPipe,
        };
        Self::new(kind, error)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// How often the bell has been rung since it was silent.
    fn rung<T>(receiver: &Receiver<T>) -> u64 {
        let mut count = [0; 8];
        match rustix::io::read(receiver, &mut count) {
            Ok(_) => u64::from_ne_bytes(count),
            Err(_) => 0,
        }
    }

    #[test]
    fn only_the_first_message_of_an_empty_channel_costs_a_system_call() {
        let (sender, receiver) = channel().unwrap();
        (0..100).for_each(|number| sender.send(number).unwrap());
        assert_eq!(rung(&receiver), 1);
        assert_eq!(receiver.try_iter().count(), 100);
        sender.send(100).unwrap();
        assert_eq!(rung(&receiver), 1);
    }

    #[test]
    fn a_burst_gives_its_room_back() {
        let (sender, receiver) = channel().unwrap();
        (0..100_000).for_each(|number| sender.send(number).unwrap());
        assert_eq!(receiver.try_iter().count(), 100_000);
        assert!(receiver.shared.lock().messages.capacity() <= 2 * KEPT);
    }
}
