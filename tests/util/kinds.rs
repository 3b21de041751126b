//! What the back ends can do on Linux, by their kind.

#![allow(dead_code)] // No test binary needs all of it.

use selkie::selector::BackendKind;

/// The `polling` crate has been built with poll(2), as it is on systems with nothing better:
/// RUSTFLAGS="--cfg polling_test_poll_backend".
pub const POLLING_IS_POLL: bool = cfg!(polling_test_poll_backend);

/// True if its registrations are in an epoll set.
fn is_epoll(kind: BackendKind) -> bool {
    match kind.name() {
        "epoll" => true,
        "polling" => !POLLING_IS_POLL,
        _ => false,
    }
}

/// True if its selector has a descriptor of its own.
pub fn has_descriptor(kind: BackendKind) -> bool {
    is_epoll(kind)
}

/// Those back ends whose selectors have a descriptor.
pub fn with_descriptor() -> impl Iterator<Item = BackendKind> {
    BackendKind::ALL.iter().copied().filter(|kind| has_descriptor(*kind))
}

pub fn has_edges(kind: BackendKind) -> bool {
    is_epoll(kind)
}

/// True if it refuses a regular file; others report it as always ready.
pub fn refuses_regular_files(kind: BackendKind) -> bool {
    is_epoll(kind)
}

/// True if it knows a registration by its file; others by its number, whatever that is now.
pub fn knows_files(kind: BackendKind) -> bool {
    is_epoll(kind)
}
