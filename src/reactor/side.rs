//! Layer 2: one direction of a source: whether it is ready, and who waits for it.
//! Limits: one waiter allocates nothing; memory is bounded by the waiters that are alive.
//! Invariant: calls, clones and drops no waker; what leaves is returned.

use std::cell::{Cell, OnceCell, RefCell};
use std::mem;
use std::task::Waker;

use bitflags::bitflags;

use super::budget::Stamp;
use super::crowd::Crowd;
use super::waiter::{Moved, Waiter, WaiterId};

/// Names the place of [`Side::first`]; the crowd counts from one.
const FIRST: WaiterId = WaiterId(0);

bitflags! {
    /// What a poll has to look at, in one byte: READY alone, an operation is tried; nothing at
    /// all, the first place is taken.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Flags: u8 {
        /// An operation is worth trying.
        const READY = 0b1;
        /// The first place is somebody's without a name; free again once its waiter is woken.
        const ANONYMOUS = 0b10;
        /// The first place is somebody's with a name; free again once its waiter leaves.
        const NAMED = 0b100;
        /// There are other waiters, or have been.
        const CROWD = 0b1000;
        /// Not known to be a source whose operations are system calls, watched by edges.
        const SPECIAL = 0b1_0000;
    }
}

/// What a poll has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// An attempt.
    Try,
    /// It takes the first place.
    Wait,
    /// Something is not as it is mostly: see `Reactor::poll_attempts`.
    LookCloser,
}

/// The readiness and the wakers of one direction, in the order in which they are to be woken.
///
/// Who is woken keeps its place until it is served or leaves: a waiter that found nothing comes
/// before one that was served and waits again.
pub(super) struct Side {
    flags: Cell<Flags>,
    /// The only waiter, mostly.
    first: Cell<Option<Waker>>,
    /// The others, from the first time that there is one.
    crowd: OnceCell<Box<RefCell<Crowd>>>,
    pub(super) stamp: Stamp,
}

impl Side {
    /// Ready, since to try is cheaper than to ask.
    pub(super) fn new() -> Self {
        Self {
            flags: Cell::new(Flags::READY | Flags::SPECIAL),
            first: Cell::default(),
            crowd: OnceCell::new(),
            stamp: Stamp::default(),
        }
    }

    #[inline]
    fn has_flag(&self, flag: Flags) -> bool {
        self.flags.get().contains(flag)
    }

    #[inline]
    fn set_flag(&self, flag: Flags, value: bool) {
        let mut flags = self.flags.get();
        flags.set(flag, value);
        self.flags.set(flags);
    }

    /// What a poll has to do that waits without a name.
    #[inline]
    pub(super) fn next(&self) -> Next {
        match self.flags.get() {
            Flags::READY => Next::Try,
            flags if flags.is_empty() => Next::Wait,
            _ => Next::LookCloser,
        }
    }

    /// From now on [`next`](Self::next) says whether to try or to wait; or not any more.
    pub(super) fn set_plain(&self, is_plain: bool) {
        self.set_flag(Flags::SPECIAL, !is_plain);
    }

    /// True if an operation is worth trying.
    #[inline]
    pub(super) fn is_ready(&self) -> bool {
        self.has_flag(Flags::READY)
    }

    /// Nothing is left for another attempt.
    #[inline]
    pub(super) fn set_empty(&self) {
        self.set_flag(Flags::READY, false);
    }

    /// An event has come: sets it ready, and moves all wakers to `due` if it was not.
    #[inline]
    pub(super) fn deliver(&self, due: &mut Vec<Waker>) {
        let flags = self.flags.get();
        if flags.contains(Flags::READY) {
            return;
        }
        self.flags.set(flags | Flags::READY);
        self.take_into(due);
    }

    /// True if somebody waits who is not woken yet.
    pub(super) fn is_waited_for(&self) -> bool {
        let first = self.first.take();
        let is_some = first.is_some();
        self.first.set(first);
        is_some || self.crowd.get().is_some_and(|crowd| crowd.borrow().is_waiting())
    }

    /// True if nobody waits, or keeps a place.
    #[inline]
    fn is_free(&self) -> bool {
        self.is_first_free() && !self.has_flag(Flags::CROWD)
    }

    /// True if nobody has the first place.
    #[inline]
    fn is_first_free(&self) -> bool {
        !self.flags.get().intersects(Flags::ANONYMOUS | Flags::NAMED)
    }

    /// Looks at the wakers of all who are not woken yet. `f` calls no user code.
    pub(super) fn each_waiter(&self, mut f: impl FnMut(&Waker)) {
        let first = self.first.take();
        first.iter().for_each(&mut f);
        self.first.set(first);
        if let Some(crowd) = self.crowd.get() {
            crowd.borrow().each(f);
        }
    }

    /// True if `waiter` waits already, with a waker that wakes the same task.
    #[inline]
    pub(super) fn has(&self, waiter: &Waiter<'_>, waker: &Waker) -> bool {
        let is_first = match waiter {
            Waiter::Named(id) => **id == Some(FIRST),
            Waiter::Anonymous => self.has_flag(Flags::ANONYMOUS),
        };
        if is_first {
            let first = self.first.take();
            let is_same = first.as_ref().is_some_and(|first| first.will_wake(waker));
            self.first.set(first);
            if is_same {
                return true;
            }
        }
        self.crowd.get().is_some_and(|crowd| crowd.borrow().has(waiter, waker))
    }

    /// Adds a waiter, or gives the one that is there another waker. `round` is the executor's.
    #[inline]
    pub(super) fn put(&self, waiter: &mut Waiter<'_>, waker: Waker, round: u64) -> Moved {
        if self.is_free() {
            self.take_first_place(waiter, waker);
            return Moved::default();
        }
        self.put_among_others(waiter, waker, round)
    }

    /// Adds a waiter where the first place is nobody's.
    #[inline]
    pub(super) fn take_first_place(&self, waiter: &mut Waiter<'_>, waker: Waker) {
        let flag = match waiter {
            Waiter::Named(id) => {
                **id = Some(FIRST);
                Flags::NAMED
            }
            Waiter::Anonymous => Flags::ANONYMOUS,
        };
        self.set_flag(flag, true);
        // Nobody's place has no waker.
        mem::forget(self.first.replace(Some(waker)));
    }

    #[cold]
    fn put_among_others(&self, waiter: &mut Waiter<'_>, waker: Waker, round: u64) -> Moved {
        if matches!(waiter, Waiter::Named(id) if **id == Some(FIRST)) {
            let replaced = self.first.replace(Some(waker));
            return Moved { replaced, ..Moved::default() };
        }
        if matches!(waiter, Waiter::Anonymous)
            && self.has_flag(Flags::ANONYMOUS)
            && let Some(first) = self.first.take()
        {
            let is_same = first.will_wake(&waker);
            let (stays, replaced) = if is_same { (waker, first) } else { (first, waker) };
            self.first.set(Some(stays));
            if is_same {
                return Moved { replaced: Some(replaced), ..Moved::default() };
            }
            return self.put_into_crowd(waiter, replaced, round);
        }
        self.put_into_crowd(waiter, waker, round)
    }

    fn put_into_crowd(&self, waiter: &mut Waiter<'_>, waker: Waker, round: u64) -> Moved {
        let crowd = self.crowd.get_or_init(Box::default);
        self.set_flag(Flags::CROWD, true);
        let is_new = !matches!(waiter, Waiter::Named(id) if id.is_some());
        if is_new && self.is_first_free() && crowd.borrow().is_empty() {
            self.take_first_place(waiter, waker);
            return Moved::default();
        }
        crowd.borrow_mut().put(waiter, waker, round)
    }

    /// Removes a named waiter and returns its waker, if it was not woken.
    pub(super) fn remove(&self, id: WaiterId) -> Option<Waker> {
        if id == FIRST {
            self.set_flag(Flags::NAMED, false);
            return self.first.take();
        }
        self.crowd.get()?.borrow_mut().remove(id)
    }

    /// Lets an anonymous waiter that was served go last, if it has a place among others.
    #[inline]
    pub(super) fn serve(&self, waker: &Waker) {
        if let Some(crowd) = self.crowd.get() {
            crowd.borrow_mut().serve(waker);
        }
    }

    /// Moves all wakers to `due`. Those who were not served keep their places.
    #[inline]
    pub(super) fn take_into(&self, due: &mut Vec<Waker>) {
        if let Some(waker) = self.first.take() {
            due.push(waker);
            self.set_flag(Flags::ANONYMOUS, false);
        }
        if self.has_flag(Flags::CROWD) {
            self.take_crowd_into(due);
        }
    }

    // Not inlined, so that an event which wakes one task at most stays short.
    #[cold]
    fn take_crowd_into(&self, due: &mut Vec<Waker>) {
        if let Some(crowd) = self.crowd.get() {
            crowd.borrow_mut().take_into(due);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::waiter::waker_of_its_own as waker;

    /// As `will_wake`, for which a vtable that has many addresses, as in Miri, makes two of one.
    fn is(one: &Waker, other: &Waker) -> bool {
        one.data() == other.data()
    }

    fn woken(side: &Side) -> Vec<Waker> {
        let mut due = Vec::new();
        side.take_into(&mut due);
        due
    }

    fn put(side: &Side, id: &mut Option<WaiterId>, waker: &Waker) -> Moved {
        side.put(&mut Waiter::Named(id), waker.clone(), 0)
    }

    #[test]
    fn two_futures_of_one_task_do_not_share_a_place() {
        let (side, waker) = (Side::new(), waker());
        let [mut one, mut other] = [None; 2];
        assert!(put(&side, &mut one, &waker).replaced.is_none());
        assert!(put(&side, &mut other, &waker).replaced.is_none());
        assert!(side.remove(one.expect("named")).is_some());
        assert!(side.is_waited_for());
        assert!(side.remove(other.expect("named")).is_some());
        assert!(!side.is_waited_for());
    }

    #[test]
    fn a_named_waiter_that_moves_to_another_task_replaces_its_waker() {
        for place in 0..2 {
            let (side, old, new) = (Side::new(), waker(), waker());
            let mut before = None;
            if place == 1 {
                put(&side, &mut before, &waker());
            }
            let mut id = None;
            put(&side, &mut id, &old);
            let replaced = put(&side, &mut id, &new).replaced.expect("the old waker comes out");
            assert!(is(&replaced, &old));
            assert!(side.remove(id.expect("named")).is_some_and(|waker| is(&waker, &new)));
        }
    }

    #[test]
    fn who_leaves_from_among_many_is_the_only_one_to_leave() {
        let side = Side::new();
        let mut all = [(); 4].map(|()| (None, waker()));
        for (id, waker) in &mut all {
            put(&side, id, waker);
        }
        let third = all[2].0.expect("named");
        assert!(side.remove(third).is_some_and(|waker| is(&waker, &all[2].1)));
        assert!(side.remove(third).is_none());
        let left = woken(&side);
        assert_eq!(left.len(), 3);
        for (left, place) in left.iter().zip([0, 1, 3]) {
            assert!(is(left, &all[place].1));
        }
        assert!(!side.is_waited_for());
    }

    #[test]
    fn a_waiter_that_is_alone_allocates_nothing() {
        let (side, waker) = (Side::new(), waker());
        for _ in 0..2 {
            side.put(&mut Waiter::Anonymous, waker.clone(), 0);
            assert_eq!(woken(&side).len(), 1);
            let mut id = None;
            put(&side, &mut id, &waker);
            side.remove(id.expect("named"));
        }
        assert!(side.crowd.get().is_none());
    }

    #[test]
    fn who_found_nothing_is_woken_before_who_was_served() {
        let (side, wakers) = (Side::new(), [(); 3].map(|()| waker()));
        let mut ids = [None; 3];
        for (id, waker) in ids.iter_mut().zip(&wakers) {
            put(&side, id, waker);
        }
        for round in 0..6 {
            let due = woken(&side);
            let served = round % 3;
            assert!(is(&due[0], &wakers[served]), "round {round}");
            side.remove(ids[served].take().expect("named"));
            // All wait again, the one that was served first of all.
            for next in 0..3 {
                let next = (served + next) % 3;
                put(&side, &mut ids[next], &wakers[next]);
            }
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "one vtable has many addresses there, so wakers differ")]
    fn anonymous_tasks_take_turns_too() {
        let (side, wakers) = (Side::new(), [(); 3].map(|()| waker()));
        let wait = |index: usize| {
            if !side.has(&Waiter::Anonymous, &wakers[index]) {
                side.put(&mut Waiter::Anonymous, wakers[index].clone(), 0);
            }
        };
        (0..3).for_each(wait);
        let mut served = [0; 3];
        for _ in 0..30 {
            let due = woken(&side);
            let first = (0..3).find(|index| is(&due[0], &wakers[*index])).expect("one of them");
            side.serve(&wakers[first]);
            served[first] += 1;
            (0..3).for_each(|next| wait((first + next) % 3));
        }
        assert!(served.iter().all(|count| *count >= 9), "{served:?}");
    }

    #[test]
    #[cfg_attr(miri, ignore = "one vtable has many addresses there, so wakers differ")]
    fn tasks_that_poll_without_a_name_wait_beside_each_other() {
        let (side, one, other) = (Side::new(), waker(), waker());
        for is_there in [false, true, true] {
            for waker in [&one, &other] {
                assert_eq!(side.has(&Waiter::Anonymous, waker), is_there);
                side.put(&mut Waiter::Anonymous, waker.clone(), 0);
            }
        }
        assert_eq!(woken(&side).len(), 2);
    }
}
