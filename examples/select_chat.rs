//! A chat server as an explicit loop: sockets, idle timeouts, a channel from a thread that reads
//! standard input, and Ctrl-C, all at one `select`.
//!
//! Run it with `cargo run --example select_chat -- [ADDR] [IDLE]`, where ADDR is 127.0.0.1:9999 and
//! IDLE 300 seconds if not given, and `nc 127.0.0.1 9999` in other terminals. What one client sends
//! goes to all others, a line typed here to all. It prints what it sends, until Ctrl-C ends it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;
use std::time::Duration;

use selkie::selector::{self, Receiver, TimerKey, Timers};
use selkie::signal::{SIGINT, SIGTERM, Signals};
use selkie::{DefaultSelector, Events, Interest, Key, Mode};

/// Bytes that wait for a client at most, beside what the system keeps.
const LIMIT: usize = 64 * 1024;

enum Source {
    Listener(TcpListener),
    Client(TcpStream),
    Console(Receiver<String>),
    Signals(Signals),
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Listener(source) => source.as_fd(),
            Self::Client(source) => source.as_fd(),
            Self::Console(source) => source.as_fd(),
            Self::Signals(source) => source.as_fd(),
        }
    }
}

/// Our own data on each key; empty if it is no client's.
#[derive(Default)]
struct Client {
    name: String,
    unsent: Vec<u8>,
    idle: Option<TimerKey>,
}

struct Chat {
    selector: DefaultSelector<Source, Client>,
    /// When to close a client that is idle, or to arm the listener again.
    timers: Timers<Key>,
    /// How long a client may be idle.
    patience: Duration,
}

impl Chat {
    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::new();
        loop {
            let next = self.timers.next_deadline();
            let timeout = next.map(|at| at.saturating_duration_since(self.selector.now()));
            for (key, _readiness) in self.selector.select(&mut events, timeout)? {
                match &self.selector[key].source {
                    Source::Listener(_) => self.welcome(key)?,
                    Source::Client(_) => self.converse(key),
                    Source::Console(console) => {
                        let lines: Vec<_> = console.try_iter().collect();
                        if console.is_disconnected() {
                            self.selector.unregister(key)?; // Or it would be ready for ever.
                        }
                        lines.iter().for_each(|line| self.say(None, &format!("* {line}\n")));
                    }
                    Source::Signals(signals) => {
                        if let Some(signal) = signals.pending().next() {
                            println!("{signal}: shutting down");
                            return Ok(());
                        }
                    }
                }
            }
            let now = self.selector.now();
            while let Some(key) = self.timers.pop_due(now) {
                match self.selector[key].source {
                    Source::Client(_) => self.part(key, "was idle"),
                    _ => self.selector.modify(key, Interest::READ)?,
                }
            }
        }
    }

    fn welcome(&mut self, listener: Key) -> io::Result<()> {
        let Source::Listener(source) = &self.selector[listener].source else { return Ok(()) };
        match source.accept() {
            Ok((stream, address)) => {
                stream.set_nonblocking(true)?;
                let client = Client { name: address.to_string(), ..Client::default() };
                let key = self.selector.register(Source::Client(stream), Interest::READ, client)?;
                self.restart_idle_timer(key);
                self.say(None, &format!("* {address} joins\n"));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => {
                // It stays ready. But it is a oneshot, silent until it is armed again.
                eprintln!("cannot accept: {error}; trying again in a second");
                self.timers.insert(self.selector.now() + Duration::from_secs(1), listener);
                return Ok(());
            }
        }
        self.selector.modify(listener, Interest::READ)
    }

    fn converse(&mut self, key: Key) {
        let mut buffer = [0; 4096];
        let Source::Client(stream) = &self.selector[key].source else { return };
        match (&*stream).read(&mut buffer) {
            Ok(0) => self.part(key, "leaves"),
            Ok(count) => {
                self.restart_idle_timer(key);
                let name = &self.selector[key].data.name;
                let said = format!("{name}: {}", String::from_utf8_lossy(&buffer[..count]));
                self.say(Some(key), &said);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.send(key, ""), // Writable.
            Err(error) => self.part(key, &error.to_string()),
        }
    }

    /// Prints a text, and sends it to all clients but one.
    fn say(&mut self, but: Option<Key>, text: &str) {
        print!("{text}");
        let keys: Vec<_> = self.selector.iter().map(|(key, _)| key).collect();
        keys.into_iter().filter(|key| Some(*key) != but).for_each(|key| self.send(key, text));
    }

    /// Sends what waits, and `text`. What the client does not take waits until it is writable.
    fn send(&mut self, key: Key, text: &str) {
        let Some(registered) = self.selector.get(key) else { return };
        let Source::Client(stream) = &registered.source else { return };
        let mut unsent = [&registered.data.unsent, text.as_bytes()].concat();
        match (&*stream).write(&unsent) {
            Ok(count) => drop(unsent.drain(..count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return self.part(key, &error.to_string()),
        }
        let wanted = if unsent.is_empty() { Interest::empty() } else { Interest::WRITE };
        if unsent.len() > LIMIT {
            self.part(key, "reads too slowly");
        } else if let Err(error) = self.selector.modify(key, wanted | Interest::READ) {
            self.part(key, &error.to_string());
        } else if let Some(client) = self.selector.data_mut(key) {
            client.unsent = unsent;
        }
    }

    fn restart_idle_timer(&mut self, key: Key) {
        let timer = self.timers.insert(self.selector.now() + self.patience, key);
        let Some(client) = self.selector.data_mut(key) else { return };
        client.idle.replace(timer).map(|former| self.timers.remove(former));
    }

    fn part(&mut self, key: Key, why: &str) {
        let Ok(client) = self.selector.unregister(key) else { return };
        client.data.idle.map(|idle| self.timers.remove(idle));
        self.say(None, &format!("* {} {why}\n", client.data.name));
    } // Dropping the source closes the connection.
}

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:9999".to_owned());
    let seconds = arguments.next().map_or(Ok(300.0), |text| text.parse());
    let patience = Duration::from_secs_f64(seconds.map_err(io::Error::other)?);
    let mut chat = Chat { selector: DefaultSelector::new()?, timers: Timers::new(), patience };

    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    println!("starting up on {} port {}", address.ip(), address.port());
    let source = Source::Listener(listener);
    chat.selector.register_with_mode(source, Interest::READ, Mode::Oneshot, Client::default())?;

    let (sender, console) = selector::channel()?;
    let send = move |line| sender.send(line);
    // Ends with standard input, or with the program.
    thread::spawn(|| io::stdin().lines().map_while(Result::ok).try_for_each(send));
    let signals = Signals::new([SIGINT, SIGTERM])?;
    for source in [Source::Console(console), Source::Signals(signals)] {
        chat.selector.register(source, Interest::READ, Client::default())?;
    }
    chat.run()
}
