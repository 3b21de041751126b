//! The rows of the table that differ, each with its reason.

/// Conversation, call, reason.
pub const DIFFERENCES: &[(&str, &str, &str)] = &[
    ("addresses_by_std", "client's own", NO_INET),
    ("addresses_by_std", "client's peer", NO_INET),
    ("addresses_by_std", "server's own", NO_INET),
    ("options_by_std", "nodelay", NO_TCP),
    ("options_by_std", "ttl", NO_TCP),
    (
        "write_to_a_closed_peer",
        "client reads again",
        "a Unix socket keeps ECONNRESET for a read, where TCP has told it by the failed write",
    ),
    (
        "shut_both",
        "client shuts again",
        "a Unix socket may be shut down again, where TCP says that it is not connected any more",
    ),
    (
        "unix_names",
        "bind what was left",
        "a simulated path is in no folder, so that a program that removes it before it binds could \
         not be told from one that does not; `selkie_sim::interpose!` has it removed",
    ),
    (
        "linger",
        "client reads",
        "the kernel keeps SO_LINGER for a Unix socket, and does not heed it: it closes with an end, \
         not with a reset; reset by `Sim::reset`",
    ),
];

const NO_INET: &str = "the standard library asks the kernel, to which it is a Unix socket; ask \
                       `Async::local_addr` and `peer_addr`, or let `selkie_sim::interpose!` answer";

const NO_TCP: &str = "the kernel has no TCP option for a Unix socket; ask `Async::nodelay`";
