//! A hang-up or an error is every direction of the interest ready, plus the hints; and it comes
//! to an end, though nobody asked for it.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::pipe::{PipeFlags, pipe_with};
use selkie::{Interest, Mode, Readiness};
use socket2::SockRef;

use crate::util::sockets::wait_in_kernel;
use crate::util::{Subject, assert_silent, on_every_back_end, ready_now, wait_for};
use crate::util::{tcp_pair, unix_pair};

on_every_back_end! {
    a_hang_up_is_masked_by_the_interest,
    a_hang_up_without_room_still_wakes_a_writer,
    a_hang_up_surfaces_though_the_mask_is_empty,
    an_error_is_masked_by_the_interest,
    a_reset_connection_is_an_error_in_both_directions,
    a_hang_up_ends_with_its_registration,
    an_edge_reports_a_hang_up_once,
    a_oneshot_reports_a_hang_up_once,
}

const HUNG_UP: Readiness = Readiness::READ_CLOSED.union(Readiness::WRITE_CLOSED);

/// `mask` and, where the back end has such bits, `hints`.
fn with_hints<T: Subject>(mask: Readiness, hints: Readiness) -> Readiness {
    if T::has_hints() { mask | hints } else { mask }
}

fn a_hang_up_is_masked_by_the_interest<T: Subject>() {
    for interest in [Interest::READ, Interest::WRITE, Interest::READ | Interest::WRITE] {
        let mut selector = T::selector();
        let (source, peer) = unix_pair();
        drop(peer);
        let key = selector.register(source, interest, ()).unwrap();
        let expected = with_hints::<T>(interest.into(), HUNG_UP);
        assert_eq!(ready_now(&mut selector), [(key, expected)]);
        assert_eq!(ready_now(&mut selector), [(key, expected)], "a level repeats");
    }
}

/// The reading end of a pipe whose writer is gone: POLLHUP alone. select(2) does not count that
/// as writable, so there nothing is reported; nobody writes to that end.
fn a_hang_up_without_room_still_wakes_a_writer<T: Subject>() {
    let mut selector = T::selector();
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).unwrap();
    let key = selector.register(reader, Interest::WRITE, ()).unwrap();
    assert_silent(&mut selector);
    drop(writer);
    if T::has_hints() {
        assert_eq!(ready_now(&mut selector), [(key, Readiness::WRITE | HUNG_UP)]);
    } else {
        assert_silent(&mut selector);
    }
}

/// A level that is kept from its owner would be a busy loop that nobody can end. select(2)
/// reports no hang-up to who asks for exceptional data only, and stays silent.
fn a_hang_up_surfaces_though_the_mask_is_empty<T: Subject>() {
    let mut selector = T::selector();
    let (source, peer) = unix_pair();
    let key = selector.register(source, Interest::PRIORITY, ()).unwrap();
    assert_silent(&mut selector);
    drop(peer);
    if T::has_hints() {
        assert_eq!(ready_now(&mut selector), [(key, HUNG_UP)]);
        assert_eq!(ready_now(&mut selector), [(key, HUNG_UP)], "a level repeats");
    } else {
        assert_silent(&mut selector);
    }
    selector.unregister(key).unwrap();
    assert_silent(&mut selector);
}

/// The writing end of a pipe that nobody reads: POLLERR.
fn an_error_is_masked_by_the_interest<T: Subject>() {
    for interest in [Interest::READ, Interest::WRITE, Interest::READ | Interest::WRITE] {
        let mut selector = T::selector();
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).unwrap();
        drop(reader);
        let key = selector.register(writer, interest, ()).unwrap();
        let expected = with_hints::<T>(interest.into(), Readiness::ERROR);
        assert_eq!(ready_now(&mut selector), [(key, expected)]);
    }
}

fn a_reset_connection_is_an_error_in_both_directions<T: Subject>() {
    let mut selector = T::selector();
    let (source, peer) = tcp_pair();
    let key = selector.register(source, Interest::READ | Interest::WRITE, ()).unwrap();
    SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
    drop(peer);
    let both = Readiness::READ | Readiness::WRITE;
    let readiness = wait_for(&mut selector, key, both);
    assert_eq!(readiness, with_hints::<T>(both, Readiness::ERROR | HUNG_UP));
    let error = (&selector[key].source).read(&mut [0; 8]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

fn a_hang_up_ends_with_its_registration<T: Subject>() {
    let mut selector = T::selector();
    let (source, peer) = unix_pair();
    let key = selector.register(source, Interest::READ, ()).unwrap();
    drop(peer);
    wait_for(&mut selector, key, Readiness::READ);
    let (mut source, ()) = selector.unregister(key).unwrap().into_parts();
    assert_silent(&mut selector);
    assert_eq!(source.read(&mut [0; 8]).unwrap(), 0);
    assert_eq!(source.write(b"!").unwrap_err().kind(), ErrorKind::BrokenPipe);
}

/// On poll(2) and select(2), which have no edges, the level repeats until it is unregistered.
fn an_edge_reports_a_hang_up_once<T: Subject>() {
    let mut selector = T::selector();
    let (source, peer) = tcp_pair();
    let mode = if T::has_edges() { Mode::Edge } else { Mode::Level };
    let both = Interest::READ | Interest::WRITE;
    source.shutdown(std::net::Shutdown::Write).unwrap();
    drop(peer);
    wait_in_kernel(&source, PollFlags::HUP);
    let key = selector.register_with_mode(source, both, mode, ()).unwrap();
    let expected = with_hints::<T>(both.into(), HUNG_UP);
    assert_eq!(ready_now(&mut selector), [(key, expected)]);
    if T::has_edges() {
        assert_silent(&mut selector);
    } else {
        assert_eq!(ready_now(&mut selector), [(key, expected)]);
    }
}

fn a_oneshot_reports_a_hang_up_once<T: Subject>() {
    let mut selector = T::selector::<OwnedFd, _>();
    let (source, peer) = unix_pair();
    drop(peer);
    let key =
        selector.register_with_mode(source.into(), Interest::READ, Mode::Oneshot, ()).unwrap();
    let expected = with_hints::<T>(Readiness::READ, HUNG_UP);
    assert_eq!(ready_now(&mut selector), [(key, expected)]);
    assert_silent(&mut selector);
    selector.modify(key, Interest::READ).unwrap();
    assert_eq!(ready_now(&mut selector), [(key, expected)]);
    assert_silent(&mut selector);
}
