//! Layer 1: select(2), by level; oneshot is made of it.
//! Invariant: a descriptor is in `asked` exactly if its watch is armed; the sets are as long as the
//! highest descriptor needs, so `FD_SETSIZE` is no limit.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{
    FdSetElement, FdSetIter, fd_set_insert, fd_set_num_elements, fd_set_remove, select,
};
use rustix::io::{Errno, fcntl_getfd};

use super::eventfd::EventFd;
use super::poll::timespec;
use super::{Backend, Open, ReadyList, Token};
use crate::interest::{Interest, Readiness};
use crate::selector::key::Mode;
use crate::selector::notifier::Notifier;
use crate::selector::until::Until;
use crate::sys::{AsFd, AsRawFd, BorrowedFd, RawFd, borrowed};

/// The back end on select(2): level and oneshot; nanosecond timeouts (`pselect6`); the cost of a
/// wait grows with the highest descriptor. It reports no closed or error bits, since select(2)
/// has none: a source with an error is readable and writable, and one with a hang-up readable,
/// but writable only if there is room too.
///
/// A descriptor that was closed behind the selector's back is reported once, with
/// [`Readiness::ERROR`], and not watched any longer.
#[derive(Debug)]
pub struct SelectBackend {
    eventfd: Arc<EventFd>,
    watches: BTreeMap<RawFd, Watch>,
    asked: FdSets,
    /// Scratch: what the last select(2) answered.
    answer: FdSets,
    found: Vec<(RawFd, Readiness)>,
    /// The first descriptor of the next batch, so that a small [`ReadyList`] does not starve the
    /// rest.
    next: RawFd,
}

#[derive(Clone, Copy, Debug)]
struct Watch {
    token: Token,
    fd: BorrowedFd<'static>,
    mode: Mode,
    armed: bool,
}

/// One set for each direction that select(2) knows.
#[derive(Clone, Default)]
struct FdSets {
    sets: [Vec<FdSetElement>; DIRECTIONS.len()],
}

/// The directions in the order of select's arguments.
const DIRECTIONS: [(Interest, Readiness); 3] = [
    (Interest::READ, Readiness::READ),
    (Interest::WRITE, Readiness::WRITE),
    (Interest::PRIORITY, Readiness::PRIORITY),
];

impl std::fmt::Debug for FdSets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.sets.iter().map(|set| FdSetIter::new(set).count())).finish()
    }
}

impl FdSets {
    fn set(&mut self, fd: RawFd, interest: Interest) {
        let elements = fd_set_num_elements(0, fd + 1);
        for (set, (asked, _)) in self.sets.iter_mut().zip(DIRECTIONS) {
            if set.len() < elements {
                set.resize(elements, FdSetElement::default());
            }
            if interest.contains(asked) {
                fd_set_insert(set, fd);
            } else {
                fd_set_remove(set, fd);
            }
        }
    }

    fn copy_from(&mut self, other: &Self) {
        for (set, other) in self.sets.iter_mut().zip(&other.sets) {
            set.clone_from(other);
        }
    }

    /// The descriptors in any of the sets, in order, each with its directions.
    fn collect_into(&self, found: &mut Vec<(RawFd, Readiness)>) {
        found.clear();
        for (set, (_, readiness)) in self.sets.iter().zip(DIRECTIONS) {
            found.extend(FdSetIter::new(set).map(|fd| (fd, readiness)));
        }
        found.sort_unstable_by_key(|(fd, _)| *fd);
        found.dedup_by(|(fd, more), (kept, readiness)| {
            *fd == *kept && {
                *readiness |= *more;
                true
            }
        });
    }
}

impl SelectBackend {
    fn arm(&mut self, token: Token, fd: BorrowedFd<'static>, interest: Interest, mode: Mode) {
        self.asked.set(fd.as_raw_fd(), interest);
        self.watches.insert(fd.as_raw_fd(), Watch { token, fd, mode, armed: true });
    }

    fn disarm(&mut self, fd: RawFd) {
        self.asked.set(fd, Interest::empty());
        if let Some(watch) = self.watches.get_mut(&fd) {
            watch.armed = false;
        }
    }

    /// One select(2) from `asked` into `answer`.
    fn select_once(&mut self, timeout: Option<Duration>) -> rustix::io::Result<()> {
        let timeout = timeout.map(timespec);
        let eventfd = self.eventfd.as_fd().as_raw_fd();
        let highest = self.watches.last_key_value().map_or(eventfd, |(fd, _)| eventfd.max(*fd));
        self.answer.copy_from(&self.asked);
        let [read, write, except] = &mut self.answer.sets;
        // SAFETY: select(2) needs sets as long as its first argument asks for: `FdSets::set`
        // made them so for every descriptor in `watches` and for the eventfd. The descriptors
        // in them are open, as registrations between `register` and `unregister` are; one that
        // was closed behind our back is answered by EBADF, nothing worse.
        unsafe {
            select(highest + 1, Some(read), Some(write), Some(except), timeout.as_ref()).map(drop)
        }
    }

    /// Reports and disarms the descriptors for which select(2) fails as a whole.
    fn collect_closed(&mut self, ready: &mut ReadyList) {
        let is_closed = |watch: &Watch| fcntl_getfd(watch.fd) == Err(Errno::BADF);
        let closed: Vec<_> = self
            .watches
            .iter()
            .filter(|(_, watch)| watch.armed && is_closed(watch))
            .map(|(fd, watch)| (*fd, watch.token))
            .take(ready.capacity().get())
            .collect();
        for (fd, token) in closed {
            ready.push(token, Readiness::FAILED);
            self.disarm(fd);
        }
    }

    fn collect(&mut self, ready: &mut ReadyList) {
        let mut found = std::mem::take(&mut self.found);
        self.answer.collect_into(&mut found);
        let first = found.partition_point(|(fd, _)| *fd < self.next);
        found.rotate_left(first);
        for &(fd, readiness) in &found {
            if fd == self.eventfd.as_fd().as_raw_fd() {
                ready.set_notified();
                continue;
            }
            let Some(watch) = self.watches.get(&fd) else { continue };
            if ready.is_full() {
                self.next = fd;
                break;
            }
            ready.push(watch.token, readiness);
            if watch.mode == Mode::Oneshot {
                self.disarm(fd);
            }
        }
        self.found = found;
    }
}

impl Open for SelectBackend {
    fn open() -> io::Result<Self> {
        let eventfd = EventFd::new()?;
        let mut asked = FdSets::default();
        asked.set(eventfd.as_fd().as_raw_fd(), Interest::READ);
        Ok(Self {
            eventfd,
            watches: BTreeMap::new(),
            asked,
            answer: FdSets::default(),
            found: Vec::new(),
            next: 0,
        })
    }
}

impl Backend for SelectBackend {
    fn name(&self) -> &'static str {
        "select"
    }

    fn supports(&self, mode: Mode) -> bool {
        mode != Mode::Edge
    }

    unsafe fn register(
        &mut self,
        token: Token,
        fd: BorrowedFd<'_>,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        fcntl_getfd(fd)?;
        // SAFETY: the caller promises that `fd` stays open until `unregister`, where the watch
        // goes.
        let fd = unsafe { borrowed(fd.as_raw_fd()) };
        self.arm(token, fd, interest, mode);
        Ok(())
    }

    unsafe fn modify(
        &mut self,
        token: Token,
        fd: BorrowedFd<'_>,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        // SAFETY: the caller's promise is the same.
        unsafe { self.register(token, fd, interest, mode) }
    }

    fn unregister(&mut self, _token: Token, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.disarm(fd.as_raw_fd());
        self.watches.remove(&fd.as_raw_fd());
        Ok(())
    }

    fn wait(&mut self, ready: &mut ReadyList, until: Until) -> io::Result<()> {
        match self.select_once(until.timeout()) {
            Ok(()) => self.collect(ready),
            Err(Errno::BADF) => {
                self.collect_closed(ready);
                // What else is ready belongs to this batch; failing that, to the next one.
                if !ready.is_full() && self.select_once(Some(Duration::ZERO)).is_ok() {
                    self.collect(ready);
                }
            }
            Err(error) => return Err(error.into()),
        }
        if ready.is_notified() {
            self.eventfd.drain();
        }
        Ok(())
    }

    fn notifier(&self) -> Notifier {
        self.eventfd.notifier()
    }
}
