//! A wrapper, and a box, ask the inner back end all that they do not change: nothing falls back to
//! what [`Backend`] provides.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use selkie::selector::{Backend, OnSignal, ReadyList, Token, Until, Wrapped, Wrapper};
use selkie::{Interest, Mode, Notifier};

use crate::util::unix_pair;

/// Writes down which of its methods were called. No answer is one that is provided.
struct Recorder {
    called: Rc<RefCell<Vec<&'static str>>>,
    start: Instant,
    descriptor: std::os::unix::net::UnixStream,
}

impl Recorder {
    fn note(&self, method: &'static str) {
        self.called.borrow_mut().push(method);
    }
}

impl Backend for Recorder {
    fn name(&self) -> &'static str {
        self.note("name");
        "recorder"
    }

    fn now(&self) -> Instant {
        self.note("now");
        self.start
    }

    fn supports(&self, mode: Mode) -> bool {
        self.note("supports");
        mode == Mode::Edge
    }

    fn reports_read_closed(&self) -> bool {
        self.note("reports_read_closed");
        true
    }

    // SAFETY: nothing is kept of the descriptor.
    unsafe fn register(
        &mut self,
        _token: Token,
        _fd: BorrowedFd<'_>,
        _interest: Interest,
        _mode: Mode,
    ) -> io::Result<()> {
        self.note("register");
        Ok(())
    }

    // SAFETY: nothing is kept of the descriptor.
    unsafe fn modify(
        &mut self,
        _token: Token,
        _fd: BorrowedFd<'_>,
        _interest: Interest,
        _mode: Mode,
    ) -> io::Result<()> {
        self.note("modify");
        Ok(())
    }

    fn unregister(&mut self, _token: Token, _fd: BorrowedFd<'_>) -> io::Result<()> {
        self.note("unregister");
        Ok(())
    }

    fn wait(&mut self, ready: &mut ReadyList, _until: Until) -> io::Result<()> {
        self.note("wait");
        ready.set_notified();
        Ok(())
    }

    fn on_signal(&mut self, _then: OnSignal) {
        self.note("on_signal");
    }

    fn notifier(&self) -> Notifier {
        self.note("notifier");
        Notifier::new(|| Ok(()))
    }

    fn reset(&mut self) -> io::Result<()> {
        self.note("reset");
        Err(io::ErrorKind::OutOfMemory.into())
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.note("descriptor");
        Some(self.descriptor.as_fd())
    }
}

/// Calls every method that [`Backend`] has, and looks at what comes back.
fn call_all(backend: &mut impl Backend, start: Instant) {
    let (source, _peer) = unix_pair();
    let (token, fd) = (Token::from_bits(1), source.as_fd());
    let mut ready = ReadyList::new(std::num::NonZeroUsize::MIN);
    assert_eq!((backend.name(), backend.now()), ("recorder", start));
    assert!(backend.supports(Mode::Edge) && !backend.supports(Mode::Level));
    assert!(backend.reports_read_closed());
    // SAFETY: `source` is open until after `unregister`.
    unsafe { backend.register(token, fd, Interest::READ, Mode::Edge) }.unwrap();
    // SAFETY: as above.
    unsafe { backend.modify(token, fd, Interest::WRITE, Mode::Edge) }.unwrap();
    backend.unregister(token, fd).unwrap();
    backend.wait(&mut ready, Until::Now).unwrap();
    assert!(ready.is_notified());
    backend.on_signal(OnSignal::Return);
    backend.notifier().notify().unwrap();
    assert_eq!(backend.reset().unwrap_err().kind(), io::ErrorKind::OutOfMemory);
    assert!(backend.descriptor().is_some());
}

const ALL: [&str; 13] = [
    "name",
    "now",
    "supports",
    "supports",
    "reports_read_closed",
    "register",
    "modify",
    "unregister",
    "wait",
    "on_signal",
    "notifier",
    "reset",
    "descriptor",
];

fn recorder() -> (Rc<RefCell<Vec<&'static str>>>, Recorder) {
    let called = Rc::default();
    let start = Instant::now() + Duration::from_secs(1);
    (Rc::clone(&called), Recorder { called, start, descriptor: unix_pair().0 })
}

/// The methods between two places of a source.
fn methods<'s>(source: &'s str, begin: &str, end: &str) -> Vec<&'s str> {
    let (_, source) = source.split_once(begin).expect("the source has changed");
    let (source, _) = source.split_once(end).expect("the source has changed");
    let declared = source.lines().map(|line| line.trim().trim_start_matches("unsafe "));
    let names = declared.filter_map(|line| line.strip_prefix("fn ")?.split(['(', '<']).next());
    names.collect()
}

#[test]
fn no_method_of_a_back_end_is_missing_in_a_wrapper() {
    let trait_ = include_str!("../../src/selector/backend/mod.rs");
    let wrap = include_str!("../../src/selector/backend/wrap.rs");
    let mut all = methods(trait_, "pub trait Backend {", "\n}");
    let mut wrapper = methods(wrap, "pub trait Wrapper", "\n}");
    let mut forwarded = methods(wrap, "macro_rules! forward", "\n}");
    for methods in [&mut all, &mut wrapper, &mut forwarded] {
        methods.sort_unstable();
    }
    assert_eq!((&wrapper, &forwarded), (&all, &all));
    let called: std::collections::BTreeSet<_> = ALL.into_iter().collect();
    assert_eq!(Vec::from_iter(called), all, "these are called below");
}

#[test]
fn a_wrapper_that_changes_nothing_forwards_everything() {
    struct Nothing;
    impl<B: Backend> Wrapper<B> for Nothing {}
    let (called, inner) = recorder();
    let start = inner.start;
    call_all(&mut Wrapped { inner, wrapper: Nothing }, start);
    assert_eq!(*called.borrow(), ALL);
}

#[test]
fn a_box_forwards_everything() {
    let (called, inner) = recorder();
    let start = inner.start;
    let mut boxed: Box<dyn Backend> = Box::new(inner);
    call_all(&mut boxed, start);
    assert_eq!(*called.borrow(), ALL);
}

#[test]
fn a_closure_is_a_wait_and_forwards_all_else() {
    let (called, inner) = recorder();
    let (start, waits) = (inner.start, RefCell::new(0));
    let wait = |inner: &mut Recorder, ready: &mut ReadyList, until| {
        *waits.borrow_mut() += 1;
        inner.wait(ready, until)
    };
    call_all(&mut Wrapped::new(inner, wait), start);
    assert_eq!((&called.borrow()[..], waits.into_inner()), (&ALL[..], 1));
}
