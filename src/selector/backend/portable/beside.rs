//! Layer 1: poll(2) beside the poller, for what the poller cannot be asked, or not in that way.
//! Invariant: a signal that ends it has taken no event and no notification.

use std::io;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::watch::{Arming, Seen};
use super::{PollingBackend, descriptor};
use crate::selector::until::Until;

impl PollingBackend {
    /// Waits until the poller, or a watch beside it, has something, or until it is time; puts what
    /// is beside it into `found`. Returns true if the poller is to be asked, too.
    ///
    /// # Errors
    /// As poll(2), EINTR included.
    pub(super) fn find_beside(&mut self, until: Until) -> io::Result<bool> {
        let mut keys = Vec::new();
        let mut fds = Vec::new();
        match descriptor::of(&self.set.poller) {
            Some(poller) => fds.push(PollFd::from_borrowed_fd(poller, PollFlags::IN)),
            None => fds.extend(self.bell.poll_fd()),
        }
        let others = fds.len();
        let is_asked = |arming| match arming {
            Arming::Beside => true,
            Arming::AsAsked => descriptor::of(&self.set.poller).is_none(),
            Arming::UntilChange | Arming::Disarmed => false,
        };
        for (key, watch) in self.watches.iter().filter(|(_, watch)| is_asked(watch.arming)) {
            keys.push(*key);
            fds.push(PollFd::from_borrowed_fd(watch.fd, watch.poll_flags()));
        }
        // Beyond the range of a `Timespec` is for ever.
        let timeout = until.timeout().and_then(|timeout| Timespec::try_from(timeout).ok());
        if poll(&mut fds, timeout.as_ref())? == 0 {
            return Ok(false);
        }
        for (key, fd) in keys.into_iter().zip(&fds[others..]) {
            let is_beside = self.watches.get(&key).is_some_and(|w| w.arming == Arming::Beside);
            if is_beside && !fd.revents().is_empty() {
                self.found.push((key, Seen::ByPoll(fd.revents())));
            }
        }
        Ok(true)
    }
}
