//! The builder's choice of a back end. Its other settings are tested where they have an effect:
//! `event_capacity` and `polls_per_turn` in `turns`, `operations_per_poll` in `budget`,
//! `timer_fd` in `alarm`, `unobserved_panic` in `panics`.

use std::fs;
use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use selkie::selector::BackendKind;
use selkie::{Builder, Runtime, sleep, spawn};

use crate::backends::Parked;
use crate::child::{self, open_descriptors};
use crate::descriptor::KINDS;
use crate::util::{is_readable, panic_text, run_on, settle};

fn has_descriptor(kind: BackendKind) -> bool {
    KINDS.contains(&kind)
}

#[test]
fn the_builders_back_end_goes_before_that_of_the_environment() {
    for kind in BackendKind::ALL {
        let runtime = Builder::new().backend(*kind).build().unwrap();
        assert_eq!(runtime.descriptor().is_ok(), has_descriptor(*kind));
    }
}

#[test]
fn without_a_choice_the_environment_chooses_the_back_end_but_not_that_of_a_builder() {
    let expected = has_descriptor(BackendKind::from_env().unwrap());
    for runtime in [Runtime::new(), Builder::new().backend_from_env().build()] {
        assert_eq!(runtime.unwrap().descriptor().is_ok(), expected);
    }
    for builder in [Builder::new(), Builder::default()] {
        let runtime = builder.build().unwrap();
        assert_eq!(runtime.descriptor().is_ok(), has_descriptor(BackendKind::DEFAULT));
    }
}

#[test]
fn an_unknown_back_end_in_the_environment_is_an_error_that_names_the_known_ones() {
    if child::role().is_some() {
        for error in [Runtime::new().unwrap_err(), selkie::try_block_on(async {}).unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            let text = error.to_string();
            for name in ["SELKIE_BACKEND", "epoll", "poll", "select"] {
                assert!(text.contains(name), "{text}");
            }
        }
        let text = panic_text(|| selkie::block_on(async {}));
        assert!(text.starts_with("block_on cannot make a runtime: SELKIE_BACKEND"), "{text}");
        Builder::new().build().expect("it does not ask the environment");
        Builder::new().backend_from_env().build().expect_err("it does");
        return;
    }
    let name =
        "builder::an_unknown_back_end_in_the_environment_is_an_error_that_names_the_known_ones";
    child::run(child::command(name, "ask for it").env("SELKIE_BACKEND", "1"));
}

#[test]
fn a_back_end_of_ones_own_is_enough_for_tasks_and_timers() {
    let runtime = Builder::new().build_with(Parked::open()).unwrap();
    assert_eq!(runtime.descriptor().unwrap_err().kind(), ErrorKind::Unsupported);
    let value = run_on(&runtime, async {
        sleep(Duration::from_millis(1)).await;
        spawn(async { 7 }).await
    });
    assert_eq!(value, 7);
}

#[test]
fn a_runtime_with_a_timer_descriptor_works_on_every_back_end() {
    for kind in BackendKind::ALL {
        let runtime = Builder::new().backend(*kind).timer_fd(true).build().unwrap();
        run_on(&runtime, async {
            let task = spawn(sleep(Duration::from_millis(2)));
            sleep(Duration::from_millis(1)).await;
            task.await;
        });
    }
}

#[test]
fn a_runtime_that_nobody_embeds_has_no_descriptor_for_it() {
    if child::role().is_none() {
        let name = "builder::a_runtime_that_nobody_embeds_has_no_descriptor_for_it";
        child::run(&mut child::command(name, "alone"));
        return;
    }
    // What the back end needs, and what embedding adds: epoll's set and eventfd, then a set in
    // front of it and our duplicate; the same of polling, with a timer, and no set in front.
    let expected = [
        (BackendKind::Epoll, 2, 2),
        (BackendKind::Poll, 1, 0),
        (BackendKind::Select, 1, 0),
        #[cfg(all(feature = "polling", not(polling_test_poll_backend)))]
        (BackendKind::Polling, 3, 1),
    ];
    for (kind, fresh, added) in expected {
        let before = open_descriptors();
        let runtime = Builder::new().backend(kind).build().unwrap();
        run_on(&runtime, async { spawn(sleep(Duration::from_millis(1))).await });
        assert_eq!(open_descriptors() - before, fresh, "{kind:?}");
        for _ in 0..2 {
            assert_eq!(runtime.descriptor().is_ok(), has_descriptor(kind));
            assert_eq!(open_descriptors() - before, fresh + added, "{kind:?}, embedded");
        }
        drop(runtime);
        assert_eq!(open_descriptors(), before, "{kind:?}");
    }
}

/// All that happened before somebody asked for the descriptor shows on it.
#[test]
fn a_descriptor_that_is_asked_for_late_shows_what_came_before() {
    for kind in BackendKind::ALL.iter().copied().filter(|kind| has_descriptor(*kind)) {
        let runtime = Builder::new().backend(kind).build().unwrap();
        settle(&runtime);
        runtime.spawn(async {}).detach();
        assert!(is_readable(&runtime), "{kind:?}");
        settle(&runtime);
        assert!(!is_readable(&runtime), "{kind:?}");
    }
}

#[test]
fn no_descriptor_to_spare_for_a_runtimes_own_is_an_error_until_there_is_one() {
    if child::role().is_none() {
        let name =
            "builder::no_descriptor_to_spare_for_a_runtimes_own_is_an_error_until_there_is_one";
        child::run(&mut child::command(name, "alone"));
        return;
    }
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    for kind in BackendKind::ALL.iter().copied().filter(|kind| has_descriptor(*kind)) {
        let runtime = Builder::new().backend(kind).build().unwrap();
        let next_free = fs::File::open("/dev/null").unwrap().as_raw_fd();
        setrlimit(Resource::RLIMIT_NOFILE, next_free.try_into().unwrap(), hard).unwrap();
        let error = runtime.descriptor().map(|_| ()).map_err(|error| error.raw_os_error());
        let text = panic_text(|| runtime.as_fd().as_raw_fd());
        setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
        assert_eq!(error, Err(Some(nix::libc::EMFILE)), "{kind:?}");
        assert!(text.starts_with("the runtime has no descriptor to lend: "), "{text}");
        runtime.spawn(async {}).detach();
        assert!(is_readable(&runtime), "{kind:?}");
    }
}

#[test]
fn what_is_shown_of_a_runtime_and_its_remote_names_them() {
    let runtime = Builder::new().build_with(Parked::open()).unwrap();
    let shown = "Runtime { has_ready_tasks: false, next_deadline: None, .. }";
    assert_eq!(format!("{runtime:?}"), shown);
    assert_eq!(format!("{:?}", runtime.remote()), "Remote { .. }");
}
