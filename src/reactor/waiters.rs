//! Layer 2: who waits for one direction of a source.
//! Imports nothing. Invariant: a named waiter is in the list at most once, and no anonymous
//! waker is there twice. Nothing here calls a waker or drops one; what leaves, is returned.

use std::mem;
use std::task::Waker;

/// Names a waiter that can leave before its event, so that two futures of one task, whose wakers
/// are alike, do not take each other's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WaiterId(u32);

/// The wakers of one direction. The first one needs no allocation, and mostly there is no other.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    first: Option<Waiter>,
    rest: Vec<Waiter>,
    next_id: u32,
}

#[derive(Debug)]
struct Waiter {
    /// `None` for the callers of `poll_*` functions, which have no way to say that they leave.
    id: Option<WaiterId>,
    waker: Waker,
}

impl Waiters {
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none() && self.rest.is_empty()
    }

    /// A name that no other waiter here has, nor soon gets.
    pub(super) fn new_id(&mut self) -> WaiterId {
        self.next_id = self.next_id.wrapping_add(1);
        WaiterId(self.next_id)
    }

    /// True if the event would reach this waiter with this waker as it is.
    pub(super) fn has(&self, id: Option<WaiterId>, waker: &Waker) -> bool {
        self.iter().any(|waiter| waiter.id == id && waiter.waker.will_wake(waker))
    }

    /// Adds a waiter, or gives a named one another waker. Returns the waker it replaces.
    pub(super) fn put(&mut self, id: Option<WaiterId>, waker: Waker) -> Option<Waker> {
        let named = |waiter: &&mut Waiter| id.is_some() && waiter.id == id;
        if let Some(waiter) = self.first.iter_mut().chain(&mut self.rest).find(named) {
            return Some(mem::replace(&mut waiter.waker, waker));
        }
        let waiter = Waiter { id, waker };
        match &self.first {
            None => self.first = Some(waiter),
            Some(_) => self.rest.push(waiter),
        }
        None
    }

    /// Removes a named waiter and returns its waker.
    pub(super) fn remove(&mut self, id: WaiterId) -> Option<Waker> {
        if self.first.as_ref().is_some_and(|waiter| waiter.id == Some(id)) {
            return self.first.take().map(|waiter| waiter.waker);
        }
        let index = self.rest.iter().position(|waiter| waiter.id == Some(id))?;
        Some(self.rest.swap_remove(index).waker)
    }

    /// Moves all wakers to `due`, in the order of their coming.
    pub(super) fn take_into(&mut self, due: &mut Vec<Waker>) {
        due.extend(self.first.take().map(|waiter| waiter.waker));
        due.extend(self.rest.drain(..).map(|waiter| waiter.waker));
        if self.rest.capacity() > 16 {
            self.rest = Vec::new();
        }
    }

    fn iter(&self) -> impl Iterator<Item = &Waiter> {
        self.first.iter().chain(&self.rest)
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

    fn len(waiters: &mut Waiters) -> usize {
        let mut due = Vec::new();
        waiters.take_into(&mut due);
        due.len()
    }

    #[test]
    fn two_futures_of_one_task_do_not_share_a_place() {
        let (mut waiters, waker) = (Waiters::default(), waker());
        let [one, other] = [waiters.new_id(), waiters.new_id()];
        assert!(waiters.put(Some(one), waker.clone()).is_none());
        assert!(waiters.put(Some(other), waker.clone()).is_none());
        assert!(waiters.remove(one).is_some());
        assert!(waiters.has(Some(other), &waker));
        assert_eq!(len(&mut waiters), 1);
        assert!(waiters.is_empty());
    }

    #[test]
    fn a_named_waiter_that_moves_to_another_task_replaces_its_waker() {
        let (mut waiters, old, new) = (Waiters::default(), waker(), waker());
        let id = waiters.new_id();
        waiters.put(Some(id), old.clone());
        let replaced = waiters.put(Some(id), new.clone()).expect("the old waker comes out");
        assert!(replaced.will_wake(&old) && waiters.has(Some(id), &new));
        assert_eq!(len(&mut waiters), 1);
    }

    #[test]
    fn tasks_that_poll_without_a_name_wait_beside_each_other() {
        let (mut waiters, one, other) = (Waiters::default(), waker(), waker());
        waiters.put(None, one.clone());
        waiters.put(None, other.clone());
        assert!(waiters.has(None, &one) && waiters.has(None, &other));
        assert_eq!(len(&mut waiters), 2);
    }
}
