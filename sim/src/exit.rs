//! What of a host would end the process without a word, or never: an exit, and a turn that does not
//! come back.
#![allow(unsafe_code)]

use std::process::abort;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crate::interposed::host_here;
use crate::shared::Flags;

/// Has an exit that a host makes be a failure: the test would have passed by it.
pub(crate) fn watch_exits() {
    static ONCE: Once = Once::new();
    extern "C" fn at_exit() {
        if let Some(name) = host_here() {
            eprintln!(
                "host {name} has ended the process of the test, by std::process::exit or exit(3): \
                 on a host, return from its main function instead"
            );
            // SAFETY: ends the process, at once. No handler that is left is owed to anybody.
            unsafe { libc::_exit(FAILED) }
        }
    }
    // SAFETY: the handler is a function, which is there as long as the process. It fails only without
    // memory; then an exit is not told of.
    ONCE.call_once(|| _ = unsafe { libc::atexit(at_exit) });
}

/// As Rust's test harness has it.
const FAILED: i32 = 101;

/// A simulation whose hosts take their turns on the driver's thread: nobody there can say that one
/// does not come back.
pub(crate) struct Turns {
    flags: Arc<Flags>,
    /// Whose turn it is: 0 is nobody, 1 the first host.
    whose: AtomicUsize,
    names: Mutex<Vec<String>>,
    limit: Mutex<Duration>,
}

impl Turns {
    pub(crate) fn new(flags: Arc<Flags>, limit: Duration) -> Arc<Self> {
        let (whose, names, limit) = (AtomicUsize::new(0), Mutex::default(), Mutex::new(limit));
        Arc::new(Self { flags, whose, names, limit })
    }

    /// Has a thread of the process look after these turns.
    pub(crate) fn watch(self: &Arc<Self>) {
        static ONCE: Once = Once::new();
        WATCHED.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(self));
        // Without a thread for it, nobody looks.
        let look =
            || _ = thread::Builder::new().name("selkie-sim".to_owned()).spawn(look_after_turns);
        ONCE.call_once(look);
    }

    pub(crate) fn set_limit(&self, limit: Duration) {
        *self.limit.lock().unwrap_or_else(PoisonError::into_inner) = limit;
    }

    pub(crate) fn add(&self, name: &str) {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).push(name.to_owned());
    }

    pub(crate) fn begin(&self, host: usize) {
        self.whose.store(host + 1, Ordering::Release);
    }

    pub(crate) fn end(&self) {
        self.whose.store(0, Ordering::Release);
    }

    fn seen(&self) -> (u64, usize) {
        let whose = self.whose.load(Ordering::Acquire);
        (self.flags.steps.load(Ordering::Relaxed), whose)
    }

    /// Ends the process: the thread cannot be left behind.
    fn give_up(&self, host: usize) -> ! {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let name = names.get(host - 1).map_or("?", |name| name);
        eprintln!(
            "host {name} has not come back from its turn: it blocks in real time, or loops without \
             an await. It runs on the thread of the test (Sim::host_stepped), so the process ends \
             here; see Sim::watchdog"
        );
        abort()
    }
}

static WATCHED: Mutex<Vec<Weak<Turns>>> = Mutex::new(Vec::new());

fn look_after_turns() {
    let mut seen: Vec<(Weak<Turns>, (u64, usize), Instant)> = Vec::new();
    loop {
        thread::sleep(Duration::from_secs(1));
        let new = std::mem::take(&mut *WATCHED.lock().unwrap_or_else(PoisonError::into_inner));
        seen.extend(new.into_iter().map(|turns| (turns, (0, 0), Instant::now())));
        seen.retain_mut(|(turns, before, since)| {
            let Some(turns) = turns.upgrade() else { return false };
            let now = turns.seen();
            if now != *before || now.1 == 0 {
                (*before, *since) = (now, Instant::now());
            }
            let limit = *turns.limit.lock().unwrap_or_else(PoisonError::into_inner);
            if since.elapsed() >= limit {
                turns.give_up(now.1);
            }
            true
        });
    }
}
