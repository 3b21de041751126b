//! Faults that a test makes itself, now.

use crate::change::Change;
use crate::fault::{AcceptError, Fault};
use crate::rng::nanos;
use crate::sim::{Host, Sim};
use crate::state::Event;

/// Each takes effect at once, and lasts until the test ends it. To plan faults ahead, or to draw them
/// from the seed, see [`Faults`](crate::Faults).
///
/// # Panics
/// As [`run_for`](Self::run_for): a change may have hosts run to their end.
impl Sim {
    /// Ends a host's program, as `SIGKILL` does, though its destructors run: its system closes the
    /// connections.
    #[track_caller]
    pub fn kill(&mut self, host: Host) {
        self.make(Change::Kill(host.index));
    }

    /// Ends a host without a word: its peers are told nothing, and get no answer.
    #[track_caller]
    pub fn power_off(&mut self, host: Host) {
        self.make(Change::PowerOff(host.index));
    }

    /// Starts a host again that has ended. Does nothing for one that runs.
    #[track_caller]
    pub fn start(&mut self, host: Host) {
        self.make(Change::Start(host.index));
    }

    /// Ends a host's program and starts it again.
    #[track_caller]
    pub fn restart(&mut self, host: Host) {
        self.kill(host);
        self.start(host);
    }

    /// Lets a host's program stand still, as `SIGSTOP` does: its system goes on.
    #[track_caller]
    pub fn pause(&mut self, host: Host) {
        self.make(Change::Pause(host.index));
    }

    /// Lets a host go on that was paused.
    #[track_caller]
    pub fn resume(&mut self, host: Host) {
        self.make(Change::Resume(host.index));
    }

    /// Lets nothing through between two hosts. What TCP has sent is sent again afterwards.
    #[track_caller]
    pub fn cut(&mut self, one: Host, other: Host) {
        self.cut_one_way(one, other);
        self.cut_one_way(other, one);
    }

    /// Lets nothing through from one host to another.
    #[track_caller]
    pub fn cut_one_way(&mut self, from: Host, to: Host) {
        self.make(Change::Cut(from.index, to.index));
    }

    /// Ends one [`cut`](Self::cut).
    #[track_caller]
    pub fn mend(&mut self, one: Host, other: Host) {
        self.mend_one_way(one, other);
        self.mend_one_way(other, one);
    }

    /// Ends one [`cut_one_way`](Self::cut_one_way).
    #[track_caller]
    pub fn mend_one_way(&mut self, from: Host, to: Host) {
        self.make(Change::Mend(from.index, to.index));
    }

    /// Cuts these hosts off from all others.
    #[track_caller]
    pub fn partition(&mut self, hosts: &[Host]) {
        self.for_all_between(hosts, Self::cut);
    }

    /// Ends one [`partition`](Self::partition).
    #[track_caller]
    pub fn heal(&mut self, hosts: &[Host]) {
        self.for_all_between(hosts, Self::mend);
    }

    #[track_caller]
    fn for_all_between(&mut self, hosts: &[Host], f: impl Fn(&mut Self, Host, Host)) {
        let (inside, outside): (Vec<_>, Vec<_>) =
            self.hosts().into_iter().partition(|host| hosts.contains(host));
        for one in &inside {
            outside.iter().for_each(|other| f(self, *one, *other));
        }
    }

    /// Holds back what gets from one host to another, until it is [released](Self::release). Datagrams
    /// are lost meanwhile.
    #[track_caller]
    pub fn hold(&mut self, from: Host, to: Host) {
        self.make(Change::Hold(from.index, to.index));
    }

    /// Lets through what was held back.
    #[track_caller]
    pub fn release(&mut self, from: Host, to: Host) {
        self.make(Change::Release(from.index, to.index));
    }

    /// Resets all connections between two hosts: both read `ECONNRESET`.
    #[track_caller]
    pub fn reset(&mut self, one: Host, other: Host) {
        self.make(Change::Reset(one.index, other.index));
    }

    /// Has a host refuse connections, or accept them again.
    #[track_caller]
    pub fn refuse(&mut self, host: Host, refuses: bool) {
        let index = host.index;
        self.make(if refuses { Change::Refuse(index) } else { Change::RefuseNoMore(index) });
    }

    /// Has a host's clock go too fast from now on, by so many millionths; or too slowly.
    #[track_caller]
    pub fn skew(&mut self, host: Host, millionths: i32) {
        self.make(Change::Skew(host.index, millionths.max(-999_999).into()));
    }

    /// Has the next accepts of a host fail that would not.
    #[track_caller]
    pub fn fail_accepts(&mut self, host: Host, error: AcceptError, count: u32) {
        self.make(Change::FailAccepts(host.index, error, count));
    }

    /// Has the writes of a host be short, or not any more: there is room for a few hundred bytes.
    #[track_caller]
    pub fn short_writes(&mut self, host: Host, short: bool) {
        let index = host.index;
        self.make(if short {
            Change::ShortWrites(index)
        } else {
            Change::ShortWritesNoMore(index)
        });
    }

    /// Has a fault begin at its time.
    pub fn plan(&mut self, fault: Fault) {
        self.plan_unless_left_out(fault);
    }

    pub(crate) fn plan_as(&mut self, number: usize, fault: Fault) {
        if let Some(on_plan) = self.on_plan {
            on_plan(number, &fault);
        }
        let mut state = self.shared.lock();
        let begin = state.now.saturating_add(nanos(fault.after));
        let (begins, ends) = fault.changes();
        for change in begins {
            state.at(begin, Event::Change(change));
        }
        for change in ends {
            state.at(begin.saturating_add(nanos(fault.lasts)), Event::Change(change));
        }
        state.faults.push((number, fault));
    }

    /// All hosts, in the order in which they were added.
    #[must_use]
    pub fn hosts(&self) -> Vec<Host> {
        let state = self.shared.lock();
        state.hosts.iter().enumerate().map(|(index, host)| Host::at(index, host.ip)).collect()
    }

    /// The faults that were planned or drawn so far, each with its number.
    #[must_use]
    pub fn faults(&self) -> Vec<(usize, Fault)> {
        self.shared.lock().faults.clone()
    }
}
