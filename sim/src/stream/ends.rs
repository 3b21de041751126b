//! TCP: how connections end.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::{Errno, ioctl_fionread};
use rustix::net::send;

use super::{Fin, Flight, Look, is_hung_up};
use crate::socket::SEND;
use crate::state::{Index, State};
use crate::tcp::{Connection, Outcome, Phase, Side};
use crate::trace::Act;

impl State {
    /// One side learns that the connection is no more: its program reads `ECONNRESET`.
    pub(crate) fn reset(&mut self, connection: &mut Connection, side: Side) {
        let (id, host) = (connection.id, connection.host(side));
        let end = connection.end(side);
        if let Some(inner) = end.inner.take() {
            // The kernel tells the peer of a socket that is closed with something unread in it.
            if !has_unread(inner.as_fd())
                && let Some(handed) = end.handed
            {
                handed.with(|outer| send(outer, &[0], SEND));
            }
            drop(inner);
            self.record(host, Act::Resets, [id], || format!("#{id}"));
            self.touch(host);
        }
        end.way.fin = Fin::Delivered;
        end.way.arrived.clear();
        end.way.under_way = 0;
        end.way.flights.retain(|(_, flight)| matches!(flight, Flight::Reset));
    }

    /// Closes the simulator's end if the program's is closed, and nothing is left to be sent.
    pub(super) fn drop_if_closed(&mut self, connection: &mut Connection, side: Side) {
        let is_connected = connection.phase == Phase::Ended(Outcome::Connected);
        let end = connection.end(side);
        let Some(inner) = &end.inner else { return };
        if (is_connected && end.way.fin == Fin::NotYet) || !is_hung_up(inner) {
            return;
        }
        if end.handed.is_none_or(|handed| !handed.is_open()) {
            end.inner = None;
        }
    }

    /// A host has lost its power: none of its connections says anything more.
    fn silence(&mut self, host: Index) {
        self.each_end(host, |_, connection, side| {
            let end = connection.end(side);
            end.inner = None;
            end.way.flights.clear();
            end.way.under_way = 0;
            end.way.fin = Fin::Delivered;
        });
    }

    /// A host's program is gone, or goes: its system closes what it has open.
    pub(crate) fn leave_network(&mut self, host: Index) {
        if self.is_up(host) {
            self.collect(host);
        } else {
            self.silence(host);
        }
        let listeners = self.listeners.iter().filter(|(_, listener)| listener.host == host);
        let listeners: Vec<u64> = listeners.map(|(id, _)| *id).collect();
        listeners.into_iter().for_each(|id| self.close_listener(id));
        self.datagrams.forget(host);
        self.unix.forget(host);
        self.each_end(host, |state, connection, side| {
            // What the program has written is sent without a window: nobody waits for room.
            while connection.end(side).inner.is_some()
                && connection.end(side).way.fin == Fin::NotYet
            {
                let before = connection.end(side).way.under_way;
                connection.end(side).way.under_way = 0;
                state.pump(connection, side, Look::Twice);
                let after = &mut connection.end(side).way.under_way;
                let is_more = *after > 0;
                *after += before;
                if !is_more {
                    break;
                }
            }
            // It has leaked the descriptor, which its system closes; or its destructors are to run.
            let end = connection.end(side);
            let is_unread = end.handed.is_some_and(|handed| handed.with(has_unread) == Some(true));
            if end.inner.take().is_some() && (is_unread || end.way.fin == Fin::NotYet) {
                end.way.fin = Fin::Sent;
                let flight = if is_unread { Flight::Reset } else { Flight::Fin };
                state.send_off(connection, side, flight);
            }
            if side == Side::Client && connection.phase == Phase::Connecting {
                connection.phase = Phase::Ended(Outcome::Failed(Errno::CONNABORTED));
            }
        });
    }

    pub(crate) fn each_end(
        &mut self,
        host: Index,
        mut f: impl FnMut(&mut Self, &mut Connection, Side),
    ) {
        let ids: Vec<u64> = self.connections.keys().copied().collect();
        for id in ids {
            self.with_connection(id, |state, connection| {
                for side in Side::BOTH {
                    if connection.host(side) == host {
                        f(state, connection, side);
                    }
                }
            });
        }
    }
}

/// True if there is something to read. Then the kernel resets the connection when it is closed.
fn has_unread(fd: BorrowedFd<'_>) -> bool {
    ioctl_fionread(fd).is_ok_and(|len| len > 0)
}
