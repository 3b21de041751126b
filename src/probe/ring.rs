//! Layer 0: the flight recorder's ring: what a loop did, in records of 16 bytes, of which the oldest
//! are written over.
//! Limits: a few stores for each record; the system gives memory as it is written.
//! Invariant: calls no user code, and allocates only in [`Ring::spawned`].

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::panic::Location;

use super::record::{Kind, LOOP, OUTSIDE, Packed, Record, pack_duration};

/// Fewer are not worth a ring.
const FEWEST: usize = 4096;

/// Names of tasks that are kept, which may have ended. Those that live are asked for theirs.
const NAMES: usize = 1024;

/// Where a task was spawned; the same place is the same reference.
type Place = &'static Location<'static>;

/// What the recorder knows of tasks beside its records.
#[derive(Default)]
struct Tasks {
    places: Vec<Place>,
    numbers: HashMap<*const Location<'static>, u32>,
    /// The place of the latest spawning: mostly that of the next one, too.
    latest: Option<(Place, u32)>,
    names: VecDeque<(u32, Cow<'static, str>)>,
}

pub(super) struct Ring {
    /// As many as a power of two. The system gives memory for those that are written only.
    records: Box<[Cell<Packed>]>,
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

impl Recorded {
    /// Converts all readings of the clock by a function that never falls.
    pub(super) fn convert(&mut self, convert: impl Fn(u64) -> u64) {
        self.records.iter_mut().for_each(|record| record.convert(&convert));
    }
}

/// The number in the records.
fn short(id: u64) -> u32 {
    id as u32
}

impl Ring {
    /// Of `records` records, or up to twice as many.
    pub(super) fn new(records: usize) -> Self {
        Self {
            records: zeroed(records.max(FEWEST).next_power_of_two()),
            written: Cell::new(0),
            actor: Cell::new(OUTSIDE),
            tasks: RefCell::default(),
        }
    }

    #[inline]
    fn place(&self, number: u64) -> &Cell<Packed> {
        &self.records[number as usize & (self.records.len() - 1)]
    }

    #[inline]
    fn push(&self, time: u64, kind: Kind, a: u32, b: u32) {
        let number = self.written.get();
        self.written.set(number + 1);
        self.place(number).set(Record::new(time, kind, a, b).packed());
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
        let Tasks { places, numbers, latest, names } = &mut *tasks;
        let number = match latest {
            Some((latest, number)) if std::ptr::eq(*latest, place) => *number,
            _ => *numbers.entry(std::ptr::from_ref(place)).or_insert_with(|| {
                places.push(place);
                (places.len() - 1) as u32
            }),
        };
        *latest = Some((place, number));
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
        let kept = written.min(self.records.len() as u64);
        let record = |number| Record::unpacked(self.place(number).get());
        let tasks = self.tasks.borrow();
        Recorded {
            records: (written - kept..written).map(record).collect(),
            lost: written - kept,
            places: tasks.places.clone(),
            names: tasks.names.iter().cloned().collect(),
        }
    }
}

/// Memory that the system has zeroed, and does not have to give before it is written: of arrays of
/// numbers std knows that they are zero.
fn zeroed(count: usize) -> Box<[Cell<Packed>]> {
    let zeroed = Box::into_raw(vec![[0_u64; 2]; count].into_boxed_slice());
    // SAFETY: `from_raw` needs a box's slice of the same layout, and nobody else who owns it. A
    // `Cell<T>` has the layout of `T`, as its documentation says.
    unsafe { Box::from_raw(zeroed as *mut [Cell<Packed>]) }
}
