//! Several things in one event of the kernel: none of them may be taken for all of it.

use std::io::{IoSlice, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::pin::pin;

use futures::io::{AsyncReadExt, AsyncWriteExt};
use rustix::event::PollFlags;
use rustix::net::{
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg, sockopt::set_socket_oobinline,
};
use selkie::selector::BackendKind;
use selkie::{Async, Builder, yield_now};
use socket2::Socket;

use crate::liar;
use crate::util::{Pair, Stepped, Watcher, on_own_thread, pairs, run, tcp, unix, wait_in_kernel};

/// How often a race is tried.
const RUNS: usize = 50;

/// Reads what is written and ended while the reader waits: both are there before the loop looks.
async fn read_last_words(mut pair: Pair) {
    let mut read = Vec::new();
    let write = async {
        yield_now().await;
        pair.far.write_all(b"last words").unwrap();
        pair.far.shutdown(Shutdown::Write).unwrap();
    };
    let (len, ()) = futures::join!(pair.near.read_to_end(&mut read), write);
    assert_eq!((len.unwrap(), &read[..]), (10, &b"last words"[..]), "{}", pair.name);
}

#[test]
fn data_and_fin_in_one_edge_never_hang() {
    run(async || {
        for _ in 0..RUNS {
            for pair in pairs() {
                read_last_words(pair).await;
            }
        }
    });
}

#[test]
fn data_and_fin_in_one_edge_hang_on_no_back_end() {
    for kind in BackendKind::ALL {
        on_own_thread(move || {
            let runtime = Builder::new().backend(*kind).build().unwrap();
            let all = async { futures::future::join_all(pairs().map(read_last_words)).await };
            assert_eq!(runtime.block_on(all).len(), 2, "{kind}");
        });
    }
}

#[test]
fn data_and_fin_that_were_there_before_the_source_never_hang() {
    run(async || {
        for _ in 0..RUNS {
            let (near, far) = crate::util::blocking_tcp_pair();
            let (unix_near, unix_far) = UnixStream::pair().unwrap();
            for far in [Socket::from(far), Socket::from(unix_far)] {
                (&far).write_all(b"last words").unwrap();
                drop(far);
            }
            wait_in_kernel(&near, PollFlags::RDHUP);
            let mut near = Async::new(near).unwrap();
            assert_eq!(near.read_to_end(&mut Vec::new()).await.unwrap(), 10);
            let mut near = Async::new(unix_near).unwrap();
            assert_eq!(near.read_to_end(&mut Vec::new()).await.unwrap(), 10);
        }
    });
}

#[test]
fn fin_right_behind_data_that_were_announced_alone_never_hangs() {
    let stepped = Stepped::new();
    for _ in 0..RUNS {
        for mut pair in stepped.enter(pairs) {
            pair.far.write_all(b"first").unwrap();
            wait_in_kernel(&pair.near, PollFlags::IN);
            stepped.settle();
            pair.far.write_all(b"second").unwrap();
            pair.far.shutdown(Shutdown::Write).unwrap();
            wait_in_kernel(&pair.near, PollFlags::RDHUP);
            let (watcher, mut arrived) = (Watcher::new(), Vec::new());
            let read = pin!(pair.near.read_to_end(&mut arrived));
            assert_eq!(stepped.finish(read, &watcher).unwrap(), 11, "{}", pair.name);
        }
    }
}

#[test]
fn a_peer_that_says_nothing_and_goes_never_hangs() {
    run(async || {
        for _ in 0..RUNS {
            for Pair { mut near, far, name } in pairs() {
                let close = async {
                    yield_now().await;
                    drop(far);
                };
                let mut buf = [0; 8];
                let (len, ()) = futures::join!(near.read(&mut buf), close);
                assert_eq!(len.unwrap(), 0, "{name}");
                assert_eq!(near.read(&mut buf).await.unwrap(), 0, "{name}, a second time");
            }
        }
    });
}

/// Writes `before`, an out-of-band byte and `after`.
fn write_around_urgent(far: &Socket, before: &[u8], after: &[u8]) {
    (&mut &*far).write_all(before).unwrap();
    assert_eq!(far.send_out_of_band(b"!").unwrap(), 1);
    (&mut &*far).write_all(after).unwrap();
}

/// Connections that have out-of-band data: TCP, and since Linux 5.15 mostly Unix streams too.
fn urgent_pairs() -> Vec<Pair> {
    let (near, far) = UnixStream::pair().unwrap();
    let unix_has = Socket::from(far).send_out_of_band(b"!").is_ok();
    drop(near);
    pairs().into_iter().filter(|pair| unix_has || pair.name == "TCP").collect()
}

#[test]
fn out_of_band_data_in_the_middle_of_a_stream_hide_nothing_behind_them() {
    run(async || {
        for run in 0..RUNS {
            for mut pair in urgent_pairs() {
                let mut arrived = [0; 6];
                let write = async {
                    if run % 2 == 0 {
                        yield_now().await;
                    }
                    write_around_urgent(&pair.far, b"abc", b"def");
                };
                let (result, ()) = futures::join!(pair.near.read_exact(&mut arrived), write);
                result.unwrap();
                assert_eq!(&arrived, b"abcdef", "{}", pair.name);
            }
        }
    });
}

#[test]
fn out_of_band_data_after_data_that_were_announced_hide_nothing() {
    let stepped = Stepped::new();
    for _ in 0..RUNS {
        for mut pair in stepped.enter(urgent_pairs) {
            let (watcher, mut buf) = (Watcher::new(), [0; 64]);
            pair.far.write_all(b"abc").unwrap();
            wait_in_kernel(&pair.near, PollFlags::IN);
            stepped.settle();
            write_around_urgent(&pair.far, b"d", b"ef");
            wait_in_kernel(&pair.near, PollFlags::PRI);
            let mut arrived = Vec::new();
            while arrived.len() < 6 {
                let len = stepped.finish(pin!(pair.near.read(&mut buf)), &watcher).unwrap();
                arrived.extend_from_slice(&buf[..len]);
            }
            assert_eq!(arrived, b"abcdef", "{}", pair.name);
        }
    }
}

#[test]
fn out_of_band_data_alone_wake_no_reader_and_do_not_spin() {
    let _quiet = liar::only_hidden_lies("nothing may happen by itself");
    let stepped = Stepped::new();
    let mut pair = stepped.enter(tcp);
    let (watcher, mut buf) = (Watcher::new(), [0; 8]);
    let mut read = pin!(pair.near.read(&mut buf));
    assert!(stepped.poll(read.as_mut(), &watcher).is_pending());
    pair.far.send_out_of_band(b"!").unwrap();
    stepped.settle();
    stepped.assert_idle();
    assert!(stepped.poll(read.as_mut(), &watcher).is_pending());
    pair.far.write_all(b"x").unwrap();
    assert_eq!(stepped.finish(read, &watcher).unwrap(), 1);
    assert_eq!(&buf[..1], b"x");
}

#[test]
fn out_of_band_data_in_line_are_read_like_any_other() {
    run(async || {
        let mut pair = tcp();
        set_socket_oobinline(pair.near.as_fd(), true).unwrap();
        let mut arrived = [0; 7];
        let write = async {
            yield_now().await;
            write_around_urgent(&pair.far, b"abc", b"def");
        };
        let (result, ()) = futures::join!(pair.near.read_exact(&mut arrived), write);
        result.unwrap();
        assert_eq!(&arrived, b"abc!def");
    });
}

#[test]
fn bytes_behind_those_that_came_with_a_descriptor_are_read() {
    run(async || {
        for _ in 0..RUNS {
            let mut pair = unix();
            let mut arrived = [0; 10];
            let write = async {
                yield_now().await;
                let fds = [pair.far.as_fd()];
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
                let mut rights = SendAncillaryBuffer::new(&mut space);
                assert!(rights.push(SendAncillaryMessage::ScmRights(&fds)));
                let flags = SendFlags::empty();
                // A read ends behind "hello", since it does not mix bytes that came with a
                // descriptor with others.
                sendmsg(&pair.far, &[IoSlice::new(b"hello")], &mut rights, flags).unwrap();
                (&pair.far).write_all(b"world").unwrap();
            };
            let (result, ()) = futures::join!(pair.near.read_exact(&mut arrived), write);
            result.unwrap();
            assert_eq!(&arrived, b"helloworld");
        }
    });
}

#[test]
fn a_buffer_that_was_just_full_may_be_followed_by_more_or_by_nothing() {
    run(async || {
        for mut pair in pairs() {
            let mut buf = [0; 5];
            pair.far.write_all(b"hello").unwrap();
            assert_eq!(pair.near.read(&mut buf).await.unwrap(), 5);
            let write = async {
                yield_now().await;
                pair.far.write_all(b"worldwide").unwrap();
            };
            let (len, ()) = futures::join!(pair.near.read(&mut buf), write);
            assert_eq!((len.unwrap(), &buf), (5, b"world"), "{}", pair.name);
            assert_eq!(pair.near.read(&mut buf).await.unwrap(), 4);
            pair.far.write_all(b"12345").unwrap();
            assert_eq!(pair.near.read(&mut buf).await.unwrap(), 5);
            pair.far.shutdown(Shutdown::Write).unwrap();
            assert_eq!(pair.near.read(&mut buf).await.unwrap(), 0);
        }
    });
}

#[test]
fn many_small_writes_arrive_whole_however_they_are_cut() {
    const WRITES: usize = 2_000;
    run(async || {
        for mut pair in pairs() {
            let far = pair.far.try_clone().unwrap();
            far.set_nonblocking(true).unwrap();
            let far = Async::new(std::net::TcpStream::from(far)).unwrap();
            let write = async {
                for i in 0..WRITES {
                    (&far).write_all(&[i as u8]).await.unwrap();
                    if i % 7 == 0 {
                        yield_now().await;
                    }
                }
            };
            let read = async {
                let mut arrived = 0;
                while arrived < WRITES {
                    let mut buf = [0; 3];
                    let len = pair.near.read(&mut buf).await.unwrap();
                    for byte in &buf[..len] {
                        assert_eq!(*byte, arrived as u8);
                        arrived += 1;
                    }
                }
            };
            futures::join!(write, read);
        }
    });
}
