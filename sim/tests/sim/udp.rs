//! Datagrams between hosts.

use std::io;
use std::net::UdpSocket;
use std::time::Duration;

use selkie::{Async, timeout};
use selkie_sim::{Link, Sim};

use crate::util::Notes;

const SECOND: Duration = Duration::from_secs(1);

/// One host sends numbers to another. Returns what that one hears.
fn heard(link: Link, count: u8) -> Vec<String> {
    let (mut sim, notes) = (Sim::new(1), Notes::default());
    sim.links(link);
    let told = notes.clone();
    let receiver = sim.host(("receiver", [10, 0, 0, 1]), move || {
        let notes = told.clone();
        async move {
            let socket = Async::<UdpSocket>::bind("0.0.0.0:53")?;
            let mut buf = [0; 8];
            while let Ok(received) = timeout(SECOND, socket.recv_from(&mut buf)).await {
                let (len, from) = received?;
                assert_eq!((len, from.to_string().as_str()), (1, "10.0.0.2:5353"));
                notes.add(buf[0].to_string());
            }
            io::Result::Ok(())
        }
    });
    sim.host(("sender", [10, 0, 0, 2]), move || async move {
        let socket = Async::<UdpSocket>::bind("0.0.0.0:5353")?;
        selkie::sleep(SECOND / 10).await;
        for number in 0..count {
            socket.send_to(&[number], ([10, 0, 0, 1], 53)).await?;
        }
        io::Result::Ok(())
    });
    assert!(sim.run_until_ended(receiver, 10 * SECOND));
    notes.take()
}

#[test]
fn datagrams_arrive_in_order_over_a_steady_link() {
    assert_eq!(heard(Link::new(SECOND / 100), 5), ["0", "1", "2", "3", "4"]);
}

#[test]
fn datagrams_overtake_each_other_where_there_is_jitter() {
    let mut numbers = heard(Link::new(SECOND / 100).jitter(SECOND / 10), 20);
    assert!(!numbers.is_sorted_by_key(|number| number.parse::<u8>().unwrap()));
    numbers.sort_by_key(|number| number.parse::<u8>().unwrap());
    assert_eq!(numbers, (0..20).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[test]
fn datagrams_get_lost_and_doubled_as_often_as_the_link_says() {
    let link = Link::new(SECOND / 100);
    let none: [&str; 0] = [];
    assert_eq!(heard(link.loss(1.0), 5), none);
    assert_eq!(heard(link.doubling(1.0), 2), ["0", "0", "1", "1"]);
    let some = heard(link.loss(0.5), 100).len();
    assert!((30..70).contains(&some), "{some}");
}

#[test]
fn a_connected_socket_talks_to_its_peer_alone() {
    let (mut sim, notes) = (Sim::new(1), Notes::default());
    sim.host(("server", [10, 0, 0, 1]), || async {
        let socket = Async::<UdpSocket>::bind("10.0.0.1:53")?;
        let mut buf = [0; 8];
        let (len, from) = socket.recv_from(&mut buf).await?;
        socket.send_to(&buf[..len], from).await?;
        io::Result::Ok(())
    });
    let told = notes.clone();
    let client = sim.host(("client", [10, 0, 0, 2]), move || {
        let notes = told.clone();
        async move {
            let socket = Async::<UdpSocket>::bind("10.0.0.2:0")?;
            socket.connect(([10, 0, 0, 1], 53))?;
            socket.send(b"hello").await?;
            notes.add(socket.recv(&mut [0; 8]).await?.to_string());
            notes.add(socket.peer_addr()?.to_string());
            // The server has ended.
            socket.send(b"hello?").await?;
            notes.add(socket.recv(&mut [0; 8]).await.unwrap_err().kind().to_string());
            io::Result::Ok(())
        }
    });
    assert!(sim.run_until_ended(client, 10 * SECOND));
    assert_eq!(notes.take(), ["5", "10.0.0.1:53", "connection refused"]);
}
