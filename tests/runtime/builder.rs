//! The builder's choice of a back end. Its other settings are tested where they have an effect:
//! `event_capacity` and `polls_per_turn` in `turns`, `operations_per_poll` in `budget`,
//! `timer_fd` in `alarm`, `unobserved_panic` in `panics`.

use std::env;
use std::io::ErrorKind;
use std::time::Duration;

use selkie::selector::BackendKind;
use selkie::{Builder, Runtime, sleep, spawn};

use crate::backends::Parked;
use crate::child;
use crate::util::run_on;

fn has_descriptor(kind: BackendKind) -> bool {
    matches!(kind, BackendKind::Epoll | BackendKind::Polling)
}

#[test]
fn the_builders_back_end_goes_before_that_of_the_environment() {
    for kind in BackendKind::ALL {
        let runtime = Builder::new().backend(*kind).build().unwrap();
        assert_eq!(runtime.descriptor().is_some(), has_descriptor(*kind));
    }
}

#[test]
fn without_a_choice_the_environment_chooses_the_back_end() {
    let expected = has_descriptor(BackendKind::from_env().unwrap());
    for runtime in [Runtime::new(), Builder::new().build(), Builder::default().build()] {
        assert_eq!(runtime.unwrap().descriptor().is_some(), expected);
    }
}

#[test]
fn an_unknown_back_end_in_the_environment_is_an_error_that_names_the_known_ones() {
    const VARIABLE: &str = "SELKIE_BACKEND";
    if env::var_os(VARIABLE).is_some_and(|name| name == "1") {
        for error in [Runtime::new().unwrap_err(), selkie::block_on(async {}).unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            let text = error.to_string();
            for name in ["SELKIE_BACKEND", "epoll", "poll", "select", "polling"] {
                assert!(text.contains(name), "{text}");
            }
        }
        Builder::new().backend(BackendKind::DEFAULT).build().expect("was told which");
        return;
    }
    let name =
        "builder::an_unknown_back_end_in_the_environment_is_an_error_that_names_the_known_ones";
    let status = child::run_test_alone(name, VARIABLE);
    assert!(status.success(), "{status}");
}

#[test]
fn a_back_end_of_ones_own_is_enough_for_tasks_and_timers() {
    let runtime = Builder::new().build_with(Parked::open()).unwrap();
    assert!(runtime.descriptor().is_none());
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
fn what_is_shown_of_a_runtime_and_its_remote_names_them() {
    let runtime = Builder::new().build_with(Parked::open()).unwrap();
    let shown = "Runtime { has_ready_tasks: false, next_deadline: None, .. }";
    assert_eq!(format!("{runtime:?}"), shown);
    assert_eq!(format!("{:?}", runtime.remote()), "Remote { .. }");
}
