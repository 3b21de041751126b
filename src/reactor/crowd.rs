//! Layer 2: the waiters of one direction behind the first one.
//! Limits: logarithmic time for each; no more places than twice the waiters that are alive, and 32.
//! Invariant: an anonymous waiter has one place at most; `by_task` names the places of all of them.

use std::collections::{BTreeMap, HashMap};
use std::task::{RawWakerVTable, Waker};

use super::waiter::{Moved, Waiter, WaiterId};

/// Anonymous waiters from which on some may have given up. Enough for any use that is not a crowd
/// on purpose; as many wakers fit into half a page.
const FEW: usize = 32;

/// What `Waker::will_wake` compares.
type Task = (*const (), *const RawWakerVTable);

fn task(waker: &Waker) -> Task {
    (waker.data(), waker.vtable())
}

/// Places by their number: who came first is woken first.
pub(super) struct Crowd {
    places: BTreeMap<u64, Place>,
    next: u64,
    by_task: HashMap<Task, u64>,
    /// How many are not woken yet.
    waiting: usize,
    /// So many anonymous waiters are admitted before they are asked whether they still wait.
    limit: usize,
    /// The first number that was given after they were asked.
    first_since_asked: u64,
}

struct Place {
    /// `None`: woken, and not back yet.
    waker: Option<Waker>,
    is_named: bool,
}

impl Default for Crowd {
    fn default() -> Self {
        Self {
            places: BTreeMap::new(),
            next: 1,
            by_task: HashMap::new(),
            waiting: 0,
            limit: FEW,
            first_since_asked: 0,
        }
    }
}

impl Crowd {
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// True if there is one who is not woken yet.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting > 0
    }

    fn number(&self, waiter: &Waiter<'_>, waker: &Waker) -> Option<u64> {
        match waiter {
            Waiter::Named(id) => id.map(|WaiterId(number)| number),
            Waiter::Anonymous => self.by_task.get(&task(waker)).copied(),
        }
    }

    pub(super) fn has(&self, waiter: &Waiter<'_>, waker: &Waker) -> bool {
        let place = self.number(waiter, waker).and_then(|number| self.places.get(&number));
        place.and_then(|place| place.waker.as_ref()).is_some_and(|known| known.will_wake(waker))
    }

    pub(super) fn put(&mut self, waiter: &mut Waiter<'_>, waker: Waker) -> Moved {
        let known = self.number(waiter, &waker);
        if let Some(place) = known.and_then(|number| self.places.get_mut(&number)) {
            let replaced = place.waker.replace(waker);
            self.waiting += usize::from(replaced.is_none());
            return Moved { replaced, ..Moved::default() };
        }
        let number = self.next;
        self.next += 1; // never wraps: centuries at one per nanosecond
        let is_named = match waiter {
            Waiter::Named(id) => {
                **id = Some(WaiterId(number));
                true
            }
            Waiter::Anonymous => {
                self.by_task.insert(task(&waker), number);
                false
            }
        };
        self.places.insert(number, Place { waker: Some(waker), is_named });
        self.waiting += 1;
        let asked = if self.by_task.len() > self.limit { self.ask() } else { Vec::new() };
        Moved { asked, ..Moved::default() }
    }

    /// Takes out the wakers of all anonymous waiters, so that they are woken: nobody else can tell
    /// which of them have given up. Who still waits comes back to its place by itself, as after
    /// any wake-up; the others lose theirs when this is called again.
    #[cold]
    fn ask(&mut self) -> Vec<Waker> {
        self.forget_absent();
        let count = self.by_task.len();
        if count <= self.limit / 2 {
            return Vec::new();
        }
        let are_back = self.by_task.values().filter(|number| **number < self.first_since_asked);
        if are_back.count() >= count / 2 {
            self.limit = 2 * count;
            return Vec::new();
        }
        self.first_since_asked = self.next;
        let anonymous = self.places.values_mut().filter(|place| !place.is_named);
        let asked: Vec<_> = anonymous.filter_map(|place| place.waker.take()).collect();
        self.waiting -= asked.len();
        asked
    }

    /// Takes the places away from anonymous waiters that were woken and are not back.
    fn forget_absent(&mut self) {
        self.places.retain(|_, place| place.is_named || place.waker.is_some());
        self.by_task.retain(|_, number| self.places.contains_key(number));
        if self.by_task.capacity() > 4 * FEW && self.by_task.len() < self.by_task.capacity() / 4 {
            self.by_task.shrink_to(2 * self.by_task.len());
        }
    }

    pub(super) fn remove(&mut self, WaiterId(number): WaiterId) -> Option<Waker> {
        let waker = self.places.remove(&number)?.waker;
        self.waiting -= usize::from(waker.is_some());
        waker
    }

    /// Lets an anonymous waiter go last.
    pub(super) fn serve(&mut self, waker: &Waker) {
        let Some(number) = self.by_task.get_mut(&task(waker)) else { return };
        if let Some(place) = self.places.remove(number) {
            *number = self.next;
            self.places.insert(self.next, place);
            self.next += 1;
        }
    }

    pub(super) fn take_into(&mut self, due: &mut Vec<Waker>) {
        if !self.by_task.is_empty() {
            self.forget_absent();
            self.limit = self.limit.min((2 * self.by_task.len()).max(FEW));
        }
        due.extend(self.places.values_mut().filter_map(|place| place.waker.take()));
        self.waiting = 0;
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

    /// Puts `waker` in, and drops whoever is asked: they are not back.
    fn put(crowd: &mut Crowd, waker: &Waker) -> usize {
        crowd.put(&mut Waiter::Anonymous, waker.clone()).asked.len()
    }

    #[test]
    fn waiters_that_give_up_under_fresh_wakers_do_not_pile_up() {
        let mut crowd = Crowd::default();
        let fresh: Vec<_> = (0..10_000).map(|_| waker()).collect();
        let asked: usize = fresh.iter().map(|waker| put(&mut crowd, waker)).sum();
        assert!(crowd.places.len() <= 2 * FEW, "{} places", crowd.places.len());
        assert!(asked <= fresh.len(), "each is asked once at most");
    }

    #[test]
    #[cfg_attr(miri, ignore = "one vtable has many addresses there, so wakers differ")]
    fn a_crowd_that_is_alive_is_not_asked_again_and_again() {
        let mut crowd = Crowd::default();
        let alive: Vec<_> = (0..1000).map(|_| waker()).collect();
        let mut asked = 0;
        for count in 1..=alive.len() {
            let mut back: Vec<_> = alive[..count].iter().collect();
            // Whoever is asked comes back, which may ask others.
            while let Some(waker) = back.pop() {
                if !crowd.has(&Waiter::Anonymous, waker) {
                    let some = crowd.put(&mut Waiter::Anonymous, waker.clone()).asked;
                    asked += some.len();
                    if !some.is_empty() {
                        back = alive[..count].iter().collect();
                    }
                }
            }
        }
        assert_eq!(crowd.waiting, alive.len());
        assert!(asked < 4 * alive.len(), "{asked} were asked");
    }

    #[test]
    fn a_crowd_that_has_gone_leaves_no_room_behind() {
        let mut crowd = Crowd::default();
        let all: Vec<_> = (0..5_000).map(|_| waker()).collect();
        for waker in &all {
            put(&mut crowd, waker);
        }
        for _ in 0..2 {
            crowd.take_into(&mut Vec::new());
        }
        assert!(crowd.is_empty() && crowd.by_task.capacity() <= 4 * FEW);
    }
}
