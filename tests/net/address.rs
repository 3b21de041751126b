//! What can be written as an address, and what is said about the rest.

use std::io::ErrorKind::InvalidInput;
use std::net::{
    IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, TcpListener, UdpSocket,
};

use selkie::Async;
use selkie::net::{Addresses, ToAddresses};

use crate::util::run;
use crate::util::sockets::nobody_listens;

#[track_caller]
fn is_literal(address: impl ToAddresses, expected: &str) {
    let addresses = address.to_addresses().unwrap();
    assert_eq!(addresses.known(), Some(&[expected.parse().unwrap()][..]));
    assert_eq!(addresses.host(), None);
    assert_eq!(addresses.to_string(), expected);
}

#[track_caller]
fn is_host(address: impl ToAddresses, name: &str, port: u16) {
    let addresses = address.to_addresses().unwrap();
    assert_eq!(addresses.known(), None);
    assert_eq!(addresses.host(), Some((name, port)));
}

#[track_caller]
fn is_refused(address: impl ToAddresses, text: &str) {
    let error = address.to_addresses().unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (InvalidInput, text));
}

#[test]
fn an_ip_address_is_no_name_however_it_is_written() {
    is_literal("127.0.0.1:80", "127.0.0.1:80");
    is_literal(String::from("127.0.0.1:80"), "127.0.0.1:80");
    is_literal(&*String::from("[::1]:80"), "[::1]:80");
    is_literal(("127.0.0.1", 80), "127.0.0.1:80");
    is_literal((String::from("::1"), 80), "[::1]:80");
    is_literal(([127, 0, 0, 1], 80), "127.0.0.1:80");
    is_literal((Ipv4Addr::LOCALHOST, 80), "127.0.0.1:80");
    is_literal((Ipv6Addr::LOCALHOST, 80), "[::1]:80");
    is_literal((IpAddr::from(Ipv6Addr::LOCALHOST), 80), "[::1]:80");
    is_literal((Ipv6Addr::LOCALHOST.octets(), 80), "[::1]:80");
    is_literal((Ipv6Addr::LOCALHOST.segments(), 80), "[::1]:80");
    is_literal(SocketAddr::from(([127, 0, 0, 1], 80)), "127.0.0.1:80");
    is_literal(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 80), "127.0.0.1:80");
    is_literal(SocketAddrV6::new(Ipv6Addr::LOCALHOST, 80, 0, 3), "[::1%3]:80");
    is_literal("[fe80::1%3]:80", "[fe80::1%3]:80");
    is_literal(Addresses::of_host("::1", 80).unwrap(), "[::1]:80");
}

#[test]
fn what_is_no_ip_address_is_a_name_to_be_looked_up() {
    is_host("example.org:443", "example.org", 443);
    is_host(("example.org", 443), "example.org", 443);
    is_host((String::from("example.org"), 443), "example.org", 443);
    is_host("localhost:0", "localhost", 0);
    // Only the system knows how its interfaces are called.
    is_host("[fe80::1%eth0]:80", "fe80::1%eth0", 80);
}

#[test]
fn several_addresses_stay_in_their_order() {
    let list = ["127.0.0.1:2", "[::1]:1"].map(|address| address.parse().unwrap());
    for addresses in
        [list.to_addresses(), list.as_slice().to_addresses(), list.to_vec().to_addresses()]
    {
        let addresses = addresses.unwrap();
        assert_eq!(addresses.known(), Some(&list[..]));
        assert_eq!(addresses.to_string(), "127.0.0.1:2, [::1]:1");
    }
}

#[test]
fn an_address_without_a_port_says_how_to_write_one() {
    is_refused(
        "example.org",
        r#""example.org" has no port; write it behind a colon, as in "example.org:80""#,
    );
    is_refused("::1", r#""::1" has no port; write it behind a colon, as in "[::1]:80""#);
    is_refused("[::1]", r#""[::1]" has no port; write it behind a colon, as in "[::1]:80""#);
    is_refused("", r#""" has no port; write it behind a colon, as in "example.org:80""#);
}

#[test]
fn what_is_no_port_and_no_host_is_named() {
    for port in ["", "http", "65536", "-1", " 80"] {
        is_refused(
            format!("example.org:{port}"),
            &format!(
                r#""{port}" in "example.org:{port}" is no port; write a number from 0 to 65535"#
            ),
        );
    }
    for host in ["1::2:3::4", "[example.org]", "[::1", "::1]", "a[b"] {
        is_refused(
            format!("{host}:80"),
            &format!(
                r#""{host}" in "{host}:80" is no host; write an IPv6 address in brackets, as in "[::1]:80""#
            ),
        );
    }
    let empty = "the host's name before port 80 is empty; write one, or an IP address";
    is_refused(":80", empty);
    is_refused(("", 80), empty);
    is_refused(
        ("example\0.org", 80),
        r#"the host's name "example\0.org" has a zero byte in it; a name ends before it"#,
    );
}

#[test]
fn listeners_take_strings_and_pairs_and_no_names() {
    run(async || {
        Async::<TcpListener>::bind("127.0.0.1:0").unwrap();
        Async::<TcpListener>::bind((IpAddr::from(Ipv4Addr::LOCALHOST), 0)).unwrap();
        Async::<UdpSocket>::bind(("127.0.0.1", 0)).unwrap();
        let text = "\"localhost:80\" is a host's name, and to look it up may take long; use an IP \
                    address, such as 127.0.0.1 or [::]";
        for error in [
            Async::<TcpListener>::bind("localhost:80").unwrap_err(),
            Async::<UdpSocket>::bind("localhost:80").unwrap_err(),
        ] {
            assert_eq!((error.kind(), error.to_string().as_str()), (InvalidInput, text));
        }
        let error = Async::<TcpListener>::bind([]).unwrap_err();
        assert_eq!(error.to_string(), "the list of addresses is empty; give one at least");
    });
}

#[test]
fn a_listener_takes_the_first_address_that_is_free() {
    run(async || {
        let (_socket, taken) = nobody_listens(Ipv4Addr::LOCALHOST);
        let free = SocketAddr::from(([127, 0, 0, 2], 0));
        let listener = Async::<TcpListener>::bind([taken, free]).unwrap();
        assert_eq!(listener.get_ref().local_addr().unwrap().ip(), free.ip());
        let error = Async::<TcpListener>::bind([taken, taken]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    });
}
