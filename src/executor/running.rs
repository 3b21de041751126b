//! Layer 3: which task is being polled, as other threads see it.
//! Invariant: what is read is all of one poll: the version is odd while the loop writes, and
//! another one afterwards.

use std::panic::Location;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering::Acquire, Ordering::Relaxed};
use std::sync::atomic::{Ordering::Release, fence};
use std::time::{Duration, Instant};

use super::id::TaskId;

/// A task that is being polled; from [`Remote::running`](crate::Remote::running).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunningTask {
    /// Its number.
    pub id: TaskId,
    /// Where it was spawned, or `block_on` was called.
    pub spawned_at: &'static Location<'static>,
    /// When the poll began, by the runtime's clock; usually that is the system's.
    pub since: Instant,
}

/// Written by the loop, read by any thread.
pub(crate) struct RunningCell {
    started: Instant,
    version: AtomicU64,
    id: AtomicU64,
    /// Null: none is polled.
    spawned_at: AtomicPtr<Location<'static>>,
    /// In nanoseconds since `started`.
    since: AtomicU64,
}

impl RunningCell {
    pub(crate) fn new(started: Instant) -> Self {
        Self {
            started,
            version: AtomicU64::new(0),
            id: AtomicU64::new(0),
            spawned_at: AtomicPtr::new(ptr::null_mut()),
            since: AtomicU64::new(0),
        }
    }

    /// A poll begins. Called on the loop's thread alone.
    pub(super) fn set(&self, id: TaskId, spawned_at: &'static Location<'static>, since: u64) {
        self.write(id.0, ptr::from_ref(spawned_at).cast_mut(), since);
    }

    /// The poll is over. Called on the loop's thread alone.
    pub(super) fn clear(&self) {
        self.write(0, ptr::null_mut(), 0);
    }

    fn write(&self, id: u64, spawned_at: *mut Location<'static>, since: u64) {
        let version = self.version.load(Relaxed);
        self.version.store(version + 1, Relaxed);
        fence(Release);
        self.id.store(id, Relaxed);
        self.spawned_at.store(spawned_at, Relaxed);
        self.since.store(since, Relaxed);
        self.version.store(version + 2, Release);
    }

    /// The task that is being polled.
    pub(crate) fn get(&self) -> Option<RunningTask> {
        loop {
            let version = self.version.load(Acquire);
            let id = TaskId(self.id.load(Relaxed));
            let spawned_at = self.spawned_at.load(Relaxed);
            let since = Duration::from_nanos(self.since.load(Relaxed));
            fence(Acquire);
            if version.is_multiple_of(2) && self.version.load(Relaxed) == version {
                // SAFETY: it is null, or was made from a `&'static Location`, which nobody takes
                // back; other pointers are never stored.
                let spawned_at = unsafe { spawned_at.cast_const().as_ref() }?;
                return Some(RunningTask { id, spawned_at, since: self.started + since });
            }
            // The loop is in the middle of a write of some nanoseconds.
            std::hint::spin_loop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn what_another_thread_reads_is_all_of_one_poll() {
        let (cell, is_done) = (RunningCell::new(Instant::now()), AtomicBool::new(false));
        let places = [Location::caller(), here()];
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                while !is_done.load(Relaxed) {
                    let Some(RunningTask { id, spawned_at, since }) = cell.get() else { continue };
                    let place = places[id.0 as usize % 2];
                    assert!(ptr::eq(spawned_at, place), "{id}: {spawned_at}");
                    assert_eq!(since, cell.started + Duration::from_nanos(id.0));
                }
            });
            for id in 0..if cfg!(miri) { 100 } else { 100_000 } {
                let place = ptr::from_ref(places[id as usize % 2]).cast_mut();
                cell.write(id, place, id);
                if id % 3 == 0 {
                    cell.clear();
                }
            }
            is_done.store(true, Relaxed);
            reader.join().unwrap();
        });
        cell.clear();
        assert_eq!(cell.get(), None);
    }

    #[track_caller]
    fn here() -> &'static Location<'static> {
        Location::caller()
    }
}
