//! Unix sockets: those of the system, in both worlds.

use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::sync::atomic::{AtomicU32, Ordering};

use futures::{AsyncReadExt, AsyncWriteExt};
use selkie::Async;

use crate::conversation;
use crate::seen::{Conversation, Seen};

pub const ALL: &[Conversation] = &[
    conversation!(unix_stream),
    conversation!(unix_refused),
    conversation!(unix_pair),
    conversation!(unix_datagram),
];

/// A path that nobody has, in the folder for such things.
fn path() -> std::path::PathBuf {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("selkie-parity-{}-{number}", std::process::id()))
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
    std::fs::remove_file(&path).unwrap();
}

async fn unix_refused(seen: Seen) {
    let path = path();
    seen.call("connect to nothing", Async::<UnixStream>::connect(&path).await.map(drop));
    drop(Async::<UnixListener>::bind(&path).unwrap());
    seen.call("connect to nobody", Async::<UnixStream>::connect(&path).await.map(drop));
    std::fs::remove_file(&path).unwrap();
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
    std::fs::remove_file(&path).unwrap();
}
