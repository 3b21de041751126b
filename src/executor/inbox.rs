//! Layer 3: what other threads hand to the loop, and how they wake it. The only concurrent part
//! of the crate.
//!
//! Invariant: an item that is pushed while the loop sleeps, or is about to, ends its sleep; and
//! only the first one of a sleep costs a system call.
//!
//! ```text
//!   loop:   Awake ─fall_asleep→ Asleep ─wake_up→ Awake
//!   others: Asleep ─rouse→ Awake, and notify; Awake ─rouse→ Awake, and nothing more
//! ```
//! Who pushes, first stores the item and then swaps the phase; the loop first swaps the phase and
//! then looks for items. Whoever swaps second finds what the first had done by then: the loop sees
//! the item, or the other sees the loop asleep. (So every change of the phase is a swap: a store
//! would not read, and what came before the last swap by others could go unseen.)

use std::mem;
use std::sync::PoisonError;
use std::sync::atomic::Ordering::SeqCst;

use crate::selector::Notifier;
use crate::sync::{AtomicBool, AtomicU8, Mutex, MutexGuard};

const AWAKE: u8 = 0;
const ASLEEP: u8 = 1;

/// A queue from any thread to the loop.
pub(crate) struct Inbox<T> {
    contents: Mutex<Contents<T>>,
    /// True while there are items: what the loop reads instead of taking the lock.
    has_items: AtomicBool,
    phase: AtomicU8,
    /// `None`: the loop is gone, and its descriptors with it, though wakers may outlive it.
    notifier: Mutex<Option<Notifier>>,
}

struct Contents<T> {
    items: Vec<T>,
    admits: Admits,
}

/// What may still be pushed. All ─close_to_new→ Known ─close→ Nothing
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Admits {
    All,
    /// Items that the loop knows to be out there, and waits for.
    Known,
    Nothing,
}

impl<T> Inbox<T> {
    /// An empty inbox, of a loop that sleeps.
    pub(crate) fn new(notifier: Notifier) -> Self {
        Self {
            contents: Mutex::new(Contents { items: Vec::new(), admits: Admits::All }),
            has_items: AtomicBool::new(false),
            phase: AtomicU8::new(ASLEEP),
            notifier: Mutex::new(Some(notifier)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Contents<T>> {
        // No code of a user runs under the lock, so a poisoned one is as good as any.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an item that comes back to the loop, and wakes the loop, if it sleeps.
    ///
    /// # Errors
    /// Hands the item back if the loop is gone.
    pub(crate) fn push(&self, item: T) -> Result<(), T> {
        self.push_until(Admits::Known, item)
    }

    /// Adds an item that the loop has never seen, and wakes the loop, if it sleeps.
    ///
    /// # Errors
    /// Hands the item back if the loop is gone, or about to go.
    pub(crate) fn push_new(&self, item: T) -> Result<(), T> {
        self.push_until(Admits::All, item)
    }

    fn push_until(&self, latest: Admits, item: T) -> Result<(), T> {
        {
            let mut contents = self.lock();
            if contents.admits > latest {
                return Err(item);
            }
            contents.items.push(item);
            self.has_items.store(true, SeqCst);
        }
        self.rouse();
        Ok(())
    }

    /// Wakes the loop, if it sleeps.
    pub(crate) fn rouse(&self) {
        if self.phase.swap(AWAKE, SeqCst) == ASLEEP {
            self.notify();
        }
    }

    /// Ends the loop's current wait, or its next one.
    pub(crate) fn notify(&self) {
        // A copy, since a notifier may be user code, which does not run under a lock.
        let notifier = self.notifier.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // Fails only if the eventfd's counter is at its end, which reads as ready anyway. A waker
        // has nobody to tell.
        let _ = notifier.map(|notifier| notifier.notify());
    }

    /// The loop is about to sleep. False if there is an item, which it has to look at first.
    pub(crate) fn fall_asleep(&self) -> bool {
        self.phase.swap(ASLEEP, SeqCst);
        !self.has_items.load(SeqCst)
    }

    /// The loop is awake: from now on, to push costs no system call.
    pub(crate) fn wake_up(&self) {
        self.phase.swap(AWAKE, SeqCst);
    }

    /// True if there is an item.
    #[inline]
    pub(crate) fn has_items(&self) -> bool {
        self.has_items.load(SeqCst)
    }

    /// Moves all items to `taken`, which is empty, in the order of their coming.
    pub(crate) fn take_into(&self, taken: &mut Vec<T>) {
        let mut contents = self.lock();
        self.has_items.store(false, SeqCst);
        mem::swap(&mut contents.items, taken);
    }

    /// Looks at all items. `f` does not call user code, nor this inbox.
    pub(crate) fn each(&self, f: impl FnMut(&T)) {
        self.lock().items.iter().for_each(f);
    }

    /// Refuses new items from now on.
    pub(crate) fn close_to_new(&self) {
        self.lock().admits = Admits::Known;
    }

    /// Refuses all items from now on, and returns those that were still there. The notifier, which
    /// keeps descriptors open, is dropped.
    pub(crate) fn close(&self) -> Vec<T> {
        drop(self.notifier.lock().unwrap_or_else(PoisonError::into_inner).take());
        let mut contents = self.lock();
        contents.admits = Admits::Nothing;
        self.has_items.store(false, SeqCst);
        mem::take(&mut contents.items)
    }
}

#[cfg(all(test, loom))]
mod loom;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    fn take(inbox: &Inbox<u32>) -> Vec<u32> {
        let mut taken = Vec::new();
        inbox.take_into(&mut taken);
        taken
    }

    fn counting() -> (Arc<AtomicUsize>, Inbox<u32>) {
        let count = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&count);
        let notifier = Notifier::new(move || {
            counter.fetch_add(1, SeqCst);
            Ok(())
        });
        (count, Inbox::new(notifier))
    }

    #[test]
    fn only_the_first_push_after_falling_asleep_notifies() {
        let (notified, inbox) = counting();
        (0..3).for_each(|item| inbox.push(item).unwrap());
        assert_eq!(notified.load(SeqCst), 1);
        assert!(inbox.has_items());
        assert_eq!(take(&inbox), [0, 1, 2]);
        assert!(!inbox.has_items());
        inbox.push(3).unwrap();
        assert_eq!(notified.load(SeqCst), 1, "the loop is awake");
        take(&inbox);
        assert!(inbox.fall_asleep());
        inbox.push(4).unwrap();
        assert_eq!(notified.load(SeqCst), 2);
    }

    #[test]
    fn an_item_that_came_while_awake_keeps_the_loop_from_sleeping() {
        let (notified, inbox) = counting();
        inbox.wake_up();
        inbox.push(1).unwrap();
        assert_eq!(notified.load(SeqCst), 0);
        assert!(!inbox.fall_asleep());
        assert_eq!(take(&inbox), [1]);
        assert!(inbox.fall_asleep());
    }

    #[test]
    fn a_closed_inbox_hands_items_back() {
        let (notified, inbox) = counting();
        inbox.wake_up();
        inbox.push(1).unwrap();
        inbox.close_to_new();
        assert_eq!(inbox.push_new(2), Err(2));
        inbox.push(3).unwrap();
        assert_eq!(inbox.close(), [1, 3]);
        assert_eq!(inbox.push(4), Err(4));
        assert_eq!(inbox.push_new(5), Err(5));
        assert_eq!(notified.load(SeqCst), 0);
        assert_eq!(Arc::strong_count(&notified), 1, "the notifier is dropped");
    }
}
