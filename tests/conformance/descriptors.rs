//! The selector's own descriptors. Each test looks at a whole process, so it runs again in a
//! child of its own.

use std::fs;
use std::io::Write;
use std::os::fd::{AsRawFd, RawFd};

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use selkie::selector::Backend;
use selkie::{Events, Interest, Readiness};

use crate::util::{Closable, DEADLINE, Subject, assert_silent, child, descriptors};
use crate::util::{next_batch, on_every_back_end, ready_unix_pair, unix_pair};

on_every_back_end! {
    every_descriptor_is_closed_on_exec,
    every_descriptor_is_closed_with_the_selector,
    no_descriptor_to_spare_is_an_error_that_leaks_none,
}

/// True in the child; in the parent it runs the child and is false.
fn in_child<T: Subject>(test: &str) -> bool {
    if child::role().is_some() {
        return true;
    }
    let name = format!("descriptors::{}::{test}", T::NAME);
    child::run(&mut child::command(&name, "look at the descriptors"));
    false
}

/// The open descriptors of this process.
fn open_descriptors() -> Vec<RawFd> {
    let listed: Vec<RawFd> = fs::read_dir("/proc/self/fd")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap())
        .collect();
    // The listing had one of its own.
    listed.into_iter().filter(|fd| fs::exists(format!("/proc/self/fdinfo/{fd}")).unwrap()).collect()
}

/// What is open now and was not `before`.
fn added_since(before: &[RawFd]) -> Vec<RawFd> {
    open_descriptors().into_iter().filter(|fd| !before.contains(fd)).collect()
}

fn is_closed_on_exec(fd: RawFd) -> bool {
    const O_CLOEXEC: u32 = 0o2_000_000;
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
    u32::from_str_radix(flags.trim(), 8).unwrap() & O_CLOEXEC != 0
}

#[track_caller]
fn expect_closed_on_exec(fds: &[RawFd]) {
    assert_ne!(fds, [], "no descriptor to look at");
    for fd in fds {
        assert!(is_closed_on_exec(*fd), "fd {fd} would be inherited");
    }
}

/// After a fork a shared epoll set is no good; after an exec it is a leak too.
fn every_descriptor_is_closed_on_exec<T: Subject>() {
    if !in_child::<T>("every_descriptor_is_closed_on_exec") {
        return;
    }
    let (duplicate, _peer) = ready_unix_pair();
    let before = open_descriptors();
    let mut selector = T::selector();
    let _notifier = selector.notifier();
    assert_eq!(selector.descriptor().is_some(), T::has_descriptor());
    let added = added_since(&before);
    expect_closed_on_exec(&added);
    // Also those of a set that was made anew, as epoll's is for an orphan.
    let source = Closable::duplicate_of(&duplicate);
    let key = selector.register(source, Interest::READ, ()).unwrap();
    descriptors::close(selector[key].source.number());
    selector.unregister(key).unwrap();
    assert_silent(&mut selector);
    let anew = added_since(&before);
    assert_eq!(anew.len(), added.len(), "making the set anew leaks");
    expect_closed_on_exec(&anew);
}

fn every_descriptor_is_closed_with_the_selector<T: Subject>() {
    if !in_child::<T>("every_descriptor_is_closed_with_the_selector") {
        return;
    }
    let before = open_descriptors();
    let (source, _peer) = ready_unix_pair();
    let mut selector = T::selector();
    let key = selector.register(source, Interest::READ, ()).unwrap();
    assert_eq!(next_batch(&mut selector), [(key, Readiness::READ)]);
    let keys: Vec<_> = selector.into_registrations().collect();
    assert_eq!(added_since(&before), [keys[0].source.as_raw_fd(), _peer.as_raw_fd()]);
    drop(T::selector::<std::net::TcpStream, ()>());
    drop((keys, _peer));
    assert_eq!(open_descriptors(), before);
}

/// Opens it with room for none, for one, for two descriptors more, until that is enough.
fn no_descriptor_to_spare_is_an_error_that_leaks_none<T: Subject>() {
    if !in_child::<T>("no_descriptor_to_spare_is_an_error_that_leaks_none") {
        return;
    }
    let (source, mut peer) = unix_pair();
    let before = open_descriptors();
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let mut refusals = 0;
    let backend = loop {
        let next_free = source.try_clone().unwrap().as_raw_fd();
        let limit = rlim_t::try_from(next_free).unwrap() + refusals;
        setrlimit(Resource::RLIMIT_NOFILE, limit, hard).unwrap();
        let opened = T::try_open();
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
        match opened {
            Ok(backend) => break backend,
            Err(error) => assert_eq!(error.raw_os_error(), Some(Errno::EMFILE as i32)),
        }
        assert_eq!(open_descriptors(), before, "a failed one left something open");
        refusals += 1;
    };
    let used = added_since(&before).len() as rlim_t;
    assert!((1..=used).contains(&refusals), "{refusals} refusals for {used} descriptors");
    // What was opened in need is as good as another.
    let mut selector = selkie::Selector::with_backend(backend);
    let key = selector.register(source, Interest::READ, ()).unwrap();
    peer.write_all(b"!").unwrap();
    let mut events = Events::new();
    let found: Vec<_> = selector.select(&mut events, Some(DEADLINE)).unwrap().collect();
    assert_eq!(found, [(key, Readiness::READ)]);
    assert_eq!(selector.backend().name(), T::KIND.name());
}
