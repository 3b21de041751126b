//! A chat: a line of one client goes to all others.
//!
//! Run it with `cargo run -p selkie-apps --bin chat -- [ADDR]`, where ADDR is 127.0.0.1:9999 if not
//! given, and `nc 127.0.0.1 9999` in other terminals. It serves until Ctrl-C or SIGTERM comes.
//! Nobody waits for a client that reads too slowly: it loses lines, and is told how many.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use futures::future::{Either, select};
use futures::io::BufReader;
use futures::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, StreamExt};
use selkie::signal::{SIGINT, SIGTERM, Signals};
use selkie::{Async, TaskGroup};

/// Lines that wait for a client at most, beside what the system keeps.
const QUEUE: usize = 64;

/// Bytes of a line; what is longer becomes several.
const LINE: u64 = 1024;

#[derive(Default)]
struct Room(RefCell<HashMap<SocketAddr, Queue>>);

#[derive(Default)]
struct Queue {
    items: VecDeque<Item>,
    waker: Option<Waker>,
}

enum Item {
    Line(Rc<str>),
    Lost(u32),
}

impl Room {
    /// Puts a line into the queue of everybody but the sender.
    fn say(&self, from: SocketAddr, text: &str) {
        let line: Rc<str> = format!("{from} {text}\n").into();
        for (_, queue) in self.0.borrow_mut().iter_mut().filter(|(to, _)| **to != from) {
            let is_full = queue.items.len() >= QUEUE;
            match queue.items.back_mut() {
                Some(Item::Lost(count)) => *count += 1,
                _ if is_full => queue.items.push_back(Item::Lost(1)),
                _ => queue.items.push_back(Item::Line(line.clone())),
            }
            // Wakes a task of this runtime, which is polled later.
            queue.waker.take().into_iter().for_each(Waker::wake);
        }
    }

    async fn next(&self, to: SocketAddr) -> Option<Item> {
        poll_fn(|cx| {
            let mut room = self.0.borrow_mut();
            let Some(queue) = room.get_mut(&to) else { return Poll::Ready(None) };
            let Some(item) = queue.items.pop_front() else {
                queue.waker = Some(cx.waker().clone());
                return Poll::Pending;
            };
            Poll::Ready(Some(item))
        })
        .await
    }
}

async fn listen(room: &Room, stream: &Async<TcpStream>, peer: SocketAddr) -> io::Result<()> {
    let mut input = BufReader::new(stream);
    let mut line = Vec::new();
    while (&mut input).take(LINE).read_until(b'\n', &mut line).await? > 0 {
        room.say(peer, &format!("says: {}", String::from_utf8_lossy(&line).trim_end()));
        line.clear();
        // Of many lines in one read, each goes out before the next one comes.
        selkie::yield_now().await;
    }
    Ok(())
}

async fn tell(room: &Room, mut stream: &Async<TcpStream>, peer: SocketAddr) -> io::Result<()> {
    while let Some(item) = room.next(peer).await {
        match item {
            Item::Line(line) => stream.write_all(line.as_bytes()).await?,
            Item::Lost(count) => {
                let told = format!("* you read too slowly: {count} lines lost\n");
                stream.write_all(told.as_bytes()).await?;
            }
        }
    }
    Ok(())
}

async fn converse(room: Rc<Room>, stream: Async<TcpStream>, peer: SocketAddr) {
    room.0.borrow_mut().insert(peer, Queue::default());
    room.say(peer, "joins");
    let (listens, tells) = (listen(&room, &stream, peer), tell(&room, &stream, peer));
    let (Either::Left((ended, _)) | Either::Right((ended, _))) =
        select(std::pin::pin!(listens), std::pin::pin!(tells)).await;
    room.0.borrow_mut().remove(&peer);
    room.say(peer, &ended.map_or_else(|error| format!("is gone: {error}"), |()| "leaves".into()));
}

pub async fn serve(address: SocketAddr) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let listener = Async::<TcpListener>::bind(address)?;
    let address = listener.local_addr()?;
    println!("starting up on {} port {}", address.ip(), address.port());
    let (room, mut clients) = (Rc::new(Room::default()), TaskGroup::new());
    let mut incoming = listener.incoming().take_until(signals.next());
    while let Some(accepted) = incoming.next().await {
        match accepted {
            Ok((stream, peer)) => clients.spawn(converse(room.clone(), stream, peer)),
            Err(error) => eprintln!("cannot accept: {error}"),
        }
    }
    let ended = clients.shutdown(Duration::ZERO).await;
    println!("shutting down, {} clients", ended.finished + ended.cancelled);
    Ok(())
}

fn main() -> ExitCode {
    let address = selkie_apps::address_or("127.0.0.1:9999");
    let result = address.and_then(|address| selkie::block_on(serve(address)));
    selkie_apps::exit("chat [ADDR]", result)
}
