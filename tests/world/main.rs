//! Another world than the system: where it is asked, and what it may leave to the system.

mod installing;
mod nonblocking;
mod sockets;
mod time;
