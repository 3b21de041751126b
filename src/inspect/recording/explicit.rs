//! Layer 6: the flight recorder for an explicit loop, which says itself what it does.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::time::Duration;

use super::super::keys::KeyInfo;
use super::capture::{Recording, Who};
use crate::probe::{Notes, Probe, RECORDS, Recorded};
use crate::selector::{Backend, Events, Iter, Key, Selector};
use crate::sys::{AsFd, RawFd};
use crate::task::TaskId;

/// The flight recorder of an explicit loop: what [`Runtime`](crate::Runtime) has built in.
///
/// It records the waits, the events, and how long each key was handled for. In a
/// [`Recording`] of it a key is what a task is in one of a runtime: its number is that of its
/// descriptor and one.
///
/// ```
/// # use std::{io::Write, os::unix::net::UnixStream};
/// use selkie::{DefaultSelector, Events, Interest, inspect::Recorder};
///
/// # let (mut near, far) = UnixStream::pair()?;
/// # near.write_all(b"hello")?;
/// let mut selector = DefaultSelector::new()?;
/// selector.register(far, Interest::READ, "far")?;
/// let (recorder, mut events) = (Recorder::new(&selector), Events::new());
/// for (key, readiness) in recorder.select(&mut selector, &mut events, None)? {
///     println!("{} is {readiness:?}", selector[key].data);
///     recorder.handled(&selector, key);
/// }
/// let recording = recorder.recording(&selector);
/// recording.entries().for_each(|entry| println!("{entry}"));
/// # assert_eq!(recording.entries().count(), 3);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Recorder {
    probe: Probe,
    /// What the latest select has found, and how much of it was handled.
    batch: RefCell<Vec<(Key, RawFd)>>,
    handled: Cell<usize>,
    is_in_turn: Cell<bool>,
}

/// The number in the records.
fn number(fd: RawFd) -> u32 {
    fd.cast_unsigned().wrapping_add(1)
}

impl Recorder {
    /// A recorder that keeps 65536 records, by the clock of this selector.
    #[must_use]
    pub fn new<S, D, B: Backend>(selector: &Selector<S, D, B>) -> Self {
        let notes = Notes { times: false, records: RECORDS, has_systems_clock: false };
        Self {
            probe: Probe::new(|| selector.now(), notes),
            batch: RefCell::default(),
            handled: Cell::new(0),
            is_in_turn: Cell::new(false),
        }
    }

    /// As [`Selector::select`], recorded. What was handled since the one before was a turn.
    ///
    /// # Errors
    /// As [`Selector::select`].
    pub fn select<'e, S: AsFd, D, B: Backend>(
        &self,
        selector: &mut Selector<S, D, B>,
        events: &'e mut Events,
        timeout: Option<Duration>,
    ) -> io::Result<Iter<'e>> {
        self.end_turn();
        self.probe.wait_begins(|| selector.now());
        let selected = selector.select(events, timeout).map(drop);
        let mut batch = self.batch.borrow_mut();
        batch.clear();
        if selected.is_ok() {
            for (key, readiness) in events.iter() {
                let Some(fd) = selector.fd_of(key) else { continue };
                self.probe.event(fd, readiness.bits());
                batch.push((key, fd));
            }
        }
        self.probe.wait_ends(|| selector.now(), batch.len());
        self.is_in_turn.set(true);
        selected.map(|()| events.iter())
    }

    /// A key of the latest select has been handled, since the one before or since the select. It may
    /// have been unregistered by that.
    pub fn handled<S, D, B: Backend>(&self, selector: &Selector<S, D, B>, key: Key) {
        let batch = self.batch.borrow();
        let next = self.handled.get();
        let is_key = |(other, _): &&(Key, RawFd)| *other == key;
        let in_order = batch.get(next).filter(is_key);
        if let Some((_, fd)) = in_order.or_else(|| batch.iter().find(is_key)) {
            self.handled.set(next + 1);
            self.probe.poll_begins(number(*fd).into());
            self.probe.poll_ends(|| selector.now());
        }
    }

    fn end_turn(&self) {
        let handled = self.handled.take();
        if self.is_in_turn.take() {
            self.probe.turn_ends(handled);
        }
    }

    /// What the loop has done lately. What is registered now has its file as name.
    #[must_use]
    pub fn recording<S, D, B: Backend>(&self, selector: &Selector<S, D, B>) -> Recording {
        let Recorded { records, lost, .. } = self.probe.recorded(Some(selector.now()));
        let name = |key: &KeyInfo| Who {
            spawned_at: String::new(),
            name: Some(format!("fd {}: {}", key.fd, key.file)),
        };
        let keys = selector.keys().keys;
        let tasks: BTreeMap<_, _> =
            keys.iter().map(|key| (TaskId::of(number(key.fd)), name(key))).collect();
        Recording { records, lost, tasks }
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}
