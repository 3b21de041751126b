//! Work that blocks: where it runs, how many threads there are, and what becomes of panics, of jobs
//! that are given up, and of those that outlive their runtime.

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::Context;
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use futures::future::{FusedFuture, join_all};
use selkie::unblock::{Unblock, try_unblock};
use selkie::{Builder, Runtime, sleep, unblock};

use crate::alone::{alone, thread_names};
use crate::liar;
use crate::util::wakers::Bomb as Alarm;
use crate::util::{DEADLINE, Stepped, Watcher, on_own_thread, run, runtime};

const NAME: &str = "selkie-blocking";

/// How many threads of pools this process has.
fn blocking_threads() -> usize {
    thread_names().iter().filter(|name| *name == NAME).count()
}

/// Waits until this process has so many threads of pools.
#[track_caller]
fn wait_for_threads(count: usize) {
    let deadline = Instant::now() + DEADLINE;
    while blocking_threads() != count {
        assert!(Instant::now() < deadline, "not {count} threads, but {:?}", thread_names());
        thread::yield_now();
    }
}

fn with(builder: Builder) -> Runtime {
    liar::build(builder).unwrap()
}

/// A runtime with one thread for work that blocks.
fn single() -> Runtime {
    with(Builder::new().blocking_threads(1))
}

/// A job that has begun, and ends when the other end of its channel is used or dropped.
struct Begun {
    job: Unblock<ThreadId>,
    go_on: Sender<()>,
}

impl Begun {
    fn new() -> Self {
        let (begun, has_begun) = channel();
        let (go_on, wait) = channel();
        let job = unblock(move || {
            begun.send(()).unwrap();
            let _ = wait.recv();
            thread::current().id()
        });
        has_begun.recv_timeout(DEADLINE).unwrap();
        Self { job, go_on }
    }
}

/// Tells when it is dropped, and on which thread.
struct Told(Sender<ThreadId>);

impl Drop for Told {
    fn drop(&mut self) {
        let _ = self.0.send(thread::current().id());
    }
}

fn told() -> (Told, Receiver<ThreadId>) {
    let (sender, receiver) = channel();
    (Told(sender), receiver)
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic_any("the destructor's panic");
    }
}

#[test]
fn a_job_runs_on_a_thread_of_its_own_name_while_the_loop_goes_on() {
    run(async || {
        let loops_thread = thread::current().id();
        let Begun { job, go_on } = Begun::new();
        // Would never fire if the job held up the loop.
        sleep(Duration::from_millis(1)).await;
        drop(go_on);
        assert_ne!(job.await, loops_thread);
        let name = unblock(|| thread::current().name().map(str::to_owned)).await;
        assert_eq!(name.as_deref(), Some(NAME));
    });
}

#[test]
fn a_job_begins_before_anybody_awaits_it_and_wakes_who_awaits_it() {
    let stepped = Stepped::new();
    let Begun { job, go_on } = stepped.enter(Begun::new);
    let mut job = pin!(job);
    let (earlier, watcher) = (Watcher::new(), Watcher::new());
    assert!(stepped.poll(job.as_mut(), &earlier).is_pending());
    assert!(stepped.poll(job.as_mut(), &watcher).is_pending());
    assert_eq!((earlier.holders(), watcher.count(), job.is_terminated()), (0, 0, false));
    assert_eq!(format!("{job:?}"), "Unblock { has_ended: false, .. }");
    drop(go_on);
    let deadline = Instant::now() + DEADLINE;
    while watcher.count() == 0 {
        assert!(Instant::now() < deadline, "nobody was woken");
        thread::yield_now();
    }
    assert!(stepped.poll(job.as_mut(), &watcher).is_ready());
    assert_eq!((watcher.count(), job.is_terminated()), (1, true));
}

#[test]
fn a_panic_goes_to_who_awaits_the_job_and_the_thread_goes_on() {
    run(async || {
        for _ in 0..10 {
            let task = selkie::spawn(async {
                let job = unblock(|| panic_any(7_u8));
                let caught = futures::FutureExt::catch_unwind(AssertUnwindSafe(job)).await;
                *caught.unwrap_err().downcast::<u8>().unwrap()
            });
            assert_eq!(task.await, 7);
        }
        assert_eq!(unblock(|| 8).await, 8);
    });
}

#[test]
fn no_panic_of_a_value_or_a_payload_that_nobody_waits_for_harms_the_thread() {
    on_own_thread(|| {
        let runtime = single();
        runtime.enter(|| {
            for makes in [
                (|| Bomb) as fn() -> Bomb,
                || panic_any(Bomb),
                || panic_any("a panic that nobody waits for"),
            ] {
                let (go_on, wait) = channel::<()>();
                let (begun, has_begun) = channel();
                let job = unblock(move || {
                    begun.send(()).unwrap();
                    let _ = wait.recv();
                    makes()
                });
                has_begun.recv_timeout(DEADLINE).unwrap();
                drop(job);
                drop(go_on);
            }
            // A waker that panics.
            let Begun { job, go_on } = Begun::new();
            let waker = Alarm::waker();
            assert!(pin!(job).poll(&mut Context::from_waker(&waker)).is_pending());
            drop(go_on);
        });
        let value = unblock_on(&runtime, || 3);
        assert_eq!(runtime.block_on(value), 3);
    });
}

fn unblock_on<T: Send + 'static>(
    runtime: &Runtime,
    job: impl FnOnce() -> T + Send + 'static,
) -> Unblock<T> {
    runtime.enter(|| unblock(job))
}

#[test]
fn a_job_that_is_given_up_before_it_begins_never_does() {
    on_own_thread(|| {
        let runtime = single();
        let Begun { job: first, go_on } = runtime.enter(Begun::new);
        let ran = Arc::new(Mutex::new(Vec::new()));
        let queue = |number| {
            let ran = Arc::clone(&ran);
            unblock_on(&runtime, move || ran.lock().unwrap().push(number))
        };
        let (one, two, three) = (queue(1), queue(2), queue(3));
        let holders = Arc::strong_count(&ran);
        drop(two);
        assert_eq!(Arc::strong_count(&ran), holders - 1, "what it had is dropped at once");
        drop(go_on);
        runtime.block_on(async {
            first.await;
            three.await;
            one.await;
        });
        assert_eq!(*ran.lock().unwrap(), [1, 3], "in the order in which they came");
    });
}

#[test]
fn a_job_that_is_given_up_after_it_began_ends_and_its_value_is_dropped_there() {
    run(async || {
        let (told, dropped) = told();
        let (go_on, wait) = channel::<()>();
        let (begun, has_begun) = channel();
        let job = unblock(move || {
            begun.send(thread::current().id()).unwrap();
            let _ = wait.recv();
            told
        });
        let its_thread = has_begun.recv_timeout(DEADLINE).unwrap();
        drop(job);
        drop(go_on);
        assert_eq!(dropped.recv_timeout(DEADLINE).unwrap(), its_thread);
    });
}

#[test]
fn a_runtime_that_is_dropped_waits_for_no_job_and_drops_those_that_have_not_begun() {
    on_own_thread(|| {
        let own = thread::current().id();
        let runtime = single();
        let Begun { job: running, go_on } = runtime.enter(Begun::new);
        let (told, dropped) = told();
        let waiting = unblock_on(&runtime, move || drop(told));
        let bomb = Bomb;
        let explosive = unblock_on(&runtime, move || drop(bomb));
        drop(runtime);
        assert_eq!(dropped.try_recv().unwrap(), own, "dropped by the runtime, and at once");

        // The one that runs ends when it is ready to, and tells who still waits.
        drop(go_on);
        let other = self::runtime();
        assert_ne!(other.block_on(running), own);
        for lost in [waiting, explosive] {
            let panicked = catch_unwind(AssertUnwindSafe(|| other.block_on(lost))).unwrap_err();
            let text = panicked.downcast_ref::<&str>().unwrap();
            assert!(text.starts_with("the job was dropped before it began"), "{text}");
        }
    });
}

#[test]
fn outside_a_runtime_there_is_no_pool() {
    on_own_thread(|| {
        let panicked = catch_unwind(|| unblock(|| ())).unwrap_err();
        let text = panicked.downcast_ref::<&str>().unwrap();
        assert!(text.starts_with("there is no selkie runtime on this thread"), "{text}");
    });
}

#[test]
#[should_panic = "jobs need a thread to run on; allow 1 at least"]
fn a_pool_of_no_threads_is_a_mistake() {
    let _ = Builder::new().blocking_threads(0);
}

#[test]
fn a_runtime_in_a_job_is_fine() {
    run(async || {
        let answer = unblock(|| runtime().block_on(async { unblock(|| 42).await })).await;
        assert_eq!(answer, 42);
    });
}

#[test]
fn a_thousand_jobs_of_two_runtimes_each_run_once() {
    const JOBS: usize = 500;

    let threads = [1, 3].map(|threads| {
        thread::spawn(move || {
            let runtime = with(Builder::new().blocking_threads(threads));
            runtime.block_on(async {
                let jobs = join_all((0..JOBS).map(|number| unblock(move || number))).await;
                assert!(jobs.into_iter().eq(0..JOBS));
            });
        })
    });
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn threads_come_when_needed_up_to_the_limit_and_go_when_idle() {
    alone(|| {
        let idle = Duration::from_millis(50);
        let runtime = with(Builder::new().blocking_threads(3).blocking_idle(idle));
        assert_eq!(blocking_threads(), 0, "none before the first job");
        let others = thread_names();
        let jobs: Vec<_> = (0..3).map(|_| runtime.enter(Begun::new)).collect();
        assert_eq!(blocking_threads(), 3);
        let late = unblock_on(&runtime, || ());
        assert_eq!(blocking_threads(), 3, "a fourth job waits");
        runtime.block_on(async {
            for Begun { job, go_on } in jobs {
                drop(go_on);
                job.await;
            }
            late.await;
        });
        wait_for_threads(0);
        assert_eq!(thread_names(), others, "no thread of another name");
        // And it goes on as before.
        runtime.block_on(async { assert_eq!(unblock(|| 5).await, 5) });
        let Begun { job, go_on } = runtime.enter(Begun::new);
        drop(runtime);
        wait_for_threads(1); // That of the job which runs stays.
        drop((job, go_on));
        wait_for_threads(0);
    });
}

#[test]
fn one_thread_is_enough_for_jobs_that_come_one_after_the_other() {
    alone(|| {
        run(async || {
            for _ in 0..100 {
                unblock(|| ()).await;
            }
            assert_eq!(blocking_threads(), 1);
        });
    });
}

#[test]
fn idle_threads_go_at_once_when_the_runtime_does() {
    alone(|| {
        let runtime = with(Builder::new().blocking_idle(Duration::MAX));
        runtime.block_on(async { unblock(|| ()).await });
        wait_for_threads(1);
        drop(runtime);
        wait_for_threads(0);
    });
}

#[test]
fn the_usual_limit_is_eight_threads() {
    alone(|| {
        let runtime = runtime();
        let jobs: Vec<_> = (0..8).map(|_| runtime.enter(Begun::new)).collect();
        let _ninth = unblock_on(&runtime, || ());
        assert_eq!(blocking_threads(), 8);
        drop(jobs);
    });
}

#[test]
fn a_system_that_starts_no_thread_is_an_error_and_no_hang() {
    alone(|| {
        run(async || {
            use nix::sys::resource::{Resource, getrlimit, setrlimit};
            let (_, hard) = getrlimit(Resource::RLIMIT_AS).unwrap();
            let (told, dropped) = told();
            setrlimit(Resource::RLIMIT_AS, 1, hard).unwrap(); // There is no room for a stack.
            let error = try_unblock(move || drop(told));
            let panicked = catch_unwind(|| unblock(|| ()));
            setrlimit(Resource::RLIMIT_AS, hard, hard).unwrap();
            assert!(error.unwrap_err().raw_os_error().is_some());
            dropped.try_recv().unwrap();
            let payload = panicked.unwrap_err();
            let text = payload.downcast_ref::<String>().unwrap();
            assert!(text.starts_with("there is no thread for work that blocks: "), "{text}");
            assert_eq!(unblock(|| 6).await, 6);
        });
    });
}

#[test]
fn where_the_system_starts_no_more_threads_jobs_wait_for_those_that_there_are() {
    alone(|| {
        run(async || {
            use nix::sys::resource::{Resource, getrlimit, setrlimit};
            let Begun { job: first, go_on } = Begun::new();
            let (_, hard) = getrlimit(Resource::RLIMIT_AS).unwrap();
            setrlimit(Resource::RLIMIT_AS, 1, hard).unwrap();
            let jobs: Vec<_> = (0..3).map(|number| try_unblock(move || number)).collect();
            setrlimit(Resource::RLIMIT_AS, hard, hard).unwrap();
            let waiting = blocking_threads();
            drop(go_on);
            first.await;
            let jobs: Vec<_> = jobs.into_iter().map(|job| job.unwrap()).collect();
            assert_eq!((join_all(jobs).await, waiting), (vec![0, 1, 2], 1));
            // With room again, there are more threads.
            let begun: Vec<_> = (0..3).map(|_| Begun::new()).collect();
            assert_eq!(blocking_threads(), 3);
            drop(begun);
        });
    });
}

#[test]
fn a_job_may_have_the_loop_spawn_jobs() {
    run(async || {
        let runtime = selkie::Remote::current();
        let task = unblock(move || runtime.spawn(|| async { unblock(|| 42).await }).unwrap()).await;
        assert_eq!(task.await, 42);
    });
}
