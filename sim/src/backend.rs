//! The back end of a host's selectors: asks the system what is ready, and the simulation for time.
//! Invariant: whoever waits here has handed the baton on, and has it again when it returns.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use selkie::selector::{Backend, Mode, Notifier, ReadyList, Token, Until, Wrapper};
use selkie::{Interest, Readiness};

use crate::host::ENDS;
use crate::rng::mix;
use crate::state::Known;
use crate::trace::Act;
use crate::world::{Form, HostWorld};

/// What is around a back end of the system.
pub(crate) struct Simulated {
    host: HostWorld,
    /// What is watched in place of what the selector has registered.
    watched: HashMap<Token, (OwnedFd, Known)>,
    /// Scratch.
    found: Vec<(Token, Readiness)>,
}

impl Drop for Simulated {
    /// What it watches is closed, or watched by others.
    fn drop(&mut self) {
        let mut state = self.host.shared.lock();
        self.watched.drain().for_each(|(_, (_, known))| state.is_watched(known, -1));
    }
}

/// The payload with which a host's thread unwinds at its end.
pub(crate) struct Ending;

impl Simulated {
    pub(crate) fn new(host: HostWorld) -> Self {
        Self { host, watched: HashMap::new(), found: Vec::new() }
    }

    fn now(&self) -> Instant {
        self.host.shared.now_on(&self.host.own)
    }

    /// Returns what was watched instead.
    fn watches_no_more(&mut self, token: Token) -> Option<OwnedFd> {
        let (bell, known) = self.watched.remove(&token)?;
        self.host.shared.lock().is_watched(known, -1);
        Some(bell)
    }

    /// Unwinds if the host is to end. An error if it already does: somebody waits in a destructor.
    fn go_on(&self) -> io::Result<()> {
        if !self.host.own.is_ending.load(Ordering::Acquire) {
            return Ok(());
        }
        if std::thread::panicking() {
            return Err(io::Error::other(ENDS));
        }
        resume_unwind(Box::new(Ending))
    }

    /// Looks what is ready, in an order that the seed decides. True if there is something.
    fn look(&mut self, inner: &mut impl Backend, ready: &mut ReadyList) -> io::Result<bool> {
        inner.wait(ready, Until::Now)?;
        let is_notified = ready.is_notified();
        if is_notified {
            self.host.own.notified.store(false, Ordering::Release);
        }
        if ready.is_empty() && !is_notified {
            return Ok(false);
        }
        self.found.extend(ready.drain());
        // By the order of registration first: the system's own may depend on what it is busy with.
        self.found.sort_unstable_by_key(|(token, _)| *token);
        let mut state = self.host.shared.lock();
        state.hosts[self.host.host].order.shuffle(&mut self.found);
        let fold = |hash, (token, readiness): &(Token, Readiness)| {
            mix(mix(hash, token.to_bits()), readiness.bits().into())
        };
        let hash = self.found.iter().fold(is_notified.into(), fold);
        let found = &self.found;
        state.record(self.host.host, Act::Batch, [found.len() as u64, hash], || {
            let ready = found.iter().map(|(token, readiness)| {
                format!("{}v{} {readiness:?}", token.to_bits() as u32, token.to_bits() >> 32)
            });
            let notified = is_notified.then(|| "notified".to_owned());
            ready.chain(notified).collect::<Vec<_>>().join(", ")
        });
        ready.extend(self.found.drain(..));
        Ok(true)
    }

    fn wait_in_turn(
        &mut self,
        inner: &mut impl Backend,
        ready: &mut ReadyList,
        until: Until,
    ) -> io::Result<()> {
        self.go_on()?;
        self.host.shared.take_turn(self.host.host);
        loop {
            self.go_on()?;
            if self.look(inner, ready)? {
                return Ok(());
            }
            let deadline = match until {
                Until::Now => return Ok(()),
                Until::At { deadline, .. } if deadline <= self.now() => return Ok(()),
                Until::At { deadline, .. } => Some(self.host.shared.since_start(deadline)),
                Until::Never => None,
            };
            self.host.shared.sleep(self.host.host, deadline);
        }
    }
}

#[allow(unsafe_code)] // The trait's functions are unsafe: they are told what stays open.
impl<B: Backend> Wrapper<B> for Simulated {
    fn now(&self, _inner: &B) -> Instant {
        Self::now(self)
    }

    unsafe fn register(
        &mut self,
        inner: &mut B,
        token: Token,
        fd: BorrowedFd<'_>,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        if let Some((bell, known)) = self.host.to_watch(fd)? {
            self.watched.insert(token, (bell, known));
            self.host.shared.lock().is_watched(known, 1);
        }
        let watched = self.watched.get(&token).map_or(fd, |(bell, _)| bell.as_fd());
        // SAFETY: `fd` stays open by the caller's promise, and what is watched in its place until
        // `unregister` takes it out.
        let registered = unsafe { inner.register(token, watched, interest, mode) };
        if registered.is_err() {
            self.watches_no_more(token);
        }
        registered
    }

    unsafe fn modify(
        &mut self,
        inner: &mut B,
        token: Token,
        fd: BorrowedFd<'_>,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        let watched = self.watched.get(&token).map_or(fd, |(bell, _)| bell.as_fd());
        // SAFETY: as in `register`.
        unsafe { inner.modify(token, watched, interest, mode) }
    }

    fn unregister(&mut self, inner: &mut B, token: Token, fd: BorrowedFd<'_>) -> io::Result<()> {
        let watched = self.watches_no_more(token);
        inner.unregister(token, watched.as_ref().map_or(fd, AsFd::as_fd))
    }

    fn wait(&mut self, inner: &mut B, ready: &mut ReadyList, until: Until) -> io::Result<()> {
        if self.host.form == Form::Threaded {
            return self.wait_in_turn(inner, ready, until);
        }
        if self.look(inner, ready)? || until.is_now() {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "a host of Sim::host_stepped has no thread that could wait in a select() or a block_on \
             of its own; await it, or use Sim::host or Sim::host_blocking",
        ))
    }

    fn notifier(&self, inner: &B) -> Notifier {
        let (inner, host) = (inner.notifier(), self.host.clone());
        let (shared, own) = (Arc::clone(&host.shared), Arc::clone(&host.own));
        Notifier::new(move || {
            inner.notify()?;
            own.notified.store(true, Ordering::Release);
            shared.notified();
            Ok(())
        })
    }
}
