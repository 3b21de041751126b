//! Layer 2: who waits for one direction of a source.
//! Imports nothing. Invariant: a named waiter is in the list at most once, and no anonymous
//! waker is there twice. Nothing here calls, clones or drops a waker; what leaves, is returned.

use std::cell::{Cell, OnceCell, RefCell};
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
    first: Cell<Option<Waker>>,
    first_id: Cell<Option<WaiterId>>,
    /// The others, from the first time that there is one.
    rest: OnceCell<Box<RefCell<Vec<Waiter>>>>,
    last_id: Cell<u32>,
}

struct Waiter {
    /// `None` for the callers of `poll_*` functions, which have no way to say that they leave.
    id: Option<WaiterId>,
    waker: Waker,
}

impl Waiter {
    /// True if `other` takes the place of this one: it has its name, or neither has a name and
    /// both wake the same task.
    fn is_same(&self, other: &Self) -> bool {
        self.id == other.id && (self.id.is_some() || self.waker.will_wake(&other.waker))
    }
}

impl Waiters {
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

    /// Adds a waiter, or gives the one that is there another waker. Returns the waker it replaces.
    #[inline]
    pub(super) fn put(&self, id: Option<WaiterId>, waker: Waker) -> Option<Waker> {
        match self.first.replace(Some(waker)) {
            None => {
                self.first_id.set(id);
                None
            }
            Some(first) => self.put_back(first, id),
        }
    }

    /// Puts the one back whose place the latest waiter has taken.
    #[cold]
    fn put_back(&self, first: Waker, latest_id: Option<WaiterId>) -> Option<Waker> {
        let first = Waiter { id: self.first_id.get(), waker: first };
        let latest = Waiter { id: latest_id, waker: self.first.take()? };
        if first.is_same(&latest) {
            self.first.set(Some(latest.waker));
            return Some(first.waker);
        }
        self.first.set(Some(first.waker));
        let mut rest = self.rest.get_or_init(Box::default).borrow_mut();
        if let Some(known) = rest.iter_mut().find(|known| known.is_same(&latest)) {
            return Some(mem::replace(&mut known.waker, latest.waker));
        }
        rest.push(latest);
        None
    }

    /// Removes a named waiter and returns its waker.
    pub(super) fn remove(&self, id: WaiterId) -> Option<Waker> {
        let first = self.first.take()?;
        let mut rest = self.rest.get().map(|rest| rest.borrow_mut());
        if self.first_id.get() == Some(id) {
            if let Some(next) = rest.and_then(|mut rest| rest.pop()) {
                self.first_id.set(next.id);
                self.first.set(Some(next.waker));
            }
            return Some(first);
        }
        self.first.set(Some(first));
        let rest = rest.as_mut()?;
        let index = rest.iter().position(|waiter| waiter.id == Some(id))?;
        Some(rest.swap_remove(index).waker)
    }

    /// Moves all wakers to `due`.
    #[inline]
    pub(super) fn take_into(&self, due: &mut Vec<Waker>) {
        if let Some(waker) = self.first.take() {
            due.push(waker);
            if let Some(rest) = self.rest.get() {
                move_into(due, rest);
            }
        }
    }
}

#[cold]
fn move_into(due: &mut Vec<Waker>, waiters: &RefCell<Vec<Waiter>>) {
    due.extend(waiters.take().into_iter().map(|waiter| waiter.waker));
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

    /// As `will_wake`, for which a vtable that has many addresses, as in Miri, makes two of one.
    fn is(one: &Waker, other: &Waker) -> bool {
        one.data() == other.data()
    }

    fn len(waiters: &Waiters) -> usize {
        let mut due = Vec::new();
        waiters.take_into(&mut due);
        due.len()
    }

    #[test]
    fn two_futures_of_one_task_do_not_share_a_place() {
        let (waiters, waker) = (Waiters::default(), waker());
        let [one, other] = [waiters.new_id(), waiters.new_id()];
        assert!(waiters.put(Some(one), waker.clone()).is_none());
        assert!(waiters.put(Some(other), waker.clone()).is_none());
        assert!(waiters.remove(one).is_some());
        assert!(!waiters.is_empty());
        assert!(waiters.remove(other).is_some());
        assert!(waiters.is_empty());
    }

    #[test]
    fn a_named_waiter_that_moves_to_another_task_replaces_its_waker() {
        let (waiters, old, new) = (Waiters::default(), waker(), waker());
        let id = waiters.new_id();
        waiters.put(Some(id), old.clone());
        let replaced = waiters.put(Some(id), new.clone()).expect("the old waker comes out");
        assert!(is(&replaced, &old));
        assert!(waiters.remove(id).is_some_and(|waker| is(&waker, &new)));
        assert!(waiters.is_empty());
    }

    #[test]
    fn who_leaves_from_among_many_is_the_only_one_to_leave() {
        let waiters = Waiters::default();
        let all = [(); 4].map(|()| (waiters.new_id(), waker()));
        for (id, waker) in &all {
            waiters.put(Some(*id), waker.clone());
        }
        let removed = waiters.remove(all[2].0).expect("it waits");
        assert!(is(&removed, &all[2].1));
        assert!(waiters.remove(all[2].0).is_none());
        let left = all.each_ref().map(|(id, _)| waiters.remove(*id).is_some());
        assert_eq!(left, [true, true, false, true]);
        assert!(waiters.is_empty());
    }

    #[test]
    fn who_waits_behind_one_that_left_still_replaces_its_own_waker() {
        let (waiters, old, new) = (Waiters::default(), waker(), waker());
        let [one, other] = [waiters.new_id(), waiters.new_id()];
        waiters.put(Some(one), waker());
        waiters.put(Some(other), old.clone());
        waiters.remove(one);
        let replaced = waiters.put(Some(other), new.clone()).expect("the old waker comes out");
        assert!(is(&replaced, &old));
        assert!(waiters.remove(other).is_some_and(|waker| is(&waker, &new)));
        assert!(waiters.is_empty());
    }

    #[test]
    fn a_waiter_that_is_alone_allocates_nothing() {
        let (waiters, waker) = (Waiters::default(), waker());
        for _ in 0..2 {
            waiters.put(None, waker.clone());
            assert!(waiters.rest.get().is_none());
            assert_eq!(len(&waiters), 1);
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
        for is_there in [false, true, true] {
            assert_eq!(waiters.put(None, one.clone()).is_some(), is_there);
            assert_eq!(waiters.put(None, other.clone()).is_some(), is_there);
        }
        assert_eq!(len(&waiters), 2);
    }
}
