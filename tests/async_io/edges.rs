//! Several things in one event of the kernel: none of them may be taken for all of it.

use std::future::poll_fn;
use std::io::{IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::pin::{Pin, pin};

use futures::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use rustix::event::PollFlags;
use rustix::net::{
    RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recv, send, sendmsg,
    sockopt::set_socket_oobinline,
};
use selkie::selector::BackendKind;
use selkie::{Async, Builder, yield_now};
use socket2::Socket;

use crate::liar;
use crate::util::{
    Pair, Stepped, Watcher, backend, blocking_tcp_pair, on_own_thread, pairs, run, tcp, unix,
    wait_in_kernel,
};

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

#[test]
fn the_second_record_of_a_socket_of_records_in_a_unix_stream_is_not_lost() {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    run(async || {
        let kind = SocketType::SEQPACKET;
        let (near, far) =
            socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).unwrap();
        let mut near = Async::new(UnixStream::from(near)).unwrap();
        let write = async {
            yield_now().await;
            rustix::io::write(&far, b"first").unwrap();
            rustix::io::write(&far, b"second").unwrap();
        };
        let read = async {
            let mut buf = [0; 64];
            let first = near.read(&mut buf).await.unwrap();
            (first, near.read(&mut buf).await.unwrap())
        };
        let ((first, second), ()) = futures::join!(read, write);
        assert_eq!((first, second), (5, 6));
    });
}

#[test]
fn an_accepted_socket_of_records_loses_no_record_either() {
    use rustix::net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
    };
    let kind = SocketType::SEQPACKET;
    let socket =
        move || socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).unwrap();
    let path = std::env::temp_dir().join(format!("selkie-records-{}", std::process::id()));
    run(async move || {
        let listener = socket();
        let address = SocketAddrUnix::new(&path).unwrap();
        bind(&listener, &address).unwrap();
        listen(&listener, 8).unwrap();
        let far = socket();
        connect(&far, &address).unwrap();
        let listener = std::os::unix::net::UnixListener::from(listener);
        let listener = Async::new(listener).unwrap();
        let (mut near, _) = listener.accept().await.unwrap();
        let mut buf = [0; 64];
        let write = async {
            yield_now().await;
            rustix::io::write(&far, b"first").unwrap();
            rustix::io::write(&far, b"second").unwrap();
        };
        let read = async {
            let first = near.read(&mut buf).await.unwrap();
            (first, near.read(&mut buf).await.unwrap())
        };
        let ((first, second), ()) = futures::join!(read, write);
        assert_eq!((first, second), (5, 6));
        std::fs::remove_file(path).unwrap();
    });
}

#[test]
fn bytes_behind_an_out_of_band_mark_come_though_the_program_took_the_mark_before_the_turn() {
    let stepped = Stepped::new();
    let (near, far) = blocking_tcp_pair();
    let near = stepped.enter(|| Async::new(near)).unwrap();
    let watcher = Watcher::new();
    let mut buf = [0; 64];
    let mut reader = &near;
    assert!(stepped.poll(pin!(reader.read(&mut buf)), &watcher).is_pending());
    for (bytes, flags) in [
        (&b"before"[..], SendFlags::empty()),
        (b"!", SendFlags::OOB),
        (b"behind", SendFlags::empty()),
    ] {
        send(&far, bytes, flags).unwrap();
    }
    wait_in_kernel(&near, PollFlags::PRI);
    let mut mark = [0];
    recv(near.get_ref(), &mut mark, RecvFlags::OOB).unwrap();
    assert_eq!(&mark, b"!");
    for expected in [&b"before"[..], b"behind"] {
        let mut buf = [0; 64];
        let mut reader = &near;
        let len = stepped.finish(pin!(reader.read(&mut buf)), &watcher).unwrap();
        assert_eq!(&buf[..len], expected);
    }
}

#[test]
fn a_wrapper_around_a_stream_is_read_and_written_as_the_stream_is() {
    struct Named(UnixStream);
    impl AsFd for Named {
        fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
            self.0.as_fd()
        }
    }
    run(async || {
        let (near, far) = UnixStream::pair().unwrap();
        let [mut near, mut far] = [near, far].map(|end| Async::new(Named(end)).unwrap());
        near.write_all(b"hello").await.unwrap();
        let mut buf = [0; 8];
        assert_eq!(far.read(&mut buf).await.unwrap(), 5);
        drop(far);
        // With SIGPIPE the process would be gone.
        assert_eq!(near.write(b"x").await.unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
    });
}

/// Reads in one of the ways that know a short read.
async fn read_by(way: usize, mut near: &Async<TcpStream>) -> usize {
    poll_fn(|cx| match way {
        0 => Pin::new(&mut near).poll_read(cx, &mut [0; 64]),
        1 => near.poll_read_uninit(cx, &mut [MaybeUninit::uninit(); 64]),
        _ => {
            let (mut one, mut other) = ([0; 3], [0; 61]);
            let bufs = &mut [IoSliceMut::new(&mut one), IoSliceMut::new(&mut other)];
            Pin::new(&mut near).poll_read_vectored(cx, bufs)
        }
    })
    .await
    .unwrap()
}

#[test]
fn a_short_read_spares_the_next_attempt_vectored_and_uninitialised_too() {
    let _truth = liar::no_lies("what is told twice is looked for twice");
    if backend() != BackendKind::Epoll {
        return;
    }
    for way in 0..3 {
        let stepped = Stepped::new();
        let (near, mut far) = blocking_tcp_pair();
        let near = stepped.enter(|| Async::new(near)).unwrap();
        let watcher = Watcher::new();
        far.write_all(b"abcd").unwrap();
        stepped.until("the bytes are there", || watcher.count() == 0);
        assert_eq!(stepped.finish(pin!(read_by(way, &near)), &watcher), 4);
        // Bytes that no turn has told of: an attempt would find them.
        far.write_all(b"late").unwrap();
        let mut late = pin!(read_by(way, &near));
        assert!(stepped.poll(late.as_mut(), &watcher).is_pending(), "way {way} tried again");
        assert_eq!(stepped.finish(late, &watcher), 4);
    }
}
