//! What is on the way from one host to another at the moment.

use std::time::Duration;

use crate::link::Link;
use crate::rng::Rng;
use crate::state::{Index, State};

/// One way between two hosts.
#[derive(Default)]
pub(crate) struct Lane {
    link: Option<Link>,
    /// When the last byte of what was sent is on it.
    free_at: u64,
    /// How many faults cut it at the moment, and how many hold what arrives.
    pub(crate) cuts: u32,
    pub(crate) holds: u32,
}

/// Within a host.
const LOOPBACK: Link = Link::new(Duration::from_micros(20));

impl State {
    pub(crate) fn lane(&mut self, from: Index, to: Index) -> &mut Lane {
        self.lanes.entry((from, to)).or_default()
    }

    pub(crate) fn link(&self, from: Index, to: Index) -> Link {
        let of_lane = self.lanes.get(&(from, to)).and_then(|lane| lane.link);
        of_lane.unwrap_or(if from == to { LOOPBACK } else { self.usual_link })
    }

    pub(crate) fn set_link(&mut self, from: Index, to: Index, link: Link) {
        self.lane(from, to).link = Some(link);
    }

    pub(crate) fn is_cut(&self, from: Index, to: Index) -> bool {
        self.lanes.get(&(from, to)).is_some_and(|lane| lane.cuts > 0)
    }

    pub(crate) fn is_held(&self, from: Index, to: Index) -> bool {
        self.lanes.get(&(from, to)).is_some_and(|lane| lane.holds > 0)
    }

    /// When something arrives that is sent now.
    pub(crate) fn arrival(&mut self, from: Index, to: Index, len: usize, rng: &mut Rng) -> u64 {
        let link = self.link(from, to);
        let now = self.now;
        let delay = link.delay(rng);
        let transmission = link.transmission(len);
        if transmission == 0 {
            return now + delay;
        }
        let lane = self.lane(from, to);
        lane.free_at = lane.free_at.max(now) + transmission;
        lane.free_at + delay
    }
}
