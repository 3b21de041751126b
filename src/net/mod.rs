//! Sockets of TCP, UDP and Unix domains: constructors and methods of `Async<…>`.
//!
//! All sockets made here are close-on-exec from their making. Those that are accepted or connected
//! are non-blocking from it, too, in the same system call. Addresses are written in any of the ways
//! that [`ToAddresses`] lists, and paths.
//!
//! # Features and threads
//! With the feature `resolve`, [`connect`](crate::Async::connect) takes hosts' names, too. A lookup
//! blocks, so threads of [`unblock`](crate#features), named `selkie-blocking`, do it. IP addresses
//! need no lookup. Nothing else here starts a thread.

// Layer 6: sockets. Invariant: a stream is handed out only when it is connected.

mod address;
mod connect;
mod copy;
mod incoming;
// The systems on which `socket2` knows all three of its settings.
#[cfg(any(
    target_os = "android",
    target_os = "dragonfly",
    target_os = "freebsd",
    target_os = "illumos",
    target_os = "ios",
    target_os = "linux",
    target_os = "macos",
    target_os = "netbsd",
))]
mod keepalive;
mod limit;
mod listen;
pub mod nonblocking;
mod race;
#[cfg(feature = "resolve")]
mod resolve;
mod tcp;
mod tcp_connect;
mod udp;
mod unix;

pub use address::{Addresses, ToAddresses};
pub use copy::{Copied, CopyError, CopyOperation, Side, copy_bidirectional};
pub use incoming::Incoming;
pub(crate) use incoming::is_exhaustion;
#[cfg(any(
    target_os = "android",
    target_os = "dragonfly",
    target_os = "freebsd",
    target_os = "illumos",
    target_os = "ios",
    target_os = "linux",
    target_os = "macos",
    target_os = "netbsd",
))]
pub use keepalive::Keepalive;
pub use limit::{Accept, Limited, LimitedListener};
pub use listen::{Listen, listen};
#[cfg(feature = "resolve")]
pub use resolve::resolve;
pub use tcp_connect::{ConnectError, connect_from};
