//! A selector in a selector: readable when the inner one has something to report.
//!
//! Poll and select have no descriptor, so they cannot be the inner one, and say so by `None`;
//! every back end can be the outer one.

use std::error::Error;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use selkie::selector::{Backend, EpollBackend, PollBackend, SelectBackend};
use selkie::{EpollSelector, Interest, PollSelector, Readiness, Selector};

use crate::util::{Closable, Subject, assert_silent, descriptors, next_batch, on_every_back_end};
use crate::util::{ready_now, ready_unix_pair, unix_pair};

on_every_back_end! {
    a_selector_says_whether_it_has_a_descriptor,
    an_inner_selector_wakes_an_outer_one,
    an_inner_notification_wakes_an_outer_selector,
    an_inner_oneshot_wakes_an_outer_selector_once,
    a_nested_selector_comes_back_with_all_its_registrations,
    a_source_closed_too_early_in_the_inner_selector_does_not_spin_the_outer_one,
    a_selector_cannot_be_registered_in_itself,
    selectors_nest_three_deep,
    a_selector_that_would_be_nested_too_deep_is_refused_and_comes_back,
}

type Inner<T> = Selector<UnixStream, (), <T as Subject>::Backend>;

/// Poll and select say `None`; boxed, only `descriptor` tells. Where the type says it, `AsFd`
/// gives the same.
fn a_selector_says_whether_it_has_a_descriptor<T: Subject>() {
    assert_eq!(T::selector::<UnixStream, ()>().descriptor().is_some(), T::has_descriptor());
    fn same(selector: &(impl AsFd + ?Sized), descriptor: Option<impl AsFd>) {
        let descriptor = descriptor.expect("the type says so");
        assert_eq!(selector.as_fd().as_raw_fd(), descriptor.as_fd().as_raw_fd());
    }
    let selector = EpollSelector::<UnixStream>::new().unwrap();
    same(&selector, selector.descriptor());
    #[cfg(all(feature = "polling", not(polling_test_poll_backend)))]
    {
        let selector = selkie::PollingSelector::<UnixStream>::new().unwrap();
        same(&selector, selector.descriptor());
    }
}

/// The descriptor to register in another selector, if there is one.
fn descriptor_of<T: Subject>(inner: &Inner<T>) -> Option<OwnedFd> {
    let descriptor = inner.descriptor().map(|fd| fd.try_clone_to_owned().unwrap());
    assert_eq!(descriptor.is_some(), T::has_descriptor());
    descriptor
}

/// The inner selector is the data of its own descriptor in the outer one.
fn nest<T: Subject, Outer: Subject>() {
    let mut outer = Outer::selector();
    let mut inner: Inner<T> = T::selector();
    let Some(descriptor) = descriptor_of::<T>(&inner) else { return };
    let (source, mut peer) = unix_pair();
    let inner_key = inner.register(source, Interest::READ, ()).unwrap();
    let outer_key = outer.register(descriptor, Interest::READ, inner).unwrap();
    for _ in 0..3 {
        assert_silent(&mut outer);
        peer.write_all(b"!").unwrap();
        assert_eq!(next_batch(&mut outer), [(outer_key, Readiness::READ)]);
        // A level repeats, for as long as the inner one has something.
        assert_eq!(next_batch(&mut outer), [(outer_key, Readiness::READ)]);
        let inner = outer.data_mut(outer_key).unwrap();
        assert_eq!(ready_now(inner), [(inner_key, Readiness::READ)]);
        (&inner[inner_key].source).read_exact(&mut [0]).unwrap();
        assert_eq!(ready_now(inner), []);
    }
    assert_silent(&mut outer);
}

fn an_inner_selector_wakes_an_outer_one<T: Subject>() {
    nest::<T, EpollBackend>();
    nest::<T, PollBackend>();
    nest::<T, SelectBackend>();
    #[cfg(feature = "polling")]
    nest::<T, selkie::selector::PollingBackend>();
}

fn an_inner_notification_wakes_an_outer_selector<T: Subject>() {
    let mut outer = T::selector();
    let inner: Inner<T> = T::selector();
    let Some(descriptor) = descriptor_of::<T>(&inner) else { return };
    let notifier = inner.notifier();
    let key = outer.register(descriptor, Interest::READ, inner).unwrap();
    for _ in 0..3 {
        assert_silent(&mut outer);
        notifier.notify().unwrap();
        assert_eq!(next_batch(&mut outer), [(key, Readiness::READ)]);
        assert_eq!(ready_now(outer.data_mut(key).unwrap()), []);
    }
    assert_silent(&mut outer);
}

fn an_inner_oneshot_wakes_an_outer_selector_once<T: Subject>() {
    let mut outer = T::selector();
    let mut inner: Inner<T> = T::selector();
    let Some(descriptor) = descriptor_of::<T>(&inner) else { return };
    let (source, mut peer) = unix_pair();
    let once = selkie::Mode::Oneshot;
    let inner_key = inner.register_with_mode(source, Interest::READ, once, ()).unwrap();
    let key = outer.register(descriptor, Interest::READ, inner).unwrap();
    for _ in 0..2 {
        peer.write_all(b"!").unwrap();
        assert_eq!(next_batch(&mut outer), [(key, Readiness::READ)]);
        let inner = outer.data_mut(key).unwrap();
        assert_eq!(ready_now(inner), [(inner_key, Readiness::READ)]);
        assert_silent(&mut outer);
        // Armed again while there still are bytes.
        outer.data_mut(key).unwrap().modify(inner_key, Interest::READ).unwrap();
        assert_eq!(next_batch(&mut outer), [(key, Readiness::READ)]);
        let inner = outer.data_mut(key).unwrap();
        assert_eq!(ready_now(inner), [(inner_key, Readiness::READ)]);
        (&inner[inner_key].source).read_exact(&mut [0]).unwrap();
        inner.modify(inner_key, Interest::READ).unwrap();
    }
    assert_silent(&mut outer);
}

fn a_nested_selector_comes_back_with_all_its_registrations<T: Subject>() {
    let mut outer = T::selector();
    let mut inner: Inner<T> = T::selector();
    let Some(descriptor) = descriptor_of::<T>(&inner) else { return };
    let (source, mut peer) = unix_pair();
    let inner_key = inner.register(source, Interest::READ, ()).unwrap();
    let key = outer.register(descriptor, Interest::READ, inner).unwrap();
    peer.write_all(b"!").unwrap();
    let (_descriptor, mut inner) = outer.unregister(key).unwrap().into_parts();
    assert_silent(&mut outer);
    assert_eq!(ready_now(&mut inner), [(inner_key, Readiness::READ)]);
}

/// A duplicate keeps the closed one alive in the inner set, which is made anew for it; the outer
/// selector must follow.
fn a_source_closed_too_early_in_the_inner_selector_does_not_spin_the_outer_one<T: Subject>() {
    let mut outer = T::selector();
    let mut inner: Selector<Closable, (), T::Backend> = T::selector();
    let descriptor = inner.descriptor().map(|fd| fd.try_clone_to_owned().unwrap());
    assert_eq!(descriptor.is_some(), T::has_descriptor());
    let Some(descriptor) = descriptor else { return };
    let (mut source, mut peer) = unix_pair();
    let inner_key = inner.register(Closable::duplicate_of(&source), Interest::READ, ()).unwrap();
    let notifier = inner.notifier();
    let key = outer.register(descriptor, Interest::READ, inner).unwrap();
    for _ in 0..2 {
        let (orphan, _orphans_peer) = ready_unix_pair();
        let inner = outer.data_mut(key).unwrap();
        let stale = inner.register(Closable::duplicate_of(&orphan), Interest::READ, ()).unwrap();
        descriptors::close(inner[stale].source.number());
        inner.unregister(stale).unwrap();
        // It may wake the outer selector, until the inner one has been asked.
        ready_now(&mut outer);
        assert_eq!(ready_now(outer.data_mut(key).unwrap()), []);
        assert_silent(&mut outer);

        peer.write_all(b"!").unwrap();
        assert_eq!(next_batch(&mut outer), [(key, Readiness::READ)]);
        assert_eq!(ready_now(outer.data_mut(key).unwrap()), [(inner_key, Readiness::READ)]);
        source.read_exact(&mut [0]).unwrap();
        assert_silent(&mut outer);
        notifier.notify().unwrap();
        assert_eq!(next_batch(&mut outer), [(key, Readiness::READ)]);
        assert_eq!(ready_now(outer.data_mut(key).unwrap()), []);
        assert_silent(&mut outer);
    }
}

fn a_selector_cannot_be_registered_in_itself<T: Subject>() {
    let mut selector = T::selector::<OwnedFd, ()>();
    let descriptor = selector.descriptor().map(|fd| fd.try_clone_to_owned().unwrap());
    assert_eq!(descriptor.is_some(), T::has_descriptor());
    let Some(descriptor) = descriptor else { return };
    let refused = selector.register(descriptor, Interest::READ, ()).unwrap_err();
    // The loop is direct in polling's set and indirect in ours, which Linux tells apart.
    let cause = refused.source().and_then(|cause| cause.downcast_ref::<io::Error>()).unwrap();
    let expected = [Errno::EINVAL as i32, Errno::ELOOP as i32];
    assert!(expected.contains(&cause.raw_os_error().unwrap()), "{cause}");
    assert_eq!(refused.kind(), cause.kind());
    let text = refused.to_string();
    let fact = format!("cannot be watched by the {} back end", selector.backend().name());
    assert!(text.starts_with("fd ") && text.contains(&fact), "{text}");
    assert!(text.contains("a selector cannot be registered in itself"), "{text}");
    assert!(selector.is_empty());
}

fn selectors_nest_three_deep<T: Subject>() {
    let mut inner: Inner<T> = T::selector();
    let Some(descriptor) = descriptor_of::<T>(&inner) else { return };
    let (source, _peer) = ready_unix_pair();
    inner.register(source, Interest::READ, ()).unwrap();
    let mut middle = T::selector();
    middle.register(descriptor, Interest::READ, inner).unwrap();
    let descriptor = middle.descriptor().unwrap().try_clone_to_owned().unwrap();
    let mut outer = T::selector();
    let key = outer.register(descriptor, Interest::READ, middle).unwrap();
    assert_eq!(next_batch(&mut outer), [(key, Readiness::READ)]);
}

/// Linux lets five sets watch each other. Our epoll takes two of them for each selector but the
/// outermost, so that a fourth is too many; polling takes one, so that it is the sixth.
fn a_selector_that_would_be_nested_too_deep_is_refused_and_comes_back<T: Subject>() {
    let mut inner: Inner<T> = T::selector();
    let Some(mut descriptor) = descriptor_of::<T>(&inner) else { return };
    let (source, mut peer) = unix_pair();
    inner.register(source, Interest::READ, ()).unwrap();
    let mut nested: Vec<Selector<OwnedFd, (), T::Backend>> = Vec::new();
    let refused = loop {
        let mut outer = T::selector();
        match outer.register(descriptor, Interest::READ, ()) {
            Ok(_) => descriptor = outer.descriptor().unwrap().try_clone_to_owned().unwrap(),
            Err(refused) => break refused,
        }
        nested.push(outer);
        assert!(nested.len() < 10, "never refused");
    };
    let selectors = 1 + nested.len();
    assert_eq!(selectors, if nested[0].backend().name() == "epoll" { 3 } else { 5 });
    let cause = refused.source().and_then(|cause| cause.downcast_ref::<io::Error>()).unwrap();
    assert!([Errno::EINVAL as i32, Errno::ELOOP as i32].contains(&cause.raw_os_error().unwrap()));
    assert!(refused.to_string().contains("more than three deep"), "{refused}");
    // What came back is as good as before, for a back end that has no such bound.
    let mut outermost = PollSelector::<OwnedFd>::new().unwrap();
    let key = outermost.register(refused.into_parts().1, Interest::READ, ()).unwrap();
    assert_eq!(ready_now(&mut outermost), []);
    peer.write_all(b"!").unwrap();
    assert_eq!(next_batch(&mut outermost), [(key, Readiness::READ)]);
}
