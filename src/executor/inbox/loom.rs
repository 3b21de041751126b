//! Two threads and a loop, in every order of their steps. A wake-up that is lost leaves the loop
//! asleep, which loom reports as a deadlock.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use ::loom::thread::{self, JoinHandle};

use super::Inbox;
use crate::selector::Notifier;
use crate::sync::{AtomicBool, Bell, explore};

/// What a thread does to the inbox; an item is its name.
#[derive(Clone, Copy, Debug)]
enum Act {
    Push(u8),
    PushNew(u8),
    Rouse,
}

/// What the others see of the loop.
#[derive(Clone)]
struct Shared {
    inbox: Arc<Inbox<u8>>,
    bell: Arc<Bell>,
    /// Set once new items are refused.
    is_closing: Arc<AtomicBool>,
}

fn taken(inbox: &Inbox<u8>) -> Vec<u8> {
    let mut taken = Vec::new();
    inbox.take_into(&mut taken);
    taken
}

/// A loop, as `runtime::round` has it.
struct Loop {
    shared: Shared,
    received: Vec<u8>,
    /// How often others may have found it asleep.
    sleeps: usize,
}

impl Loop {
    fn new() -> Self {
        let bell = Arc::new(Bell::default());
        let ringer = Arc::clone(&bell);
        let notifier = Notifier::new(move || {
            ringer.ring();
            Ok(())
        });
        let inbox = Arc::new(Inbox::new(notifier));
        // It sleeps from the beginning.
        let shared = Shared { inbox, bell, is_closing: Arc::default() };
        Self { shared, received: Vec::new(), sleeps: 1 }
    }

    fn spawn(&self, acts: &'static [Act]) -> JoinHandle<Vec<u8>> {
        let shared = self.shared.clone();
        thread::spawn(move || acts.iter().filter_map(|act| shared.perform(*act)).collect())
    }

    /// A turn that blocks.
    fn turn(&mut self) {
        let Shared { inbox, bell, .. } = &self.shared;
        let before = taken(inbox);
        let may_block = before.is_empty() && {
            self.sleeps += 1;
            inbox.fall_asleep()
        };
        if may_block {
            bell.wait();
        } else {
            bell.take();
        }
        inbox.wake_up();
        self.received.extend(before.into_iter().chain(taken(inbox)));
    }

    fn turn_until_received(&mut self, count: usize) {
        while self.received.len() < count {
            self.turn();
        }
    }

    /// As the executor ends.
    fn close(&mut self) {
        let Shared { inbox, is_closing, .. } = &self.shared;
        inbox.close_to_new();
        is_closing.swap(true, SeqCst);
        self.received.extend(taken(inbox));
        self.received.extend(inbox.close());
        assert!(!inbox.has_items());
    }

    /// Once all others have ended: `sent` is what they got rid of.
    fn check(mut self, mut sent: Vec<u8>) {
        let Shared { inbox, bell, .. } = &self.shared;
        assert_eq!(inbox.lock().items, [0_u8; 0], "left behind");
        assert!(!inbox.has_items(), "it says that there is an item, and there is none");
        assert!(bell.rings() <= self.sleeps, "{} rings, {} sleeps", bell.rings(), self.sleeps);
        self.received.sort_unstable();
        sent.sort_unstable();
        assert_eq!(self.received, sent, "received and sent");
    }
}

impl Shared {
    /// The item, if it was handed back.
    fn perform(&self, act: Act) -> Option<u8> {
        match act {
            Act::Push(item) => self.inbox.push(item).err(),
            Act::PushNew(item) => {
                let is_closing = self.is_closing.fetch_or(false, SeqCst);
                let handed_back = self.inbox.push_new(item).err();
                assert!(!is_closing || handed_back.is_some(), "a new item for a closing loop");
                handed_back
            }
            Act::Rouse => {
                self.inbox.rouse();
                None
            }
        }
    }
}

fn items(acts: &[Act]) -> impl Iterator<Item = u8> {
    acts.iter().filter_map(|act| match act {
        Act::Push(item) | Act::PushNew(item) => Some(*item),
        Act::Rouse => None,
    })
}

/// A loop that sleeps until it has received everything.
fn receive_all(one: &'static [Act], other: &'static [Act]) {
    let mut at = Loop::new();
    let others = [at.spawn(one), at.spawn(other)];
    let sent: Vec<_> = items(one).chain(items(other)).collect();
    at.turn_until_received(sent.len());
    for thread in others {
        assert_eq!(thread.join().unwrap(), [0_u8; 0], "handed back by a loop that is there");
    }
    at.check(sent);
}

/// A loop that takes one turn, perhaps, and closes.
fn close_meanwhile(turns: usize, one: &'static [Act], other: &'static [Act]) {
    let mut at = Loop::new();
    let others = [at.spawn(one), at.spawn(other)];
    (0..turns).for_each(|_| at.turn());
    at.close();
    let received_by_then = mem::take(&mut at.received);
    let mut sent: Vec<_> = items(one).chain(items(other)).collect();
    for handed_back in others.into_iter().flat_map(|thread| thread.join().unwrap()) {
        let place = sent.iter().position(|item| *item == handed_back).expect("handed back once");
        sent.remove(place);
    }
    at.received = received_by_then;
    let inbox = Arc::clone(&at.shared.inbox);
    at.check(sent);
    assert_eq!((inbox.push(8), inbox.push_new(9)), (Err(8), Err(9)), "it is closed");
}

#[test]
fn no_item_is_lost_and_none_comes_twice() {
    explore("an item each", Some(3), || receive_all(&[Act::Push(1)], &[Act::PushNew(2)]));
    explore("two items and one", Some(3), || {
        receive_all(&[Act::Push(1), Act::PushNew(2)], &[Act::Push(3)]);
    });
}

#[test]
fn who_rouses_between_two_pushes_costs_no_item() {
    explore("items and a rousing", Some(3), || {
        receive_all(&[Act::Push(1), Act::Rouse], &[Act::Rouse, Act::Push(2)]);
    });
}

#[test]
fn a_rousing_alone_ends_the_sleep() {
    explore("two rousings", None, || {
        let mut at = Loop::new();
        at.shared.inbox.wake_up();
        let others = [at.spawn(&[Act::Rouse]), at.spawn(&[Act::Rouse])];
        at.sleeps += 1;
        assert!(at.shared.inbox.fall_asleep(), "there is no item");
        let roused_before = others.map(|thread| thread.join().unwrap());
        assert_eq!(roused_before.len(), 2);
        assert!(at.shared.bell.rings() <= 1, "one for the sleep");
        at.check(Vec::new());
    });
}

#[test]
fn what_a_closing_loop_does_not_take_is_handed_back() {
    explore("closed while items come", None, || {
        close_meanwhile(0, &[Act::Push(1)], &[Act::PushNew(2)]);
    });
    explore("closed while two items come from each", Some(2), || {
        close_meanwhile(0, &[Act::Push(1), Act::PushNew(2)], &[Act::PushNew(3), Act::Push(4)]);
    });
    explore("closed after a turn", Some(3), || {
        close_meanwhile(1, &[Act::Push(1)], &[Act::PushNew(2)]);
    });
}
