//! Layer 0: the flight recorder's ring: what a loop did, in records of 16 bytes, of which the oldest
//! are written over.
//! Limits: a few stores for each record; the system gives memory as it is written.
//! Invariant: calls no user code, and allocates only in [`Ring::spawned`].

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::panic::Location;

pub(super) use super::record::SHORT;
use super::record::{Kind, LOOP, OUTSIDE, Packed, Record, pack_duration};

/// Fewer are not worth a ring.
const FEWEST: usize = 4096;

/// Names of tasks that are kept, which may have ended. Those that live are asked for theirs.
const NAMES: usize = 1024;

/// Bytes of a name that are kept.
const LONGEST_NAME: usize = 256;

/// Where a task was spawned; the same place is the same reference.
type Place = &'static Location<'static>;

/// A task with a name, which is known for longer than its [`Kind::Place`] record is kept.
#[derive(Clone)]
pub(crate) struct Named {
    /// Its number.
    pub(crate) task: u32,
    pub(crate) place: Place,
    pub(crate) name: Cow<'static, str>,
}

/// What the recorder knows of tasks beside its records.
#[derive(Default)]
struct Tasks {
    places: Vec<Place>,
    numbers: HashMap<*const Location<'static>, u32>,
    /// The place of the latest spawning: mostly that of the next one, too.
    latest: Option<(Place, u32)>,
    names: VecDeque<Named>,
}

pub(super) struct Ring {
    /// The system gives memory for those that are written only.
    records: Box<[Packed]>,
    /// The place of the next one.
    next: Cell<usize>,
    /// How often all places were written.
    laps: Cell<u64>,
    /// Who acts just now: a task by its number, or one of the others. Right after a poll, when no
    /// other code runs, still the task.
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
    pub(crate) names: Vec<Named>,
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
    /// Of `records` records, or more.
    pub(super) fn new(records: usize) -> Self {
        Self {
            records: zeroed(records.max(FEWEST)),
            next: Cell::new(0),
            laps: Cell::new(0),
            actor: Cell::new(OUTSIDE),
            tasks: RefCell::default(),
        }
    }

    #[inline]
    fn push(&self, time: u64, kind: Kind, a: u32, b: u32) {
        let record = Record::new(time, kind, a, b);
        let next = self.next.get();
        match self.records.get(next) {
            Some(place) => {
                record.pack(place);
                self.next.set(next + 1);
            }
            None => self.begin_lap(record),
        }
    }

    #[cold]
    fn begin_lap(&self, record: Record) {
        self.laps.set(self.laps.get() + 1);
        record.pack(&self.records[0]);
        self.next.set(1);
    }

    /// Its wait is the next one that is recorded, and its time that wait's.
    #[inline]
    pub(super) fn event(&self, fd: i32, readiness: u8) {
        self.push(0, Kind::Event, fd.cast_unsigned(), readiness.into());
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
    pub(super) fn polled(&self, now: u64, took: u64) {
        self.push(now, Kind::Poll, self.actor.get(), pack_duration(took));
    }

    /// As [`polled`](Self::polled), for less than [`SHORT`].
    #[inline]
    pub(super) fn polled_shortly(&self, now: u64, took: u32) {
        self.push(now, Kind::Poll, self.actor.get(), took);
    }

    #[inline]
    pub(super) fn is_in_poll(&self) -> bool {
        self.actor.get() < LOOP
    }

    pub(super) fn nobody_acts(&self) {
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
            let name = match name {
                Cow::Borrowed(name) => Cow::Borrowed(cut(name)),
                Cow::Owned(name) => Cow::Owned(cut(name).to_owned()),
            };
            names.push_back(Named { task: short(id), place, name });
        }
    }

    /// As [`spawned`](Self::spawned), by another thread.
    pub(super) fn spawned_elsewhere(
        &self,
        time: u64,
        id: u64,
        place: Place,
        name: Option<&Cow<'static, str>>,
    ) {
        let actor = self.actor.replace(OUTSIDE);
        self.spawned(time, id, place, name);
        self.actor.set(actor);
    }

    pub(super) fn copy(&self, time: u64) -> Recorded {
        let (newest, older) = self.records.split_at(self.next.get());
        // Places of the first lap that were not written are nobody's.
        let older = if self.laps.get() == 0 { &[] } else { older };
        let records = older.iter().chain(newest);
        let lost = self.laps.get() * self.records.len() as u64 - older.len() as u64;
        let mut records: Vec<_> = records.map(Record::unpacked).collect();
        time_events(&mut records, time);
        let tasks = self.tasks.borrow();
        Recorded {
            records,
            lost,
            places: tasks.places.clone(),
            names: tasks.names.iter().cloned().collect(),
        }
    }
}

/// Gives events the times of their waits. What no wait has told yet is now, at `time`.
fn time_events(records: &mut [Record], time: u64) {
    let mut waited = time;
    for record in records.iter_mut().rev() {
        match record.kind() {
            Some(Kind::Wait) => waited = record.time(),
            Some(Kind::Event) => *record = Record::new(waited, Kind::Event, record.a, record.b),
            _ => {}
        }
    }
}

/// The beginning of a name, as much as a recording has.
pub(crate) fn cut(name: &str) -> &str {
    let end = (0..=LONGEST_NAME.min(name.len())).rev().find(|end| name.is_char_boundary(*end));
    &name[..end.unwrap_or(0)]
}

/// Memory that the system has zeroed, and does not have to give before it is written: of arrays of
/// numbers std knows that they are zero.
fn zeroed(count: usize) -> Box<[Packed]> {
    let zeroed = Box::into_raw(vec![[0_u64; 2]; count].into_boxed_slice());
    // SAFETY: `from_raw` needs a box's slice of the same layout, and nobody else who owns it. A
    // `Cell<T>` has the layout of `T`, as its documentation says.
    unsafe { Box::from_raw(zeroed as *mut [Packed]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_has_the_latest_records_wherever_it_ends_and_tells_how_many_it_lost() {
        let most = FEWEST;
        for count in [0, 1, most - 1, most, most + 1, 2 * most - 1, 2 * most, 2 * most + 1] {
            let ring = Ring::new(1);
            (0..count).for_each(|time| ring.woken(time as u64, 0));
            let Recorded { records, lost, .. } = ring.copy(0);
            assert_eq!(lost, count.saturating_sub(most) as u64);
            let times = records.iter().map(|record| record.time());
            assert!(times.eq(lost..count as u64), "{count}");
        }
    }

    #[test]
    fn an_event_has_the_time_of_its_wait_also_where_a_lap_is_between_them_or_none_has_come() {
        for before in FEWEST - 3..FEWEST {
            let ring = Ring::new(1);
            (0..before).for_each(|_| ring.ended(1, 0));
            ring.event(5, 1);
            ring.event(6, 1);
            ring.waited(10, 20, 2);
            ring.event(7, 1);
            let records = ring.copy(30).records;
            let events = records.iter().filter(|record| record.kind() == Some(Kind::Event));
            let times: Vec<_> = events.map(|event| (event.a, event.time())).collect();
            assert_eq!(times, [(5, 20), (6, 20), (7, 30)]);
        }
    }

    #[test]
    fn a_name_is_cut_between_two_characters() {
        assert_eq!(cut("short"), "short");
        let long = format!("x{}", "é".repeat(200));
        assert_eq!(cut(&long), &long[..LONGEST_NAME - 1]);
    }
}
