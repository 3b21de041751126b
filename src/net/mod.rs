//! Sockets of TCP, UDP and Unix domains: constructors and methods of `Async<…>`.
//!
//! All sockets made here are close-on-exec from their making. Those that are accepted or connected
//! are non-blocking from it, too, in the same system call. Addresses are
//! [`SocketAddr`](std::net::SocketAddr)s and paths: to resolve a name blocks, so it is left to a
//! thread of yours (see `examples/remote.rs`).

// Layer 5: sockets. Invariant: a stream is handed out only when it is connected.

mod connect;
mod incoming;
mod tcp;
mod udp;
mod unix;

pub use incoming::Incoming;
