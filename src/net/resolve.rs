//! Layer 6: looks hosts' names up (feature `resolve`).
//! Invariant: an IP address needs no lookup and no thread.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use super::address::{ToAddresses, resolve_in_world};
use crate::unblock::try_unblock;

/// The IP addresses of a host, the one to be preferred first; for sockets that
/// [`connect`](crate::Async::connect) does not make, such as those of UDP.
///
/// ```
/// selkie::block_on(async {
///     let addresses = selkie::net::resolve("localhost:443").await?;
///     assert!(addresses.iter().all(|address| address.ip().is_loopback()));
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// A name is looked up by getaddrinfo(3), and so in the files, by the servers and in the order
/// that the system has been told. It blocks, so a thread of [`unblock`](mod@crate::unblock) does
/// it. Nothing is remembered for the next time.
///
/// # Errors
/// Of kind `NotFound`, with the system's reason, if no address is found; the system does not tell
/// a name that does not exist from a name server that does not answer in a way that can be relied
/// on. As getaddrinfo(3) where it fails for another reason (`EAI_SYSTEM`), as [`ToAddresses`], and
/// if the system starts no thread.
///
/// # Panics
/// If called outside a runtime, for a name.
///
/// # Cancel safety
/// May be dropped at any time. A lookup that has begun ends by itself, on its thread.
pub async fn resolve(address: impl ToAddresses) -> io::Result<Vec<SocketAddr>> {
    let addresses = address.to_addresses()?;
    match addresses.host() {
        Some((name, port)) => match resolve_in_world(name, port) {
            Some(addresses) => addresses,
            None => look_up(name, port).await,
        },
        None => Ok(addresses.known().unwrap_or_default().to_vec()),
    }
}

/// The addresses of a host: one at least.
pub(super) async fn look_up(name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let owned = name.to_owned();
    let lookup = move || (owned.as_str(), port).to_socket_addrs().map(Vec::from_iter);
    match try_unblock(lookup).map_err(|error| no_thread(name, &error))?.await {
        Ok(addresses) if !addresses.is_empty() => Ok(addresses),
        Ok(_) => Err(not_found(name, "it has no address")),
        // An error of the system has a number, one of the lookup has not.
        Err(error) if error.raw_os_error().is_some() => Err(error),
        Err(error) => {
            let reason = error.to_string();
            let prefix = "failed to lookup address information: ";
            Err(not_found(name, reason.strip_prefix(prefix).unwrap_or(&reason)))
        }
    }
}

fn no_thread(name: &str, error: &io::Error) -> io::Error {
    let text = format!(
        "the host \"{name}\" cannot be looked up, as that needs a thread: {error}; look how many \
         there may be (`ulimit -u`)"
    );
    io::Error::new(error.kind(), text)
}

fn not_found(name: &str, reason: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        format!("no address was found for the host \"{name}\": {reason}"),
    )
}
