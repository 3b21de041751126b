//! Layer 6: connects to one of several addresses, after Happy Eyeballs (RFC 8305, section 5).
//! Invariant: at most one connection is handed out; all others are closed when the race is dropped,
//! which its caller does as soon as there is a winner.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use std::vec;

use crate::time::{Sleep, sleep};

/// How long an attempt is alone before the next address is tried, too: the "Connection Attempt
/// Delay" that RFC 8305 recommends. Much shorter, and a working but slow path loses to another for
/// no gain; much longer, and a user waits for a path that is broken.
const STAGGER: Duration = Duration::from_millis(250);

/// One address, and what came of it so far.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) address: SocketAddr,
    /// None while there is no answer.
    pub(super) error: Option<io::Error>,
}

/// All attempts so far, in the order in which they began. Who gives up waiting can still tell.
pub(super) type Attempts = RefCell<Vec<Attempt>>;

type Connecting<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + 'a>>;

/// The first connection that `connect` makes to one of `addresses`; `None` if all have failed.
pub(super) async fn race<'a, T, F>(
    addresses: Vec<SocketAddr>,
    attempts: &'a Attempts,
    connect: impl Fn(SocketAddr) -> F + 'a,
) -> Option<T>
where
    F: Future<Output = io::Result<T>> + 'a,
{
    let mut race = Race {
        left: in_turn(addresses).into_iter(),
        running: Vec::new(),
        next_start: None,
        attempts,
        connect,
    };
    poll_fn(|cx| race.poll(cx)).await
}

/// Addresses of both families by turns, the first one's family first (section 4). Within a family
/// they stay in their order, which the system has chosen by RFC 6724. None is there twice.
fn in_turn(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let mut unique = Vec::with_capacity(addresses.len());
    for address in addresses {
        if !unique.contains(&address) {
            unique.push(address);
        }
    }
    let first_is_ipv6 = unique.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        unique.into_iter().partition(|address| address.is_ipv6() == first_is_ipv6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut ordered = Vec::new();
    while first.len() + second.len() > 0 {
        ordered.extend(first.next());
        ordered.extend(second.next());
    }
    ordered
}

struct Race<'a, T, C> {
    /// Addresses that were not tried yet.
    left: vec::IntoIter<SocketAddr>,
    /// Attempts that have no answer yet, each with its place in `attempts`.
    running: Vec<(usize, Connecting<'a, T>)>,
    /// When the next address is tried although nothing has failed; `None` if none is left.
    next_start: Option<Sleep>,
    attempts: &'a Attempts,
    connect: C,
}

impl<'a, T, C, F> Race<'a, T, C>
where
    C: Fn(SocketAddr) -> F,
    F: Future<Output = io::Result<T>> + 'a,
{
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        loop {
            let before = self.running.len();
            if let Some(winner) = self.poll_running(cx) {
                return Poll::Ready(Some(winner));
            }
            let has_failed = self.running.len() < before;
            let is_time = match &mut self.next_start {
                Some(_) if has_failed => true,
                Some(timer) => Pin::new(timer).poll(cx).is_ready(),
                None => self.running.is_empty(),
            };
            if !is_time {
                return Poll::Pending;
            }
            match self.left.next() {
                Some(address) => self.start(address),
                None => return Poll::Ready(None),
            }
        }
    }

    /// Polls all attempts, the oldest first, and takes those out that have failed. Returns the
    /// first connection.
    fn poll_running(&mut self, cx: &mut Context<'_>) -> Option<T> {
        let mut winner = None;
        self.running.retain_mut(|(index, connecting)| {
            if winner.is_some() {
                return true;
            }
            match connecting.as_mut().poll(cx) {
                Poll::Pending => return true,
                Poll::Ready(Ok(connection)) => winner = Some(connection),
                Poll::Ready(Err(error)) => self.attempts.borrow_mut()[*index].error = Some(error),
            }
            false
        });
        winner
    }

    fn start(&mut self, address: SocketAddr) {
        let index = {
            let mut attempts = self.attempts.borrow_mut();
            attempts.push(Attempt { address, error: None });
            attempts.len() - 1
        };
        self.running.push((index, Box::pin((self.connect)(address))));
        self.next_start = (self.left.len() > 0).then(|| sleep(STAGGER));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(addresses: &[&str]) -> Vec<String> {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        in_turn(addresses).iter().map(SocketAddr::to_string).collect()
    }

    #[test]
    fn families_alternate_and_the_first_one_stays_first() {
        assert_eq!(
            ordered(&["[::1]:1", "[::2]:1", "[::3]:1", "1.0.0.1:1", "1.0.0.2:1"]),
            ["[::1]:1", "1.0.0.1:1", "[::2]:1", "1.0.0.2:1", "[::3]:1"]
        );
        assert_eq!(
            ordered(&["1.0.0.1:1", "[::1]:1", "1.0.0.2:1", "1.0.0.3:1"]),
            ["1.0.0.1:1", "[::1]:1", "1.0.0.2:1", "1.0.0.3:1"]
        );
        assert_eq!(ordered(&["1.0.0.2:1", "1.0.0.1:1"]), ["1.0.0.2:1", "1.0.0.1:1"]);
    }

    #[test]
    fn an_address_that_is_there_twice_is_tried_once() {
        assert_eq!(
            ordered(&["1.0.0.1:1", "[::1]:1", "1.0.0.1:1", "1.0.0.1:2", "[::1]:1"]),
            ["1.0.0.1:1", "[::1]:1", "1.0.0.1:2"]
        );
        assert_eq!(ordered(&[]), [""; 0]);
    }
}
