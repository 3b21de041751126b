//! TCP streams.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use rustix::net::{SendFlags, send};
use selkie::net::Keepalive;
use selkie::{Async, timeout};
use socket2::SockRef;

use crate::conversation;
use crate::seen::{Conversation, Seen, connected, nowhere, settle};

pub const ALL: &[Conversation] = &[
    conversation!(addresses),
    conversation!(addresses_by_std),
    conversation!(half_close),
    conversation!(close_with_something_unread),
    conversation!(write_to_a_closed_peer),
    conversation!(shut_reading),
    conversation!(shut_both),
    conversation!(peek),
    conversation!(options),
    conversation!(options_by_std),
    conversation!(back_pressure),
    conversation!(bulk),
    conversation!(refused),
    conversation!(pending_error),
    conversation!(linger),
    conversation!(urgent),
    conversation!(readiness),
    conversation!(vectored),
];

async fn addresses(seen: Seen) {
    let (listener, client, server) = connected().await;
    let local = client.local_addr().unwrap();
    seen.note("listener's ip", listener.local_addr().unwrap().ip());
    seen.note("client's ip", local.ip());
    seen.note("client's port is one of the system's", local.port() > 1024);
    let same = |one: io::Result<_>, other| one.unwrap() == other;
    seen.note("accepted peer is the client", same(server.peer_addr(), local));
    let address = listener.local_addr().unwrap();
    seen.note("client's peer is the listener", same(client.peer_addr(), address));
    seen.note("server's own is the listener", same(server.local_addr(), address));
    drop(server);
    settle().await;
    seen.note("client's peer, after it has closed", same(client.peer_addr(), address));
}

async fn addresses_by_std(seen: Seen) {
    let (listener, client, server) = connected().await;
    let address = listener.local_addr().unwrap();
    seen.note("listener", listener.get_ref().local_addr().unwrap() == address);
    let is = |result: io::Result<_>, address| result.is_ok_and(|known| known == address);
    seen.note("client's own", is(client.get_ref().local_addr(), client.local_addr().unwrap()));
    seen.note("client's peer", is(client.get_ref().peer_addr(), address));
    seen.note("server's own", is(server.get_ref().local_addr(), address));
}

async fn half_close(seen: Seen) {
    let (_listener, mut client, mut server) = connected().await;
    let mut buf = Vec::new();
    seen.call("client writes", client.write_all(b"question").await);
    seen.call("client closes", client.close().await);
    seen.call("client writes again", client.write(b"more").await);
    seen.call("server reads to the end", server.read_to_end(&mut buf).await);
    seen.call("server reads again", server.read(&mut [0; 8]).await);
    seen.call("server writes", server.write(b"answer").await);
    drop(server);
    buf.clear();
    seen.call("client reads to the end", client.read_to_end(&mut buf).await);
    seen.note("that is", String::from_utf8_lossy(&buf));
}

async fn close_with_something_unread(seen: Seen) {
    let (_listener, mut client, mut server) = connected().await;
    client.write_all(b"question").await.unwrap();
    server.read_exact(&mut [0; 3]).await.unwrap();
    drop(server);
    settle().await;
    seen.call("client reads", client.read(&mut [0; 8]).await);
    seen.call("client reads again", client.read(&mut [0; 8]).await);
    seen.call("client writes", client.write(b"more").await);
}

async fn write_to_a_closed_peer(seen: Seen) {
    let (_listener, mut client, server) = connected().await;
    drop(server);
    settle().await;
    seen.call("client reads", client.read(&mut [0; 8]).await);
    seen.call("client writes", client.write(b"one").await);
    settle().await;
    seen.call("client writes again", client.write(b"two").await);
    seen.call("client writes once more", client.write(b"three").await);
    seen.call("client reads again", client.read(&mut [0; 8]).await);
}

async fn shut_reading(seen: Seen) {
    let (_listener, mut client, mut server) = connected().await;
    seen.call("client shuts reading", client.shutdown(Shutdown::Read));
    seen.call("client reads", client.read(&mut [0; 8]).await);
    seen.call("server writes", server.write(b"one").await);
    settle().await;
    seen.call("server writes again", server.write(b"two").await);
    seen.call("client writes", client.write(b"still").await);
    let mut buf = [0; 8];
    seen.call("server reads", server.read(&mut buf).await);
}

async fn shut_both(seen: Seen) {
    let (_listener, mut client, mut server) = connected().await;
    seen.call("client shuts both", client.shutdown(Shutdown::Both));
    seen.call("client reads", client.read(&mut [0; 8]).await);
    seen.call("client writes", client.write(b"one").await);
    settle().await;
    seen.call("server reads", server.read(&mut [0; 8]).await);
    drop(server);
    settle().await;
    seen.call("client shuts again", client.shutdown(Shutdown::Both));
}

async fn peek(seen: Seen) {
    let (_listener, mut client, mut server) = connected().await;
    client.write_all(b"hello").await.unwrap();
    let mut buf = [0; 8];
    seen.call("peek", server.peek(&mut buf[..3]).await);
    seen.call("peek again", server.peek(&mut buf).await);
    seen.note("that is", String::from_utf8_lossy(&buf[..5]));
    seen.call("read", server.read(&mut buf).await);
    drop(client);
    seen.call("peek at the end", server.peek(&mut buf).await);
}

async fn options(seen: Seen) {
    let (_listener, client, server) = connected().await;
    seen.call("nodelay", client.nodelay());
    seen.call("set nodelay", client.set_nodelay(true));
    seen.call("nodelay again", client.nodelay());
    seen.call("nodelay of the server", server.nodelay());
    let is_on = |stream: &Async<TcpStream>| stream.keepalive().map(|keepalive| keepalive.is_some());
    seen.call("keep-alive", is_on(&client));
    seen.call("set keep-alive", client.set_keepalive(Some(Keepalive::default())));
    seen.call("keep-alive again", is_on(&client));
}

async fn options_by_std(seen: Seen) {
    let (_listener, client, _server) = connected().await;
    seen.call("nodelay", client.get_ref().nodelay());
    seen.call("ttl", client.get_ref().ttl().map(|ttl| ttl > 0));
    seen.call("read timeout", client.get_ref().read_timeout());
    seen.call("error", client.get_ref().take_error().map(|error| error.is_some()));
}

async fn back_pressure(seen: Seen) {
    let (_listener, mut client, mut server) = connected().await;
    let chunk = vec![7; 1 << 16];
    let mut sent = 0;
    let patience = Duration::from_millis(200);
    while let Ok(len) = timeout(patience, client.write(&chunk)).await {
        sent += len.unwrap();
        assert!(sent < 1 << 30, "there is no end to what can be written");
    }
    seen.note("the writer waits at last", sent > 0);
    let mut buf = vec![0; 1 << 16];
    let mut read = 0;
    while read < sent {
        read += server.read(&mut buf).await.unwrap();
    }
    seen.note("the reader has all of it", read == sent);
    seen.call("the writer goes on", timeout(patience, client.write(b"more")).await.unwrap());
}

async fn bulk(seen: Seen) {
    let (_listener, mut client, mut server) = connected().await;
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|number| (number / 7) as u8).collect();
    let sent = bytes.clone();
    let writing = selkie::spawn(async move {
        client.write_all(&sent).await?;
        client.close().await
    });
    let mut read = Vec::new();
    seen.call("server reads to the end", server.read_to_end(&mut read).await);
    seen.call("client has written", writing.await);
    seen.note("it is the same", read == bytes);
}

async fn refused(seen: Seen) {
    let address = nowhere();
    seen.call("connect", Async::<TcpStream>::connect(address).await.map(drop));
    let patience = Duration::from_secs(5);
    let connect = Async::<TcpStream>::connect_timeout(address, patience);
    seen.call("connect with a timeout", connect.await.map(drop));
    seen.call(
        "connect by name",
        Async::<TcpStream>::connect(("localhost", address.port()))
            .await
            .map(drop)
            .map_err(|e| e.kind().into()),
    );
}

async fn pending_error(seen: Seen) {
    let (_listener, mut client, server) = connected().await;
    client.write_all(b"question").await.unwrap();
    settle().await;
    drop(server);
    settle().await;
    let error = client.get_ref().take_error().map(|error| error.map(|error| error.kind()));
    seen.call("take the error", error);
    seen.call("read", client.read(&mut [0; 8]).await);
    seen.call("peer", client.peer_addr().map(drop));
}

async fn linger(seen: Seen) {
    let (_listener, mut client, server) = connected().await;
    SockRef::from(server.get_ref()).set_linger(Some(Duration::ZERO)).unwrap();
    drop(server);
    settle().await;
    seen.call("client reads", client.read(&mut [0; 8]).await);
}

async fn urgent(seen: Seen) {
    let (_listener, client, mut server) = connected().await;
    seen.call("send urgent data", Ok(send(&client, b"!", SendFlags::OOB).unwrap()));
    settle().await;
    let read = timeout(Duration::from_millis(50), server.read(&mut [0; 8])).await;
    seen.note("a usual read finds something", read.is_ok());
}

async fn readiness(seen: Seen) {
    let (_listener, mut client, server) = connected().await;
    let short = Duration::from_millis(20);
    seen.note("writable", timeout(short, server.writable()).await.is_ok());
    client.write_all(b"hello").await.unwrap();
    seen.call("readable", server.readable().await);
    seen.call("read five", (&server).read(&mut [0; 5]).await);
    client.close().await.unwrap();
    seen.call("readable at the end", server.readable().await);
    seen.call("read the end", (&server).read(&mut [0; 5]).await);
}

async fn vectored(seen: Seen) {
    let (_listener, mut client, mut server) = connected().await;
    let slices = [io::IoSlice::new(b"one"), io::IoSlice::new(b"two")];
    seen.call("write vectored", client.write_vectored(&slices).await);
    settle().await;
    let (mut one, mut other) = ([0; 2], [0; 8]);
    let mut slices = [io::IoSliceMut::new(&mut one), io::IoSliceMut::new(&mut other)];
    seen.call("read vectored", server.read_vectored(&mut slices).await);
}
