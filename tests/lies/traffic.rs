//! One sequence of random traffic between tasks.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::time::{Duration, Instant};

use selkie::{Async, Builder, Runtime, Task, sleep_until, spawn, yield_now};

use crate::giving_up::{Fickle, perhaps};
use crate::jobs::{self, Alive, Elsewhere};
use crate::liar::{Chance, Lie};
use crate::seeds::{DEADLINE, Sequence, count, is_invented};
use crate::streams::{check, echo, meet, register, send};

type Shared = Rc<RefCell<Fickle>>;

/// The tasks of a sequence, to be awaited in the end, and the names of those that go on.
#[derive(Clone, Default)]
struct Work {
    tasks: Rc<RefCell<Vec<Task<()>>>>,
    open: Rc<RefCell<BTreeSet<String>>>,
    alive: Alive,
}

impl Work {
    fn spawn(&self, name: String, future: impl Future<Output = ()> + 'static) {
        assert!(self.open.borrow_mut().insert(name.clone()), "{name} is there twice");
        let (open, living) = (Rc::clone(&self.open), self.alive.one_more());
        let task = spawn(async move {
            let _living = living;
            future.await;
            open.borrow_mut().remove(&name);
        });
        self.tasks.borrow_mut().push(task);
    }

    /// Ends with the last one, those included that others spawn.
    async fn done(&self) -> u64 {
        let mut done = 0;
        loop {
            let Some(task) = self.tasks.borrow_mut().pop() else { return done };
            task.await;
            done += 1;
        }
    }
}

pub fn run(mut sequence: Sequence) {
    let backend = sequence.open();
    let chance = &mut sequence.chance;
    let [polls, operations, events] = [128, 32, 64].map(|most| chance.below(most) + 1);
    let builder = Builder::new()
        .polls_per_turn(polls as u32)
        .operations_per_poll(operations as u32)
        .event_capacity(events as usize);
    let runtime = builder.build_with(backend).unwrap();
    let work = Work::default();
    let tally = sequence.tally.clone();
    let elsewhere = Elsewhere::start(&runtime, chance.fork(), tally.clone());
    let drives = chance.fork();
    let (inner, late) = (work.clone(), Instant::now() + DEADLINE);
    let root = async move {
        inner.spawn("elsewhere".to_owned(), elsewhere.met());
        begin(&mut sequence, &inner);
        let done = inner.done().await;
        count(&sequence.tally.tasks, done);
    };
    let open = Rc::clone(&work.open);
    drive(&runtime, drives, in_time(late, open, root));
    drop(runtime);
    assert_eq!(work.alive.count(), 0, "futures that were never dropped");
}

/// Insists that `root` ends before it is `late`.
async fn in_time(late: Instant, open: Rc<RefCell<BTreeSet<String>>>, root: impl Future) {
    let (mut root, mut late) = (pin!(root), sleep_until(late));
    poll_fn(|cx| {
        // The clock goes first: that its event is the one that makes the root go on must not hide
        // that another one was lost.
        let is_late = Pin::new(&mut late).poll(cx).is_ready();
        assert!(!is_late, "these wait for what does not come: {:?}", open.borrow());
        root.as_mut().poll(cx)
    })
    .await;
}

/// Runs the loop, in `block_on` or turn by turn, whatever the back end fails with.
fn drive(runtime: &Runtime, mut chance: Chance, root: impl Future<Output = ()> + 'static) {
    if chance.coin() {
        let mut root = pin!(root);
        while let Err(error) = runtime.try_block_on(root.as_mut()) {
            assert!(is_invented(&error), "{error}");
        }
        return;
    }
    let root = runtime.spawn(root);
    while !root.is_finished() {
        let timeout = match chance.below(4) {
            0 => None,
            1 => Some(Duration::ZERO),
            _ => Some(Duration::from_micros(chance.below(5_000))),
        };
        if let Err(error) = runtime.turn(timeout) {
            assert!(is_invented(&error), "{error}");
        }
    }
    while let Err(error) = runtime.try_block_on(std::future::ready(())) {
        assert!(is_invented(&error), "{error}");
    }
    // It is finished, and tells its panic if there was one.
    futures::executor::block_on(root);
}

fn begin(sequence: &mut Sequence, work: &Work) {
    let (tally, chance) = (sequence.tally.clone(), &mut sequence.chance);
    let fickle = |chance: &mut Chance| Fickle::new(chance, &tally);
    for number in 0..chance.below(4) {
        work.spawn(format!("sleeper {number}"), jobs::sleeper(chance.fork(), tally.clone()));
    }
    for number in 0..chance.below(4) {
        let panics = jobs::panicker(chance.fork(), tally.clone(), work.alive.clone());
        work.spawn(format!("panic {number}"), panics);
        let cancels = jobs::canceller(fickle(chance), work.alive.clone());
        work.spawn(format!("cancel {number}"), cancels);
        work.spawn(format!("crowd {number}"), jobs::crowd(fickle(chance)));
    }
    for number in 0..chance.below(4) {
        let (near, far) = UnixStream::pair().unwrap();
        let (inner, fickle) = (work.clone(), fickle(chance));
        let name = format!("Unix {number}");
        work.spawn(name.clone(), async move {
            let near = register(&fickle, near).await;
            let far = register(&fickle, far).await;
            inner.spawn(format!("{name} echo"), echo(far, Rc::clone(&fickle)));
            talk(&inner, &name, near, &fickle);
        });
        count(&tally.connections, 1);
    }
    let connections = chance.below(4);
    if connections > 0 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let registers_safely = sequence.rates.of(Lie::RefuseRegister) == 0;
        let accepts = accept(listener, connections, work.clone(), fickle(chance), registers_safely);
        work.spawn("acceptor".to_owned(), accepts);
        for number in 0..connections {
            let name = format!("TCP {number}");
            work.spawn(name.clone(), connect(address, name, work.clone(), fickle(chance)));
        }
        count(&tally.connections, connections);
    }
}

/// Sends over a stream and checks what comes back, as two tasks.
fn talk<T: crate::streams::Io>(work: &Work, name: &str, stream: Rc<Async<T>>, fickle: &Shared)
where
    for<'a> &'a T: std::io::Read + std::io::Write,
{
    let (of_stream, total) = {
        let chance = &mut fickle.borrow_mut().chance;
        let most = if chance.percent(10) { 300_000 } else { 20_000 };
        (chance.next(), chance.below(most))
    };
    let sends = send(Rc::clone(&stream), Rc::clone(fickle), of_stream, total);
    work.spawn(format!("{name} sends"), sends);
    let checks = check(stream, Rc::clone(fickle), of_stream, total);
    work.spawn(format!("{name} checks"), checks);
}

async fn connect(address: SocketAddr, name: String, work: Work, fickle: Shared) {
    // A connect that is given up, or meets an error, may have been accepted: that one is echoed
    // to its end, and counts for nobody.
    let is_async = fickle.borrow_mut().chance.coin();
    let stream = if is_async {
        loop {
            match Async::<TcpStream>::connect(address).await {
                Ok(stream) => break Rc::new(stream),
                Err(error) => meet(&fickle, error),
            }
            yield_now().await;
        }
    } else {
        register(&fickle, TcpStream::connect(address).unwrap()).await
    };
    // Says that it is in earnest, so that the acceptor can count.
    while let Err(error) = stream.write_with(|mut io| std::io::Write::write(&mut io, b"!")).await {
        meet(&fickle, error);
    }
    talk(&work, &name, stream, &fickle);
}

enum Accepted {
    Bare(std::io::Result<(TcpStream, SocketAddr)>),
    Async(std::io::Result<(Async<TcpStream>, SocketAddr)>),
}

/// Accepts until so many connections in earnest have come.
async fn accept(
    listener: TcpListener,
    wanted: u64,
    work: Work,
    fickle: Shared,
    registers_safely: bool,
) {
    let listener = register(&fickle, listener).await;
    let mut serious = 0;
    while serious < wanted {
        // A refused registration takes the connection along that `accept` has just accepted.
        let by_hand = !registers_safely || fickle.borrow_mut().chance.coin();
        let accepted_one = if by_hand {
            perhaps(&fickle, listener.read_with(TcpListener::accept)).await.map(Accepted::Bare)
        } else {
            perhaps(&fickle, listener.accept()).await.map(Accepted::Async)
        };
        let stream = match accepted_one {
            Some(Accepted::Bare(Ok((stream, _)))) => Some(register(&fickle, stream).await),
            Some(Accepted::Async(Ok((stream, _)))) => Some(Rc::new(stream)),
            Some(Accepted::Bare(Err(error)) | Accepted::Async(Err(error))) => {
                meet(&fickle, error);
                None
            }
            None => None,
        };
        let Some(stream) = stream else {
            yield_now().await;
            continue;
        };
        if greeting(&stream, &fickle).await {
            work.spawn(format!("TCP echo {serious}"), echo(stream, Rc::clone(&fickle)));
            serious += 1;
        }
    }
}

/// True if the peer is in earnest; false if it gave up.
async fn greeting(stream: &Async<TcpStream>, fickle: &Shared) -> bool {
    loop {
        let mut first = [0];
        match stream.read_with(|mut io| std::io::Read::read(&mut io, &mut first)).await {
            Ok(len) => return len == 1 && first == *b"!",
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return false,
            Err(error) => meet(fickle, error),
        }
    }
}
