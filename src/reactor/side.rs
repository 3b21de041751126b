//! Layer 2: who waits for one direction of a source.
//! Limits: one waiter allocates nothing; memory is bounded by the waiters that are alive.
//! Invariant: calls, clones and drops no waker; what leaves is returned.

use std::cell::{Cell, OnceCell, RefCell};
use std::mem;
use std::task::Waker;

use super::crowd::Crowd;
use super::waiter::{Moved, Waiter, WaiterId};

/// Names the place of [`Waiters::first`]; the crowd counts from one.
const FIRST: WaiterId = WaiterId(0);

/// The wakers of one direction, in the order in which they are to be woken.
///
/// Who is woken keeps its place until it is served or leaves: a waiter that found nothing comes
/// before one that was served and waits again.
#[derive(Default)]
pub(super) struct Waiters {
    /// The only waiter, mostly.
    first: Cell<Option<Waker>>,
    first_is: Cell<First>,
    /// The others, from the first time that there is one.
    crowd: OnceCell<Box<RefCell<Crowd>>>,
}

/// Whose the first place is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum First {
    #[default]
    Nobodys,
    /// It is free again once its waiter is woken.
    Anonymous,
    /// It is free again once its waiter leaves.
    Named,
}

impl Waiters {
    /// True if somebody waits who is not woken yet.
    pub(super) fn are_there(&self) -> bool {
        let first = self.first.take();
        let is_some = first.is_some();
        self.first.set(first);
        is_some || self.crowd.get().is_some_and(|crowd| crowd.borrow().is_waiting())
    }

    /// True if nobody waits, or keeps a place.
    #[inline]
    pub(super) fn are_free(&self) -> bool {
        self.is_first_free() && self.crowd.get().is_none()
    }

    /// True if nobody has the first place.
    #[inline]
    pub(super) fn is_first_free(&self) -> bool {
        self.first_is.get() == First::Nobodys
    }

    /// Looks at the wakers of all who are not woken yet. `f` calls no user code.
    pub(super) fn each(&self, mut f: impl FnMut(&Waker)) {
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
            Waiter::Anonymous => self.first_is.get() == First::Anonymous,
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
        if self.are_free() {
            self.take_first_place(waiter, waker);
            return Moved::default();
        }
        self.put_among_others(waiter, waker, round)
    }

    /// Adds a waiter where the first place is nobody's.
    #[inline]
    pub(super) fn take_first_place(&self, waiter: &mut Waiter<'_>, waker: Waker) {
        self.first_is.set(match waiter {
            Waiter::Named(id) => {
                **id = Some(FIRST);
                First::Named
            }
            Waiter::Anonymous => First::Anonymous,
        });
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
            && self.first_is.get() == First::Anonymous
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
        let is_new = !matches!(waiter, Waiter::Named(id) if id.is_some());
        if is_new && self.first_is.get() == First::Nobodys && crowd.borrow().is_empty() {
            self.take_first_place(waiter, waker);
            return Moved::default();
        }
        crowd.borrow_mut().put(waiter, waker, round)
    }

    /// Removes a named waiter and returns its waker, if it was not woken.
    pub(super) fn remove(&self, id: WaiterId) -> Option<Waker> {
        if id == FIRST {
            self.first_is.set(First::Nobodys);
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
            if self.first_is.get() == First::Anonymous {
                self.first_is.set(First::Nobodys);
            }
        }
        if let Some(crowd) = self.crowd.get() {
            crowd.borrow_mut().take_into(due);
        }
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

    /// As `will_wake`, for which a vtable that has many addresses, as in Miri, makes two of one.
    fn is(one: &Waker, other: &Waker) -> bool {
        one.data() == other.data()
    }

    fn woken(waiters: &Waiters) -> Vec<Waker> {
        let mut due = Vec::new();
        waiters.take_into(&mut due);
        due
    }

    fn put(waiters: &Waiters, id: &mut Option<WaiterId>, waker: &Waker) -> Moved {
        waiters.put(&mut Waiter::Named(id), waker.clone(), 0)
    }

    #[test]
    fn two_futures_of_one_task_do_not_share_a_place() {
        let (waiters, waker) = (Waiters::default(), waker());
        let [mut one, mut other] = [None; 2];
        assert!(put(&waiters, &mut one, &waker).replaced.is_none());
        assert!(put(&waiters, &mut other, &waker).replaced.is_none());
        assert!(waiters.remove(one.expect("named")).is_some());
        assert!(waiters.are_there());
        assert!(waiters.remove(other.expect("named")).is_some());
        assert!(!waiters.are_there());
    }

    #[test]
    fn a_named_waiter_that_moves_to_another_task_replaces_its_waker() {
        for place in 0..2 {
            let (waiters, old, new) = (Waiters::default(), waker(), waker());
            let mut before = None;
            if place == 1 {
                put(&waiters, &mut before, &waker());
            }
            let mut id = None;
            put(&waiters, &mut id, &old);
            let replaced = put(&waiters, &mut id, &new).replaced.expect("the old waker comes out");
            assert!(is(&replaced, &old));
            assert!(waiters.remove(id.expect("named")).is_some_and(|waker| is(&waker, &new)));
        }
    }

    #[test]
    fn who_leaves_from_among_many_is_the_only_one_to_leave() {
        let waiters = Waiters::default();
        let mut all = [(); 4].map(|()| (None, waker()));
        for (id, waker) in &mut all {
            put(&waiters, id, waker);
        }
        let third = all[2].0.expect("named");
        assert!(waiters.remove(third).is_some_and(|waker| is(&waker, &all[2].1)));
        assert!(waiters.remove(third).is_none());
        let left = woken(&waiters);
        assert_eq!(left.len(), 3);
        for (left, place) in left.iter().zip([0, 1, 3]) {
            assert!(is(left, &all[place].1));
        }
        assert!(!waiters.are_there());
    }

    #[test]
    fn a_waiter_that_is_alone_allocates_nothing() {
        let (waiters, waker) = (Waiters::default(), waker());
        for _ in 0..2 {
            waiters.put(&mut Waiter::Anonymous, waker.clone(), 0);
            assert_eq!(woken(&waiters).len(), 1);
            let mut id = None;
            put(&waiters, &mut id, &waker);
            waiters.remove(id.expect("named"));
        }
        assert!(waiters.crowd.get().is_none());
    }

    #[test]
    fn who_found_nothing_is_woken_before_who_was_served() {
        let (waiters, wakers) = (Waiters::default(), [(); 3].map(|()| waker()));
        let mut ids = [None; 3];
        for (id, waker) in ids.iter_mut().zip(&wakers) {
            put(&waiters, id, waker);
        }
        for round in 0..6 {
            let due = woken(&waiters);
            let served = round % 3;
            assert!(is(&due[0], &wakers[served]), "round {round}");
            waiters.remove(ids[served].take().expect("named"));
            // All wait again, the one that was served first of all.
            for next in 0..3 {
                let next = (served + next) % 3;
                put(&waiters, &mut ids[next], &wakers[next]);
            }
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "one vtable has many addresses there, so wakers differ")]
    fn anonymous_tasks_take_turns_too() {
        let (waiters, wakers) = (Waiters::default(), [(); 3].map(|()| waker()));
        let wait = |index: usize| {
            if !waiters.has(&Waiter::Anonymous, &wakers[index]) {
                waiters.put(&mut Waiter::Anonymous, wakers[index].clone(), 0);
            }
        };
        (0..3).for_each(wait);
        let mut served = [0; 3];
        for _ in 0..30 {
            let due = woken(&waiters);
            let first = (0..3).find(|index| is(&due[0], &wakers[*index])).expect("one of them");
            waiters.serve(&wakers[first]);
            served[first] += 1;
            (0..3).for_each(|next| wait((first + next) % 3));
        }
        assert!(served.iter().all(|count| *count >= 9), "{served:?}");
    }

    #[test]
    #[cfg_attr(miri, ignore = "one vtable has many addresses there, so wakers differ")]
    fn tasks_that_poll_without_a_name_wait_beside_each_other() {
        let (waiters, one, other) = (Waiters::default(), waker(), waker());
        for is_there in [false, true, true] {
            for waker in [&one, &other] {
                assert_eq!(waiters.has(&Waiter::Anonymous, waker), is_there);
                waiters.put(&mut Waiter::Anonymous, waker.clone(), 0);
            }
        }
        assert_eq!(woken(&waiters).len(), 2);
    }
}
