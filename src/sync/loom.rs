//! Layer 0: loom's types instead of std's, and what the model checks have in common.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

pub(crate) use ::loom::sync::atomic::{AtomicBool, AtomicU8};
pub(crate) use ::loom::sync::{Condvar, Mutex, MutexGuard};

/// Lets other threads run: there is no time here.
pub(crate) fn nap(_duration: Duration) {
    ::loom::thread::yield_now();
}

/// As std's, whose `const` loom does not know.
macro_rules! local {
    (static $name:ident: $type:ty = const { $value:expr };) => {
        ::loom::thread_local! { static $name: $type = $value; }
    };
}
pub(crate) use local as thread_local;

/// The wait of a loop, and what ends it: an eventfd without a kernel.
#[derive(Default)]
pub(crate) struct Bell {
    is_rung: Mutex<bool>,
    rung: Condvar,
    /// How often it was rung. Not loom's: to look at it is no step of the model.
    rings: AtomicUsize,
}

impl Bell {
    pub(crate) fn ring(&self) {
        self.rings.fetch_add(1, SeqCst);
        *self.is_rung.lock().unwrap() = true;
        self.rung.notify_one();
    }

    /// Waits until it is rung; loom reports a deadlock if it never is.
    pub(crate) fn wait(&self) {
        let mut is_rung = self.is_rung.lock().unwrap();
        while !*is_rung {
            is_rung = self.rung.wait(is_rung).unwrap();
        }
        *is_rung = false;
    }

    /// As [`wait`](Self::wait), without waiting. True if it was rung.
    pub(crate) fn take(&self) -> bool {
        std::mem::take(&mut *self.is_rung.lock().unwrap())
    }

    /// As [`wait`](Self::wait), but leaves it rung: a descriptor that is watched by level.
    pub(crate) fn watch(&self) {
        let mut is_rung = self.is_rung.lock().unwrap();
        while !*is_rung {
            is_rung = self.rung.wait(is_rung).unwrap();
        }
    }

    pub(crate) fn rings(&self) -> usize {
        self.rings.load(SeqCst)
    }
}

/// Runs `model` in every order of its threads' steps in which no more than `preemptions` steps
/// come in the middle of another thread's (`None`: in every order), and says how many there were.
pub(crate) fn explore(
    name: &str,
    preemptions: Option<usize>,
    model: impl Fn() + Send + Sync + 'static,
) {
    static SCHEDULES: AtomicUsize = AtomicUsize::new(0);
    // Each test has a thread, and a counter, of its own.
    let schedules = std::sync::Arc::new(AtomicUsize::new(0));
    let counter = std::sync::Arc::clone(&schedules);
    let mut builder = ::loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(move || {
        counter.fetch_add(1, SeqCst);
        model();
    });
    let count = schedules.load(SeqCst);
    let total = SCHEDULES.fetch_add(count, SeqCst) + count;
    assert!(count > 1, "{name}: the threads have nothing in common");
    println!("{name}: {count} schedules, preemptions {preemptions:?}; {total} in all by now");
}
