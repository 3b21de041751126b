//! Unix sockets: streams by paths of the host, and datagrams, which are the system's in both worlds.

use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::sync::atomic::{AtomicU32, Ordering};

use futures::{AsyncReadExt, AsyncWriteExt};
use selkie::Async;

use crate::conversation;
use crate::seen::{Conversation, Seen};

pub const ALL: &[Conversation] = &[
    conversation!(unix_stream),
    conversation!(unix_refused),
    conversation!(unix_names),
    conversation!(unix_half_close),
    conversation!(unix_reset),
    conversation!(unix_queue),
    conversation!(unix_pair),
    conversation!(unix_datagram),
];

/// A path that nobody has, in the folder for such things.
fn path() -> std::path::PathBuf {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("selkie-parity-{}-{number}", std::process::id()))
}

/// A simulated host has no file there.
fn remove(path: &std::path::Path) {
    let _ = std::fs::remove_file(path);
}

async fn connected(
    path: &std::path::Path,
) -> (Async<UnixListener>, Async<UnixStream>, Async<UnixStream>) {
    let listener = Async::<UnixListener>::bind(path).unwrap();
    let client = Async::<UnixStream>::connect(path).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    (listener, client, server)
}

async fn unix_names(seen: Seen) {
    let path = path();
    let (listener, client, server) = connected(&path).await;
    let is_path = |address: std::os::unix::net::SocketAddr| address.as_pathname() == Some(&path);
    seen.call("listener's own", listener.local_addr().map(is_path));
    seen.call("client's own", client.local_addr().map(|address| address.is_unnamed()));
    seen.call("client's peer", client.peer_addr().map(is_path));
    seen.call("server's own", server.local_addr().map(is_path));
    seen.call("server's peer", server.peer_addr().map(|address| address.is_unnamed()));
    let long = std::path::PathBuf::from("x".repeat(200));
    seen.call("bind what is too long", Async::<UnixListener>::bind(&long).map(drop));
    seen.call("connect to what is too long", Async::<UnixStream>::connect(&long).await.map(drop));
    drop(listener);
    seen.call("bind what was left", Async::<UnixListener>::bind(&path).map(drop));
    remove(&path);
}

async fn unix_half_close(seen: Seen) {
    let path = path();
    let (_listener, mut client, mut server) = connected(&path).await;
    client.write_all(b"question").await.unwrap();
    seen.call("client shuts", client.shutdown(std::net::Shutdown::Write));
    seen.call("client writes", client.write(b"more").await);
    seen.call("server peeks", server.peek(&mut [0; 4]).await);
    seen.call("server reads", server.read(&mut [0; 16]).await);
    seen.call("server reads the end", server.read(&mut [0; 16]).await);
    seen.call("server writes", server.write(b"answer").await);
    seen.call("client reads", client.read(&mut [0; 16]).await);
    remove(&path);
}

async fn unix_reset(seen: Seen) {
    let path = path();
    let (_listener, mut client, server) = connected(&path).await;
    client.write_all(b"unread").await.unwrap();
    drop(server);
    seen.call("client reads", client.read(&mut [0; 16]).await);
    seen.call("client reads again", client.read(&mut [0; 16]).await);
    seen.call("client writes", client.write(b"more").await);
    remove(&path);
}

async fn unix_queue(seen: Seen) {
    let path = path();
    let listener = Async::<UnixListener>::bind(&path).unwrap();
    let mut first = Async::<UnixStream>::connect(&path).await.unwrap();
    let mut second = Async::<UnixStream>::connect(&path).await.unwrap();
    seen.call("write before it is accepted", first.write(b"1").await);
    second.write_all(b"22").await.unwrap();
    let (mut one, _) = listener.accept().await.unwrap();
    let (mut other, _) = listener.accept().await.unwrap();
    seen.call("the first", one.read(&mut [0; 8]).await);
    seen.call("the second", other.read(&mut [0; 8]).await);
    let mut waits = Async::<UnixStream>::connect(&path).await.unwrap();
    drop(listener);
    seen.call("who waits reads", waits.read(&mut [0; 8]).await);
    remove(&path);
}

async fn unix_stream(seen: Seen) {
    let path = path();
    let listener = Async::<UnixListener>::bind(&path).unwrap();
    let mut client = Async::<UnixStream>::connect(&path).await.unwrap();
    let (mut server, peer) = listener.accept().await.unwrap();
    seen.note("the client has no name", peer.is_unnamed());
    let peer = client.peer_addr().unwrap();
    seen.note("the server has", peer.as_pathname() == Some(&path));
    client.write_all(b"hello").await.unwrap();
    client.close().await.unwrap();
    let mut all = String::new();
    seen.call("server reads to the end", server.read_to_string(&mut all).await);
    seen.call("server writes", server.write(b"answer").await);
    drop(server);
    all.clear();
    seen.call("client reads to the end", client.read_to_string(&mut all).await);
    seen.call("bind the same", Async::<UnixListener>::bind(&path).map(drop));
    remove(&path);
}

async fn unix_refused(seen: Seen) {
    let path = path();
    seen.call("connect to nothing", Async::<UnixStream>::connect(&path).await.map(drop));
    drop(Async::<UnixListener>::bind(&path).unwrap());
    seen.call("connect to nobody", Async::<UnixStream>::connect(&path).await.map(drop));
    remove(&path);
}

async fn unix_pair(seen: Seen) {
    let (mut one, mut other) = Async::<UnixStream>::pair().unwrap();
    one.write_all(b"hello").await.unwrap();
    seen.call("peek", other.peek(&mut [0; 8]).await);
    drop(one);
    seen.call("read", other.read(&mut [0; 8]).await);
    seen.call("read the end", other.read(&mut [0; 8]).await);
    seen.call("write", other.write(b"more").await);
}

async fn unix_datagram(seen: Seen) {
    let path = path();
    let receiver = Async::<UnixDatagram>::bind(&path).unwrap();
    let sender = Async::<UnixDatagram>::unbound().unwrap();
    seen.call("send", sender.send_to(b"hello", &path).await);
    let received = receiver.recv_from(&mut [0; 8]).await;
    seen.call("receive", received.map(|(len, from)| (len, from.is_unnamed())));
    remove(&path);
}
