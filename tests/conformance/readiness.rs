//! What is reported for bytes, room, end of file and connections; no false positives.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};

use rustix::event::PollFlags;
use rustix::pipe::{PipeFlags, pipe_with};
use selkie::selector::Backend;
use selkie::{Interest, Mode, Readiness};
use socket2::{Domain, Socket, Type};

use crate::util::sockets::{fill, wait_in_kernel};
use crate::util::{Subject, assert_silent, next_batch, on_every_back_end, ready_now, wait_for};
use crate::util::{tcp_pair, unix_pair};

on_every_back_end! {
    bytes_wake_a_reader_and_nothing_else_does,
    room_wakes_a_writer_and_a_full_buffer_does_not,
    both_directions_come_in_one_event,
    an_open_stream_is_never_reported_closed,
    a_half_close_is_readable_and_closes_one_direction_only,
    data_and_end_of_file_arriving_together_are_told_together,
    our_own_shutdown_is_no_end_of_file,
    a_waiting_connection_makes_a_listener_readable,
    a_datagram_makes_a_udp_socket_readable,
    pipes_have_one_direction_each,
    an_unconnected_tcp_socket_is_reported_as_the_system_sees_it,
    a_connect_that_succeeds_is_writable_and_not_closed,
    a_refused_connect_is_writable_and_says_why,
    out_of_band_data_alone_neither_wakes_a_reader_nor_spins,
    out_of_band_data_wakes_a_priority_interest,
    bytes_behind_out_of_band_data_wake_a_reader,
}

const BOTH: Interest = Interest::READ.union(Interest::WRITE);
const HINTS: Readiness =
    Readiness::READ_CLOSED.union(Readiness::WRITE_CLOSED).union(Readiness::ERROR);

fn bytes_wake_a_reader_and_nothing_else_does<T: Subject>() {
    let mut selector = T::selector();
    let (source, mut peer) = tcp_pair();
    let key = selector.register(source, Interest::READ, ()).unwrap();
    assert_silent(&mut selector);
    peer.write_all(b"hello").unwrap();
    assert_eq!(next_batch(&mut selector), [(key, Readiness::READ)]);
    assert_eq!((&selector[key].source).read(&mut [0; 8]).unwrap(), 5);
    assert_silent(&mut selector);
}

fn room_wakes_a_writer_and_a_full_buffer_does_not<T: Subject>() {
    let mut selector = T::selector();
    let (source, mut peer) = unix_pair();
    let key = selector.register(source, Interest::WRITE, ()).unwrap();
    assert_eq!(next_batch(&mut selector), [(key, Readiness::WRITE)]);
    fill(&selector[key].source);
    peer.write_all(b"no matter to a writer").unwrap();
    assert_silent(&mut selector);
    while peer.read(&mut [0; 4096]).is_ok() {}
    assert_eq!(next_batch(&mut selector), [(key, Readiness::WRITE)]);
}

fn both_directions_come_in_one_event<T: Subject>() {
    let mut selector = T::selector();
    let (source, mut peer) = unix_pair();
    let key = selector.register(source, BOTH, ()).unwrap();
    assert_eq!(next_batch(&mut selector), [(key, Readiness::WRITE)]);
    peer.write_all(b"!").unwrap();
    assert_eq!(next_batch(&mut selector), [(key, Readiness::READ | Readiness::WRITE)]);
    fill(&selector[key].source);
    assert_eq!(next_batch(&mut selector), [(key, Readiness::READ)]);
}

fn an_open_stream_is_never_reported_closed<T: Subject>() {
    let mut selector = T::selector();
    let (source, mut peer) = tcp_pair();
    let key = selector.register(source, BOTH | Interest::PRIORITY, ()).unwrap();
    for _ in 0..3 {
        peer.write_all(b"!").unwrap();
        let readiness = wait_for(&mut selector, key, Readiness::READ);
        assert_eq!(readiness, Readiness::READ | Readiness::WRITE);
        assert_eq!((&selector[key].source).read(&mut [0; 8]).unwrap(), 1);
        assert_eq!(wait_for(&mut selector, key, Readiness::WRITE), Readiness::WRITE);
    }
}

/// select(2) and `polling` cannot tell a half-close; there it is plainly readable.
fn a_half_close_is_readable_and_closes_one_direction_only<T: Subject>() {
    let mut selector = T::selector();
    let (source, peer) = tcp_pair();
    let key = selector.register(source, BOTH, ()).unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    let readiness = wait_for(&mut selector, key, Readiness::READ);
    let expected = if T::has_half_close() { Readiness::READ_CLOSED } else { Readiness::empty() };
    assert_eq!(readiness, Readiness::READ | Readiness::WRITE | expected);
    assert_eq!((&selector[key].source).read(&mut [0; 8]).unwrap(), 0);
    assert_eq!((&selector[key].source).write(b"still open").unwrap(), 10);
    assert_eq!(selector.backend().reports_read_closed(), T::has_half_close());
}

/// Edge mode, where there is one: a reader that takes a short read for "drained" must be told
/// of the end of file in the same event, since no other will come.
fn data_and_end_of_file_arriving_together_are_told_together<T: Subject>() {
    let mut selector = T::selector();
    let (source, mut peer) = tcp_pair();
    peer.write_all(b"all").unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    wait_in_kernel(&source, PollFlags::RDHUP);
    let mode = if T::has_edges() { Mode::Edge } else { Mode::Level };
    let key = selector.register_with_mode(source, Interest::READ, mode, ()).unwrap();
    let expected = if T::has_half_close() { Readiness::READ_CLOSED } else { Readiness::empty() };
    assert_eq!(next_batch(&mut selector), [(key, Readiness::READ | expected)]);
    assert_eq!((&selector[key].source).read(&mut [0; 8]).unwrap(), 3);
    if T::has_edges() {
        assert_silent(&mut selector);
    } else {
        assert_eq!(next_batch(&mut selector), [(key, Readiness::READ | expected)]);
    }
    assert_eq!((&selector[key].source).read(&mut [0; 8]).unwrap(), 0);
}

/// After `shutdown(Write)` a writer's next call does not block but fails, so it is ready; the
/// peer has closed nothing.
fn our_own_shutdown_is_no_end_of_file<T: Subject>() {
    let mut selector = T::selector();
    let (source, mut peer) = tcp_pair();
    source.shutdown(Shutdown::Write).unwrap();
    let key = selector.register(source, Interest::READ, ()).unwrap();
    assert_silent(&mut selector);
    peer.write_all(b"!").unwrap();
    assert_eq!(next_batch(&mut selector), [(key, Readiness::READ)]);
    selector.modify(key, Interest::WRITE).unwrap();
    assert_eq!(next_batch(&mut selector), [(key, Readiness::WRITE)]);
}

fn a_waiting_connection_makes_a_listener_readable<T: Subject>() {
    let mut selector = T::selector();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let key = selector.register(listener, BOTH, ()).unwrap();
    assert_silent(&mut selector);
    let _client = TcpStream::connect(address).unwrap();
    assert_eq!(next_batch(&mut selector), [(key, Readiness::READ)]);
    selector[key].source.accept().unwrap();
    assert_silent(&mut selector);
}

fn a_datagram_makes_a_udp_socket_readable<T: Subject>() {
    let mut selector = T::selector();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = socket.local_addr().unwrap();
    let key = selector.register(socket, BOTH, ()).unwrap();
    assert_eq!(next_batch(&mut selector), [(key, Readiness::WRITE)]);
    peer.send_to(b"", address).unwrap(); // Also an empty one.
    wait_for(&mut selector, key, Readiness::READ | Readiness::WRITE);
}

fn pipes_have_one_direction_each<T: Subject>() {
    let mut selector = T::selector();
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).unwrap();
    let reader = selector.register(reader, BOTH, ()).unwrap();
    let writer = selector.register(writer, BOTH, ()).unwrap();
    assert_eq!(next_batch(&mut selector), [(writer, Readiness::WRITE)]);
    rustix::io::write(&selector[writer].source, b"!").unwrap();
    wait_for(&mut selector, reader, Readiness::READ);
    let (source, ()) = selector.unregister(writer).unwrap().into_parts();
    rustix::io::read(&selector[reader].source, &mut [0_u8; 8]).unwrap();
    assert_silent(&mut selector);
    drop(source);
    let readiness = wait_for(&mut selector, reader, Readiness::READ);
    assert_eq!(readiness.contains(Readiness::READ_CLOSED), T::has_hints());
}

/// Linux says POLLOUT | POLLHUP of it, so whoever registers before connecting sees a hang-up.
fn an_unconnected_tcp_socket_is_reported_as_the_system_sees_it<T: Subject>() {
    let mut selector = T::selector();
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_nonblocking(true).unwrap();
    let key = selector.register(socket, BOTH, ()).unwrap();
    let hints = Readiness::READ_CLOSED | Readiness::WRITE_CLOSED;
    let expected = if T::has_hints() { hints } else { Readiness::empty() };
    let both = Readiness::READ | Readiness::WRITE;
    assert_eq!(next_batch(&mut selector), [(key, both | expected)]);
}

/// Begins to connect: registered afterwards, as an unconnected socket reports a hang-up.
fn connecting_to(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_nonblocking(true).unwrap();
    if let Err(error) = socket.connect(&address.into()) {
        assert_eq!(error.raw_os_error(), Some(nix::errno::Errno::EINPROGRESS as i32));
    }
    socket
}

fn a_connect_that_succeeds_is_writable_and_not_closed<T: Subject>() {
    let mut selector = T::selector();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let socket = connecting_to(listener.local_addr().unwrap());
    let key = selector.register(socket, BOTH, ()).unwrap();
    assert_eq!(wait_for(&mut selector, key, Readiness::WRITE), Readiness::WRITE);
    assert!(selector[key].source.take_error().unwrap().is_none());
    let peer = selector[key].source.peer_addr().unwrap().as_socket().unwrap();
    assert_eq!(peer, listener.local_addr().unwrap());
}

fn a_refused_connect_is_writable_and_says_why<T: Subject>() {
    let mut selector = T::selector();
    // Bound, so that nobody else listens on its port; and not listening.
    let deaf = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    deaf.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    let socket = connecting_to(deaf.local_addr().unwrap().as_socket().unwrap());
    let key = selector.register(socket, Interest::WRITE, ()).unwrap();
    let readiness = wait_for(&mut selector, key, Readiness::WRITE);
    assert_eq!(readiness.contains(Readiness::ERROR), T::has_hints());
    assert!(!readiness.contains(Readiness::READ), "{readiness:?}");
    let error = selector[key].source.take_error().unwrap().unwrap();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

/// Sends one out-of-band byte and waits, without a selector, until it is there.
fn send_out_of_band(source: &TcpStream, peer: &TcpStream) {
    socket2::SockRef::from(peer).send_out_of_band(b"!").unwrap();
    wait_in_kernel(source, PollFlags::PRI);
}

fn modes<T: Subject>() -> impl Iterator<Item = Mode> {
    let backend = T::open();
    [Mode::Level, Mode::Edge, Mode::Oneshot].into_iter().filter(move |m| backend.supports(*m))
}

/// One unread out-of-band byte stays for as long as nobody reads it.
fn out_of_band_data_alone_neither_wakes_a_reader_nor_spins<T: Subject>() {
    for mode in modes::<T>() {
        let mut selector = T::selector();
        let (source, peer) = tcp_pair();
        send_out_of_band(&source, &peer);
        selector.register_with_mode(source, Interest::READ, mode, ()).unwrap();
        assert_silent(&mut selector);
        assert_silent(&mut selector);
    }
    let mut selector = T::selector();
    let (source, peer) = tcp_pair();
    fill(&source);
    let key = selector.register(source, BOTH, ()).unwrap();
    send_out_of_band(&selector[key].source, &peer);
    assert_silent(&mut selector);
}

fn out_of_band_data_wakes_a_priority_interest<T: Subject>() {
    let mut selector = T::selector();
    let (source, peer) = tcp_pair();
    let key = selector.register(source, Interest::PRIORITY, ()).unwrap();
    assert_silent(&mut selector);
    send_out_of_band(&selector[key].source, &peer);
    assert_eq!(next_batch(&mut selector), [(key, Readiness::PRIORITY)]);
    selector.modify(key, Interest::PRIORITY | Interest::READ).unwrap();
    assert_eq!(ready_now(&mut selector), [(key, Readiness::PRIORITY)]);
}

fn bytes_behind_out_of_band_data_wake_a_reader<T: Subject>() {
    for mode in modes::<T>() {
        let mut selector = T::selector();
        let (source, mut peer) = tcp_pair();
        send_out_of_band(&source, &peer);
        let key = selector.register_with_mode(source, Interest::READ, mode, ()).unwrap();
        assert_silent(&mut selector);
        peer.write_all(b"ordinary").unwrap();
        assert_eq!(next_batch(&mut selector), [(key, Readiness::READ)], "{mode} mode");
        assert_eq!((&selector[key].source).read(&mut [0; 16]).unwrap(), 8);
        assert_silent(&mut selector);
        peer.write_all(b"more").unwrap();
        if mode == Mode::Oneshot {
            assert_silent(&mut selector);
            selector.modify(key, Interest::READ).unwrap();
        }
        assert_eq!(next_batch(&mut selector), [(key, Readiness::READ)], "{mode} mode");
        peer.shutdown(Shutdown::Write).unwrap();
        wait_in_kernel(&selector[key].source, PollFlags::RDHUP);
        selector.modify(key, Interest::READ).unwrap();
        let readiness = wait_for(&mut selector, key, Readiness::READ);
        assert!(!readiness.intersects(HINTS - Readiness::READ_CLOSED), "{readiness:?}");
    }
}
