//! A token that one thread cancels while another waits, in every order of their steps. A wake-up
//! that is lost leaves the waiter asleep, which loom reports as a deadlock.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use ::loom::thread;

use super::Cancel;
use crate::sync::{Bell, explore};

struct Ringer(Bell);

impl Wake for Ringer {
    fn wake(self: Arc<Self>) {
        self.0.ring();
    }
}

/// Waits for `cancel`, on a thread that sleeps until it is woken.
fn wait_for(cancel: &Cancel) {
    let ringer = Arc::new(Ringer(Bell::default()));
    let waker = Waker::from(Arc::clone(&ringer));
    let mut cx = Context::from_waker(&waker);
    let mut wait = pin!(cancel.cancelled());
    while wait.as_mut().poll(&mut cx).is_pending() {
        ringer.0.wait();
    }
    assert!(cancel.is_cancelled());
}

#[test]
fn loom_a_token_that_is_cancelled_while_another_thread_begins_to_wait_wakes_it() {
    explore("cancel: wait", None, || {
        let cancel = Cancel::new();
        let other = cancel.clone();
        let canceller = thread::spawn(move || other.cancel());
        wait_for(&cancel);
        canceller.join().unwrap();
    });
}

#[test]
fn loom_a_child_that_is_made_or_dropped_while_its_parent_is_cancelled_is_told() {
    explore("cancel: child", Some(3), || {
        let cancel = Cancel::new();
        let other = cancel.clone();
        drop(cancel.child());
        let canceller = thread::spawn(move || other.cancel());
        let child = cancel.child();
        drop(cancel.child());
        wait_for(&child);
        canceller.join().unwrap();
    });
}
