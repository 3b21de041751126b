//! Layer 1: how registrations are armed in the poller.
//! Invariant: a poller with edges knows every registration, and one without knows those that are
//! armed as asked: a oneshot of poll(2) that has fired, but is still there, reports a hang-up.

use std::io;
use std::sync::Arc;

use polling::Poller;
use rustix::io::fcntl_getfd;

use super::watch::{Arming, Watch};
use crate::sys::BorrowedFd;

#[derive(Debug)]
pub(super) struct PollerSet {
    pub(super) poller: Arc<Poller>,
    pub(super) has_edges: bool,
    /// How many registrations are [`Arming::Beside`].
    pub(super) beside: usize,
}

/// What the poller has done to a registration since it was armed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Has {
    /// Reported it, and so disarmed a oneshot.
    Fired,
    /// Nothing that counts.
    Nothing,
}

impl PollerSet {
    pub(super) fn new(poller: Poller) -> Self {
        Self { has_edges: poller.supports_edge(), poller: Arc::new(poller), beside: 0 }
    }

    /// # Errors
    /// EBADF, if the descriptor is closed and the poller would not mind.
    pub(super) fn check(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        if !self.has_edges {
            fcntl_getfd(fd)?;
        }
        Ok(())
    }

    /// # Errors
    /// As the poller's, when it refuses to watch.
    pub(super) fn add(&mut self, key: usize, watch: &Watch) -> io::Result<()> {
        if self.knows(watch.arming) {
            self.insert(key, watch)?;
        }
        self.count(Arming::AsAsked, watch.arming);
        Ok(())
    }

    /// Arms `watch` in another way, or anew.
    ///
    /// # Errors
    /// As the poller's, when it refuses to watch; all is as it was then.
    pub(super) fn arm(
        &mut self,
        key: usize,
        watch: &mut Watch,
        arming: Arming,
        poller: Has,
    ) -> io::Result<()> {
        let armed = Watch { arming, ..*watch };
        match (self.knows(watch.arming), self.knows(arming)) {
            (true, true) if poller == Has::Fired && is_armed_already(watch.arming, arming) => {}
            (true, true) => {
                self.poller.modify_with_mode(watch.fd, armed.event(key), armed.poll_mode())?;
            }
            (false, true) => self.insert(key, &armed)?,
            (true, false) => self.poller.delete(watch.fd)?,
            (false, false) => {}
        }
        self.count(watch.arming, arming);
        *watch = armed;
        Ok(())
    }

    /// # Errors
    /// As the poller's, if it does not know the descriptor any more.
    pub(super) fn remove(&mut self, watch: &Watch) -> io::Result<()> {
        self.forget(watch);
        if self.knows(watch.arming) { self.poller.delete(watch.fd) } else { Ok(()) }
    }

    /// Takes no notice of `watch` any more, which the poller does not know.
    pub(super) fn forget(&mut self, watch: &Watch) {
        self.count(watch.arming, Arming::AsAsked);
    }

    fn knows(&self, arming: Arming) -> bool {
        self.has_edges || arming == Arming::AsAsked
    }

    fn insert(&self, key: usize, watch: &Watch) -> io::Result<()> {
        let (event, mode) = (watch.event(key), watch.poll_mode());
        // SAFETY: `add` needs a descriptor that stays open until `delete`: that of a watch does
        // until `unregister` has returned, which removes it.
        match unsafe { self.poller.add_with_mode(&watch.fd, event, mode) } {
            // The selector knows of no registration, so it is one whose descriptor was closed
            // too early and has come back by a duplicate: take it over.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.poller.modify_with_mode(watch.fd, event, mode)
            }
            result => result,
        }
    }

    fn count(&mut self, before: Arming, after: Arming) {
        self.beside -= usize::from(before == Arming::Beside);
        self.beside += usize::from(after == Arming::Beside);
    }
}

/// A oneshot that has fired is disarmed, and what waits for a change waits for the next one.
fn is_armed_already(before: Arming, after: Arming) -> bool {
    matches!(
        (before, after),
        (Arming::UntilChange, Arming::UntilChange) | (Arming::AsAsked, Arming::Disarmed)
    )
}
