//! TCP: how the bytes of a connection get from one end to the other.
//! Invariant: what a side has sent arrives in order, each byte once, or the connection is reset.

mod ends;

use std::collections::VecDeque;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;

use rustix::event::epoll::{self, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, Shutdown, recv, send, shutdown};

use crate::link::PIECE;
use crate::rng::{Rng, hash_bytes};
use crate::socket::SEND;
use crate::state::{Event, Index, State};
use crate::tcp::{Connection, Outcome, Phase, Side};
use crate::trace::Act;

/// Something on its way.
enum Flight {
    Data(Vec<u8>),
    Fin,
    Reset,
}

/// How far the end of a side's bytes has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fin {
    NotYet,
    Sent,
    /// At the receiver, perhaps behind bytes that it has no room for.
    Arrived,
    Delivered,
}

/// What one side of a connection sends.
pub(crate) struct Way {
    pub(crate) rng: Rng,
    flights: VecDeque<(u64, Flight)>,
    pub(crate) last_arrival: u64,
    /// Bytes that were taken from the sender, and have not got to the receiver's socket yet.
    under_way: usize,
    /// Those of them that have arrived, and which the receiver has no room for.
    arrived: VecDeque<u8>,
    /// The sender has more, for which the window has no room.
    waits_for_room: bool,
    /// Since when nothing gets through.
    parked: Option<u64>,
    fin: Fin,
}

/// Bytes under way, at most: what Linux's windows usually grow to on a short way.
const WINDOW: usize = 256 * 1024;

/// What a sender whose bytes got lost waits before it sends them again, by the seed: up to 200 ms.
const RESEND: u64 = 200_000_000;

impl Way {
    pub(crate) fn new(rng: Rng) -> Self {
        Self {
            rng,
            flights: VecDeque::new(),
            last_arrival: 0,
            under_way: 0,
            arrived: VecDeque::new(),
            waits_for_room: false,
            parked: None,
            fin: Fin::NotYet,
        }
    }
}

impl State {
    /// Looks at what the programs' ends of a host's connections have done in its step.
    pub(crate) fn collect(&mut self, host: Index) {
        let mut events = std::mem::take(&mut self.events);
        let mut found = [const { MaybeUninit::<epoll::Event>::uninit() }; EVENTS];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        while let Ok((found, _)) = epoll::wait(&self.hosts[host].ends, &mut found, Some(&now)) {
            events.extend(found.iter().map(|event| ({ event.data }.u64(), { event.flags }.bits())));
            if found.len() < EVENTS {
                break;
            }
        }
        // By connection: the system's order may depend on what it is busy with.
        events.sort_unstable();
        for (key, flags) in events.drain(..) {
            let flags = EventFlags::from_bits_retain(flags);
            let side = Side::BOTH[(key & 1) as usize];
            self.with_connection(key >> 1, |state, connection| {
                if flags.contains(EventFlags::OUT) {
                    state.flush(connection, side.other());
                }
                if flags.intersects(ENDS) {
                    state.pump(connection, side, Look::Twice);
                } else if flags.contains(EventFlags::IN) {
                    state.pump(connection, side, Look::Once);
                }
            });
        }
        self.events = events;
    }

    /// Takes what a side has written, as far as the window has room.
    pub(crate) fn pump(&mut self, connection: &mut Connection, from: Side, look: Look) {
        if connection.phase != Phase::Ended(Outcome::Connected) && from == Side::Client {
            return self.drop_if_closed(connection, from);
        }
        let mut buf = std::mem::take(&mut self.buf);
        let (id, host) = (connection.id, connection.host(from));
        loop {
            let end = connection.end(from);
            let Some(inner) = &end.inner else { break };
            let room = WINDOW.saturating_sub(end.way.under_way).min(PIECE);
            end.way.waits_for_room = room == 0;
            if room == 0 || end.way.fin != Fin::NotYet {
                break;
            }
            match recv(inner, &mut buf[..room], RecvFlags::DONTWAIT) {
                Ok((0, _)) => {
                    end.way.fin = Fin::Sent;
                    self.record(host, Act::Shuts, [id], || format!("#{id}"));
                    self.send_off(connection, from, Flight::Fin);
                    break;
                }
                Ok((len, _)) => {
                    end.way.under_way += len;
                    let hash = hash_bytes(&buf[..len]);
                    self.record(host, Act::Sends, [id, len as u64, hash], || {
                        format!("{len} bytes on #{id}")
                    });
                    self.send_in_pieces(connection, from, &buf[..len]);
                    self.has_sent(host);
                    if len < room && look == Look::Once {
                        break;
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                // The program has closed it, with bytes in it that it had not read.
                Err(_) => {
                    end.inner = None;
                    self.send_reset(connection, from);
                    break;
                }
            }
        }
        self.buf = buf;
        self.drop_if_closed(connection, from);
    }

    fn send_in_pieces(&mut self, connection: &mut Connection, from: Side, mut bytes: &[u8]) {
        let link = self.link(connection.host(from), connection.host(from.other()));
        while !bytes.is_empty() {
            let len = link.piece(bytes.len(), &mut connection.end(from).way.rng);
            let (piece, rest) = bytes.split_at(len);
            self.send_off(connection, from, Flight::Data(piece.to_vec()));
            bytes = rest;
        }
    }

    fn send_off(&mut self, connection: &mut Connection, from: Side, flight: Flight) {
        let (sender, receiver) = (connection.host(from), connection.host(from.other()));
        let len = if let Flight::Data(bytes) = &flight { bytes.len() } else { 0 };
        let id = connection.id;
        let way = &mut connection.end(from).way;
        let at = self.arrival(sender, receiver, len, &mut way.rng).max(way.last_arrival);
        way.last_arrival = at;
        way.flights.push_back((at, flight));
        self.at(at, Event::Arrival { connection: id, from });
    }

    /// Tells the other side that the connection is no more.
    pub(crate) fn send_reset(&mut self, connection: &mut Connection, from: Side) {
        self.send_off(connection, from, Flight::Reset);
    }

    /// What a side has sent arrives.
    pub(crate) fn arrive(&mut self, id: u64, from: Side) {
        self.with_connection(id, |state, connection| while state.arrive_one(connection, from) {});
    }

    fn arrive_one(&mut self, connection: &mut Connection, from: Side) -> bool {
        let (sender, receiver) = (connection.host(from), connection.host(from.other()));
        let is_waited_for =
            from == Side::Client || connection.phase == Phase::Ended(Outcome::Connected);
        let is_stopped = self.is_cut(sender, receiver)
            || self.is_held(sender, receiver)
            || !self.is_up(receiver)
            || !is_waited_for;
        let (id, now) = (connection.id, self.now);
        let way = &mut connection.end(from).way;
        if way.flights.front().is_none_or(|(at, _)| *at > now) {
            return false;
        }
        if is_stopped {
            if way.parked.is_none() {
                way.parked = Some(now);
                let at = now.saturating_add(self.tcp_timeout);
                self.at(at, Event::GivesUp { connection: id, from, parked_at: now });
            }
            return false;
        }
        if way.parked.is_some() {
            // Until it is sent again, by `unpark`.
            return false;
        }
        match way.flights.pop_front() {
            Some((_, Flight::Data(bytes))) => {
                way.arrived.extend(bytes);
                self.flush(connection, from);
            }
            Some((_, Flight::Fin)) => {
                way.fin = Fin::Arrived;
                self.flush(connection, from);
            }
            Some((_, Flight::Reset)) => self.reset(connection, from.other()),
            None => {}
        }
        true
    }

    /// Nothing stands in the way any more: what was lost is sent again.
    pub(crate) fn unpark(&mut self, connection: &mut Connection, from: Side) {
        let (id, now) = (connection.id, self.now);
        let way = &mut connection.end(from).way;
        if way.parked.take().is_none() {
            return;
        }
        let again = now + way.rng.below(RESEND);
        way.flights.iter_mut().for_each(|(at, _)| *at = again.max(*at));
        way.last_arrival = way.last_arrival.max(again);
        let times: Vec<u64> = way.flights.iter().map(|(at, _)| *at).collect();
        for at in times {
            self.at(at, Event::Arrival { connection: id, from });
        }
    }

    pub(crate) fn unpark_ways(&mut self, between: impl Fn(Index, Index) -> bool) {
        let ids: Vec<u64> = self.connections.keys().copied().collect();
        for id in ids {
            self.with_connection(id, |state, connection| {
                for from in Side::BOTH {
                    if between(connection.host(from), connection.host(from.other())) {
                        state.unpark(connection, from);
                    }
                }
            });
        }
    }

    pub(crate) fn unpark_ways_to(&mut self, host: Index) {
        self.unpark_ways(|_, to| to == host);
    }

    /// A sender gives up what does not get through.
    pub(crate) fn gives_up(&mut self, id: u64, from: Side, parked_at: u64) {
        self.with_connection(id, |state, connection| {
            if connection.end(from).way.parked == Some(parked_at) {
                connection.end(from).way.flights.clear();
                state.reset(connection, from);
            }
        });
    }

    /// Gives the receiver what has arrived, as far as it has room.
    pub(crate) fn flush(&mut self, connection: &mut Connection, from: Side) {
        let to = from.other();
        let (id, receiver) = (connection.id, connection.host(to));
        let mut moved = 0;
        let mut is_refused = false;
        // Out of the connection, while its other end is used.
        let mut arrived = std::mem::take(&mut connection.end(from).way.arrived);
        while !arrived.is_empty() {
            let Some(inner) = &connection.end(to).inner else {
                is_refused = true;
                break;
            };
            let (bytes, _) = arrived.as_slices();
            let taken = match send(inner, bytes, SEND) {
                Ok(taken) => taken,
                Err(Errno::PIPE) if is_hung_up(inner) => {
                    is_refused = true;
                    break;
                }
                // It has shut its reading side down: what comes is thrown away.
                Err(Errno::PIPE) => bytes.len(),
                Err(Errno::INTR) => 0,
                Err(_) => break,
            };
            arrived.drain(..taken);
            moved += taken;
        }
        if is_refused {
            let lost = arrived.len();
            let way = &mut connection.end(from).way;
            way.under_way = way.under_way.saturating_sub(moved + lost);
            self.touch(receiver);
            return self.send_reset(connection, to);
        }
        let way = &mut connection.end(from).way;
        way.under_way = way.under_way.saturating_sub(moved);
        let is_all = arrived.is_empty();
        way.arrived = arrived;
        if !is_all {
            self.watch_for_room(connection, to);
        }
        if moved > 0 {
            self.record(receiver, Act::Receives, [id, moved as u64], || {
                format!("{moved} bytes of #{id}")
            });
            self.touch(receiver);
            self.acknowledge(connection, from);
        }
        if is_all && connection.end(from).way.fin == Fin::Arrived {
            self.deliver_fin(connection, from);
        }
    }

    fn deliver_fin(&mut self, connection: &mut Connection, from: Side) {
        let (id, receiver) = (connection.id, connection.host(from.other()));
        connection.end(from).way.fin = Fin::Delivered;
        if let Some(inner) = &connection.end(from.other()).inner {
            // Fails only if the other end is closed, which the next look will find.
            let _ = shutdown(inner, Shutdown::Write);
        }
        self.record(receiver, Act::Receives, [id, 0], || format!("the end of #{id}"));
        self.touch(receiver);
        self.drop_if_closed(connection, from.other());
    }

    /// Tells a sender that waits for room that there is some.
    fn acknowledge(&mut self, connection: &mut Connection, from: Side) {
        let (id, sender, receiver) =
            (connection.id, connection.host(from), connection.host(from.other()));
        if std::mem::take(&mut connection.end(from).way.waits_for_room) {
            let link = self.link(receiver, sender);
            let at = self.now + link.delay(&mut connection.end(from.other()).way.rng);
            self.at(at, Event::Acknowledged { connection: id, from });
        }
    }

    pub(crate) fn acknowledged(&mut self, id: u64, from: Side) {
        self.with_connection(id, |state, connection| {
            state.pump(connection, from, Look::Twice);
            // There is room in the program's socket again.
            let host = connection.host(from);
            state.touch(host);
        });
    }
}

/// How a program's bytes are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Less than there was room for is all there is: nobody writes meanwhile.
    Once,
    /// And the end may be behind it.
    Twice,
}

/// What tells that the program's end is shut down, or closed.
const ENDS: EventFlags = EventFlags::RDHUP.union(EventFlags::HUP).union(EventFlags::ERR);

/// Events that are taken in one look.
const EVENTS: usize = 64;

/// True if the other end is closed, or shut down both ways.
fn is_hung_up(inner: &impl AsFd) -> bool {
    let mut fds = [PollFd::new(inner, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&now)).is_ok() && fds[0].revents().contains(PollFlags::HUP)
}
