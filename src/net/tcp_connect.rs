//! Layer 6: connects TCP to an address, to one of several, or to a host by its name.
//! Invariant: one address needs no timer, no lookup, and no more memory than its socket.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{SockAddr, Socket};

use super::address::{Addresses, ToAddresses, resolve_in_world};
use super::connect::{begin, begin_tcp};
use super::race::{Attempt, Attempts, race};
#[cfg(feature = "resolve")]
use super::resolve::look_up;
use crate::io::Async;
use crate::sys::OwnedFd;
use crate::time::timeout;

impl Async<TcpStream> {
    /// Connects to an address, to one of several, or to a host by its name (feature `resolve`).
    ///
    /// ```no_run
    /// # use std::net::TcpStream;
    /// # use selkie::Async;
    /// # async fn connect() -> std::io::Result<()> {
    /// let stream = Async::<TcpStream>::connect("192.0.2.1:80").await?;
    /// # #[cfg(feature = "resolve")]
    /// let stream = Async::<TcpStream>::connect(("example.org", 80)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Several addresses, such as those of a name, are tried as RFC 8305 ("Happy Eyeballs") tells:
    /// IPv6 and IPv4 by turns, in the order of the system's preference. The next one is tried when
    /// one has failed, and in any case 250 ms after the last; the others go on meanwhile. The first
    /// connection is returned, all others are closed. Nothing is remembered for the next time.
    ///
    /// # Errors
    /// For one address as connect(2), that of a connect in progress (`SO_ERROR`) included. For a
    /// host and for several addresses, a [`ConnectError`] with the errors of all, of the last one's
    /// kind. For a name as [`net::resolve`], or of
    /// kind `Unsupported` without the feature `resolve`. As [`ToAddresses`].
    ///
    /// # Panics
    /// As [`Async::new`].
    ///
    /// # Cancel safety
    /// May be dropped at any time: the sockets are closed. A lookup that has begun ends by itself,
    /// on its thread.
    ///
    /// [`net::resolve`]: crate::net
    pub async fn connect(address: impl ToAddresses) -> io::Result<Self> {
        connect_to(&address.to_addresses()?, &Attempts::default()).await
    }

    /// As [`connect`](Self::connect), but gives up after `timeout`, which the lookup of a name is a
    /// part of.
    ///
    /// # Errors
    /// As [`connect`](Self::connect), and of kind `TimedOut`: a [`ConnectError`] that tells what
    /// has failed by then.
    ///
    /// # Panics
    /// As [`Async::new`].
    ///
    /// # Cancel safety
    /// As [`connect`](Self::connect).
    pub async fn connect_timeout(address: impl ToAddresses, limit: Duration) -> io::Result<Self> {
        let addresses = address.to_addresses()?;
        let attempts = Attempts::default();
        match timeout(limit, connect_to(&addresses, &attempts)).await {
            Ok(result) => result,
            Err(_) => Err(ConnectError::new(&addresses, attempts, Some(limit)).into()),
        }
    }
}

/// Connects a TCP socket of your own, such as one that is bound to an address or a device, or was
/// given options that matter before it is connected. Makes it non-blocking.
///
/// ```
/// # use std::net::{Ipv4Addr, SocketAddr, TcpListener};
/// # use socket2::{Domain, Socket, Type};
/// # let listener = TcpListener::bind("127.0.0.1:0")?;
/// # let server = listener.local_addr()?;
/// # selkie::block_on(async {
/// let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
/// socket.set_recv_buffer_size(4096)?;
/// socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
/// let stream = selkie::net::connect_from(socket, server).await?;
/// # assert_eq!(stream.get_ref().peer_addr()?, server);
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// A socket can be connected once. So it is one attempt, to the first address of the socket's
/// family, if `address` stands for several.
///
/// # Errors
/// As connect(2) and [`connect`](Async::connect). Of kind `InvalidInput` if `address` has none of
/// the socket's family.
///
/// # Panics
/// As [`Async::new`].
///
/// # Cancel safety
/// As [`connect`](Async::connect).
pub async fn connect_from(
    socket: impl Into<OwnedFd>,
    address: impl ToAddresses,
) -> io::Result<Async<TcpStream>> {
    let socket = Socket::from(socket.into());
    let addresses = address.to_addresses()?;
    let is_ipv6 = socket.local_addr()?.is_ipv6();
    let list = all_of(&addresses).await?;
    if list.is_empty() {
        return Err(nowhere());
    }
    let Some(address) = list.iter().find(|address| address.is_ipv6() == is_ipv6) else {
        let family = if is_ipv6 { "IPv6" } else { "IPv4" };
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "{addresses} has no {family} address, and the socket takes no other; open one \
                     of the other family"
            ),
        ));
    };
    socket.set_nonblocking(true)?;
    let begun = begin(socket, None, &SockAddr::from(*address))?;
    begun.end().await
}

async fn connect_to(addresses: &Addresses, attempts: &Attempts) -> io::Result<Async<TcpStream>> {
    match addresses.known() {
        Some(&[address]) => connect_to_one(address).await,
        // On the heap, so that it adds nothing to the future of one address.
        _ => Box::pin(connect_to_several(addresses, attempts)).await,
    }
}

async fn connect_to_several(
    addresses: &Addresses,
    attempts: &Attempts,
) -> io::Result<Async<TcpStream>> {
    let list = all_of(addresses).await?;
    if list.is_empty() {
        return Err(nowhere());
    }
    race(list, attempts, connect_to_one)
        .await
        .ok_or_else(|| ConnectError::new(addresses, attempts.take().into(), None).into())
}

fn nowhere() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "the list of addresses to connect to is empty; give one at least",
    )
}

/// The IP addresses, looked up if they have to be.
async fn all_of(addresses: &Addresses) -> io::Result<Vec<SocketAddr>> {
    match addresses.host() {
        Some((name, port)) => match resolve_in_world(name, port) {
            Some(addresses) => addresses,
            None => look_up(name, port).await,
        },
        None => Ok(addresses.known().unwrap_or_default().to_vec()),
    }
}

async fn connect_to_one(address: SocketAddr) -> io::Result<Async<TcpStream>> {
    begin_tcp(address)?.end().await
}

#[cfg(not(feature = "resolve"))]
async fn look_up(name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    Err(nobody_looks_up(name, port))
}

#[cfg(any(test, not(feature = "resolve")))]
fn nobody_looks_up(name: &str, port: u16) -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        format!(
            "\"{name}:{port}\" has a host's name, which nothing here looks up; enable the feature \
             \"resolve\" of selkie, or connect to an IP address"
        ),
    )
}

/// Why there is no connection to a host, or to any of several addresses: what came of each attempt.
///
/// It is inside of the [`io::Error`] that [`connect`](Async::connect) returns:
///
/// ```
/// # use std::net::{SocketAddr, TcpListener, TcpStream};
/// # use selkie::{Async, net::ConnectError};
/// # selkie::block_on(async {
/// # let sockets = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
/// # let addresses = sockets.each_ref().map(|socket| socket.local_addr().unwrap());
/// # drop(sockets);
/// // Nobody listens there.
/// let error = Async::<TcpStream>::connect(addresses).await.unwrap_err();
/// let error = error.get_ref().and_then(|error| error.downcast_ref::<ConnectError>()).unwrap();
/// for (address, error) in error.attempts() {
///     println!("{address}: {error:?}");
/// }
/// # assert_eq!(error.attempts().count(), 2);
/// # });
/// ```
#[derive(Debug)]
pub struct ConnectError {
    to: String,
    attempts: Vec<Attempt>,
    /// How long they might take, if it took longer.
    elapsed: Option<Duration>,
    /// True if the addresses were not known yet.
    is_in_lookup: bool,
}

impl ConnectError {
    fn new(to: &Addresses, attempts: Attempts, elapsed: Option<Duration>) -> Self {
        let attempts = attempts.into_inner();
        let is_in_lookup = to.host().is_some() && attempts.is_empty();
        Self { to: to.to_string(), attempts, elapsed, is_in_lookup }
    }

    /// The addresses that were tried, in this order, each with its error; without one if there was
    /// no answer in time.
    pub fn attempts(&self) -> impl Iterator<Item = (SocketAddr, Option<&io::Error>)> {
        self.attempts.iter().map(|attempt| (attempt.address, attempt.error.as_ref()))
    }

    fn kind(&self) -> io::ErrorKind {
        if self.elapsed.is_some() {
            return io::ErrorKind::TimedOut;
        }
        let mut errors = self.attempts.iter().filter_map(|attempt| attempt.error.as_ref());
        errors.next_back().map_or(io::ErrorKind::Other, io::Error::kind)
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.elapsed {
            Some(elapsed) => write!(f, "no connection to {} within {elapsed:?}", self.to)?,
            None => write!(f, "cannot connect to {}", self.to)?,
        }
        if self.is_in_lookup {
            f.write_str(": the name is still being looked up")?;
        }
        for (index, (address, error)) in self.attempts().enumerate() {
            write!(f, "{} {address}: ", if index == 0 { ':' } else { ';' })?;
            match error {
                Some(error) => error.fmt(f)?,
                None => f.write_str("no answer yet")?,
            }
        }
        Ok(())
    }
}

impl Error for ConnectError {}

impl From<ConnectError> for io::Error {
    fn from(error: ConnectError) -> Self {
        Self::new(error.kind(), error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_the_feature_is_an_error_that_tells_the_remedy() {
        let error = nobody_looks_up("example.org", 443);
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        assert_eq!(
            error.to_string(),
            "\"example.org:443\" has a host's name, which nothing here looks up; enable the \
             feature \"resolve\" of selkie, or connect to an IP address"
        );
    }
}
