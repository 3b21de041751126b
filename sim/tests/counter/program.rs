//! The programs: a node, and a client. They know nothing of a simulation.

use std::cell::RefCell;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::rc::Rc;
use std::time::Duration;

use futures::io::BufReader;
use futures::{AsyncBufReadExt, AsyncWriteExt};
use selkie::{Async, sleep, timeout};
use selkie_sim::Rng;

use crate::state::{Bug, Disk, Node, Out, Role, Witness};

/// How often a leader shows that it is there.
const HEART_BEAT: Duration = Duration::from_millis(50);

/// How long a follower waits for it, and up to half as long again by chance.
const PATIENCE: Duration = Duration::from_millis(150);

#[derive(Clone)]
pub struct Config {
    pub id: usize,
    /// Where each node hears the others, and where clients.
    pub nodes: Vec<SocketAddr>,
    pub clients: Vec<SocketAddr>,
    pub disk: Disk,
    pub witness: Witness,
    pub seed: u64,
    pub bug: Bug,
}

struct Running {
    node: RefCell<Node>,
    socket: Async<UdpSocket>,
    nodes: Vec<SocketAddr>,
}

impl Running {
    /// Does something with the node, and sends what comes of it.
    async fn with(&self, f: impl FnOnce(&mut Node) -> Out) {
        let out = f(&mut self.node.borrow_mut());
        for (to, message) in out {
            // As good as lost, if it fails.
            let _ = self.socket.send_to(message.to_string().as_bytes(), self.nodes[to]).await;
        }
    }
}

pub async fn node(config: Config) -> io::Result<()> {
    let Config { id, nodes, clients, disk, witness, seed, bug } = config;
    let socket = Async::<UdpSocket>::bind(nodes[id])?;
    let listener = Async::<TcpListener>::bind(clients[id])?;
    let starts = disk.starts();
    let start = Node::start(id, nodes.len(), disk, witness, bug);
    let running = Rc::new(Running { node: RefCell::new(start), socket, nodes });
    selkie::spawn(accept(Rc::clone(&running), listener)).detach();
    let mut chance = Rng::keyed(seed, &[id as u64, starts]);
    let mut buf = vec![0; 65536];
    loop {
        let role = running.node.borrow().role;
        let patience = match role {
            Role::Leader => HEART_BEAT,
            _ => PATIENCE + chance.time_below(PATIENCE / 2),
        };
        match timeout(patience, heard(&running, &mut buf, role)).await {
            Ok(ended) => ended?,
            Err(_) if role == Role::Leader => running.with(Node::append_to_all).await,
            Err(_) => running.with(Node::time_is_over).await,
        }
    }
}

/// Hears messages until one is a reason to wait anew.
async fn heard(running: &Running, buf: &mut [u8], role: Role) -> io::Result<()> {
    loop {
        let (len, _) = running.socket.recv_from(buf).await?;
        let text = String::from_utf8_lossy(&buf[..len]);
        let Ok(message) = text.parse() else { continue };
        let is_of_leader =
            matches!(message, crate::message::Message { .. } if text.contains(" append "));
        running.with(|node| node.receive(message)).await;
        let now = running.node.borrow().role;
        if now != role || (is_of_leader && role != Role::Leader) {
            return Ok(());
        }
    }
}

async fn accept(running: Rc<Running>, listener: Async<TcpListener>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => selkie::spawn(serve(Rc::clone(&running), stream)).detach(),
            Err(_) => sleep(HEART_BEAT).await,
        }
    }
}

/// Answers `CLIENT NUMBER AMOUNT` by the total, or by who leads.
async fn serve(running: Rc<Running>, stream: Async<TcpStream>) -> io::Result<()> {
    let mut lines = BufReader::new(&stream);
    let mut line = String::new();
    while lines.read_line(&mut line).await? > 0 {
        let numbers: Vec<u64> = line.split_whitespace().flat_map(str::parse).collect();
        let &[client, number, amount] = &numbers[..] else { break };
        let answer = if running.node.borrow().role == Role::Leader {
            running.with(|node| node.add(client, number, amount)).await;
            count(&running, client, number).await
        } else {
            None
        };
        let answer = match answer {
            Some(total) => format!("total {total}\n"),
            None => {
                let leader = running.node.borrow().leader;
                leader.map_or("nobody leads\n".to_owned(), |leader| format!("ask {leader}\n"))
            }
        };
        (&stream).write_all(answer.as_bytes()).await?;
        line.clear();
    }
    Ok(())
}

/// Waits until an increment is counted. `None` if this node leads no more.
async fn count(running: &Running, client: u64, number: u64) -> Option<u64> {
    loop {
        let (total, role) = {
            let node = running.node.borrow();
            (node.counted(client, number), node.role)
        };
        if total.is_some() || role != Role::Leader {
            return total;
        }
        sleep(HEART_BEAT / 5).await;
    }
}

/// Adds one, again and again, each time until it is counted. Returns the last total.
pub async fn client(id: u64, nodes: Vec<SocketAddr>, increments: u64) -> u64 {
    let (mut total, mut node) = (0, id as usize % nodes.len());
    for number in 1..=increments {
        loop {
            let asked = timeout(Duration::from_secs(1), ask(nodes[node], id, number)).await;
            match asked {
                Ok(Ok(Answer::Total(new))) => {
                    assert!(new > total, "client {id} is told {new} after {total}");
                    total = new;
                    break;
                }
                Ok(Ok(Answer::Ask(leader))) => node = leader,
                Ok(Ok(Answer::Nobody)) | Ok(Err(_)) | Err(_) => node = (node + 1) % nodes.len(),
            }
            sleep(HEART_BEAT).await;
        }
        sleep(4 * HEART_BEAT).await;
    }
    total
}

enum Answer {
    Total(u64),
    Ask(usize),
    Nobody,
}

async fn ask(node: SocketAddr, client: u64, number: u64) -> io::Result<Answer> {
    let stream = Async::<TcpStream>::connect(node).await?;
    (&stream).write_all(format!("{client} {number} 1\n").as_bytes()).await?;
    let mut answer = String::new();
    BufReader::new(&stream).read_line(&mut answer).await?;
    let number = |text: &str| text.trim().parse().map_err(|_| io::ErrorKind::InvalidData);
    Ok(match answer.split_once(' ') {
        Some(("total", total)) => Answer::Total(number(total)?),
        Some(("ask", leader)) => Answer::Ask(number(leader)? as usize),
        _ => Answer::Nobody,
    })
}
