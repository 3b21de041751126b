//! Layer 1: the notifier of the direct back ends, an `eventfd(2)` and a flag.
//! Invariant: while the flag is set, the descriptor has an event that no wait has taken yet, or the
//! wait that took it has not returned. So no notification is lost, and all but the first cost no
//! system call.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{EventfdFlags, eventfd};

use crate::selector::notifier::Notifier;
use crate::sys::{AsFd, BorrowedFd, OwnedFd};

#[derive(Debug)]
pub(super) struct EventFd {
    fd: OwnedFd,
    notified: AtomicBool,
}

impl EventFd {
    pub(super) fn new() -> io::Result<Arc<Self>> {
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Arc::new(Self { fd, notified: AtomicBool::new(false) }))
    }

    pub(super) fn notifier(self: &Arc<Self>) -> Notifier {
        let eventfd = Arc::clone(self);
        Notifier::new(move || eventfd.notify())
    }

    fn notify(&self) -> io::Result<()> {
        if !self.notified.swap(true, Ordering::AcqRel)
            && let Err(error) = rustix::io::write(&self.fd, &1_u64.to_ne_bytes())
        {
            self.notified.store(false, Ordering::Release);
            return Err(error.into());
        }
        Ok(())
    }

    /// Takes a notification that arrived by an edge: the counter may stay as it is.
    pub(super) fn acknowledge(&self) {
        self.notified.swap(false, Ordering::AcqRel);
    }

    /// Makes ready for a fresh epoll set, to which a counter above zero is an edge: it is that
    /// only if there is a notification which no wait has taken. One that comes in the middle of
    /// this may wake twice, but is not lost.
    pub(super) fn settle(&self) {
        // Fails only with EAGAIN, when the counter is zero already.
        let _ = rustix::io::read(&self.fd, &mut [0_u8; 8]);
        if self.notified.load(Ordering::Acquire) {
            // Cannot fail: the counter has just been emptied.
            let _ = rustix::io::write(&self.fd, &1_u64.to_ne_bytes());
        }
    }

    /// Takes a notification that arrived by a level: the counter goes back to zero, and only
    /// then the flag. A notification in between writes nothing, but the wait that calls this is
    /// about to return.
    pub(super) fn drain(&self) {
        // Fails only with EAGAIN, when there is nothing to take; and a wait must not lose the
        // events at hand for it.
        let _ = rustix::io::read(&self.fd, &mut [0_u8; 8]);
        self.acknowledge();
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(eventfd: &EventFd) -> u64 {
        let mut bytes = [0; 8];
        match rustix::io::read(&eventfd.fd, &mut bytes) {
            Ok(_) => u64::from_ne_bytes(bytes),
            Err(_) => 0,
        }
    }

    #[test]
    fn notifications_after_the_first_write_nothing() {
        let eventfd = EventFd::new().unwrap();
        let notifier = eventfd.notifier();
        (0..5).for_each(|_| notifier.notify().unwrap());
        assert_eq!(counter(&eventfd), 1);
        eventfd.acknowledge();
        notifier.notify().unwrap();
        assert_eq!(counter(&eventfd), 1);
    }

    #[test]
    fn a_drained_notification_leaves_room_for_the_next() {
        let eventfd = EventFd::new().unwrap();
        eventfd.notify().unwrap();
        eventfd.drain();
        assert_eq!(counter(&eventfd), 0);
        eventfd.notify().unwrap();
        assert_eq!(counter(&eventfd), 1);
    }

    #[test]
    fn a_notification_that_was_taken_is_none_to_a_fresh_epoll_set() {
        let eventfd = EventFd::new().unwrap();
        eventfd.notify().unwrap();
        eventfd.acknowledge();
        eventfd.settle();
        assert_eq!(counter(&eventfd), 0);
        eventfd.notify().unwrap();
        eventfd.settle();
        assert_eq!(counter(&eventfd), 1);
    }

    #[test]
    #[cfg_attr(miri, ignore = "needs a signal")]
    fn a_signal_handler_can_notify() {
        let eventfd = EventFd::new().unwrap();
        let notifier = eventfd.notifier();
        // SAFETY: the handler must be async-signal-safe; `notify` is an atomic swap and one
        // `write` of its own, and the closure is neither cloned nor dropped in the handler.
        let handler = unsafe {
            signal_hook::low_level::register(signal_hook::consts::SIGUSR1, move || {
                let _ = notifier.notify();
            })
        };
        signal_hook::low_level::raise(signal_hook::consts::SIGUSR1).unwrap();
        assert_eq!(counter(&eventfd), 1);
        assert!(signal_hook::low_level::unregister(handler.unwrap()));
    }
}
