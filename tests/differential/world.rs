//! One back end with its own descriptors: does what it is told, selects, and checks what holds
//! for every selector whatever the others do.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use proptest::prelude::*;
use rustix::event::PollFlags;
use selkie::selector::BackendKind;
use selkie::{Events, Interest, Key, Mode, Readiness, Selector};

use super::compare::{Expected, Id, Report, Round, Watched, promised};
use super::ops::{Kind, Pick};
use super::{channel, liar};

/// Handles in a world at once, so that operations meet each other.
const MOST_HANDLES: usize = 8;

pub struct World {
    pub kind: BackendKind,
    pub selector: Selector<Rc<OwnedFd>, Id>,
    roomy: Events,
    narrow: Events,
    pub handles: Vec<Handle>,
    next_id: Id,
    pub next_channel: usize,
    pub stale: Vec<Key>,
    /// To occupy a number with.
    pub spare: OwnedFd,
}

/// One end of a channel: the open file behind one handle, or behind several after a dup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct End {
    pub channel: usize,
    pub side: Side,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    Near,
    Far,
}

pub struct Handle {
    pub id: Id,
    pub fd: Rc<OwnedFd>,
    pub kind: Kind,
    pub end: End,
    pub number: Number,
    pub registration: Option<Registration>,
}

/// How the descriptor number of a handle stands to its registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// It is what was registered, if anything was.
    InStep,
    /// Closed before it was unregistered; `end` is what was registered.
    ClosedTooEarly,
    /// Another file has taken it since it was registered.
    Reused,
}

#[derive(Clone, Copy, Debug)]
pub struct Registration {
    pub key: Key,
    pub interest: Interest,
    pub mode: Mode,
    /// It may be reported: always by level and edge, once in a oneshot's life.
    pub armed: bool,
    /// What was owed by the last look at it, and whether a bit has come up since the last
    /// select: then it is due by edge.
    pub last: Readiness,
    pub became_ready: bool,
}

/// How many events a select has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    Ample,
    One,
}

impl World {
    pub fn new(kind: BackendKind) -> Result<Self, TestCaseError> {
        let selector = Selector::with_backend(liar::open_hidden(kind)?);
        // Has it opened before the first number is closed and taken by another file: it could
        // come to stand where the test expects that one.
        let _ = selector.descriptor();
        Ok(Self {
            kind,
            selector,
            roomy: Events::with_capacity(NonZeroUsize::new(64).expect("not zero")),
            narrow: Events::with_capacity(NonZeroUsize::MIN),
            handles: Vec::new(),
            next_id: 0,
            next_channel: 0,
            stale: Vec::new(),
            spare: std::fs::File::open("/dev/null")?.into(),
        })
    }

    pub fn pick(&self, pick: Pick) -> Option<usize> {
        usize::from(pick).checked_rem(self.handles.len())
    }

    pub fn room_for(&self, handles: usize) -> bool {
        self.handles.len() + handles <= MOST_HANDLES
    }

    pub fn add(&mut self, fd: OwnedFd, kind: Kind, end: End) {
        let (id, fd) = (self.next_id, Rc::new(fd));
        self.next_id += 1;
        let number = Number::InStep;
        self.handles.push(Handle { id, fd, kind, end, number, registration: None });
    }

    pub fn handle_of(&self, end: End) -> Option<&Handle> {
        let is_open = |handle: &&Handle| handle.number != Number::ClosedTooEarly;
        self.handles.iter().filter(is_open).find(|handle| handle.end == end)
    }

    /// What poll(2) says of each handle; nothing of one that was closed too early.
    pub fn seen(&self) -> Vec<PollFlags> {
        let open = |handle: &&Handle| handle.number != Number::ClosedTooEarly;
        let fds: Vec<&OwnedFd> = self.handles.iter().filter(open).map(|h| &*h.fd).collect();
        let mut seen = channel::poll_now(&fds).into_iter();
        let of = |h: &Handle| open(&h).then(|| seen.next()).flatten();
        self.handles.iter().map(of).map(|seen| seen.unwrap_or(PollFlags::empty())).collect()
    }

    /// What a select owes, told from what poll(2) says.
    fn expected(&self, seen: &[PollFlags]) -> BTreeMap<Id, Expected> {
        let owed = |(handle, seen): (&Handle, &PollFlags)| {
            let owed = match handle.number {
                Number::InStep => self.owed(handle.registration?, *seen),
                Number::Reused => Some(Expected::Anything),
                Number::ClosedTooEarly => self.owed_after_close(handle),
            };
            Some((handle.id, owed?))
        };
        self.handles.iter().zip(seen).filter_map(owed).collect()
    }

    fn owed(&self, registration: Registration, seen: PollFlags) -> Option<Expected> {
        let readiness = promised(self.kind, registration.interest, seen);
        if !registration.armed || readiness.is_empty() {
            None
        } else if registration.mode == Mode::Edge && !registration.became_ready {
            Some(Expected::May(readiness))
        } else {
            Some(Expected::Must(readiness))
        }
    }

    /// What is owed for a descriptor that was closed while it was registered.
    fn owed_after_close(&self, handle: &Handle) -> Option<Expected> {
        let registration = handle.registration.filter(|registration| registration.armed)?;
        let duplicate =
            || self.handle_of(handle.end).map(|other| channel::poll_now(&[&other.fd])[0]);
        match self.kind {
            // They meet the error themselves, say so once and look no longer.
            BackendKind::Poll | BackendKind::Select => {
                let failed = Readiness::READ | Readiness::WRITE | Readiness::ERROR;
                Some(Expected::Must(failed.masked_by(registration.interest)))
            }
            // The kernel's registration lives as long as the open file, unless the selector has
            // had to make its set anew and could not name the file.
            BackendKind::Epoll => match self.owed(registration, duplicate()?)? {
                Expected::Must(readiness) => Some(Expected::May(readiness)),
                owed => Some(owed),
            },
            // The same, but it is armed for one event, and asks the closed number what that was.
            _ => self.owed(registration, duplicate()?).map(|_| Expected::Anything),
        }
    }

    /// Selects, checks what holds on every back end, and returns what is to be compared.
    pub fn select(&mut self, room: Room) -> Result<Round, TestCaseError> {
        let seen = self.seen();
        let expected = self.expected(&seen);
        let watched = self.watched(&seen);
        let report = match room {
            Room::Ample => self.select_once(room)?,
            Room::One => self.select_one_by_one(&expected)?,
        };
        if report.is_empty() {
            self.check_quiet()?;
        }
        self.registrations().for_each(|registration| registration.became_ready = false);
        Ok(Round { expected, report, watched })
    }

    fn watched(&self, seen: &[PollFlags]) -> BTreeMap<Id, Watched> {
        let watched = |(handle, seen): (&Handle, &PollFlags)| {
            let Registration { interest, mode, armed, .. } = handle.registration?;
            let comparable = mode != Mode::Edge && handle.number == Number::InStep;
            let watched = Watched { interest, mode, armed, seen: *seen };
            comparable.then_some((handle.id, watched))
        };
        self.handles.iter().zip(seen).filter_map(watched).collect()
    }

    fn registrations(&mut self) -> impl Iterator<Item = &mut Registration> {
        self.handles.iter_mut().filter_map(|handle| handle.registration.as_mut())
    }

    /// One select, which must report only what is registered and armed, and nothing twice.
    fn select_once(&mut self, room: Room) -> Result<Report, TestCaseError> {
        let events = match room {
            Room::Ample => &mut self.roomy,
            Room::One => &mut self.narrow,
        };
        let mut report = Report::new();
        for (key, readiness) in self.selector.select(events, Some(Duration::ZERO))? {
            let registered = self.selector.get(key);
            prop_assert!(registered.is_some(), "{}: {key:?} is not registered", self.kind);
            let id = registered.map(|registered| registered.data).unwrap_or_default();
            let handle = self.handles.iter_mut().find(|handle| handle.id == id);
            let handle = handle.expect("every registration has a handle");
            let gone = handle.number == Number::ClosedTooEarly && self.kind != BackendKind::Epoll;
            let registration = handle.registration.as_mut().expect("it is registered");
            prop_assert_eq!(registration.key, key, "{}: a stale key of handle {}", self.kind, id);
            prop_assert!(registration.armed, "{}: handle {id} was not armed", self.kind);
            prop_assert!(!readiness.is_empty(), "{}: handle {id} reported for nothing", self.kind);
            let before = report.insert(id, readiness);
            prop_assert_eq!(before, None, "{}: handle {} reported twice", self.kind, id);
            registration.armed = match registration.mode {
                Mode::Level => !gone,
                Mode::Oneshot => false,
                _ => true,
            };
        }
        prop_assert!(report.len() <= events.capacity().get());
        Ok(report)
    }

    /// Selects with room for one until everything that is due has had its turn. By level, a
    /// back end goes round; so twice as many turns as there are handles must do, and some for
    /// events that turn out to be none.
    fn select_one_by_one(
        &mut self,
        expected: &BTreeMap<Id, Expected>,
    ) -> Result<Report, TestCaseError> {
        let mut union = Report::new();
        for _ in 0..2 * MOST_HANDLES + 4 {
            for (id, readiness) in self.select_once(Room::One)? {
                let before = union.insert(id, readiness);
                let replaced = expected.get(&id) == Some(&Expected::Anything);
                prop_assert!(replaced || before.is_none_or(|before| before == readiness));
            }
        }
        Ok(union)
    }

    /// No busy loop: when there is nothing to report, then after a few selects the selector's
    /// own descriptor says so too.
    fn check_quiet(&mut self) -> Result<(), TestCaseError> {
        let is_readable = |world: &Self| {
            let descriptor = world.selector.descriptor()?;
            Some(channel::poll_now(&[descriptor])[0].contains(PollFlags::IN))
        };
        for _ in 0..3 {
            if is_readable(self) != Some(true) || !self.select_once(Room::Ample)?.is_empty() {
                return Ok(());
            }
        }
        prop_assert!(is_readable(self) != Some(true), "{}: it would spin", self.kind);
        Ok(())
    }

    /// Notes which edges are due, after anything has happened.
    pub fn note_edges(&mut self) {
        let (kind, seen) = (self.kind, self.seen());
        for (handle, seen) in self.handles.iter_mut().zip(seen) {
            if let Some(registration) = &mut handle.registration {
                let now = promised(kind, registration.interest, seen);
                registration.became_ready |= !(now - registration.last).is_empty();
                registration.last = now;
            }
        }
    }

    /// The map of the selector says what was registered, and nothing else.
    pub fn check_map(&self) -> Result<(), TestCaseError> {
        let registered = self.handles.iter().filter(|handle| handle.registration.is_some());
        prop_assert_eq!(self.selector.len(), registered.clone().count());
        prop_assert_eq!(self.selector.iter().count(), self.selector.len());
        for handle in &self.handles {
            let key = handle.registration.map(|registration| registration.key);
            prop_assert_eq!(self.selector.key_of(&*handle.fd), key);
            let data = key.and_then(|key| self.selector.get(key)).map(|found| found.data);
            prop_assert_eq!(data, key.map(|_| handle.id));
        }
        Ok(())
    }
}

impl Registration {
    pub fn new(key: Key, interest: Interest, mode: Mode) -> Self {
        let last = Readiness::empty();
        Self { key, interest, mode, armed: true, last, became_ready: true }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for handle in &self.handles {
            if handle.number == Number::ClosedTooEarly {
                channel::occupy(&handle.fd, &self.spare).expect("the number is free");
            } else if handle.kind == Kind::Tcp {
                channel::forget_on_close(&handle.fd);
            }
        }
    }
}
