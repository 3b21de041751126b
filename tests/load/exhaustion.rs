//! Out of descriptors, and out of memory for a registration: who is being served is served on,
//! the rest recovers by itself, and nothing spins. (Ten clients do the same in every run of the
//! suite, in `tests/async_io/incoming.rs`.)

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind, Read};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rustix::io::Errno;
use selkie::{Async, Builder, spawn, timeout};

use crate::backends::{Probe, Probed};
use crate::harness::{PATIENCE, bytes_of, count, listener, tell, until};
use crate::util::{Stepped, backend, open_descriptors, thread_cpu_time};

loads! {
    a_crowd_out_of_descriptors_is_let_in_wave_by_wave,
    a_registration_that_fails_for_want_of_memory_takes_its_source_alone,
}

/// Connections that come, those of them that there are descriptors for, and those that leave at a
/// time.
const CROWD: usize = 1_000;
const SERVED: usize = 200;
const WAVE: usize = 100;

/// How long nothing happens while the server is out of descriptors: ten of its rests.
const QUIET: Duration = Duration::from_secs(1);

/// From here on only `count` more descriptors can be opened.
fn leave_descriptors(count: usize) {
    // The system gives out the lowest numbers, and those in use may have gaps.
    let open = || std::fs::File::open("/dev/null").unwrap();
    let taken: Vec<_> = std::iter::repeat_with(open).take(count + 1).collect();
    let limit = taken[count].as_raw_fd().try_into().unwrap();
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, limit, hard).unwrap();
}

#[derive(Default)]
struct Log {
    accepted: Cell<usize>,
    gone: Cell<usize>,
    errors: RefCell<Vec<io::Error>>,
}

async fn serve(listener: Async<TcpListener>, log: Rc<Log>) {
    let mut incoming = listener.incoming();
    while let Some(next) = incoming.next().await {
        match next {
            Ok((stream, _)) => {
                count(&log.accepted);
                let log = Rc::clone(&log);
                spawn(async move {
                    let mut buffer = [0; 64];
                    let mut stream = stream;
                    while let Ok(len @ 1..) = stream.read(&mut buffer).await {
                        stream.write_all(&buffer[..len]).await.unwrap();
                    }
                    count(&log.gone);
                })
                .detach();
            }
            Err(error) => log.errors.borrow_mut().push(error),
        }
    }
}

/// Each of `clients` sends a message of its own and has it back.
fn all_are_echoed(stepped: &Stepped, clients: &[TcpStream]) {
    for (number, mut client) in clients.iter().enumerate() {
        let message = bytes_of(number as u64, 0, 60);
        io::Write::write_all(&mut client, &message).unwrap();
    }
    for (number, mut client) in clients.iter().enumerate() {
        let mut echo = [0; 60];
        stepped.until("the echo comes", || client.read(&mut echo).is_ok_and(|len| len == 60));
        assert!(echo[..] == bytes_of(number as u64, 0, 60), "other bytes");
    }
}

fn a_crowd_out_of_descriptors_is_let_in_wave_by_wave() {
    let stepped = Stepped::new();
    let (listener, address) = stepped.enter(listener);
    let come = |_| {
        let client = TcpStream::connect(address).unwrap();
        client.set_nonblocking(true).unwrap();
        client
    };
    let mut clients: Vec<_> = (0..CROWD).map(come).collect();
    leave_descriptors(SERVED);
    let log = Rc::new(Log::default());
    let _server = stepped.spawn(serve(listener, Rc::clone(&log)));
    stepped.until("there are no more descriptors", || !log.errors.borrow().is_empty());
    assert_eq!(log.accepted.get(), SERVED);
    all_are_echoed(&stepped, &clients[..SERVED]);

    let (start, worked, mut turns) = (Instant::now(), thread_cpu_time(), 0);
    while start.elapsed() < QUIET {
        stepped.turn(Some(QUIET)).unwrap();
        turns += 1;
    }
    let worked = thread_cpu_time() - worked;
    assert!(turns <= 30 && worked < QUIET / 10, "{turns} turns, {worked:?} of work in {QUIET:?}");
    all_are_echoed(&stepped, &clients[..SERVED]);
    assert_eq!((log.accepted.get(), log.errors.borrow().len()), (SERVED, 1));

    // The first of those who are in leave, and free two descriptors each in this process, which
    // has both ends.
    let mut waves = 0;
    while log.accepted.get() < CROWD {
        let room = (log.accepted.get() + 2 * WAVE).min(CROWD);
        clients.drain(..WAVE);
        stepped.until("as many come in as there is room for", || log.accepted.get() >= room);
        stepped.until("those who left are gone", || log.gone.get() == CROWD - clients.len());
        waves += 1;
        assert_eq!(log.accepted.get(), room);
        let served = log.accepted.get() - log.gone.get();
        all_are_echoed(&stepped, &clients[..served]);
    }
    let errors = log.errors.borrow();
    assert!(errors.iter().all(|error| Errno::from_io_error(error) == Some(Errno::MFILE)));
    tell(format_args!(
        "{}: {CROWD} connections with descriptors for {SERVED}: {} told as out of descriptors, \
         {turns} turns and {worked:?} of work in {QUIET:?} of it, all let in after {waves} waves",
        backend().name(),
        errors.len()
    ));
}

/// Connections to a server that has no memory to watch every third one.
const VISITORS: usize = 3_000;
const REFUSED_EACH: usize = 3;

/// Clients at a time.
const AT_ONCE: usize = 60;

async fn serve_in_need(listener: Async<TcpListener>, probe: Arc<Probe>, refusals: Rc<Cell<usize>>) {
    for number in 0..VISITORS {
        // Somebody is there, so the next registration is that of the one who is accepted.
        listener.readable().await.unwrap();
        if number % REFUSED_EACH == 0 {
            probe.refuse_registrations(1);
        }
        // A registration that fails leaves nothing with us: no source, no descriptor.
        match listener.accept().await {
            Ok((mut stream, _)) => {
                assert_ne!(number % REFUSED_EACH, 0);
                spawn(async move {
                    let mut buffer = [0; 64];
                    while let len @ 1.. = stream.read(&mut buffer).await.unwrap() {
                        stream.write_all(&buffer[..len]).await.unwrap();
                    }
                })
                .detach();
            }
            Err(error) => {
                assert_eq!((error.kind(), number % REFUSED_EACH), (ErrorKind::OutOfMemory, 0));
                count(&refusals);
            }
        }
    }
}

/// True if it was served, false if the server has hung up.
async fn visit(mut client: Async<TcpStream>, number: u64) -> bool {
    let message = bytes_of(number, 0, 50);
    if client.write_all(&message).await.is_err() {
        return false;
    }
    let mut echo = [0; 50];
    match client.read_exact(&mut echo).await {
        Ok(()) => {
            assert!(message == echo, "other bytes");
            true
        }
        Err(_) => false,
    }
}

fn a_registration_that_fails_for_want_of_memory_takes_its_source_alone() {
    let (probe, probed) = Probed::open();
    let runtime = Builder::new().build_with(probed).unwrap();
    let before = open_descriptors();
    let (refusals, served) = (Rc::new(Cell::new(0_usize)), Rc::new(Cell::new(0_usize)));
    let load = async {
        let (listener, address) = listener();
        let server = spawn(serve_in_need(listener, Arc::clone(&probe), Rc::clone(&refusals)));
        for first in (0..VISITORS).step_by(AT_ONCE) {
            let come = |_| Async::new(TcpStream::connect(address).unwrap()).unwrap();
            let clients: Vec<_> = (0..AT_ONCE).map(come).collect();
            let visits = clients.into_iter().zip(first as u64..).map(|(client, number)| {
                let served = Rc::clone(&served);
                async move {
                    if visit(client, number).await {
                        count(&served);
                    }
                }
            });
            join_all(visits).await;
        }
        server.await;
        until(|| open_descriptors() == before).await;
    };
    runtime.block_on(timeout(PATIENCE, load)).unwrap();
    let expected = VISITORS / REFUSED_EACH;
    assert_eq!((refusals.get(), served.get()), (expected, VISITORS - expected));
    tell(format_args!(
        "{}: {expected} of {VISITORS} registrations refused, {} connections served",
        backend().name(),
        served.get()
    ));
}
