//! Layer 6: TCP's keep-alive, on systems that let a socket choose its times.

use std::io;
use std::net::TcpStream;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

use super::listen::Listen;
use crate::io::Async;

/// When the system looks whether a silent peer is still there: TCP's keep-alive, see tcp(7).
///
/// A connection on which nothing has arrived for a while is probed. If nothing answers, reads and
/// writes fail with `TimedOut`. What is not set is the system's: on Linux, the first probe after
/// two hours, then every 75 seconds, and the end after 9 of them.
///
/// ```
/// use std::time::Duration;
/// use selkie::net::Keepalive;
///
/// // A dead peer is found after 60 + 3 · 10 seconds.
/// let keepalive = Keepalive::after(Duration::from_secs(60))
///     .interval(Duration::from_secs(10))
///     .probes(3);
/// # let _ = keepalive;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[must_use = "it does nothing until a socket gets it"]
pub struct Keepalive {
    idle: Option<Duration>,
    interval: Option<Duration>,
    probes: Option<u32>,
}

impl Keepalive {
    /// The system's times.
    pub fn new() -> Self {
        Self::default()
    }

    /// Probes first after so long a silence (`TCP_KEEPIDLE`).
    ///
    /// All times are rounded up to whole seconds.
    pub fn after(idle: Duration) -> Self {
        Self { idle: Some(idle), ..Self::default() }
    }

    /// So long after a probe without an answer comes the next one (`TCP_KEEPINTVL`).
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = Some(interval);
        self
    }

    /// After so many probes without an answer the peer is given up (`TCP_KEEPCNT`).
    pub fn probes(mut self, probes: u32) -> Self {
        self.probes = Some(probes);
        self
    }

    pub(super) fn parameters(self) -> TcpKeepalive {
        let mut parameters = TcpKeepalive::new();
        if let Some(idle) = self.idle {
            parameters = parameters.with_time(whole_seconds(idle));
        }
        if let Some(interval) = self.interval {
            parameters = parameters.with_interval(whole_seconds(interval));
        }
        if let Some(probes) = self.probes {
            parameters = parameters.with_retries(probes);
        }
        parameters
    }
}

/// The system knows whole seconds only, and less than one would be none.
fn whole_seconds(duration: Duration) -> Duration {
    let rounded_up = duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0));
    Duration::from_secs(rounded_up)
}

impl Async<TcpStream> {
    /// The times of keep-alive, all of them; `None` if it is off.
    ///
    /// # Errors
    /// As getsockopt(2).
    pub fn keepalive(&self) -> io::Result<Option<Keepalive>> {
        let descriptor = self.descriptor();
        let socket = SockRef::from(&descriptor);
        if !socket.keepalive()? {
            return Ok(None);
        }
        if self.is_of_a_world() {
            return Ok(Some(Keepalive::default()));
        }
        Ok(Some(Keepalive {
            idle: Some(socket.tcp_keepalive_time()?),
            interval: Some(socket.tcp_keepalive_interval()?),
            probes: Some(socket.tcp_keepalive_retries()?),
        }))
    }

    /// Switches keep-alive on with these times, or off.
    ///
    /// # Errors
    /// As setsockopt(2): `InvalidInput` for a time or a number that is zero or, on Linux, over
    /// 32767 seconds or 127 probes.
    pub fn set_keepalive(&self, keepalive: Option<Keepalive>) -> io::Result<()> {
        let descriptor = self.descriptor();
        let socket = SockRef::from(&descriptor);
        if self.is_of_a_world() {
            return socket.set_keepalive(keepalive.is_some());
        }
        match keepalive {
            Some(keepalive) => socket.set_tcp_keepalive(&keepalive.parameters()),
            None => socket.set_keepalive(false),
        }
    }

    /// True if the system does not take it for a TCP stream, which alone has these times.
    fn is_of_a_world(&self) -> bool {
        self.instead(|world, stream| world.nodelay(stream)).is_some()
    }
}

impl<A> Listen<A> {
    /// Switches keep-alive on for the connections that are accepted. Usually it is off.
    pub fn keepalive(mut self, keepalive: Keepalive) -> Self {
        self.options.keepalive = Some(keepalive.parameters());
        self
    }
}
