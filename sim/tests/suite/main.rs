//! The crate's own tests of async I/O and of time, each on a simulated host, in virtual time, but
//! for `REAL` (and for `many_timers`, which is a process of its own). How many, and how much time:
//! `cargo test -p selkie-sim --test suite -- --nocapture`.
#![allow(dead_code, unsafe_code, unexpected_cfgs, unused_imports)]

selkie_sim::interpose!();

#[path = "../util/alone.rs"]
mod alone;

#[path = "../../../tests/util/child.rs"]
mod child;
#[path = "../../../tests/util/liar/mod.rs"]
mod liar_of_the_system;
#[path = "../../../tests/util/terminal.rs"]
mod terminal;
#[path = "../../../tests/util/async_io.rs"]
mod util;

use crate::alone::liar;

/// Those that are not simulated, by the beginnings of their names, and why.
const REAL: &[(&str, &str)] = &[
    ("cancel::accept_of_a_unix_listener_loses_no_connection", PEER),
    ("incoming::a_unix_server_out_of_descriptors_recovers_too", PEER),
    ("unix::a_peer_with_the_longest_path_there_is_is_accepted_too", PEER),
    ("unix::accept_waits_and_tells_who_came_by_path_abstract_name_or_none", PEER),
    ("cancel::a_connect_that_is_given_up_is_closed", PEER),
    ("connect::a_connection_that_is_answered_late_is_made", PEER),
    ("connect::a_connection_that_is_given_up_leaks_nothing", PEER),
    ("connect::a_connection_that_is_made_is_made", PEER),
    ("connect::a_connection_that_nobody_answers_costs_nothing_until_it_is_given_up", PEER),
    ("connect::a_hundred_connections_are_made_at_once", PEER),
    ("connect::ipv6_is_no_other_matter", PEER),
    ("devices::a_timerfd_ticks", TIMER_FD),
    ("echo::clients_on_other_threads_are_served_as_well", THREADS),
    ("incoming::an_error_that_is_no_want_of_descriptors_is_yielded_each_time_and_at_once", PEER),
    ("incoming::each_want_of_descriptors_is_told_once_also_after_one_that_is_over", PEER),
    ("incoming::what_needs_a_descriptor_fails_without_one_and_works_again_later", PEER),
    ("source::the_poll_functions_wait_and_go_on_like_the_async_ones", THREADS),
    ("tcp::a_burst_of_connections_is_kept_until_it_is_accepted", PEER),
    ("tcp::a_connection_is_accepted_by_one_system_call", COUNTS),
    ("tcp::a_peer_over_ipv6_has_its_address_too", PEER),
    ("tcp::accept_waits_and_tells_who_came", PEER),
    ("tcp::an_accepted_socket_neither_blocks_nor_is_inherited", PEER),
    ("tcp::an_address_that_was_just_left_can_be_bound_again", PEER),
    ("tcp::connections_that_came_in_one_event_are_all_accepted", PEER),
    ("tcp::poll_accept_serves_hand_written_futures", PEER),
    ("udp::what_a_peer_that_does_not_listen_answers_is_told_to_whoever_asks_next", AT_ONCE),
];

const PEER: &str =
    "the test itself talks to its source by the standard library, and by the real system";
const THREADS: &str = "other threads notify it, for which a virtual clock does not wait";
const TIMER_FD: &str = "a timerfd(2) counts real time";
const AT_ONCE: &str = "over the real loopback, the answer of ICMP is there when the call returns";
const COUNTS: &str = "it counts the system's calls";

#[path = "../../../tests/async_io/budget.rs"]
mod budget;
#[path = "../../../tests/async_io/cancel.rs"]
mod cancel;
#[path = "../../../tests/async_io/connect.rs"]
mod connect;
#[path = "../../../tests/async_io/crowds.rs"]
mod crowds;
#[path = "../../../tests/async_io/datagram.rs"]
mod datagram;
#[path = "../../../tests/async_io/devices.rs"]
mod devices;
#[path = "../../../tests/async_io/echo.rs"]
mod echo;
#[path = "../../../tests/async_io/edges.rs"]
mod edges;
#[path = "../../../tests/async_io/flags.rs"]
mod flags;
#[path = "../../../tests/async_io/idle.rs"]
mod idle;
#[path = "../../../tests/async_io/incoming.rs"]
mod incoming;
#[path = "../../../tests/async_io/interval.rs"]
mod interval;
#[path = "../../../tests/async_io/modes.rs"]
mod modes;
#[path = "../../../tests/async_io/reentrance.rs"]
mod reentrance;
#[path = "../../../tests/async_io/reset.rs"]
mod reset;
#[path = "../../../tests/async_io/short_path.rs"]
mod short_path;
#[path = "../../../tests/async_io/sigpipe.rs"]
mod sigpipe;
#[path = "../../../tests/async_io/source.rs"]
mod source;
#[path = "../../../tests/async_io/stream.rs"]
mod stream;
#[path = "../../../tests/async_io/tcp.rs"]
mod tcp;
#[path = "../../../tests/async_io/timeout.rs"]
mod timeout;
#[path = "../../../tests/async_io/timer.rs"]
mod timer;
#[path = "../../../tests/async_io/udp.rs"]
mod udp;
#[path = "../../../tests/async_io/unix.rs"]
mod unix;
#[path = "../../../tests/async_io/urgent.rs"]
mod urgent;
#[path = "../../../tests/async_io/waiting.rs"]
mod waiting;
