//! Layer 6: what a signal handler and its `Signals` share.
//! Invariant: the handler makes one system call, a write that does not block, and neither locks
//! nor allocates. A flag is set before the bell is rung, and the bell is silenced before the flags
//! are read for the last time: so a signal that came is seen, or the bell rings.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::number::Signal;
use crate::selector::Bell;
use crate::sys::{AsFd, BorrowedFd};

/// Which signals of a set came and were not taken yet, and a bell that rings while there are some.
#[derive(Debug)]
pub(super) struct Watch {
    bell: Bell,
    flags: Flags,
}

impl Watch {
    /// # Errors
    /// If there is no descriptor left.
    pub(super) fn new(set: &[Signal]) -> io::Result<Self> {
        Ok(Self { bell: Bell::new()?, flags: Flags::new(set) })
    }

    /// What is waited for, in words.
    pub(super) fn name(&self) -> String {
        let names: Vec<_> = self.flags.set.iter().map(|(signal, _)| signal.to_string()).collect();
        format!("signal {}", names.join(" or "))
    }

    /// Notes that the signal at this place of the set came. Called in a signal handler.
    pub(super) fn note(&self, place: usize) {
        self.flags.raise(place);
        self.bell.ring();
    }

    /// A signal that came, if one did. The bell is silent afterwards only if none is left.
    pub(super) fn take(&self) -> Option<Signal> {
        take(&self.flags, &self.bell)
    }
}

/// Readable while a signal may be there to be taken.
impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

/// What is asked of a bell; the tests' own are interrupted.
trait Ring {
    fn ring(&self);
    fn silence(&self);
}

impl Ring for Bell {
    fn ring(&self) {
        self.ring();
    }

    fn silence(&self) {
        self.silence();
    }
}

fn take(flags: &Flags, bell: &impl Ring) -> Option<Signal> {
    flags.lower_one().or_else(|| {
        bell.silence();
        let late = flags.lower_one();
        if late.is_some() {
            // There may be more of them, whose ringing is over.
            bell.ring();
        }
        late
    })
}

#[derive(Debug)]
struct Flags {
    set: Box<[(Signal, AtomicBool)]>,
    /// Where in `set` the next look begins, so that one signal that comes all the time does not
    /// hide the others.
    next: AtomicUsize,
}

impl Flags {
    fn new(set: &[Signal]) -> Self {
        let set = set.iter().map(|signal| (*signal, AtomicBool::new(false))).collect();
        Self { set, next: AtomicUsize::new(0) }
    }

    fn raise(&self, place: usize) {
        if let Some((_, came)) = self.set.get(place) {
            came.store(true, Ordering::Release);
        }
    }

    fn lower_one(&self) -> Option<Signal> {
        let start = self.next.load(Ordering::Relaxed);
        for place in (start..self.set.len()).chain(0..start) {
            let (signal, came) = &self.set[place];
            if came.swap(false, Ordering::Acquire) {
                self.next.store((place + 1) % self.set.len(), Ordering::Relaxed);
                return Some(*signal);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::super::number::{SIGINT, SIGTERM};
    use super::*;

    /// A bell during whose silencing signals come: before it falls silent, and after.
    struct Interrupted<'f> {
        flags: &'f Flags,
        rings: Cell<bool>,
        before: RefCell<Vec<usize>>,
        after: RefCell<Vec<usize>>,
    }

    impl Interrupted<'_> {
        fn come(&self, places: &RefCell<Vec<usize>>) {
            for place in places.take() {
                self.flags.raise(place);
                self.ring();
            }
        }
    }

    impl Ring for Interrupted<'_> {
        fn ring(&self) {
            self.rings.set(true);
        }

        fn silence(&self) {
            self.come(&self.before);
            self.rings.set(false);
            self.come(&self.after);
        }
    }

    /// What is taken by somebody who looks once each time that the bell rings.
    fn taken(before: &[usize], after: &[usize]) -> Vec<Signal> {
        let flags = Flags::new(&[SIGINT, SIGTERM]);
        let bell = Interrupted {
            flags: &flags,
            rings: Cell::new(true),
            before: RefCell::new(before.to_vec()),
            after: RefCell::new(after.to_vec()),
        };
        let mut taken = Vec::new();
        while bell.rings.get() {
            taken.extend(take(&flags, &bell));
        }
        taken.sort_unstable();
        taken
    }

    #[test]
    fn a_signal_that_comes_while_the_bell_is_silenced_is_taken_or_the_bell_rings() {
        for (places, signals) in [
            (&[][..], &[][..]),
            (&[0], &[SIGINT]),
            (&[1], &[SIGTERM]),
            (&[0, 1], &[SIGINT, SIGTERM]),
        ] {
            assert_eq!(taken(places, &[]), signals, "before it fell silent");
            assert_eq!(taken(&[], places), signals, "after it fell silent");
            assert_eq!(taken(places, places), signals, "twice, so that they become one");
        }
        assert_eq!(taken(&[0], &[1]), [SIGINT, SIGTERM]);
        assert_eq!(taken(&[1], &[0]), [SIGINT, SIGTERM]);
    }
}
