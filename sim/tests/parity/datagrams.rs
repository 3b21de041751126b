//! UDP.

use std::net::UdpSocket;
use std::time::Duration;

use selkie::{Async, timeout};

use crate::conversation;
use crate::seen::{ANY, Conversation, Seen, settle};

pub const ALL: &[Conversation] = &[
    conversation!(there_and_back),
    conversation!(too_long),
    conversation!(cut_to_the_buffer),
    conversation!(several_wait),
    conversation!(nobody_hears),
    conversation!(connected),
    conversation!(connected_by_std),
    conversation!(bound_twice),
    conversation!(more_than_there_is_room_for),
];

fn two() -> (Async<UdpSocket>, Async<UdpSocket>) {
    (Async::<UdpSocket>::bind(ANY).unwrap(), Async::<UdpSocket>::bind(ANY).unwrap())
}

async fn there_and_back(seen: Seen) {
    let (one, other) = two();
    let (first, second) = (one.local_addr().unwrap(), other.local_addr().unwrap());
    seen.note("ip", first.ip());
    seen.call("send", one.send_to(b"hello", second).await);
    let mut buf = [0; 16];
    let received = other.recv_from(&mut buf).await;
    seen.call("receive", received.map(|(len, from)| (len, from == first)));
    seen.call("send back", other.send_to(b"", first).await);
    let received = one.recv_from(&mut buf).await;
    seen.call("receive nothing at all", received.map(|(len, from)| (len, from == second)));
    seen.call("peer", one.peer_addr().map(drop));
}

async fn too_long(seen: Seen) {
    let (one, other) = two();
    let address = other.local_addr().unwrap();
    seen.call("the longest", one.send_to(&vec![0; 65_507], address).await);
    seen.call("one more", one.send_to(&vec![0; 65_508], address).await);
}

async fn cut_to_the_buffer(seen: Seen) {
    let (one, other) = two();
    let address = other.local_addr().unwrap();
    one.send_to(b"hello", address).await.unwrap();
    one.send_to(b"you", address).await.unwrap();
    settle().await;
    let mut buf = [0; 3];
    seen.call("peek", other.peek_from(&mut buf).await.map(|(len, _)| len));
    seen.call("receive", other.recv_from(&mut buf).await.map(|(len, _)| len));
    seen.note("that is", String::from_utf8_lossy(&buf));
    seen.call("the next", other.recv_from(&mut buf).await.map(|(len, _)| len));
    seen.note("which is", String::from_utf8_lossy(&buf));
}

async fn several_wait(seen: Seen) {
    let (one, other) = two();
    let address = other.local_addr().unwrap();
    for number in 0..10_u8 {
        one.send_to(&[number], address).await.unwrap();
        settle().await;
    }
    let mut numbers = Vec::new();
    for _ in 0..10 {
        let mut buf = [0; 1];
        other.recv_from(&mut buf).await.unwrap();
        numbers.push(buf[0]);
    }
    seen.note("in the order of sending", format!("{numbers:?}"));
    let more = timeout(Duration::from_millis(10), other.recv_from(&mut [0; 1])).await;
    seen.note("no more", more.is_err());
}

async fn nobody_hears(seen: Seen) {
    let (one, other) = two();
    let address = other.local_addr().unwrap();
    drop(other);
    seen.call("send", one.send_to(b"hello", address).await);
    settle().await;
    seen.call("send again", one.send_to(b"hello", address).await);
}

async fn connected(seen: Seen) {
    let (one, other) = two();
    let third = Async::<UdpSocket>::bind(ANY).unwrap();
    let address = one.local_addr().unwrap();
    seen.call("connect", one.connect(other.local_addr().unwrap()));
    let peer = one.peer_addr().map(|peer| peer == other.local_addr().unwrap());
    seen.call("peer", peer);
    seen.call("send", one.send(b"hello").await);
    seen.call(
        "receive",
        other.recv_from(&mut [0; 8]).await.map(|(len, from)| (len, from == address)),
    );
    third.send_to(b"from a third", address).await.unwrap();
    other.send_to(b"answer", address).await.unwrap();
    seen.call("receive from the peer alone", one.recv(&mut [0; 16]).await);
    drop(other);
    one.send(b"anybody?").await.unwrap();
    settle().await;
    seen.call("send to a peer that is gone", one.send(b"anybody?").await);
}

async fn connected_by_std(seen: Seen) {
    let (one, other) = two();
    seen.call("connect", one.get_ref().connect(other.local_addr().unwrap()));
    let peer = one.peer_addr().map(|peer| peer == other.local_addr().unwrap());
    seen.call("peer", peer);
    seen.call("send", one.send(b"hello").await);
    seen.call("receive", other.recv_from(&mut [0; 8]).await.map(|(len, _)| len));
}

async fn bound_twice(seen: Seen) {
    let (one, _) = two();
    let address = one.local_addr().unwrap();
    seen.call("bind the same", Async::<UdpSocket>::bind(address).map(drop));
    drop(one);
    seen.call("bind it again", Async::<UdpSocket>::bind(address).map(drop));
}

async fn more_than_there_is_room_for(seen: Seen) {
    for len in [0, 100, 5_000] {
        let (one, other) = two();
        let address = other.local_addr().unwrap();
        for _ in 0..1_000 {
            one.send_to(&vec![0; len], address).await.unwrap();
        }
        settle().await;
        let mut count = 0;
        let receive = async {
            while other.recv_from(&mut [0; 8]).await.is_ok() {
                count += 1;
            }
        };
        let _ = timeout(Duration::from_millis(20), receive).await;
        // How much a datagram takes beside its bytes differs a little between kernels.
        let expected = if len < 1_000 { 200..400 } else { 20..45 };
        seen.note(&format!("as many as expected of {len} bytes"), expected.contains(&count));
    }
}
