//! Layer 2: the waiters of one direction behind the first one.
//! Limits: logarithmic time for each; anonymous ones have four times as many places as are known
//! to be alive, and 256. Invariant: one place a task at most, which `by_task` names.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::task::{RawWakerVTable, Waker};

use super::waiter::{Moved, Waiter, WaiterId};

/// Anonymous waiters from which on some may have given up. Enough for any use that is not a crowd
/// on purpose.
const FEW: usize = 32;

/// Places that anonymous waiters have in any case: 25 KiB.
const PLACES: usize = 256;

/// Rounds of the executor after which a task that was woken has been polled: the one that is under
/// way, and the next.
const ROUNDS_TO_COME_BACK: u64 = 2;

/// What `Waker::will_wake` compares.
type Task = (*const (), *const RawWakerVTable);

fn task(waker: &Waker) -> Task {
    (waker.data(), waker.vtable())
}

/// Places by their number: who came first is woken first.
///
/// Nobody can tell whether an anonymous waiter has given up. So when there are many, all are asked:
/// they are woken, and keep their places. Who still waits comes back by itself, as after any
/// wake-up; who is not back when the executor has had the time to poll all of them has given up.
/// Until then, places that are too many are taken from the oldest that came since, who are woken,
/// too.
pub(super) struct Crowd {
    places: BTreeMap<u64, Place>,
    next: u64,
    by_task: HashMap<Task, u64>,
    /// The numbers in `by_task`, in order.
    anonymous: BTreeSet<u64>,
    /// How many are not woken yet.
    waiting: usize,
    /// How many anonymous ones came back when they were asked last.
    alive: usize,
    /// The first number that was given after they were asked.
    first_since_asked: u64,
    /// The round in which they were asked.
    asked_in: Option<u64>,
}

struct Place {
    /// `None`: woken, and not back yet.
    waker: Option<Waker>,
    /// `None`: named.
    task: Option<Task>,
}

impl Default for Crowd {
    fn default() -> Self {
        Self {
            places: BTreeMap::new(),
            next: 1,
            by_task: HashMap::new(),
            anonymous: BTreeSet::new(),
            waiting: 0,
            alive: 0,
            first_since_asked: 0,
            asked_in: None,
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

    /// Looks at the wakers of all who are not woken yet.
    pub(super) fn each(&self, f: impl FnMut(&Waker)) {
        self.places.values().filter_map(|place| place.waker.as_ref()).for_each(f);
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

    pub(super) fn put(&mut self, waiter: &mut Waiter<'_>, waker: Waker, round: u64) -> Moved {
        let known = self.number(waiter, &waker);
        if let Some(place) = known.and_then(|number| self.places.get_mut(&number)) {
            let replaced = place.waker.replace(waker);
            self.waiting += usize::from(replaced.is_none());
            return Moved { replaced, ..Moved::default() };
        }
        let number = self.next;
        self.next += 1; // never wraps: centuries at one per nanosecond
        let task = match waiter {
            Waiter::Named(id) => {
                **id = Some(WaiterId(number));
                None
            }
            Waiter::Anonymous => {
                let task = task(&waker);
                self.by_task.insert(task, number);
                self.anonymous.insert(number);
                Some(task)
            }
        };
        self.places.insert(number, Place { waker: Some(waker), task });
        self.waiting += 1;
        let is_many = self.by_task.len() > FEW.max(2 * self.alive);
        let woken = if is_many { self.make_room(round) } else { Vec::new() };
        Moved { woken, ..Moved::default() }
    }

    /// Asks the anonymous waiters, or takes places from the oldest. Returns who is to be woken.
    #[cold]
    fn make_room(&mut self, round: u64) -> Vec<Waker> {
        if self.asked_in.is_none_or(|asked_in| round >= asked_in + ROUNDS_TO_COME_BACK) {
            self.forget_absent();
            self.alive = self.anonymous.range(..self.first_since_asked).count();
            if self.by_task.len() > FEW.max(2 * self.alive) {
                self.asked_in = Some(round);
                return self.ask();
            }
        }
        let mut woken = Vec::new();
        while self.by_task.len() > PLACES.max(4 * self.alive)
            && let Some(&number) = self.anonymous.range(self.first_since_asked..).next()
        {
            woken.extend(self.take_place(number));
        }
        woken
    }

    /// Takes out the wakers of all anonymous waiters.
    fn ask(&mut self) -> Vec<Waker> {
        self.first_since_asked = self.next;
        let places = &mut self.places;
        let wakers =
            self.anonymous.iter().filter_map(|number| places.get_mut(number)?.waker.take());
        let woken: Vec<_> = wakers.collect();
        self.waiting -= woken.len();
        woken
    }

    /// Takes a place away; returns its waker, if it was not woken.
    fn take_place(&mut self, number: u64) -> Option<Waker> {
        let place = self.places.remove(&number)?;
        if let Some(task) = place.task {
            self.by_task.remove(&task);
            self.anonymous.remove(&number);
        }
        self.waiting -= usize::from(place.waker.is_some());
        place.waker
    }

    /// Takes the places away from anonymous waiters that were woken and are not back.
    fn forget_absent(&mut self) {
        self.places.retain(|_, place| place.task.is_none() || place.waker.is_some());
        self.by_task.retain(|_, number| self.places.contains_key(number));
        self.anonymous.retain(|number| self.places.contains_key(number));
        if self.by_task.capacity() > 4 * FEW && self.by_task.len() < self.by_task.capacity() / 4 {
            self.by_task.shrink_to(2 * self.by_task.len());
        }
    }

    pub(super) fn remove(&mut self, WaiterId(number): WaiterId) -> Option<Waker> {
        self.take_place(number)
    }

    /// Lets an anonymous waiter go last.
    pub(super) fn serve(&mut self, waker: &Waker) {
        let Some(number) = self.by_task.get_mut(&task(waker)) else { return };
        if let Some(place) = self.places.remove(number) {
            self.anonymous.remove(number);
            self.anonymous.insert(self.next);
            *number = self.next;
            self.places.insert(self.next, place);
            self.next += 1;
        }
    }

    pub(super) fn take_into(&mut self, due: &mut Vec<Waker>) {
        if !self.by_task.is_empty() {
            self.forget_absent();
        }
        due.extend(self.places.values_mut().filter_map(|place| place.waker.take()));
        self.waiting = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::waiter::waker_of_its_own as waker;

    #[test]
    fn waiters_that_give_up_under_fresh_wakers_do_not_pile_up() {
        for rounds_each in [0, 1] {
            let (mut crowd, mut woken) = (Crowd::default(), 0);
            let fresh: Vec<_> = (0..10_000).map(|_| waker()).collect();
            for (number, waker) in fresh.iter().enumerate() {
                let round = rounds_each * number as u64;
                let moved = crowd.put(&mut Waiter::Anonymous, waker.clone(), round);
                woken += moved.woken.len();
                assert!(crowd.places.len() <= PLACES, "{} places", crowd.places.len());
            }
            assert!(woken <= fresh.len(), "each is woken once at most");
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "one vtable has many addresses there, so wakers differ")]
    fn a_crowd_that_is_alive_comes_to_rest() {
        for (count, most) in [(200, 3), (1_000, 8), (5_000, 12)] {
            let mut crowd = Crowd::default();
            let alive: Vec<_> = (0..count).map(|_| waker()).collect();
            let (mut polls, mut ready) = (0, alive.clone());
            for round in 0.. {
                if ready.is_empty() {
                    break;
                }
                for waker in std::mem::take(&mut ready) {
                    polls += 1;
                    if !crowd.has(&Waiter::Anonymous, &waker) {
                        ready.extend(crowd.put(&mut Waiter::Anonymous, waker, round).woken);
                    }
                }
                assert!(polls < most * count, "{count}: {polls} polls");
            }
            assert_eq!(crowd.waiting, count);
        }
    }

    #[test]
    fn a_crowd_that_has_gone_leaves_no_room_behind() {
        let mut crowd = Crowd { alive: 5_000, ..Crowd::default() };
        for _ in 0..5_000 {
            crowd.put(&mut Waiter::Anonymous, waker(), 0);
        }
        for _ in 0..2 {
            crowd.take_into(&mut Vec::new());
        }
        assert!(crowd.is_empty() && crowd.by_task.capacity() <= 4 * FEW);
    }
}
