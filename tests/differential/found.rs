//! What the property tests have found, each in its shortest form and on every back end.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::io::Errno;
use selkie::selector::BackendKind;
use selkie::{Events, Interest, Key, Selector};

use super::channel::Plumber;
use super::ops::Kind;
use super::{alone, channel, liar};

type Watcher = Selector<Rc<OwnedFd>>;

fn on_every_back_end(test: impl Fn(Watcher)) {
    let _alone = alone();
    for kind in BackendKind::ALL {
        println!("on {kind}");
        test(Watcher::with_backend(liar::open_hidden(*kind).unwrap()));
    }
}

/// Two connected sockets; the first has a byte to read.
fn readable_pair() -> [Rc<OwnedFd>; 2] {
    let (near, mut far) = UnixStream::pair().unwrap();
    far.write_all(b"x").unwrap();
    [near.into(), far.into()].map(Rc::new)
}

fn ready_now(selector: &mut Watcher) -> Vec<Key> {
    let mut events = Events::new();
    let found = selector.select(&mut events, Some(Duration::ZERO)).unwrap();
    found.map(|(key, _)| key).collect()
}

#[test]
fn a_closed_descriptor_does_not_hide_what_else_is_ready() {
    on_every_back_end(|mut selector| {
        let [[lost, _lost_peer], [kept, _peer]] = [readable_pair(), readable_pair()];
        let lost_key = selector.register(Rc::clone(&lost), Interest::READ, ()).unwrap();
        let kept_key = selector.register(kept, Interest::READ, ()).unwrap();
        channel::close_too_early(&lost).unwrap();
        let ready = ready_now(&mut selector);
        selector.unregister(lost_key).unwrap();
        channel::occupy(&lost, &selector[kept_key].source).unwrap();
        assert!(ready.contains(&kept_key), "{ready:?} without {kept_key:?}");
    });
}

#[test]
fn a_number_closed_too_early_can_be_registered_when_a_duplicate_takes_it() {
    on_every_back_end(|mut selector| {
        let [source, _peer] = readable_pair();
        let duplicate = source.try_clone().unwrap();
        let key = selector.register(Rc::clone(&source), Interest::READ, ()).unwrap();
        channel::close_too_early(&source).unwrap();
        selector.unregister(key).unwrap();
        channel::occupy(&source, &duplicate).unwrap();
        let key = selector.register(source, Interest::READ, ()).unwrap();
        assert_eq!(ready_now(&mut selector), [key]);
        assert_eq!(ready_now(&mut selector), [key], "and by level");
    });
}

#[test]
fn modifying_a_number_that_another_file_took_does_not_spin_afterwards() {
    on_every_back_end(|mut selector| {
        let [[source, _peer], [other, _other_peer]] = [readable_pair(), readable_pair()];
        let _duplicate = source.try_clone().unwrap();
        let key = selector.register(Rc::clone(&source), Interest::READ, ()).unwrap();
        channel::close_too_early(&source).unwrap();
        channel::occupy(&source, &other).unwrap();
        // Epoll and polling know nothing of the other file; poll and select go by the number.
        if let Err(error) = selector.modify(key, Interest::READ | Interest::WRITE) {
            assert_eq!(error.raw_os_error(), Some(Errno::NOENT.raw_os_error()));
        }
        selector.unregister(key).unwrap();
        for _ in 0..3 {
            assert_eq!(ready_now(&mut selector), []);
        }
        if let Some(descriptor) = selector.descriptor() {
            assert_eq!(channel::poll_now(&[descriptor]), [PollFlags::empty()]);
        }
    });
}

#[test]
fn out_of_band_data_of_a_number_closed_too_early_are_no_bytes_to_read() {
    on_every_back_end(|mut selector| {
        let [source, peer] = Plumber::new().unwrap().open(Kind::Tcp).unwrap().map(Rc::new);
        let duplicate = source.try_clone().unwrap();
        let key = selector.register(Rc::clone(&source), Interest::READ, ()).unwrap();
        channel::send_out_of_band(&peer);
        while !channel::poll_now(&[&duplicate])[0].contains(PollFlags::PRI) {}
        channel::close_too_early(&source).unwrap();
        // Poll and select go by the number, and say that it is closed.
        let is_told = ["poll", "select"].contains(&selector.backend().name());
        let found = ready_now(&mut selector);
        selector.unregister(key).unwrap();
        channel::occupy(&source, &duplicate).unwrap();
        assert_eq!(found, if is_told { vec![key] } else { vec![] });
    });
}

#[test]
fn a_key_unregistered_after_a_select_elsewhere_is_not_delivered() {
    on_every_back_end(|mut selector| {
        let pairs = [readable_pair(), readable_pair()];
        for [source, _] in &pairs {
            selector.register(Rc::clone(source), Interest::READ, ()).unwrap();
        }
        let [mut events, mut elsewhere] = [Events::new(), Events::new()];
        let mut delivered = Vec::new();
        for (key, _) in selector.select(&mut events, None).unwrap() {
            delivered.push(key);
            assert!(selector.get(key).is_some(), "delivered, though unregistered");
            let found = selector.select(&mut elsewhere, Some(Duration::ZERO)).unwrap();
            let others: Vec<_> = found.map(|(other, _)| other).filter(|o| *o != key).collect();
            others.into_iter().for_each(|other| drop(selector.unregister(other).unwrap()));
        }
        assert_eq!(delivered.len(), 1);
        assert_eq!(events.iter().count(), 1);
        assert_eq!(elsewhere.iter().count(), 1);
    });
}
