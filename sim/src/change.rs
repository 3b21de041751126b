//! The changes that faults consist of.

use crate::fault::AcceptError;
use crate::host::{Ended, Status};
use crate::socket::Room;
use crate::state::{Event, Index, State};
use crate::tcp::{Outcome, Phase, Side};
use crate::trace::Act;

/// One thing that changes, at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Kill(Index),
    /// It is killed when it has sent, and started again after so long.
    KillOnSend(Index, u64),
    PowerOff(Index),
    Start(Index),
    /// As `Start`, but not if its program had ended by itself.
    Revive(Index),
    Pause(Index),
    Resume(Index),
    /// Nothing gets from one to the other any more.
    Cut(Index, Index),
    Mend(Index, Index),
    /// What gets from one to the other waits.
    Hold(Index, Index),
    Release(Index, Index),
    /// All connections between two are reset.
    Reset(Index, Index),
    Refuse(Index),
    RefuseNoMore(Index),
    /// A clock is too fast, by millionths.
    Skew(Index, i64),
    FailAccepts(Index, AcceptError, u32),
    ShortWrites(Index),
    ShortWritesNoMore(Index),
}

impl State {
    /// Makes a change. Returns the host that is to run for it, to its end.
    pub(crate) fn change(&mut self, change: Change) -> Option<Index> {
        let (host, numbers) = change.numbers();
        let text = if self.trace.is_kept() { self.text_of(change) } else { String::new() };
        self.record(host, Act::Fault, numbers, || text);
        match change {
            Change::Kill(host) => return self.end_host(host, Ended::Killed),
            Change::KillOnSend(host, lasts) => self.hosts[host].kills_on_send.push_back(lasts),
            Change::PowerOff(host) => return self.end_host(host, Ended::PoweredOff),
            Change::Start(host) => self.start_again(host),
            Change::Revive(host) => self.revive(host),
            Change::Pause(host) => self.hosts[host].pauses += 1,
            Change::Resume(host) => self.resume(host),
            Change::Cut(from, to) => self.lane(from, to).cuts += 1,
            Change::Mend(from, to) => self.mend(from, to),
            Change::Hold(from, to) => self.lane(from, to).holds += 1,
            Change::Release(from, to) => self.release(from, to),
            Change::Reset(one, other) => self.reset_between(one, other),
            Change::Refuse(host) => self.hosts[host].refusals += 1,
            Change::RefuseNoMore(host) => decrease(&mut self.hosts[host].refusals),
            Change::Skew(host, skew) => self.skew(host, skew),
            Change::FailAccepts(host, error, count) => {
                let errors = &mut self.hosts[host].accept_errors;
                errors.extend(std::iter::repeat_n(error.errno(), count as usize));
            }
            Change::ShortWrites(host) => self.short_writes(host, Room::Least),
            Change::ShortWritesNoMore(host) => self.short_writes(host, Room::Usual),
        }
        None
    }

    /// For the trace, beside the host's name.
    fn text_of(&self, change: Change) -> String {
        let name = |host: Index| &self.hosts[host].name;
        match change {
            Change::Cut(_, to) => format!("nothing gets to {}", name(to)),
            Change::Mend(_, to) => format!("what it sends gets to {} again", name(to)),
            Change::Hold(_, to) => format!("what it sends to {} is held back", name(to)),
            Change::Release(_, to) => format!("what it sends to {} is let go", name(to)),
            Change::Reset(_, other) => format!("its connections with {} are reset", name(other)),
            Change::Kill(_) => "is killed".to_owned(),
            Change::KillOnSend(..) => "is to be killed when it has sent".to_owned(),
            Change::PowerOff(_) => "loses its power".to_owned(),
            Change::Start(_) | Change::Revive(_) => "is started, if it is down".to_owned(),
            Change::Pause(_) => "stands still".to_owned(),
            Change::Resume(_) => "goes on".to_owned(),
            Change::Refuse(_) => "refuses connections".to_owned(),
            Change::RefuseNoMore(_) => "refuses connections no more".to_owned(),
            Change::Skew(_, skew) => format!("its clock is {skew} ppm too fast"),
            Change::FailAccepts(_, error, count) => format!("{count} accepts fail: {error:?}"),
            Change::ShortWrites(_) => "its writes are short".to_owned(),
            Change::ShortWritesNoMore(_) => "its writes are short no more".to_owned(),
        }
    }

    /// A host has sent something: it is killed, if it is to be.
    pub(crate) fn has_sent(&mut self, host: Index) {
        let state = &mut self.hosts[host];
        if state.is_dying {
            return;
        }
        let Some(lasts) = state.kills_on_send.pop_front() else { return };
        state.is_dying = true;
        self.at(self.now, Event::Change(Change::Kill(host)));
        self.at(self.now.saturating_add(lasts), Event::Change(Change::Revive(host)));
    }

    fn start_again(&mut self, host: Index) {
        if self.hosts[host].status == Status::Down && self.hosts[host].thread.is_none() {
            self.starts(host);
        }
    }

    fn revive(&mut self, host: Index) {
        if self.hosts[host].ended == Some(Ended::ByItself) {
            // Its system is there again; of its connections it knows nothing.
            self.hosts[host].is_off = false;
            self.unpark_ways_to(host);
        } else {
            self.start_again(host);
        }
    }

    fn resume(&mut self, host: Index) {
        decrease(&mut self.hosts[host].pauses);
        if self.hosts[host].pauses == 0 && self.hosts[host].status == Status::Paused {
            self.run_at(host, self.now);
        }
    }

    fn mend(&mut self, from: Index, to: Index) {
        decrease(&mut self.lane(from, to).cuts);
        self.unpark_ways(|sender, receiver| (sender, receiver) == (from, to));
    }

    fn release(&mut self, from: Index, to: Index) {
        decrease(&mut self.lane(from, to).holds);
        self.unpark_ways(|sender, receiver| (sender, receiver) == (from, to));
    }

    fn reset_between(&mut self, one: Index, other: Index) {
        self.each_end(one, |state, connection, side| {
            let is_meant = connection.host(side.other()) == other
                && connection.phase == Phase::Ended(Outcome::Connected);
            if is_meant {
                Side::BOTH.into_iter().for_each(|side| state.reset(connection, side));
            }
        });
    }

    fn skew(&mut self, host: Index, skew: i64) {
        let mut clock = self.hosts[host].shared.clock();
        clock.set_skew(self.now, skew);
        let shared = &self.hosts[host].shared;
        *shared.clock.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = clock;
        // Its deadlines come at other times now: it looks again.
        self.touch(host);
    }

    fn short_writes(&mut self, host: Index, room: Room) {
        let count = &mut self.hosts[host].short_writes;
        match room {
            Room::Least => *count += 1,
            Room::Usual => decrease(count),
        }
        let room = if *count > 0 { Room::Least } else { Room::Usual };
        self.each_end(host, |_, connection, side| {
            let is_connecting = connection.phase == Phase::Connecting;
            if let Some(handed) = connection.end(side).handed
                && !(is_connecting && side == Side::Client)
            {
                let _ = handed.with(|fd| crate::socket::set_send_buffer(fd, room));
            }
        });
    }
}

fn decrease(count: &mut u32) {
    *count = count.saturating_sub(1);
}

impl Change {
    /// For the trace: whose it is, and what tells it from others.
    fn numbers(self) -> (Index, [u64; 3]) {
        match self {
            Self::Kill(host) => (host, [0, 0, 0]),
            Self::PowerOff(host) => (host, [1, 0, 0]),
            Self::Start(host) | Self::Revive(host) => (host, [2, 0, 0]),
            Self::Pause(host) => (host, [3, 0, 0]),
            Self::Resume(host) => (host, [4, 0, 0]),
            Self::Cut(from, to) => (from, [5, to as u64, 0]),
            Self::Mend(from, to) => (from, [6, to as u64, 0]),
            Self::Hold(from, to) => (from, [7, to as u64, 0]),
            Self::Release(from, to) => (from, [8, to as u64, 0]),
            Self::Reset(one, other) => (one, [9, other as u64, 0]),
            Self::Refuse(host) => (host, [10, 0, 0]),
            Self::RefuseNoMore(host) => (host, [11, 0, 0]),
            Self::Skew(host, skew) => (host, [12, skew as u64, 0]),
            Self::FailAccepts(host, error, count) => (host, [13, error as u64, count.into()]),
            Self::ShortWrites(host) => (host, [14, 0, 0]),
            Self::ShortWritesNoMore(host) => (host, [15, 0, 0]),
            Self::KillOnSend(host, lasts) => (host, [16, lasts, 0]),
        }
    }
}
