//! What a task waits for is told right, whatever it is.

use std::cell::RefCell;
use std::future::{Future, pending, poll_fn};
use std::io::Write;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use futures::channel::{mpsc, oneshot};
use futures::lock::Mutex;
use futures::stream::FuturesUnordered;
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use selkie::inspect::{FileKind, Wait, waits_for};
use selkie::process::Command;
use selkie::selector::BackendKind;
use selkie::signal::{SIGUSR2, Signals};
use selkie::task::TaskState;
use selkie::{Async, Builder, Cancel, Interest, Runtime, Task, TaskGroup, sleep, unblock};

use crate::util::{runtime, settle};

/// The only thing that a task waits for.
#[track_caller]
fn the_wait<T>(runtime: &Runtime, task: &Task<T>) -> Wait {
    let tasks = runtime.tasks();
    let info = tasks.get(task.id()).expect("it has not ended");
    assert_eq!(info.state, TaskState::Waiting);
    assert_eq!(info.waits.len(), 1, "{:?}", info.waits);
    info.waits[0].clone()
}

/// What a task waits for, as the table prints it.
#[track_caller]
fn printed<T>(runtime: &Runtime, task: &Task<T>) -> String {
    the_wait(runtime, task).to_string()
}

/// Runs `test` on each back end of this system.
fn on_each_back_end(test: impl Fn(&Runtime)) {
    for kind in BackendKind::ALL {
        let runtime = Builder::new().backend(*kind).build().unwrap();
        test(&runtime);
    }
}

fn spawn<F: Future + 'static>(runtime: &Runtime, future: F) -> Task<F::Output> {
    let task = runtime.spawn(future);
    settle(runtime);
    task
}

/// Fills the buffers of a stream, so that the next write has to wait.
fn fill(mut stream: &UnixStream) {
    stream.set_nonblocking(true).unwrap();
    while stream.write(&[0; 4096]).is_ok() {}
}

#[test]
fn ten_kinds_of_waiting_are_told_right_on_every_back_end() {
    on_each_back_end(|runtime| {
        let (near, far) = UnixStream::pair().unwrap();
        fill(&near);
        let number = near.as_raw_fd();
        let near = runtime.enter(|| Async::new(near).unwrap());
        let mut reading = near.clone();
        let read = spawn(runtime, async move { reading.read(&mut [0]).await });
        let Wait::Descriptor(wait) = the_wait(runtime, &read) else { panic!("it reads") };
        assert_eq!((wait.fd, wait.interest), (number, Interest::READ));
        assert_eq!(wait.file.kind, FileKind::UnixStream);

        let mut writing = near.clone();
        let write = spawn(runtime, async move { writing.write(&[0]).await });
        assert_eq!(printed(runtime, &write), format!("write to Unix stream (fd {number})"));

        let listener = runtime.enter(|| Async::<TcpListener>::bind(([127, 0, 0, 1], 0)).unwrap());
        let (number, address) = (listener.as_raw_fd(), listener.local_addr().unwrap());
        let accept = spawn(runtime, async move { listener.accept().await.map(drop) });
        let expected = format!("accept on TCP listener {address} (fd {number})");
        assert_eq!(printed(runtime, &accept), expected);

        let timer = spawn(runtime, sleep(Duration::from_secs(3600)));
        let Wait::Deadline(left) = the_wait(runtime, &timer) else { panic!("it sleeps") };
        assert!(left <= Duration::from_secs(3600) && left > Duration::from_secs(3500), "{left:?}");

        let awaited = runtime.spawn(pending::<()>());
        let id = awaited.id();
        let join = spawn(runtime, awaited);
        assert_eq!(the_wait(runtime, &join), Wait::Task(id));

        let (sender, mut receiver) = mpsc::unbounded::<()>();
        let channel = spawn(runtime, async move {
            waits_for("the next order", receiver.next()).await;
        });
        assert_eq!(the_wait(runtime, &channel), Wait::Noted("the next order".into()));

        let mut command = Command::new("sleep");
        command.arg("1000").kill_on_drop(true);
        let mut running = runtime.enter(|| command.spawn().unwrap());
        let number = running.id();
        let child = spawn(runtime, async move { running.wait().await.map(drop) });
        let text = printed(runtime, &child);
        assert!(text.starts_with(&format!("the end of process {number} (fd ")), "{text}");

        let signal = spawn(runtime, async {
            let mut signals = Signals::new([SIGUSR2]).unwrap();
            signals.next().await.map(drop)
        });
        let text = printed(runtime, &signal);
        assert!(text.starts_with("signal SIGUSR2: read from "), "{text}");

        let mutex = Rc::new(Mutex::new(()));
        let held = mutex.try_lock().unwrap();
        let locked = Rc::clone(&mutex);
        let lock = spawn(runtime, async move {
            drop(locked.lock().await);
        });
        assert_eq!(the_wait(runtime, &lock), Wait::ByHand);

        let (release, released) = std::sync::mpsc::channel::<()>();
        let job = move || released.recv().is_err();
        let blocked = runtime.spawn(async { unblock(job).await });
        settle(runtime);
        assert_eq!(printed(runtime, &blocked), "unblock: a job on another thread");

        assert!(runtime.tasks().others().is_empty());
        assert_eq!(runtime.tasks().len(), 1 + 10, "and the task that is awaited");
        drop((
            release, blocked, child, far, held, sender, write, accept, timer, signal, lock,
            channel, join,
        ));
    });
}

#[test]
fn a_child_and_a_udp_socket_and_a_connection_are_told_with_their_peers() {
    use selkie::inspect::File;
    let runtime = runtime();
    let file = |task| match the_wait(&runtime, task) {
        Wait::Descriptor(wait) => wait.file,
        wait => panic!("{wait:?}"),
    };
    let udp = runtime.enter(|| Async::<UdpSocket>::bind(([127, 0, 0, 1], 0)).unwrap());
    let address = udp.local_addr().unwrap();
    let task = spawn(&runtime, async move { udp.recv(&mut [0]).await });
    let File { kind, local, peer, .. } = file(&task);
    assert_eq!((kind, local, peer), (FileKind::Udp, Some(address.to_string()), None));

    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let near = stream.local_addr().unwrap().to_string();
    let mut stream = runtime.enter(|| Async::new(stream).unwrap());
    let task = spawn(&runtime, async move { stream.read(&mut [0]).await });
    let File { kind, local, peer, .. } = file(&task);
    let far = listener.local_addr().unwrap().to_string();
    assert_eq!((kind, local, peer), (FileKind::TcpStream, Some(near), Some(far)));
}

#[test]
fn a_label_comes_first() {
    let runtime = runtime();
    let (near, _far) = UnixStream::pair().unwrap();
    let mut near = runtime.enter(|| Async::new(near).unwrap());
    near.set_label("the database");
    let number = near.as_raw_fd();
    let task = spawn(&runtime, async move { near.read(&mut [0]).await });
    let expected = format!("the database: read from Unix stream (fd {number})");
    assert_eq!(printed(&runtime, &task), expected);
}

#[test]
fn all_that_would_wake_a_task_is_told_and_what_has_ended_is_not() {
    let runtime = runtime();
    let (near, _far) = UnixStream::pair().unwrap();
    let mut near = runtime.enter(|| Async::new(near).unwrap());
    let (sender, stop) = oneshot::channel::<()>();
    let task = spawn(&runtime, async move {
        let mut buf = [0];
        let first = near.read(&mut buf);
        let _ = selkie::timeout(Duration::from_secs(60), futures::future::join(first, stop)).await;
    });
    let tasks = runtime.tasks();
    let info = tasks.get(task.id()).unwrap();
    assert_eq!(info.waits.len(), 2, "{:?}", info.waits);
    assert!(info.age.is_some());
    drop((sender, task));
    settle(&runtime);
    assert!(runtime.tasks().is_empty(), "{}", runtime.tasks());
}

#[test]
fn a_note_goes_with_its_future_and_follows_it_to_another_task() {
    let runtime = runtime();
    type Shared = Rc<RefCell<Pin<Box<dyn Future<Output = ()>>>>>;
    let noted: Shared = Rc::new(RefCell::new(Box::pin(waits_for("a letter", pending()))));
    let wait = |noted: &Shared| {
        let noted = Rc::clone(noted);
        poll_fn(move |cx| Future::poll(noted.borrow_mut().as_mut(), cx))
    };
    let one = spawn(&runtime, wait(&noted));
    assert_eq!(the_wait(&runtime, &one), Wait::Noted("a letter".into()));
    let other = spawn(&runtime, wait(&noted));
    assert_eq!(the_wait(&runtime, &other), Wait::Noted("a letter".into()));
    assert_eq!(the_wait(&runtime, &one), Wait::ByHand);
    drop(noted);
    drop(one);
    assert_eq!(the_wait(&runtime, &other), Wait::Noted("a letter".into()));
    drop(other);
    settle(&runtime);
    assert!(runtime.tasks().is_empty());
}

#[test]
fn a_waker_of_another_crates_making_is_listed_apart() {
    let runtime = runtime();
    let (near, _far) = UnixStream::pair().unwrap();
    let mut near = runtime.enter(|| Async::new(near).unwrap());
    let read = async move { near.read(&mut [0]).await };
    let task = spawn(&runtime, async move {
        let mut all: FuturesUnordered<_> = [read].into_iter().collect();
        all.next().await.map(drop)
    });
    assert_eq!(the_wait(&runtime, &task), Wait::ByHand);
    let tasks = runtime.tasks();
    assert!(matches!(tasks.others(), [Wait::Descriptor(_)]), "{:?}", tasks.others());
    assert!(tasks.to_string().contains("not known which task: read from"), "{tasks}");
}

#[test]
fn tasks_that_are_awaited_by_one_that_makes_its_own_wakers_are_still_found() {
    let runtime = runtime();
    let awaited: Vec<_> = (0..40).map(|_| runtime.spawn(pending::<()>())).collect();
    let ids: Vec<_> = awaited.iter().map(Task::id).collect();
    let task = spawn(&runtime, async move {
        let _ = futures::future::join_all(awaited).await;
    });
    let tasks = runtime.tasks();
    let expected: Vec<_> = ids.into_iter().map(Wait::Task).collect();
    assert_eq!(tasks.get(task.id()).unwrap().waits, expected);
}

#[test]
fn what_can_go_on_is_ready_and_the_one_that_asks_is_running() {
    let runtime = runtime();
    let fresh = runtime.spawn(async {});
    let tasks = runtime.tasks();
    assert_eq!(tasks.get(fresh.id()).unwrap().state, TaskState::Ready);
    let (sender, receiver) = oneshot::channel();
    let waiting = runtime.spawn(receiver);
    let asks = runtime.spawn(async move {
        sender.send(()).unwrap();
        selkie::inspect::tasks()
    });
    let (id, fresh, waiting) = (asks.id(), fresh.id(), waiting.id());
    let tasks = runtime.block_on(asks);
    assert_eq!(tasks.get(id).unwrap().state, TaskState::Running);
    assert!(tasks.get(fresh).is_none(), "it has ended");
    assert_eq!(tasks.get(waiting).unwrap().state, TaskState::Ready);
    let root = tasks.iter().next().unwrap();
    assert_eq!((root.id.get(), root.state), (0, TaskState::Waiting));
    assert_eq!(root.waits, [Wait::Task(id)]);
    assert!(runtime.tasks().iter().all(|task| task.id.get() != 0), "and the root is gone");
}

#[test]
fn a_root_that_asks_is_running_and_after_a_panic_nobody_is() {
    let runtime = runtime();
    let count = runtime.block_on(async {
        let tasks = selkie::inspect::tasks();
        tasks.iter().filter(|task| task.state == TaskState::Running).count()
    });
    assert_eq!(count, 1);
    let task = runtime.spawn(pending::<()>());
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        runtime.block_on(async { panic!("on purpose") });
    }));
    panicked.unwrap_err();
    let tasks = runtime.tasks();
    assert_eq!(tasks.len(), 1, "{tasks}");
    assert_ne!(tasks.get(task.id()).unwrap().state, TaskState::Running);
}

#[test]
fn a_task_that_gives_its_awaited_task_free_waits_for_it_no_longer() {
    let runtime = runtime();
    let mut awaited = Some(runtime.spawn(pending::<()>()));
    let id = awaited.as_ref().unwrap().id();
    let task = spawn(&runtime, async move {
        let polled = poll_fn(|cx| Poll::Ready(std::pin::pin!(awaited.as_mut().unwrap()).poll(cx)));
        assert!(polled.await.is_pending());
        awaited.take().unwrap().detach();
        pending::<()>().await;
    });
    let tasks = runtime.tasks();
    assert_eq!(tasks.get(id).unwrap().awaited_by, None);
    assert_eq!(tasks.get(task.id()).unwrap().waits, [Wait::ByHand]);
}

#[test]
fn who_waits_for_a_group_is_told_and_no_longer_once_it_has_a_result() {
    let runtime = runtime();
    let (sender, receiver) = oneshot::channel::<()>();
    let task = spawn(&runtime, async move {
        let mut group = TaskGroup::new();
        group.spawn(async { receiver.await.unwrap() });
        group.spawn(pending());
        group.join_next().await.unwrap().unwrap();
        pending::<()>().await;
    });
    assert_eq!(the_wait(&runtime, &task), Wait::Noted("the end of a task of its group".into()));
    sender.send(()).unwrap();
    settle(&runtime);
    assert_eq!(the_wait(&runtime, &task), Wait::ByHand);
}

#[test]
fn a_token_that_asks_tasks_to_end_is_told() {
    let runtime = runtime();
    let cancel = Cancel::new();
    let token = cancel.clone();
    let task = spawn(&runtime, async move {
        token.run_until_cancelled(pending::<()>()).await;
        pending::<()>().await;
    });
    assert_eq!(printed(&runtime, &task), "a Cancel");
    cancel.cancel();
    settle(&runtime);
    assert_eq!(the_wait(&runtime, &task), Wait::ByHand);
}

#[test]
fn a_job_that_is_awaited_on_another_thread_is_no_note_of_this_ones_tasks() {
    let runtime = runtime();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let job = runtime.enter(|| unblock(move || released.recv().is_err()));
    let waits = std::thread::spawn(move || futures::executor::block_on(job));
    drop(release);
    waits.join().unwrap();
    assert!(runtime.tasks().is_empty());
}
