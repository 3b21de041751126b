//! Sockets that are used in unusual ways.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use selkie::Async;
use selkie_sim::Sim;

const HOUR: Duration = Duration::from_secs(3600);

/// Runs it on a host.
fn on_host<Fut: Future<Output = ()> + 'static>(main: impl Fn() -> Fut + Send + Sync + 'static) {
    let mut sim = Sim::new(1);
    let host = sim.host("host", main);
    assert!(sim.run_until_ended(host, HOUR));
}

#[test]
fn a_host_reaches_itself_by_each_of_its_addresses_and_by_its_name() {
    on_host(|| async {
        let listener = Async::<TcpListener>::bind("0.0.0.0:80").unwrap();
        for target in ["127.0.0.1:80", "127.9.9.9:80", "10.0.0.1:80", "0.0.0.0:80", "host:80"] {
            let mut client = Async::<TcpStream>::connect(target).await.unwrap();
            let (mut server, peer) = listener.accept().await.unwrap();
            assert_eq!(peer, client.local_addr().unwrap(), "{target}");
            client.write_all(b"hello").await.unwrap();
            server.read_exact(&mut [0; 5]).await.unwrap();
        }
    });
}

#[test]
fn a_listener_is_open_as_long_as_a_clone_of_it() {
    on_host(|| async {
        let listener = Async::<TcpListener>::bind("0.0.0.0:80").unwrap();
        let clone = listener.get_ref().try_clone().unwrap();
        drop(listener);
        selkie::sleep(HOUR / 100).await;
        let clone = Async::try_from(clone).unwrap();
        let (connected, accepted) =
            futures::join!(Async::<TcpStream>::connect("127.0.0.1:80"), clone.accept());
        assert!(connected.is_ok() && accepted.is_ok());
        let again = Async::<TcpListener>::bind("0.0.0.0:80").unwrap_err();
        assert_eq!(again.kind(), ErrorKind::AddrInUse);
        drop(clone);
        Async::<TcpListener>::bind("0.0.0.0:80").unwrap();
    });
}

#[test]
fn a_listener_that_is_closed_outside_of_a_selector_refuses_at_once() {
    on_host(|| async {
        let listener = selkie::net::nonblocking::listen("0.0.0.0:80").unwrap();
        let mut first = Async::<TcpStream>::connect("127.0.0.1:80").await.unwrap();
        drop(listener);
        let refused = Async::<TcpStream>::connect("127.0.0.1:80").await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        let reset = first.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(reset.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_selector_that_is_dropped_with_its_listener_gives_the_port_back() {
    on_host(|| async {
        for _ in 0..3 {
            let mut selector = selkie::DefaultSelector::new().unwrap();
            let listener = selkie::net::nonblocking::listen("0.0.0.0:80").unwrap();
            selector.register(listener, selkie::Interest::READ, ()).unwrap();
        }
    });
}

#[test]
fn any_port_is_a_free_one_however_many_were_used_before() {
    on_host(|| async {
        let kept = Async::<UdpSocket>::bind("0.0.0.0:0").unwrap();
        let listener = Async::<TcpListener>::bind("0.0.0.0:0").unwrap();
        for _ in 0..5_000 {
            let other = Async::<UdpSocket>::bind("0.0.0.0:0").unwrap();
            assert_ne!(other.local_addr().unwrap(), kept.local_addr().unwrap());
        }
        for _ in 0..5_000 {
            Async::<TcpListener>::bind("0.0.0.0:0").unwrap();
        }
        drop(listener);
    });
}

#[test]
fn twenty_thousand_connections_have_no_address_twice_at_a_time() {
    on_host(|| async {
        let listener = Async::<TcpListener>::bind("127.0.0.1:80").unwrap();
        let connect = || Async::<TcpStream>::connect("127.0.0.1:80");
        let (kept, _accepted) = futures::try_join!(connect(), listener.accept()).unwrap();
        for _ in 0..20_000 {
            let (other, _) = futures::try_join!(connect(), listener.accept()).unwrap();
            assert_ne!(other.local_addr().unwrap(), kept.local_addr().unwrap());
        }
    });
}

#[test]
fn who_listens_for_ipv4_is_not_found_by_ipv6_but_the_other_way_round() {
    on_host(|| async {
        let only_v4 = Async::<TcpListener>::bind((Ipv4Addr::UNSPECIFIED, 80)).unwrap();
        let refused = Async::<TcpStream>::connect((Ipv6Addr::LOCALHOST, 80)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        let both = Async::<TcpListener>::bind((Ipv6Addr::UNSPECIFIED, 80)).unwrap_err();
        assert_eq!(both.kind(), ErrorKind::AddrInUse);
        drop(only_v4);
        let _both = Async::<TcpListener>::bind((Ipv6Addr::UNSPECIFIED, 80)).unwrap();
        Async::<TcpStream>::connect((Ipv6Addr::LOCALHOST, 80)).await.unwrap();
        Async::<TcpStream>::connect((Ipv4Addr::LOCALHOST, 80)).await.unwrap();
    });
}

#[test]
fn a_queue_has_no_room_for_any_number_of_datagrams_without_a_byte() {
    on_host(|| async {
        let receiver = Async::<UdpSocket>::bind("127.0.0.1:9").unwrap();
        let sender = Async::<UdpSocket>::bind("127.0.0.1:0").unwrap();
        for _ in 0..10_000 {
            sender.send_to(&[], ([127, 0, 0, 1], 9)).await.unwrap();
        }
        selkie::sleep(HOUR / 100).await;
        let mut count = 0;
        let receive = async {
            while receiver.recv_from(&mut [0; 8]).await.is_ok() {
                count += 1;
            }
        };
        assert!(selkie::timeout(HOUR / 100, receive).await.is_err());
        assert!((200..400).contains(&count), "{count}");
    });
}

#[test]
fn a_megabyte_both_ways_at_once_arrive_as_they_are() {
    async fn both_ways(stream: &Async<TcpStream>, seed: u8) -> io::Result<()> {
        const LEN: usize = 1_000_000;
        let byte = |place: usize, seed: u8| (place / 7) as u8 ^ seed;
        let send = async {
            let bytes: Vec<u8> = (0..LEN).map(|place| byte(place, seed)).collect();
            (&mut &*stream).write_all(&bytes).await?;
            (&mut &*stream).close().await
        };
        let receive = async {
            let mut bytes = Vec::new();
            (&mut &*stream).read_to_end(&mut bytes).await?;
            assert_eq!(bytes.len(), LEN);
            assert!(bytes.iter().enumerate().all(|(place, found)| *found == byte(place, !seed)));
            Ok(())
        };
        futures::try_join!(send, receive).map(|_| ())
    }
    let mut sim = Sim::new(1);
    sim.links(selkie_sim::Link::default().fragmentation(1.0));
    sim.host(("server", [10, 0, 0, 1]), || async {
        let listener = Async::<TcpListener>::bind("0.0.0.0:80")?;
        both_ways(&listener.accept().await?.0, 3).await
    });
    let client = sim.host("client", || async {
        both_ways(&Async::<TcpStream>::connect("server:80").await?, !3).await
    });
    assert!(sim.run_until_ended(client, HOUR));
}
