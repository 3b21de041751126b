//! TCP listeners, and what does not block.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use selkie::net::nonblocking;
use selkie::{Async, DefaultSelector, Events, Interest, timeout};

use crate::conversation;
use crate::seen::{ANY, Conversation, Seen, nowhere, settle};

pub const ALL: &[Conversation] = &[
    conversation!(bind_twice),
    conversation!(bind_elsewhere),
    conversation!(order_of_coming),
    conversation!(nobody_comes),
    conversation!(listener_is_dropped),
    conversation!(several_addresses),
    conversation!(without_blocking),
    conversation!(both_families),
];

async fn bind_twice(seen: Seen) {
    let first = Async::<TcpListener>::bind(ANY).unwrap();
    let address = first.local_addr().unwrap();
    seen.call("bind the same", Async::<TcpListener>::bind(address).map(drop));
    let any = (std::net::Ipv4Addr::UNSPECIFIED, address.port());
    let any = std::net::SocketAddr::from(any);
    seen.call("bind all addresses", Async::<TcpListener>::bind(any).map(drop));
    let other = Async::<TcpListener>::bind(ANY).unwrap();
    seen.note("another port", other.local_addr().unwrap() != address);
    drop(first);
    seen.call("bind it again", Async::<TcpListener>::bind(address).map(drop));
}

async fn bind_elsewhere(seen: Seen) {
    let bound = Async::<TcpListener>::bind("192.0.2.7:80").map(drop);
    seen.call("bind an address of others", bound.map_err(|error| error.kind().into()));
    let name = Async::<TcpListener>::bind("localhost:80").map(drop);
    seen.call("bind a name", name);
}

async fn order_of_coming(seen: Seen) {
    let listener = Async::<TcpListener>::bind(ANY).unwrap();
    let address = listener.local_addr().unwrap();
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(Async::<TcpStream>::connect(address).await.unwrap());
    }
    for client in &clients {
        let (_, peer) = listener.accept().await.unwrap();
        seen.note("accepted in order", peer == client.local_addr().unwrap());
    }
    let (mut client, listener) = (clients.remove(0), listener);
    drop(listener);
    settle().await;
    seen.call("a connection outlives its listener", client.write(b"?").await);
}

async fn nobody_comes(seen: Seen) {
    let listener = Async::<TcpListener>::bind(ANY).unwrap();
    let accepted = timeout(Duration::from_millis(10), listener.accept()).await;
    seen.note("accept", accepted.is_ok());
    let readable = timeout(Duration::from_millis(10), listener.readable()).await;
    seen.note("readable", readable.is_ok());
    let _client = Async::<TcpStream>::connect(listener.local_addr().unwrap()).await.unwrap();
    seen.call("readable then", listener.readable().await);
    seen.call("accept then", listener.accept().await.map(drop));
}

async fn listener_is_dropped(seen: Seen) {
    let listener = Async::<TcpListener>::bind(ANY).unwrap();
    let address = listener.local_addr().unwrap();
    let mut client = Async::<TcpStream>::connect(address).await.unwrap();
    drop(listener);
    settle().await;
    seen.call("client that was not accepted reads", client.read(&mut [0; 8]).await);
    seen.call("another connects", Async::<TcpStream>::connect(address).await.map(drop));
}

async fn several_addresses(seen: Seen) {
    let listener = Async::<TcpListener>::bind(ANY).unwrap();
    let address = listener.local_addr().unwrap();
    let client = Async::<TcpStream>::connect(vec![nowhere(), address]).await;
    seen.call(
        "the first that answers",
        client.map(|client| client.peer_addr().unwrap() == address),
    );
    let client = Async::<TcpStream>::connect(vec![nowhere(), nowhere()]).await;
    seen.call("none answers", client.map(drop));
    let client = Async::<TcpStream>::connect(("localhost", address.port())).await;
    seen.call("by name", client.map(|client| client.peer_addr().unwrap() == address));
}

async fn without_blocking(seen: Seen) {
    let listener = nonblocking::listen(ANY).unwrap();
    let address = listener.local_addr().unwrap();
    seen.call("accept nobody", nonblocking::accept(&listener).map(drop));
    let stream = nonblocking::connect(address).unwrap();
    let mut selector = DefaultSelector::new().unwrap();
    let key = selector.register(stream, Interest::WRITE, ()).unwrap();
    let mut events = Events::new();
    let ready = selector.select(&mut events, Some(Duration::from_secs(5)));
    seen.call("connect becomes writable", ready.map(Iterator::count));
    let stream = &selector[key].source;
    seen.call("finish", nonblocking::finish_connect(stream));
    seen.call("finish again", nonblocking::finish_connect(stream));
    seen.call("accept", accept_soon(&listener).map(drop));
    let refused = nonblocking::connect(nowhere()).and_then(|stream| {
        let mut selector = DefaultSelector::new()?;
        let key = selector.register(stream, Interest::WRITE, ())?;
        selector.select(&mut Events::new(), Some(Duration::from_secs(5)))?;
        nonblocking::finish_connect(&selector[key].source)
    });
    seen.call("a refused connect", refused);
}

fn accept_soon(listener: &TcpListener) -> io::Result<(TcpStream, std::net::SocketAddr)> {
    let mut selector = DefaultSelector::new()?;
    selector.register(listener.try_clone()?, Interest::READ, ())?;
    selector.select(&mut Events::new(), Some(Duration::from_secs(5)))?;
    nonblocking::accept(listener)
}

/// Rows of IPv6, where the machine has it.
async fn both_families(seen: Seen) {
    if std::fs::read_to_string("/proc/net/if_inet6").is_ok_and(|list| list.is_empty()) {
        return;
    }
    let [v4, v6] = ["127.0.0.1", "::1"].map(|ip| ip.parse::<std::net::IpAddr>().unwrap());
    let listener = Async::<TcpListener>::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    seen.call("v6 to one of v4", Async::<TcpStream>::connect((v6, port)).await.map(drop));
    let any_v6 = std::net::Ipv6Addr::UNSPECIFIED;
    seen.call("bind v6 beside it", Async::<TcpListener>::bind((any_v6, port)).map(drop));
    drop(listener);
    let listener = Async::<TcpListener>::bind((any_v6, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    seen.call("v6 to one of v6", Async::<TcpStream>::connect((v6, port)).await.map(drop));
    seen.call("v4 to one of v6", Async::<TcpStream>::connect((v4, port)).await.map(drop));
    let accepted = listener.accept().await.map(|(_, peer)| peer.ip());
    seen.call("who came by v6", accepted);
    seen.call("who came by v4", listener.accept().await.map(|(_, peer)| peer.ip()));
    seen.call("bind v4 beside it", Async::<TcpListener>::bind((v4, port)).map(drop));
}
