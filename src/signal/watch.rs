//! Layer 6: what a signal handler and its `Signals` share.
//! Invariant: the handler makes one system call, a write that does not block, and neither locks
//! nor allocates. A flag is set before the bell is rung, and the bell is silenced before the flags
//! are read for the last time: so a signal that came is seen, or the bell rings.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::number::Signal;
use crate::selector::Bell;
use crate::sys::{AsFd, BorrowedFd};

/// Which signals of a set came and were not taken yet.
#[derive(Debug)]
pub(super) struct Watch {
    bell: Bell,
    set: Box<[(Signal, AtomicBool)]>,
    /// Where in `set` the next look begins, so that one signal that comes all the time does not
    /// hide the others.
    next: AtomicUsize,
}

impl Watch {
    /// # Errors
    /// If there is no descriptor left.
    pub(super) fn new(set: &[Signal]) -> io::Result<Self> {
        let set = set.iter().map(|signal| (*signal, AtomicBool::new(false))).collect();
        Ok(Self { bell: Bell::new()?, set, next: AtomicUsize::new(0) })
    }

    /// What is waited for, in words.
    pub(super) fn name(&self) -> String {
        let names: Vec<_> = self.set.iter().map(|(signal, _)| signal.to_string()).collect();
        format!("signal {}", names.join(" or "))
    }

    /// Notes that the signal at this place of the set came. Called in a signal handler.
    pub(super) fn note(&self, place: usize) {
        if let Some((_, came)) = self.set.get(place) {
            came.store(true, Ordering::Release);
            self.bell.ring();
        }
    }

    /// A signal that came, if one did. The bell is silent afterwards only if none is left.
    pub(super) fn take(&self) -> Option<Signal> {
        self.take_flag().or_else(|| {
            self.bell.silence();
            let late = self.take_flag();
            if late.is_some() {
                // There may be more of them, whose ringing is over.
                self.bell.ring();
            }
            late
        })
    }

    fn take_flag(&self) -> Option<Signal> {
        let start = self.next.load(Ordering::Relaxed);
        let places = (start..self.set.len()).chain(0..start);
        for place in places {
            let (signal, came) = &self.set[place];
            if came.swap(false, Ordering::Acquire) {
                self.next.store((place + 1) % self.set.len(), Ordering::Relaxed);
                return Some(*signal);
            }
        }
        None
    }
}

/// Readable while a signal may be there to be taken.
impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}
