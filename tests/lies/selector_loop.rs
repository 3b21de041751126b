//! One sequence of random traffic in an explicit loop: both ends of each stream are registered, by
//! level, edge or as oneshots, and the loop does what the events say and nothing else.

use std::collections::{HashSet, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::num::NonZeroUsize;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use selkie::selector::Backend;
use selkie::{Events, Interest, Key, Mode, Readiness, Selector};

use crate::liar::Chance;
use crate::seeds::{DEADLINE, Sequence, Tally, count, is_invented};
use crate::streams::byte;

/// The longest select while a oneshot rests.
const NAP: Duration = Duration::from_millis(1);

type Ends = Selector<UnixStream, End, Box<dyn Backend + Send>>;

/// One end of a stream: a client's, which sends and checks, or that which sends everything back.
struct End {
    role: Role,
    /// What waits for room: the client's own bytes, or what is to be sent back.
    outgoing: VecDeque<u8>,
    has_read_all: bool,
    has_shut_down: bool,
    is_armed: bool,
    chance: Chance,
}

enum Role {
    Client { stream: u64, total: u64, queued: u64, received: u64 },
    Echo,
}

impl End {
    fn new(role: Role, chance: &mut Chance) -> Self {
        Self {
            role,
            outgoing: VecDeque::new(),
            has_read_all: false,
            has_shut_down: false,
            is_armed: true,
            chance: chance.fork(),
        }
    }

    /// A client queues more of its stream.
    fn refill(&mut self) {
        if let Role::Client { stream, total, queued, .. } = &mut self.role {
            let most = (1 + self.chance.below(9_000)).min(*total - *queued);
            if self.outgoing.is_empty() {
                self.outgoing.extend((*queued..*queued + most).map(|place| byte(*stream, place)));
                *queued += most;
            }
        }
    }

    /// True if nothing will be sent any more, but what is there.
    fn is_last(&self) -> bool {
        match self.role {
            Role::Client { total, queued, .. } => total == queued,
            Role::Echo => self.has_read_all,
        }
    }

    fn wants(&self, mode: Mode) -> Interest {
        if mode == Mode::Edge {
            return Interest::READ | Interest::WRITE;
        }
        let mut wants = Interest::empty();
        wants.set(Interest::READ, !self.has_read_all);
        wants.set(Interest::WRITE, !self.has_shut_down && !self.outgoing.is_empty());
        wants
    }

    fn is_done(&self) -> bool {
        self.has_read_all && self.has_shut_down
    }

    /// One read; false if it would block, or there is nothing more.
    fn read(&mut self, mut io: &UnixStream) -> bool {
        let mut buf = [0; 4096];
        let most = 1 + self.chance.index(buf.len());
        let bytes = match io.read(&mut buf[..most]) {
            Ok(len) => &buf[..len],
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(error) => panic!("{error}"),
        };
        self.has_read_all = bytes.is_empty();
        match &mut self.role {
            Role::Echo => self.outgoing.extend(bytes),
            Role::Client { stream, received, .. } => {
                for byte_read in bytes {
                    assert_eq!(*byte_read, byte(*stream, *received), "byte {received} is another");
                    *received += 1;
                }
            }
        }
        !self.has_read_all
    }

    /// One write; false if it would block, or there is nothing to send just now.
    fn write(&mut self, mut io: &UnixStream) -> bool {
        self.refill();
        if !self.outgoing.is_empty() {
            match io.write(self.outgoing.as_slices().0) {
                Ok(len) => drop(self.outgoing.drain(..len)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(error) => panic!("{error}"),
            }
        }
        if self.outgoing.is_empty() && self.is_last() && !self.has_shut_down {
            io.shutdown(Shutdown::Write).unwrap();
            self.has_shut_down = true;
        }
        self.refill();
        !self.outgoing.is_empty()
    }

    /// Does what an event says: by edge until it would block.
    fn go_on(&mut self, io: &UnixStream, mode: Mode, readiness: Readiness) {
        let again = |more: bool| more && mode == Mode::Edge;
        if readiness.is_readable() && !self.has_read_all {
            while again(self.read(io)) {}
        }
        if !self.has_shut_down && (readiness.is_writable() || mode == Mode::Edge || self.is_last())
        {
            while again(self.write(io)) {}
        }
    }

    fn check_end(&self, tally: &Tally) {
        if let Role::Client { total, received, .. } = self.role {
            assert_eq!(received, total, "the stream ended at another place");
            count(&tally.bytes, total);
            count(&tally.connections, 1);
        }
    }
}

pub fn run(mut sequence: Sequence) {
    let mut selector: Ends = Selector::with_backend(sequence.open());
    let (tally, chance) = (sequence.tally.clone(), &mut sequence.chance);
    let mut events = Events::with_capacity(NonZeroUsize::new(1 + chance.index(12)).unwrap());
    for _ in 0..=chance.below(6) {
        open_stream(&mut selector, chance, &tally);
    }
    let (late, mut gone) = (Instant::now() + DEADLINE, HashSet::new());
    // Oneshots that were reported, and are to be silent for a while.
    let mut resting = Vec::new();
    while !selector.is_empty() {
        resting.retain(|key| {
            let rests = chance.coin();
            if !rests {
                watch(&mut selector, *key, &tally);
            }
            rests
        });
        let latest = if resting.is_empty() { late } else { Instant::now() + NAP };
        let timeout = timeout(chance, latest);
        let start = Instant::now();
        let found = match selector.select(&mut events, timeout) {
            Ok(found) => found,
            Err(error) => {
                assert!(is_invented(&error), "{error}");
                count(&tally.refusals_met, 1);
                continue;
            }
        };
        let mut is_empty = true;
        for (key, readiness) in found {
            is_empty = false;
            assert!(!gone.contains(&key), "{key:?} was unregistered");
            if handle(&mut selector, key, readiness) {
                let (_, end) = selector.unregister(key).unwrap().into_parts();
                end.check_end(&tally);
                gone.insert(key);
            } else if chance.percent(4) {
                // This one, or another one that is perhaps in the same batch.
                let which = chance.index(selector.len());
                let moved = selector.iter().nth(which).map_or(key, |(other, _)| other);
                gone.insert(moved);
                move_to_another_key(&mut selector, moved, &tally);
                watch(&mut selector, key, &tally);
            } else if selector[key].mode == Mode::Oneshot && chance.percent(30) {
                resting.push(key);
            } else {
                watch(&mut selector, key, &tally);
            }
        }
        if is_empty {
            let cut_short = timeout.is_none_or(|timeout| start.elapsed() < timeout);
            assert!(!cut_short, "nothing was found after {:?} of {timeout:?}", start.elapsed());
        }
        assert!(Instant::now() < late, "what is ready is not reported; {selector:?}");
    }
}

fn timeout(chance: &mut Chance, late: Instant) -> Option<Duration> {
    match chance.below(4) {
        0 => Some(Duration::ZERO),
        1 => Some(Duration::from_micros(chance.below(2_000))),
        _ => Some(late.saturating_duration_since(Instant::now())),
    }
}

fn open_stream(selector: &mut Ends, chance: &mut Chance, tally: &Tally) {
    let (near, far) = UnixStream::pair().unwrap();
    let (stream, total) = (chance.next(), chance.below(60_000));
    let client = Role::Client { stream, total, queued: 0, received: 0 };
    for (io, role) in [(near, client), (far, Role::Echo)] {
        io.set_nonblocking(true).unwrap();
        let modes = [Mode::Level, Mode::Oneshot, Mode::Edge];
        let has_edges = selector.backend().supports(Mode::Edge);
        let mode = modes[chance.index(if has_edges { 3 } else { 2 })];
        let mut end = End::new(role, chance);
        end.write(&io);
        register(selector, io, end, mode, tally);
    }
}

/// Registers, however often that is refused.
fn register(selector: &mut Ends, mut io: UnixStream, mut end: End, mode: Mode, tally: &Tally) {
    end.is_armed = true;
    let interest = end.wants(mode);
    loop {
        match selector.register_with_mode(io, interest, mode, end) {
            Ok(_) => return,
            Err(error) => {
                count(&tally.refusals_met, 1);
                let (error, source, data) = error.into_parts();
                assert!(is_invented(&error), "{error}");
                (io, end) = (source, data);
            }
        }
    }
}

fn move_to_another_key(selector: &mut Ends, key: Key, tally: &Tally) {
    let registration = selector.unregister(key).unwrap();
    let mode = registration.mode;
    let (io, end) = registration.into_parts();
    register(selector, io, end, mode, tally);
}

/// Does what an event says. True if this end is done.
fn handle(selector: &mut Ends, key: Key, readiness: Readiness) -> bool {
    let registration = selector.get(key).expect("only what is registered is reported");
    let (interest, mode) = (registration.interest, registration.mode);
    let beyond = readiness & Readiness::from(Interest::all() - interest);
    assert_eq!(beyond, Readiness::empty(), "nobody asked for that");
    assert!(!readiness.is_empty() && registration.data.is_armed, "it was not armed");
    let io = registration.source.try_clone().unwrap();
    let end = selector.data_mut(key).unwrap();
    end.go_on(&io, mode, readiness);
    end.is_armed = mode != Mode::Oneshot;
    end.is_done()
}

/// Watches for what an end wants next.
fn watch(selector: &mut Ends, key: Key, tally: &Tally) {
    // It may have moved to another key while it rested.
    let Some(registration) = selector.get(key) else { return };
    let (interest, mode) = (registration.interest, registration.mode);
    let wants = registration.data.wants(mode);
    assert!(!wants.is_empty(), "an end that is not done waits for nothing");
    if wants != interest || mode == Mode::Oneshot {
        while let Err(error) = selector.modify(key, wants) {
            assert!(is_invented(&error), "{error}");
            assert_eq!(selector[key].interest, interest, "it is no longer as it was");
            count(&tally.refusals_met, 1);
        }
    }
    selector.data_mut(key).unwrap().is_armed = true;
}
