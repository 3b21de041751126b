//! What is refused: the kind of the error, its text, and that nothing has changed.
//!
//! A text has a subject, a fact and a remedy; each test looks for all three.

use std::error::Error;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use selkie::selector::Backend;
use selkie::{Interest, Key, Mode, Readiness, RegisterError, Selector};

use crate::util::{Closable, Subject, assert_silent, descriptors, next_batch, on_every_back_end};
use crate::util::{kinds, ready_now, ready_unix_pair, unix_pair};

on_every_back_end! {
    the_same_descriptor_twice_is_already_exists,
    an_empty_interest_is_invalid_input,
    an_empty_interest_on_modify_is_invalid_input,
    a_closed_descriptor_is_ebadf_and_nothing_is_kept,
    a_regular_file_is_refused_with_a_remedy_or_always_ready,
    the_null_device_is_refused_with_a_remedy_or_always_ready,
    a_stale_key_is_not_found,
    a_foreign_key_is_not_found,
    a_mode_that_the_back_end_lacks_is_unsupported,
    a_failed_registration_is_an_error_like_any_other,
}

#[track_caller]
fn assert_text(error: &dyn Error, subject: &str, fact: &str, remedy: &str) {
    let text = error.to_string();
    for part in [subject, fact, remedy] {
        assert!(text.contains(part), "{part:?} is missing in {text:?}");
    }
}

fn the_same_descriptor_twice_is_already_exists<T: Subject>() {
    let mut selector = T::selector();
    let (source, mut peer) = unix_pair();
    let source = Rc::new(source);
    let key = selector.register(Rc::clone(&source), Interest::READ, "first").unwrap();
    let refused = selector.register(Rc::clone(&source), Interest::WRITE, "second").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
    let subject = format!("fd {}", source.as_raw_fd());
    assert_text(&refused, &subject, "is already registered", "use modify to change its interest");
    let (error, handed_back, data) = refused.into_parts();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(Rc::ptr_eq(&handed_back, &source));
    assert_eq!((data, selector.len(), selector[key].data), ("second", 1, "first"));
    assert_silent(&mut selector);
    peer.write_all(b"!").unwrap();
    assert_eq!(next_batch(&mut selector), [(key, Readiness::READ)]);
}

fn an_empty_interest_is_invalid_input<T: Subject>() {
    for mode in [Mode::Level, Mode::Oneshot] {
        let mut selector = T::selector();
        let (source, peer) = unix_pair();
        let fd = source.as_raw_fd();
        let refused =
            selector.register_with_mode(source, Interest::empty(), mode, "data").unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
        let remedy = "ask for READ, WRITE or PRIORITY, or unregister it";
        assert_text(&refused, &format!("fd {fd}"), "has an empty interest", remedy);
        let (_, source, data) = refused.into_parts();
        assert_eq!((source.as_raw_fd(), data), (fd, "data"));
        assert!(selector.is_empty() && selector.key_of(&source).is_none());
        // A hang-up would be reported, and for ever, if it had been registered all the same.
        drop(peer);
        assert_silent(&mut selector);
    }
}

fn an_empty_interest_on_modify_is_invalid_input<T: Subject>() {
    let mut selector = T::selector();
    let (source, _peer) = ready_unix_pair();
    let fd = source.as_raw_fd();
    let key = selector.register(source, Interest::READ, ()).unwrap();
    for refused in [
        selector.modify(key, Interest::empty()).unwrap_err(),
        selector.modify_with_mode(key, Interest::empty(), Mode::Oneshot).unwrap_err(),
    ] {
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
        assert_text(&refused, &format!("fd {fd}"), "has an empty interest", "or unregister it");
    }
    assert_eq!((selector[key].interest, selector[key].mode), (Interest::READ, Mode::Level));
    assert_eq!(ready_now(&mut selector), [(key, Readiness::READ)]);
}

fn a_closed_descriptor_is_ebadf_and_nothing_is_kept<T: Subject>() {
    let mut selector = T::selector();
    let (open, mut peer) = unix_pair();
    for mode in [Mode::Level, Mode::Oneshot] {
        let source = Closable::duplicate_of(&open);
        let number = source.number();
        descriptors::close(number);
        let refused =
            selector.register_with_mode(source, Interest::READ, mode, "data").unwrap_err();
        assert_eq!(refused.error().raw_os_error(), Some(nix::errno::Errno::EBADF as i32));
        assert_eq!(
            refused.kind(),
            io::Error::from_raw_os_error(nix::errno::Errno::EBADF as i32).kind()
        );
        let remedy = "register a source before its descriptor is closed";
        assert_text(&refused, &format!("fd {number}"), "is not open", remedy);
        let (_, source, data) = refused.into_parts();
        assert_eq!((source.number(), data), (number, "data"));
        assert!(selector.is_empty());
        assert_silent(&mut selector);
        // Nothing is kept: the number is free for the next.
        let source = Closable::at(number, &open);
        assert_eq!(selector.key_of(&source), None);
        let key = selector.register(source, Interest::READ, "open").unwrap();
        assert_silent(&mut selector);
        peer.write_all(b"!").unwrap();
        assert_eq!(ready_now(&mut selector), [(key, Readiness::READ)]);
        rustix::io::read(&open, &mut [0_u8; 8]).unwrap();
        selector.unregister(key).unwrap();
    }
}

/// A file that epoll does not watch: EPERM there, and thereby in polling; ready in both
/// directions for ever with poll(2) and select(2), as POSIX says.
fn expect_unwatchable<T: Subject>(file: File) {
    let fd = file.as_raw_fd();
    let mut selector = T::selector();
    let both = Interest::READ | Interest::WRITE;
    let registered = selector.register(OwnedFd::from(file), both, "data");
    if !kinds::refuses_regular_files(T::KIND) {
        let key = registered.unwrap();
        for _ in 0..3 {
            assert_eq!(ready_now(&mut selector), [(key, Readiness::READ | Readiness::WRITE)]);
        }
        selector.unregister(key).unwrap();
        assert_silent(&mut selector);
        return;
    }
    let refused = registered.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    assert_eq!(refused.error().raw_os_error(), Some(nix::errno::Errno::EPERM as i32));
    let fact = format!("cannot be watched by the {} back end", T::KIND);
    let remedy = "use it without a selector, or take the poll or select back end";
    assert_text(&refused, &format!("fd {fd}"), &fact, remedy);
    assert_text(&refused, "a regular file", "is always ready", remedy);
    let (_, file, data) = refused.into_parts();
    assert_eq!((file.as_raw_fd(), data), (fd, "data"));
    assert!(selector.is_empty());
    assert_silent(&mut selector);
}

fn a_regular_file_is_refused_with_a_remedy_or_always_ready<T: Subject>() {
    expect_unwatchable::<T>(File::open(std::env::current_exe().unwrap()).unwrap());
}

fn the_null_device_is_refused_with_a_remedy_or_always_ready<T: Subject>() {
    expect_unwatchable::<T>(File::options().read(true).write(true).open("/dev/null").unwrap());
}

/// Every way to name a registration that is not here.
#[track_caller]
fn expect_not_found<D: std::fmt::Debug, B: Backend>(
    selector: &mut Selector<UnixStream, D, B>,
    key: Key,
) {
    for refused in [
        selector.modify(key, Interest::WRITE).unwrap_err(),
        selector.modify(key, Interest::empty()).unwrap_err(),
        selector.modify_with_mode(key, Interest::READ, Mode::Oneshot).unwrap_err(),
        selector.unregister(key).unwrap_err(),
    ] {
        assert_eq!(refused.kind(), ErrorKind::NotFound);
        let remedy = "it was unregistered, or it is a key of another selector";
        assert_text(&refused, &format!("{key:?}"), "is not registered here", remedy);
    }
}

/// The slot and the descriptor number are in use again, by another registration.
fn a_stale_key_is_not_found<T: Subject>() {
    let mut selector = T::selector();
    let (source, _peer) = ready_unix_pair();
    let stale = selector.register(source, Interest::READ, "old").unwrap();
    let (source, _) = selector.unregister(stale).unwrap().into_parts();
    expect_not_found(&mut selector, stale);
    let key = selector.register(source, Interest::READ, "new").unwrap();
    expect_not_found(&mut selector, stale);
    assert_eq!(ready_now(&mut selector), [(key, Readiness::READ)]);
}

fn a_foreign_key_is_not_found<T: Subject>() {
    let (mut selector, mut other) = (T::selector(), T::selector());
    let (source, _peer) = ready_unix_pair();
    let (others_source, _others_peer) = ready_unix_pair();
    let key = selector.register(source, Interest::READ, ()).unwrap();
    let foreign = other.register(others_source, Interest::READ, ()).unwrap();
    expect_not_found(&mut selector, foreign);
    expect_not_found(&mut other, key);
    assert_eq!(ready_now(&mut selector), [(key, Readiness::READ)]);
    assert_eq!(ready_now(&mut other), [(foreign, Readiness::READ)]);
}

/// Edges, on poll(2) and select(2). Epoll and polling lack no mode, so there it is accepted.
fn a_mode_that_the_back_end_lacks_is_unsupported<T: Subject>() {
    let mut selector = T::selector();
    let (source, _peer) = unix_pair();
    let fd = source.as_raw_fd();
    let registered = selector.register_with_mode(source, Interest::READ, Mode::Edge, "data");
    if T::has_edges() {
        assert_eq!(selector[registered.unwrap()].mode, Mode::Edge);
        return;
    }
    let subject = format!("the {} back end", T::KIND);
    let remedy = "use level or oneshot mode, or a back end that has it, such as epoll";
    let refused = registered.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert_text(&refused, &subject, "has no edge mode", remedy);
    let (_, source, data) = refused.into_parts();
    assert_eq!((source.as_raw_fd(), data), (fd, "data"));
    assert!(selector.is_empty());
    let key = selector.register(source, Interest::READ, "data").unwrap();
    let refused = selector.modify_with_mode(key, Interest::READ, Mode::Edge).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert_text(&refused, &subject, "has no edge mode", remedy);
}

fn by_question_mark<S: AsFd, B: Backend>(
    selector: &mut Selector<S, (), B>,
    source: S,
) -> io::Result<Key> {
    Ok(selector.register(source, Interest::empty(), ())?)
}

fn a_failed_registration_is_an_error_like_any_other<T: Subject>() {
    let mut selector = T::selector();
    let error = by_question_mark(&mut selector, unix_pair().0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);

    let mut selector = T::selector();
    let source = Closable::duplicate_of(unix_pair().0);
    descriptors::close(source.number());
    let refused: RegisterError<Closable> =
        selector.register(source, Interest::READ, ()).unwrap_err();
    let boxed: Box<dyn Error + Send + Sync> = Box::new(refused);
    assert!(format!("{boxed:?}").contains("RegisterError"), "{boxed:?}");
    let cause = boxed.source().expect("the system's own error");
    let cause = cause.downcast_ref::<io::Error>().unwrap();
    assert_eq!(cause.raw_os_error(), Some(nix::errno::Errno::EBADF as i32));
    assert!(boxed.to_string().contains("is not open"));
    let error: io::Error = io::Error::other(boxed);
    assert!(error.to_string().contains("is not open"));
}
