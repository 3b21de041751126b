//! The table, asked for on another thread.

use std::io::ErrorKind;
use std::thread;
use std::time::Duration;

use futures::channel::oneshot;
use selkie::inspect::Wait;

use crate::util::{DEADLINE, run_on, runtime};

#[test]
fn a_loop_that_waits_answers_another_thread_and_does_not_list_the_asking() {
    let runtime = runtime();
    let remote = runtime.remote();
    let (done, end) = oneshot::channel();
    let asks = thread::spawn(move || {
        let tasks = remote.tasks(DEADLINE);
        done.send(()).unwrap();
        tasks
    });
    run_on(&runtime, end).unwrap();
    let tasks = asks.join().unwrap().unwrap();
    assert_eq!(tasks.len(), 1, "{tasks}");
    let root = tasks.iter().next().unwrap();
    assert!(root.waits.iter().any(|wait| matches!(wait, Wait::Deadline(_))), "{tasks}");
}

#[test]
fn a_loop_that_does_not_answer_and_one_that_is_gone_are_errors() {
    let runtime = runtime();
    let remote = runtime.remote();
    assert_eq!(remote.tasks(Duration::from_millis(1)).unwrap_err().kind(), ErrorKind::TimedOut);
    let error = run_on(&runtime, async { selkie::Remote::current().tasks(DEADLINE).unwrap_err() });
    assert_eq!(error.kind(), ErrorKind::Deadlock);
    drop(runtime);
    assert_eq!(remote.tasks(DEADLINE).unwrap_err().kind(), ErrorKind::BrokenPipe);
}
