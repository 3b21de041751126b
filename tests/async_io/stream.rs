//! The futures-io traits on `Async<T>` and `&Async<T>`.

use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::pin::{Pin, pin};

use futures::future::join;
use futures::io::{AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, copy};
use rustix::event::PollFlags;
use selkie::Async;

use crate::util::{
    Stepped, Watcher, async_tcp_pair, drain, fill, pairs, pipe, run, tcp, unix, wait_in_kernel,
};

/// More than the kernel takes at once: `IOV_MAX` is 1024.
const MANY: usize = 1_500;

#[test]
fn an_owner_and_a_reference_read_and_write_alike() {
    run(async || {
        let (mut one, mut other) = async_tcp_pair();
        one.write_all(b"to own").await.unwrap();
        (&one).write_all(b" to lend").await.unwrap();
        let mut buf = [0; 6];
        other.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"to own");
        let mut buf = [0; 8];
        (&other).read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b" to lend");
        other.close().await.unwrap();
        assert_eq!(one.read(&mut buf).await.unwrap(), 0);
    });
}

#[test]
fn a_task_reads_while_another_writes_the_same_source() {
    run(async || {
        const LEN: usize = 1 << 20;
        let (one, other) = async_tcp_pair();
        let bytes: Vec<u8> = (0..LEN).map(|i| (i * 7 % 251) as u8).collect();
        let echo = async {
            copy(&other, &mut &other).await.unwrap();
            (&other).close().await.unwrap();
        };
        let write = async {
            (&one).write_all(&bytes).await.unwrap();
            (&one).close().await.unwrap();
        };
        let mut echoed = Vec::new();
        let read = async { (&one).read_to_end(&mut echoed).await.unwrap() };
        assert_eq!(futures::join!(echo, write, read).2, LEN);
        assert!(echoed == bytes, "the echo differs");
    });
}

#[test]
fn the_adapters_of_futures_fit() {
    run(async || {
        let (one, other) = async_tcp_pair();
        let (reader, mut writer) = other.split();
        writer.write_all(b"one\ntwo\n").await.unwrap();
        writer.close().await.unwrap();
        let mut lines = BufReader::new(one).lines();
        for line in ["one", "two"] {
            assert_eq!(futures::StreamExt::next(&mut lines).await.unwrap().unwrap(), line);
        }
        assert!(futures::StreamExt::next(&mut lines).await.is_none());
        drop(reader);
    });
}

#[test]
fn more_buffers_than_the_kernel_takes_are_written_and_read_bit_by_bit() {
    run(async || {
        for mut pair in pairs() {
            let texts: Vec<String> = (0..MANY).map(|i| format!("{i};")).collect();
            let whole = texts.concat();
            let mut slices: Vec<_> = texts.iter().map(|t| IoSlice::new(t.as_bytes())).collect();
            let mut left = &mut slices[..];
            let first = pair.near.write_vectored(left).await.unwrap();
            assert!(0 < first && first < whole.len(), "{}: {first}", pair.name);
            IoSlice::advance_slices(&mut left, first);
            while !left.is_empty() {
                let len = pair.near.write_vectored(left).await.unwrap();
                assert_ne!(len, 0);
                IoSlice::advance_slices(&mut left, len);
            }
            let mut arrived = vec![0; whole.len()];
            pair.far.read_exact(&mut arrived).unwrap();
            assert_eq!(arrived, whole.as_bytes());

            pair.far.write_all(&[7; MANY]).unwrap();
            wait_in_kernel(&pair.near, PollFlags::IN);
            let mut bytes = [[0]; MANY];
            let mut slices: Vec<_> = bytes.iter_mut().map(|b| IoSliceMut::new(b)).collect();
            let len = pair.near.read_vectored(&mut slices).await.unwrap();
            assert_eq!(len, 1024, "{}", pair.name);
            pair.near.read_exact(&mut [0; MANY - 1024]).await.unwrap();
        }
    });
}

#[test]
fn vectored_reads_and_writes_wait_like_the_plain_ones() {
    run(async || {
        for mut pair in pairs() {
            let (mut one, mut other) = ([0; 2], [0; 8]);
            let mut bufs = [IoSliceMut::new(&mut one), IoSliceMut::new(&mut other)];
            let write = async {
                selkie::yield_now().await;
                pair.far.write_all(b"hello").unwrap();
            };
            let (len, ()) = join(pair.near.read_vectored(&mut bufs), write).await;
            assert_eq!((len.unwrap(), &one, &other[..3]), (5, b"he", &b"llo"[..]));
        }
        let stepped = Stepped::new();
        let (near, far) = stepped.enter(async_tcp_pair);
        let filled = fill(near.get_ref());
        let watcher = Watcher::new();
        let mut near = &near;
        let bufs = [IoSlice::new(b"he"), IoSlice::new(b"llo")];
        let mut write = pin!(near.write_vectored(&bufs));
        assert!(stepped.poll(write.as_mut(), &watcher).is_pending());
        far.get_ref().set_nonblocking(false).unwrap();
        drain(far.get_ref(), filled);
        assert_eq!(stepped.finish(write, &watcher).unwrap(), 5);
    });
}

#[test]
fn vectored_calls_on_a_pipe_take_many_buffers_too() {
    run(async || {
        let (read, write) = pipe();
        let mut read = Async::new(std::fs::File::from(read)).unwrap();
        let mut write = Async::new(std::fs::File::from(write)).unwrap();
        let slices: Vec<_> = (0..MANY).map(|_| IoSlice::new(b"ab")).collect();
        let written = write.write_vectored(&slices).await.unwrap();
        assert!((2..=2 * MANY).contains(&written), "{written}");
        let mut pieces = [[0; 2]; MANY];
        let mut bufs: Vec<_> = pieces.iter_mut().map(|p| IoSliceMut::new(p)).collect();
        let len = read.read_vectored(&mut bufs).await.unwrap();
        assert_eq!(len, written.min(2 * 1024));
        assert_eq!(&pieces[len / 2 - 1], b"ab");
    });
}

#[test]
fn empty_buffers_are_no_error_and_no_end_of_file() {
    run(async || {
        for mut pair in pairs() {
            assert_eq!(pair.near.write(&[]).await.unwrap(), 0);
            assert_eq!(pair.near.write_vectored(&[]).await.unwrap(), 0);
            assert_eq!(pair.near.write_vectored(&[IoSlice::new(&[])]).await.unwrap(), 0);
            pair.far.write_all(b"x").unwrap();
            wait_in_kernel(&pair.near, PollFlags::IN);
            assert_eq!(pair.near.read(&mut []).await.unwrap(), 0);
            assert_eq!(pair.near.read_vectored(&mut []).await.unwrap(), 0);
            let mut buf = [0; 8];
            assert_eq!(pair.near.read(&mut buf).await.unwrap(), 1);
        }
    });
}

#[test]
fn close_ends_the_stream_for_the_peer_and_leaves_the_other_way_open() {
    run(async || {
        for mut pair in pairs() {
            pair.near.write_all(b"last words").await.unwrap();
            pair.near.close().await.unwrap();
            let mut words = String::new();
            pair.far.read_to_string(&mut words).unwrap();
            assert_eq!(words, "last words");
            pair.far.write_all(b"answer").unwrap();
            pair.far.shutdown(Shutdown::Write).unwrap();
            let mut answer = String::new();
            pair.near.read_to_string(&mut answer).await.unwrap();
            assert_eq!(answer, "answer");
            let error = pair.near.write(b"more").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{}", pair.name);
        }
    });
}

#[test]
fn close_is_fine_twice_and_when_the_peer_is_gone() {
    run(async || {
        for mut pair in pairs() {
            pair.near.close().await.unwrap();
            pair.near.close().await.unwrap();
            drop(pair.far);
            pair.near.close().await.unwrap();
        }
        for mut pair in pairs() {
            drop(pair.far);
            wait_in_kernel(&pair.near, PollFlags::RDHUP);
            pair.near.close().await.unwrap();
        }
        let mut reset = tcp();
        reset.far.set_linger(Some(std::time::Duration::ZERO)).unwrap();
        drop(reset.far);
        wait_in_kernel(&reset.near, PollFlags::HUP);
        reset.near.close().await.unwrap();
    });
}

#[test]
fn what_is_no_socket_is_flushed_by_close_and_stays_open() {
    run(async || {
        let (read, write) = pipe();
        let mut write = Async::new(std::fs::File::from(write)).unwrap();
        write.close().await.unwrap();
        write.write_all(b"x").await.unwrap();
        assert_eq!(rustix::io::read(&read, &mut [0; 8]).unwrap(), 1);
    });
}

#[test]
fn flush_and_close_do_not_wait_for_a_peer_that_does_not_read() {
    let stepped = Stepped::new();
    for pair in [stepped.enter(tcp), stepped.enter(unix)] {
        let mut near = pair.near;
        let watcher = Watcher::new();
        while stepped.poll(pin!(near.write(&[0; 64 * 1024])), &watcher).is_ready() {}
        let mut near = Pin::new(&mut near);
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(near.as_mut().poll_flush(&mut cx).is_ready(), "{}: flush waits", pair.name);
        assert!(near.as_mut().poll_close(&mut cx).is_ready(), "{}: close waits", pair.name);
    }
}
