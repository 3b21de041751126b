//! `Async<UnixDatagram>`, which, other than UDP, loses nothing: a sender waits for its receiver.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::pin::pin;
use std::time::Instant;

use selkie::{Async, yield_now};

use crate::connect::socket_path;
use crate::util::{SILENCE, Stepped, Watcher, run};

#[test]
fn a_datagram_goes_to_a_path_and_tells_where_it_comes_from() {
    run(async || {
        let (one_path, other_path) = (socket_path("one"), socket_path("other"));
        let one = Async::<UnixDatagram>::bind(&one_path).unwrap();
        let other = Async::<UnixDatagram>::bind(&other_path).unwrap();
        let nameless = Async::<UnixDatagram>::unbound().unwrap();
        let mut buf = [0; 8];
        let send = async {
            yield_now().await;
            assert_eq!(one.send_to(b"hello", &other_path).await.unwrap(), 5);
        };
        let (received, ()) = futures::join!(other.recv_from(&mut buf), send);
        let (len, sender) = received.unwrap();
        assert_eq!((len, sender.as_pathname()), (5, Some(&*one_path)));
        nameless.send_to(b"x", &other_path).await.unwrap();
        let (len, sender) = other.recv_from(&mut buf).await.unwrap();
        assert!(len == 1 && sender.is_unnamed());
        let error = one.send_to(b"x", socket_path("nobody")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        for path in [one_path, other_path] {
            std::fs::remove_file(path).unwrap();
        }
    });
}

#[test]
fn a_pair_sends_receives_and_cuts() {
    run(async || {
        let (one, other) = Async::<UnixDatagram>::pair().unwrap();
        let mut buf = [0; 4];
        let send = async {
            yield_now().await;
            assert_eq!(one.send(b"hello").await.unwrap(), 5);
            one.send(b"").await.unwrap();
            one.send(b"abc").await.unwrap();
        };
        let (len, ()) = futures::join!(other.recv(&mut buf), send);
        assert_eq!((len.unwrap(), &buf), (4, b"hell"));
        assert_eq!(other.recv(&mut buf).await.unwrap(), 0);
        assert_eq!(other.recv(&mut buf).await.unwrap(), 3);
        drop(other);
        let error = one.send(b"x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

/// More than a receiver's queue holds (`net.unix.max_dgram_qlen`), or the sender's buffer.
const MANY: u32 = 2_000;

#[test]
fn a_sender_that_is_connected_waits_for_room_at_the_receiver() {
    run(async || {
        let path = socket_path("room");
        let receiver = Async::<UnixDatagram>::bind(&path).unwrap();
        let sender = Async::<UnixDatagram>::unbound().unwrap();
        sender.get_ref().connect(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let send = async {
            for i in 0..MANY {
                sender.send(&i.to_ne_bytes()).await.unwrap();
            }
        };
        futures::join!(send, receive_all(&receiver));
        let (one, other) = Async::<UnixDatagram>::pair().unwrap();
        let send = async {
            for i in 0..MANY {
                one.send(&i.to_ne_bytes()).await.unwrap();
            }
        };
        futures::join!(send, receive_all(&other));
    });
}

async fn receive_all(receiver: &Async<UnixDatagram>) {
    for i in 0..MANY {
        let mut buf = [0; 8];
        assert_eq!(receiver.recv(&mut buf).await.unwrap(), 4);
        assert_eq!(buf[..4], i.to_ne_bytes());
    }
}

#[test]
fn a_sender_to_a_path_waits_for_room_and_does_not_spin_though_others_filled_the_queue() {
    let stepped = Stepped::new();
    let path = socket_path("filled");
    let receiver = stepped.enter(|| Async::<UnixDatagram>::bind(&path).unwrap());
    let filler = UnixDatagram::unbound().unwrap();
    filler.set_nonblocking(true).unwrap();
    let filled = std::iter::repeat_with(|| filler.send_to(b"fill", &path).is_ok());
    let filled = filled.take_while(|sent| *sent).count();

    let sender = stepped.enter(|| Async::<UnixDatagram>::unbound().unwrap());
    let (watcher, mut buf) = (Watcher::new(), [0; 8]);
    let mut send = pin!(sender.send_to(b"waits", &path));
    let start = Instant::now();
    let mut polls = 0;
    while start.elapsed() < SILENCE {
        assert!(stepped.poll(send.as_mut(), &watcher).is_pending());
        polls += 1;
        let woken = watcher.count();
        stepped.until("it tries again", || watcher.count() > woken);
    }
    // It tries once a millisecond. Asking for an event would be answered at once, each time.
    assert!(polls < 100, "tried {polls} times in {:?}", start.elapsed());
    for _ in 0..filled {
        assert!(stepped.poll(pin!(receiver.recv(&mut buf)), &watcher).is_ready());
    }
    assert_eq!(stepped.finish(send, &watcher).unwrap(), 5);
    assert!(stepped.poll(pin!(receiver.recv(&mut buf)), &watcher).is_ready());
    assert_eq!(&buf[..5], b"waits");
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_sender_to_a_path_that_gives_up_has_sent_nothing() {
    let stepped = Stepped::new();
    let path = socket_path("gives-up");
    let (receiver, sender) = stepped.enter(|| {
        let receiver = Async::<UnixDatagram>::bind(&path).unwrap();
        (receiver, Async::<UnixDatagram>::unbound().unwrap())
    });
    let watcher = Watcher::new();
    let mut filled = 0;
    while stepped.poll(pin!(sender.send_to(b"x", &path)), &watcher).is_ready() {
        filled += 1;
    }
    assert_eq!(watcher.holders(), 0);
    let mut buf = [0; 8];
    for _ in 0..filled {
        assert!(stepped.poll(pin!(receiver.recv(&mut buf)), &watcher).is_ready());
    }
    assert!(stepped.poll(pin!(receiver.recv(&mut buf)), &watcher).is_pending());
    assert!(stepped.next_deadline().is_none());
    std::fs::remove_file(&path).unwrap();
}
