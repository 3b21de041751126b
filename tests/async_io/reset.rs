//! Peers that do not say good-bye: a reset at every stage of a TCP connection.

use std::io::{ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::pin::pin;
use std::time::Duration;

use futures::io::{AsyncReadExt, AsyncWriteExt};
use rustix::event::PollFlags;
use selkie::{Async, yield_now};
use socket2::SockRef;

use crate::liar;
use crate::util::{
    Stepped, Watcher, async_tcp_pair, blocking_tcp_pair, fill, run, tcp, wait_in_kernel,
};

/// Closes a connection by a reset.
pub fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
}

#[test]
fn a_reader_that_waits_is_told() {
    run(async || {
        let (near, far) = blocking_tcp_pair();
        let mut near = Async::new(near).unwrap();
        let mut buf = [0; 8];
        let read = near.read(&mut buf);
        let go = async {
            yield_now().await;
            reset(far);
        };
        let (result, ()) = futures::join!(read, go);
        assert_eq!(result.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(near.read(&mut buf).await.unwrap(), 0);
        assert_eq!(near.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_writer_that_waits_is_told() {
    run(async || {
        let (near, far) = blocking_tcp_pair();
        let mut near = Async::new(near).unwrap();
        fill(near.get_ref());
        let go = async {
            yield_now().await;
            reset(far);
        };
        let (result, ()) = futures::join!(near.write(b"x"), go);
        assert_eq!(result.unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn both_who_wait_are_told_though_the_error_is_given_out_once() {
    run(async || {
        let (near, far) = blocking_tcp_pair();
        let near = Async::new(near).unwrap();
        fill(near.get_ref());
        let mut buf = [0; 8];
        let (mut reader, mut writer) = (&near, &near);
        let go = async {
            yield_now().await;
            reset(far);
        };
        let ended = futures::join!(reader.read(&mut buf), writer.write(b"x"), go);
        let errors = (ended.0.map_err(|e| e.kind()), ended.1.map_err(|e| e.kind()));
        let [reset, broken] = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
        let expected = [(Err(reset), Err(broken)), (Ok(0), Err(reset))];
        assert!(expected.contains(&errors), "{errors:?}");
    });
}

#[test]
fn a_connection_that_was_reset_before_it_became_a_source_says_so() {
    run(async || {
        let (near, far) = blocking_tcp_pair();
        reset(far);
        wait_in_kernel(&near, PollFlags::HUP);
        let mut near = Async::new(near).unwrap();
        near.readable().await.unwrap();
        near.writable().await.unwrap();
        let error = near.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_connection_that_was_reset_before_it_was_accepted_says_so() {
    run(async || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let listener = Async::new(listener).unwrap();
        for _ in 0..10 {
            reset(TcpStream::connect(address).unwrap());
            let (mut accepted, _) = listener.accept().await.unwrap();
            let error = accepted.read(&mut [0; 8]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        }
    });
}

#[test]
fn bytes_before_a_reset_are_lost_or_read_but_the_reset_is_always_told() {
    run(async || {
        for _ in 0..50 {
            let mut pair = tcp();
            let mut buf = [0; 2];
            let go = async {
                yield_now().await;
                pair.far.write_all(b"hello").unwrap();
                pair.far.set_linger(Some(Duration::ZERO)).unwrap();
                drop(pair.far);
            };
            let (first, ()) = futures::join!(pair.near.read(&mut buf), go);
            let mut result = first;
            for _ in 0..3 {
                if !matches!(result, Ok(1..)) {
                    break;
                }
                result = pair.near.read(&mut buf).await;
            }
            assert_eq!(result.unwrap_err().kind(), ErrorKind::ConnectionReset);
        }
    });
}

#[test]
fn a_reset_that_nobody_waits_for_is_told_to_the_next_one_and_does_not_spin() {
    let _quiet = liar::only_hidden_lies("nothing may happen by itself");
    let stepped = Stepped::new();
    let (near, far) = stepped.enter(async_tcp_pair);
    stepped.settle();
    far.get_ref().set_nonblocking(false).unwrap();
    reset(far.into_inner().unwrap());
    wait_in_kernel(&near, PollFlags::HUP);
    stepped.settle();
    stepped.assert_idle();
    let watcher = Watcher::new();
    let mut buf = [0; 8];
    let mut near = &near;
    let error = stepped.finish(pin!(near.read(&mut buf)), &watcher).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}
