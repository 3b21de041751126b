//! Back ends of the tests' own, for runtimes.

#![allow(dead_code)] // No test binary needs all of it.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use rustix::io::Errno;
use selkie::selector::{Backend, BackendKind, ReadyList, Token, Until, Wrapped, Wrapper};
use selkie::{Interest, Mode, Notifier};

/// Waits for notifications alone: enough for tasks and timers, without a system call that Miri
/// does not know.
pub struct Parked(Arc<Bell>);

#[derive(Default)]
struct Bell {
    is_rung: Mutex<bool>,
    rung: Condvar,
}

impl Parked {
    pub fn open() -> Box<dyn Backend + Send> {
        Box::new(Self(Arc::default()))
    }
}

impl Backend for Parked {
    fn name(&self) -> &'static str {
        "parked"
    }

    fn supports(&self, _mode: Mode) -> bool {
        true
    }

    unsafe fn register(
        &mut self,
        _token: Token,
        _fd: BorrowedFd<'_>,
        _interest: Interest,
        _mode: Mode,
    ) -> io::Result<()> {
        Ok(())
    }

    unsafe fn modify(
        &mut self,
        _token: Token,
        _fd: BorrowedFd<'_>,
        _interest: Interest,
        _mode: Mode,
    ) -> io::Result<()> {
        Ok(())
    }

    fn unregister(&mut self, _token: Token, _fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(())
    }

    fn wait(&mut self, ready: &mut ReadyList, until: Until) -> io::Result<()> {
        let Bell { is_rung, rung } = &*self.0;
        let is_rung = is_rung.lock().unwrap();
        let mut is_rung = match until.timeout() {
            Some(timeout) => rung.wait_timeout_while(is_rung, timeout, |is| !*is).unwrap().0,
            None => rung.wait_while(is_rung, |is| !*is).unwrap(),
        };
        if std::mem::take(&mut *is_rung) {
            ready.set_notified();
        }
        Ok(())
    }

    fn notifier(&self) -> Notifier {
        let bell = Arc::clone(&self.0);
        Notifier::new(move || {
            *bell.is_rung.lock().unwrap() = true;
            bell.rung.notify_one();
            Ok(())
        })
    }
}

/// Has another back end observed and made to fail.
pub struct Probed {
    probe: Arc<Probe>,
    /// False: denies that there is edge mode.
    edges: bool,
}

/// The outside of a [`Probed`].
#[derive(Default)]
pub struct Probe {
    /// How many of the next waits fail; `usize::MAX`: all.
    failures: AtomicUsize,
    /// How many of the next changes of interest fail.
    refusals: AtomicUsize,
    /// How many of the next registrations fail.
    registrations: AtomicUsize,
    notifications: AtomicUsize,
    waits: AtomicUsize,
    clock_readings: AtomicUsize,
}

impl Probe {
    /// Makes the next `count` waits fail, with nothing pushed.
    pub fn fail(&self, count: usize) {
        self.failures.store(count, SeqCst);
    }

    /// Makes the next `count` calls of `modify` fail.
    pub fn refuse(&self, count: usize) {
        self.refusals.store(count, SeqCst);
    }

    /// Makes the next `count` registrations fail, as for want of memory.
    pub fn refuse_registrations(&self, count: usize) {
        self.registrations.store(count, SeqCst);
    }

    /// How many times the notifier was called.
    pub fn notifications(&self) -> usize {
        self.notifications.load(SeqCst)
    }

    /// How many waits there were.
    pub fn waits(&self) -> usize {
        self.waits.load(SeqCst)
    }

    /// How many times the clock was read.
    pub fn clock_readings(&self) -> usize {
        self.clock_readings.load(SeqCst)
    }
}

impl Probed {
    /// Over the back end that `SELKIE_BACKEND` names.
    pub fn open() -> (Arc<Probe>, Box<dyn Backend + Send>) {
        Self::with_edges(true)
    }

    /// As [`open`](Self::open), without the mode that is not everywhere.
    pub fn without_edges() -> (Arc<Probe>, Box<dyn Backend + Send>) {
        Self::with_edges(false)
    }

    fn with_edges(edges: bool) -> (Arc<Probe>, Box<dyn Backend + Send>) {
        let probe = Arc::new(Probe::default());
        let inner = match cfg!(miri) {
            true => Parked::open(),
            false => BackendKind::from_env().and_then(BackendKind::open).unwrap(),
        };
        let wrapper = Self { probe: Arc::clone(&probe), edges };
        (probe, Box::new(Wrapped { inner, wrapper }))
    }
}

/// Counts one failure off, if there is one left.
fn due(failures: &AtomicUsize) -> io::Result<()> {
    let left = |left| match left {
        0 => None,
        usize::MAX => Some(usize::MAX),
        left => Some(left - 1),
    };
    match failures.fetch_update(SeqCst, SeqCst, left) {
        Ok(_) => Err(io::Error::other("the test's failure")),
        Err(_) => Ok(()),
    }
}

impl<B: Backend> Wrapper<B> for Probed {
    fn now(&self, inner: &B) -> Instant {
        self.probe.clock_readings.fetch_add(1, SeqCst);
        inner.now()
    }

    fn supports(&self, inner: &B, mode: Mode) -> bool {
        (self.edges || mode != Mode::Edge) && inner.supports(mode)
    }

    unsafe fn register(
        &mut self,
        inner: &mut B,
        token: Token,
        fd: BorrowedFd<'_>,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        if due(&self.probe.registrations).is_err() {
            return Err(Errno::NOMEM.into());
        }
        // SAFETY: it is the caller's promise, handed on.
        unsafe { inner.register(token, fd, interest, mode) }
    }

    unsafe fn modify(
        &mut self,
        inner: &mut B,
        token: Token,
        fd: BorrowedFd<'_>,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        due(&self.probe.refusals)?;
        // SAFETY: it is the caller's promise, handed on.
        unsafe { inner.modify(token, fd, interest, mode) }
    }

    fn wait(&mut self, inner: &mut B, ready: &mut ReadyList, until: Until) -> io::Result<()> {
        self.probe.waits.fetch_add(1, SeqCst);
        due(&self.probe.failures)?;
        inner.wait(ready, until)
    }

    fn notifier(&self, inner: &B) -> Notifier {
        let (notifier, probe) = (inner.notifier(), Arc::clone(&self.probe));
        Notifier::new(move || {
            probe.notifications.fetch_add(1, SeqCst);
            notifier.notify()
        })
    }
}
