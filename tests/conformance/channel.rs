//! A channel from other threads, as a source: what it tells and when, and that nothing is lost.

use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use selkie::selector::{Receiver, SendError, Sender, TryRecvError, channel};
use selkie::{Events, Interest, Key, Mode, Selector};

use crate::util::ready_now;
use crate::util::{DEADLINE, SILENCE, Subject, assert_silent, next_batch, on_every_back_end};

on_every_back_end! {
    a_message_from_another_thread_ends_a_select,
    a_channel_is_ready_until_all_its_messages_are_taken,
    many_messages_are_one_event,
    the_end_of_the_last_sender_is_told_after_the_messages,
    no_message_of_many_threads_is_lost_or_overtaken,
}

type Channel<T, M> = (Sender<M>, Selector<Receiver<M>, (), <T as Subject>::Backend>, Key);

fn registered<T: Subject, M>(mode: Mode) -> Channel<T, M> {
    let (sender, receiver) = channel().unwrap();
    let mut selector = T::selector();
    let key = selector.register_with_mode(receiver, Interest::READ, mode, ()).unwrap();
    (sender, selector, key)
}

fn a_message_from_another_thread_ends_a_select<T: Subject>() {
    let (sender, mut selector, key) = registered::<T, _>(Mode::Level);
    assert_silent(&mut selector);
    let sending = thread::spawn(move || {
        thread::sleep(SILENCE); // Time to block; were it too short, the test would still hold.
        sender.send("a message").unwrap();
        sender
    });
    assert!(matches!(next_batch(&mut selector)[..], [(ready, _)] if ready == key));
    assert_eq!(selector[key].source.try_recv(), Ok("a message"));
    let _sender = sending.join().unwrap();
    assert_eq!(selector[key].source.try_recv(), Err(TryRecvError::Empty));
    assert_silent(&mut selector);
}

fn a_channel_is_ready_until_all_its_messages_are_taken<T: Subject>() {
    let (sender, mut selector, key) = registered::<T, _>(Mode::Level);
    (0..3).for_each(|number| sender.send(number).unwrap());
    for number in 0..3 {
        assert_eq!(ready_now(&mut selector).len(), 1);
        assert_eq!(selector[key].source.try_recv(), Ok(number));
    }
    assert_silent(&mut selector);
    // What an iterator leaves is there still.
    (0..3).for_each(|number| sender.send(number).unwrap());
    assert_eq!(selector[key].source.try_iter().next(), Some(0));
    assert_eq!(ready_now(&mut selector).len(), 1);
    assert!(selector[key].source.try_iter().eq([1, 2]));
    assert_silent(&mut selector);
}

/// By edge where there are edges, and else by oneshot, that an event more would be seen.
fn many_messages_are_one_event<T: Subject>() {
    let has_edges = T::selector::<Receiver<()>, ()>();
    let mode = match selkie::selector::Backend::supports(has_edges.backend(), Mode::Edge) {
        true => Mode::Edge,
        false => Mode::Oneshot,
    };
    let (sender, mut selector, key) = registered::<T, _>(mode);
    for _ in 0..3 {
        (0..100).for_each(|number| sender.send(number).unwrap());
        assert_eq!(ready_now(&mut selector).len(), 1);
        sender.send(100).unwrap();
        assert_silent(&mut selector);
        assert!(selector[key].source.try_iter().eq(0..=100));
        if mode == Mode::Oneshot {
            selector.modify(key, Interest::READ).unwrap();
        }
        assert_silent(&mut selector);
    }
}

fn the_end_of_the_last_sender_is_told_after_the_messages<T: Subject>() {
    let (sender, mut selector, key) = registered::<T, _>(Mode::Level);
    let other = sender.clone();
    drop(sender);
    assert_silent(&mut selector);
    other.send(1).unwrap();
    drop(other);
    let receiver = |selector: &Selector<Receiver<_>, (), T::Backend>| {
        let receiver = &selector[key].source;
        (receiver.is_disconnected(), receiver.try_recv())
    };
    assert_eq!(ready_now(&mut selector).len(), 1);
    assert_eq!(receiver(&selector), (false, Ok(1)));
    for _ in 0..2 {
        assert_eq!(ready_now(&mut selector).len(), 1);
        assert_eq!(receiver(&selector), (true, Err(TryRecvError::Disconnected)));
    }
    selector.unregister(key).unwrap();
    assert_silent(&mut selector);
}

fn no_message_of_many_threads_is_lost_or_overtaken<T: Subject>() {
    const SENDERS: usize = 4;
    const MESSAGES: usize = 2_000;
    let (sender, mut selector, key) = registered::<T, _>(Mode::Level);
    let senders: Vec<_> = (0..SENDERS)
        .map(|own| {
            let sender = sender.clone();
            thread::spawn(move || {
                (0..MESSAGES).for_each(|number| sender.send((own, number)).unwrap());
            })
        })
        .collect();
    drop(sender);
    let (mut counts, mut events) = ([0; SENDERS], Events::new());
    let end = Instant::now() + DEADLINE;
    while !selector.is_empty() {
        assert!(Instant::now() < end, "{counts:?} messages came within {DEADLINE:?}");
        for (key, _) in selector.select(&mut events, Some(DEADLINE)).unwrap() {
            for (own, number) in selector[key].source.try_iter() {
                assert_eq!(number, counts[own]);
                counts[own] += 1;
            }
            if selector[key].source.is_disconnected() {
                selector.unregister(key).unwrap();
            }
        }
    }
    assert_eq!(counts, [MESSAGES; SENDERS]);
    assert!(selector.get(key).is_none());
    senders.into_iter().for_each(|sender| sender.join().unwrap());
}

#[test]
fn a_loop_that_sends_to_itself_takes_that_the_next_time() {
    let (sender, receiver) = channel().unwrap();
    sender.send(0).unwrap();
    for expected in 0..3 {
        let taken: Vec<_> = receiver.try_iter().inspect(|n| sender.send(n + 1).unwrap()).collect();
        assert_eq!(taken, [expected]);
    }
}

#[test]
fn a_message_to_nobody_comes_back() {
    let (sender, receiver) = channel().unwrap();
    drop(receiver);
    let error = sender.send(7).unwrap_err();
    assert_eq!(error, SendError(7));
    assert!(error.to_string().contains("the receiver of the channel is gone"));
}

/// Sends when it is dropped.
struct Last(Sender<Option<Last>>);

impl Drop for Last {
    fn drop(&mut self) {
        let _ = self.0.send(None);
    }
}

#[test]
fn messages_that_nobody_took_are_dropped_with_the_receiver_and_may_use_the_channel_then() {
    let (sender, receiver) = channel().unwrap();
    sender.send(Some(Last(sender.clone()))).unwrap();
    let (told, dropped) = mpsc::channel();
    // Were the lock held, it would hang.
    let dropping = thread::spawn(move || {
        drop(receiver);
        told.send(()).unwrap();
    });
    dropped.recv_timeout(DEADLINE).unwrap();
    dropping.join().unwrap();
    assert!(sender.send(None).is_err());
}

#[test]
fn a_channel_of_what_is_not_send_serves_one_thread() {
    let (sender, receiver) = channel().unwrap();
    sender.send(Rc::new(7)).unwrap();
    assert_eq!(receiver.try_recv().map(|value| *value), Ok(7));
}
