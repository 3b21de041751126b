//! Layer 2: who waits for one direction of a source.
//! Imports nothing. Invariant: a named waiter is in the list at most once, and no anonymous
//! waker is there twice. Nothing here calls, clones or drops a waker; what leaves, is returned.

use std::cell::{Cell, RefCell};
use std::iter;
use std::mem;
use std::num::NonZeroU32;
use std::task::Waker;

/// Names a waiter that can leave before its event, so that two futures of one task, whose wakers
/// are alike, do not take each other's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WaiterId(NonZeroU32);

/// The wakers of one direction. The first one has its own place, since mostly there is no other:
/// while that is free, nobody waits.
#[derive(Default)]
pub(super) struct Waiters {
    first: Cell<Option<Waiter>>,
    rest: RefCell<Vec<Waiter>>,
    last_id: Cell<u32>,
}

struct Waiter {
    /// `None` for the callers of `poll_*` functions, which have no way to say that they leave.
    id: Option<WaiterId>,
    waker: Waker,
}

impl Waiter {
    fn is(&self, id: Option<WaiterId>, waker: &Waker) -> bool {
        self.id == id && self.waker.will_wake(waker)
    }
}

impl Waiters {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        let first = self.first.take();
        let is_empty = first.is_none();
        self.first.set(first);
        is_empty
    }

    /// A name that no other waiter here has, nor soon gets.
    pub(super) fn new_id(&self) -> WaiterId {
        let id = NonZeroU32::MIN.saturating_add(self.last_id.get());
        self.last_id.set((self.last_id.get() + 1) % u32::MAX);
        WaiterId(id)
    }

    /// True if the event would reach this waiter with this waker as it is.
    #[inline]
    pub(super) fn has(&self, id: Option<WaiterId>, waker: &Waker) -> bool {
        let Some(first) = self.first.take() else { return false };
        let is_first = first.is(id, waker);
        self.first.set(Some(first));
        is_first || self.rest.borrow().iter().any(|waiter| waiter.is(id, waker))
    }

    /// Adds a waiter, or gives a named one another waker. Returns the waker it replaces.
    #[inline]
    pub(super) fn put(&self, id: Option<WaiterId>, waker: Waker) -> Option<Waker> {
        let first = self.first.replace(Some(Waiter { id, waker }))?;
        self.put_beside(first)
    }

    /// Puts the one back whose place the latest waiter has taken.
    #[cold]
    fn put_beside(&self, mut first: Waiter) -> Option<Waker> {
        let latest = self.first.take()?;
        let mut rest = self.rest.borrow_mut();
        let same = |other: &&mut Waiter| latest.id.is_some() && latest.id == other.id;
        let replaced = match iter::once(&mut first).chain(rest.iter_mut()).find(same) {
            Some(known) => Some(mem::replace(&mut known.waker, latest.waker)),
            None => {
                rest.push(latest);
                None
            }
        };
        self.first.set(Some(first));
        replaced
    }

    /// Removes a named waiter and returns its waker.
    pub(super) fn remove(&self, id: WaiterId) -> Option<Waker> {
        let first = self.first.take()?;
        let mut rest = self.rest.borrow_mut();
        if first.id == Some(id) {
            self.first.set(rest.pop());
            return Some(first.waker);
        }
        self.first.set(Some(first));
        let index = rest.iter().position(|waiter| waiter.id == Some(id))?;
        Some(rest.swap_remove(index).waker)
    }

    /// Moves all wakers to `due`.
    #[inline]
    pub(super) fn take_into(&self, due: &mut Vec<Waker>) {
        if let Some(waiter) = self.first.take() {
            due.push(waiter.waker);
            if !self.rest.borrow().is_empty() {
                self.take_rest_into(due);
            }
        }
    }

    #[cold]
    fn take_rest_into(&self, due: &mut Vec<Waker>) {
        due.extend(self.rest.take().into_iter().map(|waiter| waiter.waker));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::task::Wake;

    struct Named;
    impl Wake for Named {
        fn wake(self: Arc<Self>) {}
    }

    fn waker() -> Waker {
        Arc::new(Named).into()
    }

    fn len(waiters: &Waiters) -> usize {
        let mut due = Vec::new();
        waiters.take_into(&mut due);
        due.len()
    }

    #[test]
    #[cfg_attr(miri, ignore = "one vtable has many addresses there, so wakers differ")]
    fn two_futures_of_one_task_do_not_share_a_place() {
        let (waiters, waker) = (Waiters::default(), waker());
        let [one, other] = [waiters.new_id(), waiters.new_id()];
        assert!(waiters.put(Some(one), waker.clone()).is_none());
        assert!(waiters.put(Some(other), waker.clone()).is_none());
        assert!(waiters.remove(one).is_some());
        assert!(waiters.has(Some(other), &waker));
        assert_eq!(len(&waiters), 1);
        assert!(waiters.is_empty());
    }

    #[test]
    #[cfg_attr(miri, ignore = "one vtable has many addresses there, so wakers differ")]
    fn a_named_waiter_that_moves_to_another_task_replaces_its_waker() {
        let (waiters, old, new) = (Waiters::default(), waker(), waker());
        let id = waiters.new_id();
        waiters.put(Some(id), old.clone());
        let replaced = waiters.put(Some(id), new.clone()).expect("the old waker comes out");
        assert!(replaced.will_wake(&old) && waiters.has(Some(id), &new));
        assert!(!waiters.has(Some(id), &old) && !waiters.has(None, &new));
        assert_eq!(len(&waiters), 1);
    }

    #[test]
    fn who_leaves_from_among_many_is_the_only_one_to_leave() {
        let waiters = Waiters::default();
        let all = [(); 4].map(|()| (waiters.new_id(), waker()));
        for (id, waker) in &all {
            waiters.put(Some(*id), waker.clone());
        }
        let removed = waiters.remove(all[2].0).expect("it waits");
        assert!(removed.will_wake(&all[2].1));
        assert!(waiters.remove(all[2].0).is_none());
        let left = all.each_ref().map(|(id, waker)| waiters.has(Some(*id), waker));
        assert_eq!(left, [true, true, false, true]);
        assert_eq!(len(&waiters), 3);
    }

    #[test]
    fn who_waits_behind_one_that_left_still_replaces_its_own_waker() {
        let (waiters, old, new) = (Waiters::default(), waker(), waker());
        let [one, other] = [waiters.new_id(), waiters.new_id()];
        waiters.put(Some(one), waker());
        waiters.put(Some(other), old.clone());
        waiters.remove(one);
        let replaced = waiters.put(Some(other), new.clone()).expect("the old waker comes out");
        assert!(replaced.will_wake(&old) && waiters.has(Some(other), &new));
        assert_eq!(len(&waiters), 1);
    }

    #[test]
    fn a_waiter_that_is_alone_allocates_nothing() {
        let (waiters, waker) = (Waiters::default(), waker());
        for _ in 0..2 {
            waiters.put(None, waker.clone());
            assert_eq!((waiters.rest.borrow().capacity(), len(&waiters)), (0, 1));
        }
    }

    #[test]
    fn names_begin_again_after_four_billion_and_none_is_zero() {
        let waiters = Waiters::default();
        let first = waiters.new_id();
        waiters.last_id.set(u32::MAX - 1);
        assert_eq!(waiters.new_id(), WaiterId(NonZeroU32::MAX));
        assert_eq!(waiters.new_id(), first);
    }

    #[test]
    #[cfg_attr(miri, ignore = "one vtable has many addresses there, so wakers differ")]
    fn tasks_that_poll_without_a_name_wait_beside_each_other() {
        let (waiters, one, other) = (Waiters::default(), waker(), waker());
        waiters.put(None, one.clone());
        waiters.put(None, other.clone());
        assert!(waiters.has(None, &one) && waiters.has(None, &other));
        assert_eq!(len(&waiters), 2);
    }
}
