//! Streams in hyper's clothes: bytes, buffers, and ends.

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::os::unix::net::UnixStream;
use std::pin::Pin;

use futures::{AsyncReadExt, AsyncWriteExt};
use hyper::rt::{Read, ReadBuf, Write};
use selkie::Async;
use selkie::hyper::{Io, OnThread};

use crate::run;

async fn read<S: Read + Unpin>(stream: &mut S, room: usize) -> Vec<u8> {
    let mut memory = vec![MaybeUninit::uninit(); room];
    let mut buffer = ReadBuf::uninit(&mut memory);
    poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, buffer.unfilled())).await.unwrap();
    buffer.filled().to_vec()
}

async fn reads_all<S: Read + Unpin>(mut stream: S, mut peer: Async<UnixStream>) {
    peer.write_all(b"hello").await.unwrap();
    assert_eq!(read(&mut stream, 3).await, b"hel");
    assert_eq!(read(&mut stream, 30).await, b"lo");
    peer.write_all(b"more").await.unwrap();
    assert_eq!(read(&mut stream, 4).await, b"more");
    peer.close().await.unwrap();
    assert_eq!(read(&mut stream, 4).await, b"");
}

#[test]
fn a_read_fills_what_came_and_says_how_much() {
    run(async {
        let (stream, peer) = Async::<UnixStream>::pair().unwrap();
        reads_all(stream, peer).await;
        let (stream, peer) = Async::<UnixStream>::pair().unwrap();
        reads_all(Io::new(stream), peer).await;
        let (stream, peer) = Async::<UnixStream>::pair().unwrap();
        reads_all(OnThread::new(stream), peer).await;
    });
}

async fn writes_all<S: Write + Unpin>(mut stream: S, mut peer: Async<UnixStream>, vectored: bool) {
    assert_eq!(stream.is_write_vectored(), vectored);
    let bufs = [&b"two "[..], b"buffers"].map(std::io::IoSlice::new);
    let mut len = poll_fn(|cx| Pin::new(&mut stream).poll_write_vectored(cx, &bufs)).await.unwrap();
    while len < 11 {
        let rest = &b"two buffers"[len..];
        len += poll_fn(|cx| Pin::new(&mut stream).poll_write(cx, rest)).await.unwrap();
    }
    poll_fn(|cx| Pin::new(&mut stream).poll_flush(cx)).await.unwrap();
    poll_fn(|cx| Pin::new(&mut stream).poll_shutdown(cx)).await.unwrap();
    let mut told = String::new();
    peer.read_to_string(&mut told).await.unwrap();
    assert_eq!(told, "two buffers");
    // The other direction is still open.
    peer.write_all(b"!").await.unwrap();
}

#[test]
fn a_shutdown_ends_the_write_side_alone() {
    run(async {
        let (stream, peer) = Async::<UnixStream>::pair().unwrap();
        writes_all(stream, peer, true).await;
        let (stream, peer) = Async::<UnixStream>::pair().unwrap();
        writes_all(Io::new(stream), peer, false).await;
        let (stream, peer) = Async::<UnixStream>::pair().unwrap();
        writes_all(OnThread::new(stream), peer, true).await;
    });
}

#[test]
fn a_stream_of_hypers_has_the_traits_of_futures_and_back_again() {
    run(async {
        let (near, mut far) = Async::<UnixStream>::pair().unwrap();
        // As hyper's, as one of `futures`, as hyper's.
        let mut stream = Io::new(Io::new(Io::new(near)));
        far.write_all(b"hello").await.unwrap();
        assert_eq!(read(&mut stream, 9).await, b"hello");
        let mut stream = stream.into_inner();
        stream.write_all(b"there").await.unwrap();
        stream.close().await.unwrap();
        let mut told = String::new();
        far.read_to_string(&mut told).await.unwrap();
        assert_eq!(told, "there");
    });
}
