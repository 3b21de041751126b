//! Layer 2: one descriptor: what is known of it, and who waits for it.
//! Limits: one allocation a source. Makes no system call but the one that asks for its kind.
//! Invariant: a direction that is not `ready` has an event of the system ahead of it (edge), or
//! is armed as soon as somebody waits (oneshot).

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::task::Waker;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::budget::Budget;
use super::doubts::Doubts;
use super::kind::{FileId, Kind};
use super::side::Side;
use super::waiter::WaiterId;
use crate::interest::{Interest, Readiness};
use crate::selector::{DefaultSelector, Key};
use crate::sys::{self, AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// What a program calls a source.
pub(crate) type Label = Cow<'static, str>;

/// A selector of anything.
pub(super) type SourceSelector = DefaultSelector<Rc<Source>, ()>;

/// A descriptor that a reactor watches, and what owns it: held by the selector as `Source`, by
/// each handle as `Source<T>`.
pub(crate) struct Source<T: ?Sized = dyn AsFd> {
    pub(crate) state: State,
    /// What is watched, where a world has another descriptor for that than `io`'s own.
    _watched: Option<OwnedFd>,
    pub(crate) io: T,
}

impl<T> Source<T> {
    /// A source of `io`, whose descriptor is `fd`; watched is that one, or else `watched`.
    pub(super) fn new(
        fd: RawFd,
        watched: Option<OwnedFd>,
        edges_tell_the_end: bool,
        io: T,
    ) -> Self {
        let fd = watched.as_ref().map_or(fd, AsRawFd::as_raw_fd);
        // SAFETY: `borrowed` needs an open descriptor: the state lives beside the `io` or
        // `_watched` that owns it, which lends nobody a `&mut` to them, and lends the descriptor
        // no longer than it lives. Who closes a descriptor that others own breaks I/O safety
        // there, and is answered by EBADF here.
        let fd = unsafe { sys::borrowed(fd) };
        Self { state: State::new(fd, edges_tell_the_end), _watched: watched, io }
    }
}

impl<T: ?Sized> AsFd for Source<T> {
    /// Without a question to `T`, whose answer is user code: the selector asks under a borrow.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.state.descriptor()
    }
}

/// One of the ways of a source; each has its own readiness and waiters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
    /// Out-of-band data. A way of its own: to find none says nothing of what else there is to
    /// read, nor the other way round.
    Priority,
}

impl Direction {
    /// Those of bytes.
    const BOTH: [Self; 2] = [Self::Read, Self::Write];

    pub(crate) const fn interest(self) -> Interest {
        match self {
            Self::Read => Interest::READ,
            Self::Write => Interest::WRITE,
            Self::Priority => Interest::PRIORITY,
        }
    }
}

/// How many events a source has had: says whether what an operation saw is still the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tick(u32);

/// The state of a source.
///
/// Each direction:
/// Ready ─`WouldBlock`: clear→ Empty ─put→ Waiting ─deliver→ Ready.
/// So nobody waits for what is ready.
/// It begins as Ready, since to try is cheaper than to ask.
pub(crate) struct State {
    key: Cell<Option<Key>>,
    sides: [Side; 2],
    /// From the first time that somebody asks for out-of-band data.
    priority: OnceCell<Box<Side>>,
    tick: Cell<u32>,
    doubts: Doubts,
    kind: Cell<Option<Kind>>,
    /// What the system watches at the moment, where it watches once (oneshot).
    armed: Cell<Interest>,
    /// How many handles there are on it.
    handles: Cell<usize>,
    /// The file whose blocking mode is to be given back.
    file: Cell<Option<FileId>>,
    /// What the program calls it.
    label: Cell<Option<Box<Label>>>,
    /// Lent no longer than the state lives. As a number it would be checked at each use.
    fd: BorrowedFd<'static>,
}

impl State {
    /// Of a descriptor yet to be registered; `edges_tell_the_end` if it will be watched by edges,
    /// and that a stream has ended is among them.
    fn new(fd: BorrowedFd<'static>, edges_tell_the_end: bool) -> Self {
        Self {
            key: Cell::new(None),
            sides: [Side::new(), Side::new()],
            priority: OnceCell::new(),
            tick: Cell::new(0),
            doubts: Doubts::new(edges_tell_the_end),
            kind: Cell::new(None),
            armed: Cell::new(Interest::empty()),
            handles: Cell::new(1),
            file: Cell::new(None),
            label: Cell::new(None),
            fd,
        }
    }

    #[inline]
    pub(super) fn side(&self, direction: Direction) -> &Side {
        match direction {
            Direction::Read => &self.sides[0],
            Direction::Write => &self.sides[1],
            Direction::Priority => self.priority_side(),
        }
    }

    #[cold]
    fn priority_side(&self) -> &Side {
        self.doubts.want_priority();
        self.priority.get_or_init(|| Box::new(Side::new()))
    }

    /// The sides that there are.
    pub(super) fn sides(&self) -> impl Iterator<Item = (Direction, &Side)> {
        let priority = self.priority.get().map(|side| (Direction::Priority, &**side));
        Direction::BOTH.into_iter().zip(&self.sides).chain(priority)
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    #[inline]
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.fd
    }

    /// The registration, while there is one.
    pub(super) fn key(&self) -> Option<Key> {
        self.key.get()
    }

    pub(super) fn set_key(&self, key: Option<Key>) {
        self.key.set(key);
    }

    /// What the system watches, on a back end where that follows the waiters.
    pub(super) fn armed(&self) -> &Cell<Interest> {
        &self.armed
    }

    pub(super) fn file(&self) -> &Cell<Option<FileId>> {
        &self.file
    }

    /// What the program calls the source.
    pub(crate) fn label(&self) -> Option<Label> {
        let label = self.label.take();
        let copy = label.as_deref().cloned();
        self.label.set(label);
        copy
    }

    pub(crate) fn set_label(&self, label: Label) {
        self.label.set(Some(Box::new(label)));
    }

    /// What the descriptor is; asked of the system once.
    pub(crate) fn kind(&self) -> Kind {
        match self.kind.get() {
            Some(kind) => kind,
            None => self.ask_kind(),
        }
    }

    #[cold]
    fn ask_kind(&self) -> Kind {
        let kind = Kind::of(self.descriptor());
        self.set_kind(kind);
        kind
    }

    /// Tells what the descriptor is, where that is known.
    pub(crate) fn set_kind(&self, kind: Kind) {
        self.kind.set(Some(kind));
        let has_edges = self.key().is_some() && self.doubts.has_edges();
        self.set_plain(kind == Kind::Tcp && has_edges);
    }

    /// Whether its operations are those of TCP, and whoever waits is told by an edge.
    pub(super) fn set_plain(&self, is_plain: bool) {
        self.sides.iter().for_each(|side| side.set_plain(is_plain));
    }

    /// Counts one more handle.
    pub(crate) fn add_handle(&self) {
        self.handles.set(self.handles.get() + 1);
    }

    /// Counts one handle less; true if it was the last one.
    pub(crate) fn remove_handle(&self) -> bool {
        self.handles.set(self.handles.get() - 1);
        self.handles.get() == 0
    }

    pub(crate) fn is_shared(&self) -> bool {
        self.handles.get() > 1
    }

    /// The program gets the source into its hands, to do with it what it likes.
    #[inline]
    pub(crate) fn lend(&self) {
        self.doubts.lend();
    }

    /// True if a short read leaves this source with nothing to read until the next event.
    #[inline]
    pub(super) fn short_read_drains(&self) -> bool {
        self.doubts.short_read_drains()
    }

    /// True if there are bytes all the same after a read that was told that there are none.
    ///
    /// At an out-of-band mark recv(2) says so when a signal is pending, whatever is behind the
    /// mark: there will be no other edge.
    #[inline]
    pub(super) fn has_bytes_behind_mark(&self) -> bool {
        self.doubts.may_be_at_mark() && is_readable(self.descriptor())
    }

    /// A read of a stream has found it empty.
    #[inline]
    pub(super) fn found_empty(&self) {
        self.doubts.found_empty();
    }

    /// How many events there were since this was asked last: of the alarm, which only Linux has.
    #[cfg(target_os = "linux")]
    pub(super) fn take_events(&self) -> usize {
        self.tick.take() as usize
    }

    /// The tick if an operation is worth trying.
    #[inline]
    pub(super) fn ready(&self, direction: Direction) -> Option<Tick> {
        self.side(direction).is_ready().then(|| Tick(self.tick.get()))
    }

    /// Takes the readiness back that an operation found to be spent, unless an event has come
    /// since `seen`: that one is news.
    #[inline]
    pub(super) fn clear(&self, direction: Direction, seen: Tick) {
        if Tick(self.tick.get()) == seen {
            self.side(direction).set_empty();
        }
    }

    /// Takes a waiter out that has ended or gives up.
    pub(crate) fn remove_waiter(&self, direction: Direction, id: WaiterId) {
        drop(self.side(direction).remove(id));
    }

    /// The directions that somebody waits for.
    pub(super) fn wanted(&self) -> Interest {
        let wanted = self.sides().filter(|(_, side)| side.is_waited_for());
        wanted.fold(Interest::empty(), |wanted, (direction, _)| wanted | direction.interest())
    }

    /// Takes an event in: sets the directions ready and moves their wakers to `due`.
    // Always inlined: called, it costs 20 of 600 instructions of a message.
    #[inline(always)]
    pub(super) fn deliver(&self, readiness: Readiness, due: &mut Vec<Waker>) {
        if self.doubts.concern(readiness) {
            self.doubt(readiness, due);
        }
        self.tick.set(self.tick.get().wrapping_add(1));
        for direction in Direction::BOTH {
            if readiness.intersects(direction.interest().into()) {
                self.side(direction).deliver(due);
            }
        }
    }

    #[cold]
    fn doubt(&self, readiness: Readiness, due: &mut Vec<Waker>) {
        if self.doubts.take_in(readiness)
            && let Some(priority) = self.priority.get()
        {
            priority.deliver(due);
        }
    }

    /// Moves the wakers of all directions to `due`.
    pub(super) fn take_waiters(&self, due: &mut Vec<Waker>) {
        self.sides().for_each(|(_, side)| side.take_into(due));
    }

    /// Forgets that operations were put off.
    pub(super) fn forget_stamps(&self, budget: &Budget) {
        self.sides().for_each(|(_, side)| budget.forget(&side.stamp));
    }
}

/// True if poll(2) says that a read would not block.
#[cold]
fn is_readable(fd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    let asked = poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
    // A signal again: to ask again is the answer.
    asked.is_err() || fds[0].revents().contains(PollFlags::IN)
}

#[cfg(test)]
mod tests {
    use super::super::waiter::Waiter;
    use super::*;

    fn state(edges_tell_the_end: bool) -> State {
        // SAFETY: the standard input is not closed by anybody here; nor is it used.
        State::new(unsafe { sys::borrowed(0) }, edges_tell_the_end)
    }

    fn deliver(state: &State, readiness: Readiness) -> usize {
        let mut due = Vec::new();
        state.deliver(readiness, &mut due);
        due.len()
    }

    #[test]
    fn an_event_that_comes_during_an_operation_is_not_cleared_by_it() {
        let state = state(false);
        let seen = state.ready(Direction::Read).expect("tried first");
        deliver(&state, Readiness::READ);
        state.clear(Direction::Read, seen);
        let seen = state.ready(Direction::Read).expect("the event came after `seen`");
        state.clear(Direction::Read, seen);
        assert_eq!(state.ready(Direction::Read), None);
        assert!(state.ready(Direction::Write).is_some());
    }

    #[test]
    fn an_event_wakes_its_own_direction_only() {
        let state = state(false);
        for direction in Direction::BOTH {
            state.clear(direction, state.ready(direction).expect("tried first"));
            state.side(direction).put(&mut Waiter::Anonymous, Waker::noop().clone(), 0);
        }
        assert_eq!(state.wanted(), Interest::READ | Interest::WRITE);
        assert_eq!(deliver(&state, Readiness::WRITE), 1);
        assert_eq!(state.wanted(), Interest::READ);
        assert_eq!(deliver(&state, Readiness::PRIORITY), 0);
        let priority = state.side(Direction::Priority);
        priority.set_empty();
        priority.put(&mut Waiter::Anonymous, Waker::noop().clone(), 0);
        assert_eq!(state.wanted(), Interest::READ | Interest::PRIORITY);
        assert_eq!(deliver(&state, Readiness::PRIORITY), 1);
        assert_eq!(state.wanted(), Interest::READ);
    }
}
