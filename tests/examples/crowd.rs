//! Five thousand connections at once, and everybody else beside them.

use std::io;
use std::net::{SocketAddr, TcpStream};

use futures::future::try_join_all;
use futures::{AsyncReadExt, AsyncWriteExt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use selkie::Async;

use super::pairs::assert_serves_every_client;
use super::process::{PATIENCE, Program};

const CROWD: u32 = 5000;

/// Descriptors that are not connections, in the server or here. Generous.
const OTHERS: u32 = 100;

/// Clients that come at a time, and are answered before the next ones come: fewer than the backlog
/// of the server's listener, 128, so that none has to knock twice, a second later.
const AT_THE_DOOR: usize = 64;

/// As many connections as the limit of descriptors allows, up to [`CROWD`]. The server inherits
/// the limit.
fn raise_limit() -> u32 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = u64::from(CROWD + OTHERS);
    let wanted = maximum.map_or(wanted, |maximum| wanted.min(maximum));
    let limit = current.map_or(wanted, |current| current.max(wanted));
    setrlimit(Resource::Nofile, Rlimit { current: Some(limit), maximum }).unwrap();
    CROWD.min(u32::try_from(limit).unwrap_or(u32::MAX) - OTHERS)
}

struct Client {
    number: u32,
    stream: Async<TcpStream>,
}

impl Client {
    async fn come_in(number: u32, server: SocketAddr) -> io::Result<Self> {
        let client = Self { number, stream: Async::<TcpStream>::connect(server).await? };
        client.exchange(0).await
    }

    /// No two clients and no two rounds have the same one, nor one of the same length as their
    /// neighbours.
    fn message(&self, round: u32) -> Vec<u8> {
        let words = format!("client {}, round {round}; ", self.number);
        words.repeat(1 + self.number as usize % 40).into_bytes()
    }

    async fn exchange(mut self, round: u32) -> io::Result<Self> {
        let message = self.message(round);
        self.stream.write_all(&message).await?;
        let mut echo = vec![0; message.len()];
        self.stream.read_exact(&mut echo).await?;
        assert!(echo == message, "client {} got other bytes in round {round}", self.number);
        Ok(self)
    }

    async fn leave(mut self) -> io::Result<()> {
        let message = self.message(3);
        self.stream.write_all(&message).await?;
        self.stream.close().await?;
        let mut echo = Vec::new();
        self.stream.read_to_end(&mut echo).await?;
        assert!(echo == message, "client {} got other bytes at its end", self.number);
        Ok(())
    }
}

/// All of them at once, each in a task of its own.
async fn at_once<T: 'static, F: Future<Output = io::Result<T>> + 'static>(
    clients: impl IntoIterator<Item = F>,
) -> io::Result<Vec<T>> {
    let tasks: Vec<_> = clients.into_iter().map(selkie::spawn).collect();
    selkie::timeout(PATIENCE, try_join_all(tasks)).await?
}

#[test]
fn five_thousand_connections_and_every_other_client_are_served_at_once_by_one_thread() {
    let count = raise_limit();
    let mut server = Program::example("echo_server", &["127.0.0.1:0"]);
    let address = server.address();
    let crowd = async {
        let mut clients = Vec::new();
        let numbers: Vec<_> = (0..count).collect();
        for numbers in numbers.chunks(AT_THE_DOOR) {
            let coming = numbers.iter().map(|number| Client::come_in(*number, address));
            clients.extend(at_once(coming).await?);
        }
        let clients = at_once(clients.into_iter().map(|client| client.exchange(1))).await?;
        assert_serves_every_client(&address.to_string(), &address.port().to_string());
        assert_eq!(server.threads(), 1);
        let clients = at_once(clients.into_iter().map(|client| client.exchange(2))).await?;
        let left = at_once(clients.into_iter().map(Client::leave)).await?;
        io::Result::Ok(left.len())
    };
    let served = selkie::block_on(crowd).unwrap();
    assert_eq!(served, count as usize);
    println!("{served} connections at once");
    assert_serves_every_client(&address.to_string(), &address.port().to_string());
}
