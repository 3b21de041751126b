//! What goes on beside the streams: timers, panics, tasks that are cancelled, and other threads.

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::hint;
use std::io::Read;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use futures::channel::{mpsc, oneshot};
use futures::future::join_all;
use futures::{FutureExt, StreamExt};
use selkie::{Async, Remote, Runtime, Task, sleep_until, spawn, yield_now};

use crate::giving_up::{Fickle, perhaps};
use crate::liar::Chance;
use crate::seeds::{DEADLINE, Tally, count};
use crate::streams::{dawdle, meet, register};

/// How many values another thread sends, and tasks it spawns.
const REMOTE: u64 = 12;

/// Counts the futures that are alive.
#[derive(Clone, Default)]
pub struct Alive(Rc<Cell<usize>>);

pub struct Living(Alive);

impl Alive {
    pub fn count(&self) -> usize {
        self.0.get()
    }

    pub fn one_more(&self) -> Living {
        self.0.update(|alive| alive + 1);
        Living(self.clone())
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        self.0.0.update(|alive| alive - 1);
    }
}

/// Sleeps some times, and insists that none of it was too short.
pub async fn sleeper(mut chance: Chance, tally: Arc<Tally>) {
    for _ in 0..chance.below(6) {
        let deadline = Instant::now() + Duration::from_micros(chance.below(1_500));
        sleep_until(deadline).await;
        assert!(Instant::now() >= deadline, "a timer fired too early");
        count(&tally.timers, 1);
        // And one that is given up.
        assert!(sleep_until(deadline + DEADLINE).now_or_never().is_none());
    }
}

/// Awaits a task that panics, and insists on getting that panic.
pub async fn panicker(mut chance: Chance, tally: Arc<Tally>, alive: Alive) {
    let (payload, living) = (chance.next(), alive.one_more());
    let deadline = Instant::now() + Duration::from_micros(chance.below(500));
    let task: Task<()> = spawn(async move {
        let _living = living;
        sleep_until(deadline).await;
        // Without a word on the terminal.
        resume_unwind(Box::new(payload));
    });
    let panicked = AssertUnwindSafe(task).catch_unwind().await.unwrap_err();
    assert_eq!(panicked.downcast_ref(), Some(&payload), "another panic came");
    count(&tally.panics, 1);
}

/// Cancels a task that waits for what never comes.
pub async fn canceller(fickle: Rc<RefCell<Fickle>>, alive: Alive) {
    let living = alive.one_more();
    let (near, far) = UnixStream::pair().unwrap();
    let near = register(&fickle, near).await;
    let waits = spawn(async move {
        let _living = living;
        let read = near.read_with(|mut io| io.read(&mut [0; 8])).await;
        // An error that was invented: it waits for nothing then.
        assert!(read.is_err(), "nobody has written anything");
        pending::<()>().await;
    });
    let yields = fickle.borrow_mut().chance.below(4);
    for _ in 0..yields {
        yield_now().await;
    }
    if fickle.borrow_mut().chance.coin() {
        assert!(waits.cancel().await.is_none(), "it was cancelled before its end");
    } else {
        drop(waits);
    }
    count(&fickle.borrow().tally.tasks, 1);
    drop(far);
}

/// Tasks that all read the same socket, each one message.
pub async fn crowd(fickle: Rc<RefCell<Fickle>>) {
    let (near, far) = UnixDatagram::pair().unwrap();
    let near = register(&fickle, near).await;
    let far = register(&fickle, far).await;
    let size = 2 + fickle.borrow_mut().chance.below(6) as u8;
    let tasks: Vec<_> =
        (0..size).map(|_| spawn(receive(Rc::clone(&near), Rc::clone(&fickle)))).collect();
    for number in 0..size {
        while let Err(error) = far.write_with(|io| io.send(&[number])).await {
            meet(&fickle, error);
        }
        dawdle(&fickle).await;
    }
    let mut received = join_all(tasks).await;
    received.sort_unstable();
    assert!(received.into_iter().eq(0..size), "a message is lost");
    count(&fickle.borrow().tally.tasks, size.into());
}

async fn receive(near: Rc<Async<UnixDatagram>>, fickle: Rc<RefCell<Fickle>>) -> u8 {
    loop {
        let mut message = [0];
        match perhaps(&fickle, near.read_with(|io| io.recv(&mut message))).await {
            Some(Ok(_)) => return message[0],
            Some(Err(error)) => meet(&fickle, error),
            None => {}
        }
        yield_now().await;
    }
}

/// Another thread, and what it is to be met with in the runtime.
pub struct Elsewhere {
    thread: JoinHandle<()>,
    values: mpsc::UnboundedReceiver<u64>,
    last: oneshot::Receiver<u64>,
}

impl Elsewhere {
    /// Spawns tasks, wakes others and notifies, at random times.
    pub fn start(runtime: &Runtime, mut chance: Chance, tally: Arc<Tally>) -> Self {
        let remote = runtime.remote();
        let (sender, values) = mpsc::unbounded();
        let (last_sender, last) = oneshot::channel();
        let thread = thread::spawn(move || {
            for number in 0..REMOTE {
                // Not yields: on a machine with much to do, each of them takes its time.
                for _ in 0..chance.below(20_000) {
                    hint::spin_loop();
                }
                match chance.below(4) {
                    0 => remote.notify(),
                    1 => answered(&remote, number),
                    2 => detached(&remote, sender.clone()),
                    _ => sender.unbounded_send(u64::MAX).unwrap(),
                }
                count(&tally.remote, 1);
            }
            last_sender.send(REMOTE).unwrap();
        });
        Self { thread, values, last }
    }

    /// Ends when all has come that the other thread sends.
    pub async fn met(self) {
        assert!(self.values.all(async |value| value == u64::MAX).await);
        assert_eq!(self.last.await, Ok(REMOTE));
        self.thread.join().unwrap();
    }
}

/// A task in the runtime that is awaited here.
fn answered(remote: &Remote, number: u64) {
    let task = remote.spawn(move || async move {
        yield_now().await;
        number * 3
    });
    assert_eq!(futures::executor::block_on(task.unwrap()), number * 3);
}

/// A task in the runtime that goes on by itself.
fn detached(remote: &Remote, sender: mpsc::UnboundedSender<u64>) {
    let task = remote.spawn(move || async move {
        sleep_until(Instant::now() + Duration::from_micros(200)).await;
        sender.unbounded_send(u64::MAX).unwrap();
    });
    task.unwrap().detach();
}
