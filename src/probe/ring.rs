//! Layer 0: the flight recorder's ring: what a loop did, in records of 16 bytes, of which the oldest
//! are written over.
//! Limits: a few stores for each record; memory for the records comes as it is needed.
//! Invariant: calls no user code, and allocates only in [`Ring::spawned`] and for new records.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::panic::Location;

use super::record::{Kind, LOOP, OUTSIDE, Record, pack_duration};

/// Records in one piece of memory.
const PIECE: usize = 4096;

/// Names of tasks that are kept, which may have ended. Those that live are asked for theirs.
const NAMES: usize = 1024;

type Piece = Box<[Cell<Record>]>;

/// Where a task was spawned; the same place is the same reference.
type Place = &'static Location<'static>;

/// What the recorder knows of tasks beside its records.
#[derive(Default)]
struct Tasks {
    places: Vec<Place>,
    numbers: HashMap<*const Location<'static>, u32>,
    names: VecDeque<(u32, Cow<'static, str>)>,
}

pub(super) struct Ring {
    /// A power of two.
    pieces: Vec<OnceCell<Piece>>,
    /// How many records there have been.
    written: Cell<u64>,
    /// Who acts just now: a task by its number, or one of the others.
    actor: Cell<u32>,
    tasks: RefCell<Tasks>,
}

/// What a ring has, copied out.
pub(crate) struct Recorded {
    /// The oldest first.
    pub(crate) records: Vec<Record>,
    /// How many older ones were written over.
    pub(crate) lost: u64,
    /// By the numbers in [`Kind::Place`] records.
    pub(crate) places: Vec<Place>,
    /// Of the tasks with names, the latest ones.
    pub(crate) names: Vec<(u32, Cow<'static, str>)>,
}

/// The number in the records.
fn short(id: u64) -> u32 {
    id as u32
}

impl Ring {
    /// Of `records` records or a few more.
    pub(super) fn new(records: usize) -> Self {
        let pieces = records.div_ceil(PIECE).max(1).next_power_of_two();
        Self {
            pieces: (0..pieces).map(|_| OnceCell::new()).collect(),
            written: Cell::new(0),
            actor: Cell::new(OUTSIDE),
            tasks: RefCell::default(),
        }
    }

    #[inline]
    fn push(&self, time: u64, kind: Kind, a: u32, b: u32) {
        let at = self.written.get();
        self.written.set(at + 1);
        let piece = (at as usize / PIECE) & (self.pieces.len() - 1);
        let piece = self.pieces[piece].get_or_init(new_piece);
        piece[at as usize % PIECE].set(Record::new(time, kind, a, b));
    }

    /// Its wait is the next one that is recorded.
    #[inline]
    pub(super) fn event(&self, time: u64, fd: i32, readiness: u8) {
        self.push(time, Kind::Event, fd.cast_unsigned(), readiness.into());
    }

    #[inline]
    pub(super) fn waited(&self, began: u64, now: u64, events: usize) {
        self.push(now, Kind::Wait, events as u32, pack_duration(now - began));
        self.actor.set(LOOP);
    }

    pub(super) fn timers(&self, time: u64, count: usize, late: u64) {
        self.push(time, Kind::Timers, count as u32, pack_duration(late));
    }

    #[inline]
    pub(super) fn woken(&self, time: u64, id: u64) {
        self.push(time, Kind::Wake, short(id), self.actor.get());
    }

    pub(super) fn arrived(&self, time: u64, id: u64) {
        self.push(time, Kind::Arrival, short(id), 0);
    }

    #[inline]
    pub(super) fn poll_begins(&self, id: u64) {
        self.actor.set(short(id));
    }

    #[inline]
    pub(super) fn polled(&self, began: u64, now: u64, id: u64) {
        self.push(now, Kind::Poll, short(id), pack_duration(now - began));
        self.actor.set(OUTSIDE);
    }

    #[inline]
    pub(super) fn turn_ends(&self, woken: u64, now: u64, polls: usize) {
        self.push(now, Kind::Turn, polls as u32, pack_duration(now - woken));
        self.actor.set(OUTSIDE);
    }

    pub(super) fn ended(&self, time: u64, id: u64) {
        self.push(time, Kind::End, short(id), 0);
    }

    pub(super) fn spawned(
        &self,
        time: u64,
        id: u64,
        place: Place,
        name: Option<&Cow<'static, str>>,
    ) {
        self.push(time, Kind::Spawn, short(id), self.actor.get());
        let mut tasks = self.tasks.borrow_mut();
        let Tasks { places, numbers, names } = &mut *tasks;
        let number = *numbers.entry(std::ptr::from_ref(place)).or_insert_with(|| {
            places.push(place);
            (places.len() - 1) as u32
        });
        self.push(time, Kind::Place, short(id), number);
        if let Some(name) = name {
            if names.len() == NAMES {
                names.pop_front();
            }
            names.push_back((short(id), name.clone()));
        }
    }

    pub(super) fn copy(&self) -> Recorded {
        let written = self.written.get();
        let kept = written.min((self.pieces.len() * PIECE) as u64);
        let record = |at: u64| {
            let piece = (at as usize / PIECE) & (self.pieces.len() - 1);
            self.pieces[piece].get().map(|piece| piece[at as usize % PIECE].get())
        };
        let tasks = self.tasks.borrow();
        Recorded {
            records: (written - kept..written).filter_map(record).collect(),
            lost: written - kept,
            places: tasks.places.clone(),
            names: tasks.names.iter().cloned().collect(),
        }
    }
}

#[cold]
fn new_piece() -> Piece {
    (0..PIECE).map(|_| Cell::new(Record::default())).collect()
}
