//! Layer 5: one value, from the thread that makes it to the future that awaits it.
//! Invariant: no waker is called or dropped, and no value dropped, under the lock.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::panics::Payload;

/// What became of a job.
pub(super) enum Outcome<T> {
    Returned(T),
    Panicked(Payload),
    /// It was dropped before it began.
    Dropped,
}

/// Empty ─fill→ Full ─poll→ Closed; Empty ─drop of `Taker`→ Closed ─fill→ Closed
enum State<T> {
    Empty(Option<Waker>),
    Full(Outcome<T>),
    /// The outcome was taken, or nobody waits for it.
    Closed,
}

struct Slot<T>(Mutex<State<T>>);

impl<T> Slot<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // No code of a user runs under the lock, so a poisoned one is as good as any.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end that gives the outcome. Dropped without one, it gives [`Outcome::Dropped`].
pub(super) struct Filler<T>(Arc<Slot<T>>);

/// The end that waits.
pub(super) struct Taker<T>(Arc<Slot<T>>);

pub(super) fn slot<T>() -> (Filler<T>, Taker<T>) {
    let slot = Arc::new(Slot(Mutex::new(State::Empty(None))));
    (Filler(Arc::clone(&slot)), Taker(slot))
}

impl<T> Filler<T> {
    /// False if nobody waits any more.
    pub(super) fn is_awaited(&self) -> bool {
        matches!(*self.0.lock(), State::Empty(_))
    }

    /// Gives the outcome, and wakes who waits. If nobody does, or there was one before, it is
    /// dropped here.
    ///
    /// # Panics
    /// If the waker, or the destructor of the outcome, does.
    pub(super) fn fill(&self, outcome: Outcome<T>) {
        let mut state = self.0.lock();
        if let State::Empty(waker) = &mut *state {
            let waker = waker.take();
            *state = State::Full(outcome);
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
        } else {
            drop(state);
            drop(outcome);
        }
    }
}

impl<T> Drop for Filler<T> {
    fn drop(&mut self) {
        self.fill(Outcome::Dropped);
    }
}

impl<T> Taker<T> {
    /// The outcome, once it is there.
    ///
    /// # Panics
    /// If it was taken before.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<Outcome<T>> {
        if let Some(outcome) = self.take_or_wait(&mut None) {
            return Poll::Ready(outcome);
        }
        // A waker's clone may be the code of a user, so it is made outside of the lock.
        let mut waker = Some(cx.waker().clone());
        match self.take_or_wait(&mut waker) {
            Some(outcome) => Poll::Ready(outcome),
            None => Poll::Pending,
        }
        // `waker`, here the earlier one, is dropped outside of the lock, too.
    }

    /// Takes the outcome. If there is none yet, leaves the waker, and returns the earlier one
    /// in its place.
    fn take_or_wait(&self, waker: &mut Option<Waker>) -> Option<Outcome<T>> {
        let mut state = self.0.lock();
        match &mut *state {
            State::Empty(waiting) => {
                if waker.is_some() {
                    mem::swap(waiting, waker);
                }
                None
            }
            State::Full(_) => match mem::replace(&mut *state, State::Closed) {
                State::Full(outcome) => Some(outcome),
                State::Empty(_) | State::Closed => unreachable!("it is full"),
            },
            State::Closed => panic!("the outcome of a job was taken twice"),
        }
    }
}

impl<T> Drop for Taker<T> {
    fn drop(&mut self) {
        let left = mem::replace(&mut *self.0.lock(), State::Closed);
        drop(left); // Outside of the lock.
    }
}
