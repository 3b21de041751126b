//! The names under which a selector is opened, and the choice of a back end at run time.

use std::io::{ErrorKind, Write};
use std::os::unix::net::UnixStream;

use selkie::selector::{Backend, BackendKind};
use selkie::{DefaultSelector, EpollSelector, Interest, PollSelector, Readiness};
use selkie::{SelectSelector, Selector};

use crate::util::subject::KINDS;
use crate::util::{Subject, child, next_batch, on_every_back_end, unix_pair};

on_every_back_end! {
    each_back_end_is_opened_by_its_name,
    the_environment_overrides_the_default_for_a_whole_program,
}

/// One round of reading, to see that it works and not only opens.
fn expect_to_work<B: Backend>(mut selector: Selector<UnixStream, &'static str, B>, name: &str) {
    assert_eq!(selector.backend().name(), name);
    let (source, mut peer) = unix_pair();
    let key = selector.register(source, Interest::READ, "data").unwrap();
    peer.write_all(b"!").unwrap();
    assert_eq!(next_batch(&mut selector), [(key, Readiness::READ)]);
}

#[test]
fn each_alias_opens_its_back_end() {
    expect_to_work(EpollSelector::new().unwrap(), "epoll");
    expect_to_work(PollSelector::new().unwrap(), "poll");
    expect_to_work(SelectSelector::new().unwrap(), "select");
    #[cfg(feature = "polling")]
    expect_to_work(selkie::PollingSelector::new().unwrap(), "polling");
}

/// They may go to another thread; a walk may look at them from there.
#[test]
fn selectors_and_buffers_are_send() {
    fn send<T: Send>() {}
    fn sync<T: Sync>() {}
    send::<DefaultSelector<UnixStream>>();
    send::<EpollSelector<UnixStream>>();
    send::<PollSelector<UnixStream>>();
    send::<SelectSelector<UnixStream>>();
    #[cfg(feature = "polling")]
    send::<selkie::PollingSelector<UnixStream>>();
    send::<selkie::Events>();
    sync::<selkie::Events>();
    send::<selkie::Key>();
}

#[test]
fn what_is_shown_of_a_key_tells_it_from_its_neighbour_and_from_another_selectors() {
    let shown = || {
        let mut selector = EpollSelector::new().unwrap();
        let notifier = selector.notifier();
        assert_eq!(format!("{notifier:?}"), "Notifier { .. }");
        let (one, other) = unix_pair();
        let key = |source| format!("{:?}", selector.register(source, Interest::READ, ()).unwrap());
        [one, other].map(key)
    };
    let all: std::collections::HashSet<_> = shown().into_iter().chain(shown()).collect();
    assert_eq!(all.len(), 4, "{all:?}");
}

#[test]
fn what_is_shown_of_select_counts_the_descriptors_it_asks_for() {
    let mut selector = SelectSelector::new().unwrap();
    let (one, other) = unix_pair();
    selector.register(one, Interest::READ | Interest::WRITE, ()).unwrap();
    selector.register(other, Interest::WRITE, ()).unwrap();
    let shown = format!("{:?}", selector.backend());
    assert!(shown.contains("asked: [2, 2, 0]"), "with the notifier's: {shown}");
}

fn each_back_end_is_opened_by_its_name<T: Subject>() {
    let name = T::KIND.name();
    let kind: BackendKind = name.parse().unwrap();
    assert_eq!((kind, kind.to_string().as_str()), (T::KIND, name));
    assert!(BackendKind::ALL.contains(&kind));
    expect_to_work(Selector::with_backend(kind.open().unwrap()), name);
    expect_to_work(Selector::with_backend(T::open()), name);
}

#[test]
fn every_back_end_of_this_system_is_under_test() {
    for kind in BackendKind::ALL {
        assert!(KINDS.contains(kind), "{kind} is missing in tests/util/subject.rs");
    }
}

#[test]
fn a_name_that_no_back_end_has_is_refused_with_the_known_ones() {
    for name in ["", "kqueue", "Epoll", "epoll ", "epoll,poll"] {
        let text = name.parse::<BackendKind>().unwrap_err().to_string();
        assert!(text.contains(&format!("{name:?} is not a back end of this system")), "{text}");
        let all: Vec<_> = BackendKind::ALL.iter().map(|kind| kind.name()).collect();
        assert!(text.contains(&format!("use one of {}", all.join(", "))), "{text}");
        assert!(text.contains("epoll") && text.contains("poll, select"), "{text}");
    }
}

#[cfg(not(feature = "polling"))]
#[test]
fn a_back_end_that_was_left_out_is_refused_with_its_feature() {
    let text = "polling".parse::<BackendKind>().unwrap_err().to_string();
    let remedy = "build selkie with its feature `polling`, or use one of epoll, poll, select";
    assert!(text.contains("not a back end of this build") && text.contains(remedy), "{text}");
}

/// What a child prints when it opens a default selector: the name, or the error.
fn default_in_a_child(test: &str, variable: Option<&str>) -> String {
    let mut command = child::command(&format!("aliases::{test}"), "open the default selector");
    if let Some(value) = variable {
        command.env("SELKIE_BACKEND", value);
    }
    let printed = child::run(&mut command);
    let line = printed.lines().find_map(|line| line.strip_prefix("it says: "));
    line.expect("the child says something").to_owned()
}

/// The child's part: true if this was one.
fn opened_as_a_child() -> bool {
    if child::role().is_none() {
        return false;
    }
    match DefaultSelector::new() {
        Ok(selector) => {
            let name = selector.backend().name();
            println!("\nit says: {name}");
            expect_to_work(selector, name);
        }
        Err(error) => println!("\nit says: {:?}: {error}", error.kind()),
    }
    true
}

fn the_environment_overrides_the_default_for_a_whole_program<T: Subject>() {
    if !opened_as_a_child() {
        let test = "the_environment_overrides_the_default_for_a_whole_program";
        let opened = default_in_a_child(&format!("{}::{test}", T::NAME), Some(T::KIND.name()));
        assert_eq!(opened, T::KIND.name());
    }
}

#[test]
fn the_default_is_the_most_efficient_back_end() {
    if !opened_as_a_child() {
        let opened = default_in_a_child("the_default_is_the_most_efficient_back_end", None);
        assert_eq!(opened, "epoll");
        assert_eq!(BackendKind::DEFAULT, BackendKind::Epoll);
    }
}

#[test]
fn an_unknown_back_end_in_the_environment_is_an_error_that_names_the_known_ones() {
    if opened_as_a_child() {
        return;
    }
    let test = "an_unknown_back_end_in_the_environment_is_an_error_that_names_the_known_ones";
    for name in ["io_uring", ""] {
        let error = default_in_a_child(test, Some(name));
        assert!(error.starts_with(&format!("{:?}: SELKIE_BACKEND: ", ErrorKind::InvalidInput)));
        assert!(error.contains(&format!("{name:?} is not a back end of this system")), "{error}");
        for kind in BackendKind::ALL {
            assert!(error.contains(kind.name()), "{kind} is missing in {error}");
        }
    }
}
