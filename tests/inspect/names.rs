//! Who a task is.

use std::future::pending;
use std::time::Duration;

use selkie::inspect::waits_for;
use selkie::task::TaskState;

use crate::util::{run_on, runtime, settle};

#[test]
fn a_task_is_known_by_its_name_and_the_place_of_its_spawning() {
    let runtime = runtime();
    let line = line!() + 1;
    let named = runtime.spawn_named(format!("worker {}", 7), pending::<()>());
    let plain = runtime.spawn(pending::<()>());
    settle(&runtime);
    let tasks = runtime.tasks();
    let info = tasks.get(named.id()).unwrap();
    assert_eq!(info.name.as_deref(), Some("worker 7"));
    assert_eq!((info.spawned_at.file(), info.spawned_at.line()), (file!(), line));
    assert_eq!(tasks.get(plain.id()).unwrap().name, None);
    assert!(tasks.to_string().contains(&format!("{}:{line}", file!())), "{tasks}");
}

#[test]
fn free_functions_and_remotes_name_tasks_too() {
    let runtime = runtime();
    let remote = runtime.remote();
    let sent = std::thread::spawn(move || {
        remote.spawn_named("sent", || async { selkie::sleep(Duration::from_secs(3600)).await })
    });
    let sent = sent.join().unwrap().unwrap();
    let tasks = run_on(&runtime, async {
        let local = selkie::spawn_named("local", pending::<()>());
        selkie::yield_now().await;
        let tasks = selkie::inspect::tasks();
        assert_eq!(tasks.get(local.id()).unwrap().name.as_deref(), Some("local"));
        tasks
    });
    let info = tasks.get(sent.id()).unwrap();
    assert_eq!((info.name.as_deref(), info.state), (Some("sent"), TaskState::Waiting));
    assert!(info.age.is_some(), "it has waited");
    assert_eq!(info.spawned_at.file(), file!());
}

#[test]
fn an_age_grows_and_goes_by_the_turn_of_the_spawning() {
    let runtime = runtime();
    let (young, old) = run_on(&runtime, async {
        let old = selkie::spawn(pending::<()>());
        let pause = Duration::from_millis(20);
        selkie::sleep(pause).await;
        let young = selkie::spawn(pending::<()>());
        selkie::yield_now().await;
        let tasks = selkie::inspect::tasks();
        let age = |id| tasks.get(id).unwrap().age.unwrap();
        let (young, old) = (age(young.id()), age(old.id()));
        assert!(old >= pause, "{old:?}");
        (young, old)
    });
    assert!(young < old, "{young:?} {old:?}");
}

#[test]
fn a_name_does_nothing_to_a_terminal_and_is_told_in_part_if_it_is_long() {
    let runtime = runtime();
    let evil = "\x1b[2Jgone\r\n#9 forged\u{202e}";
    let named = runtime.spawn_named(evil, waits_for(evil, pending::<()>()));
    let long = runtime.spawn_named("x".repeat(1 << 20), pending::<()>());
    settle(&runtime);
    let tasks = runtime.tasks();
    assert_eq!(tasks.get(named.id()).unwrap().name.as_deref(), Some(evil), "as data it is whole");
    let printed = tasks.to_string();
    assert!(!printed.contains(['\x1b', '\r', '\u{202e}']), "{printed:?}");
    assert_eq!(printed.lines().count(), 2 + 2, "{printed}");
    assert_eq!(printed.matches(r"\u{1b}[2Jgone\r\n#9 forged\u{202e}").count(), 2, "{printed}");
    assert!(printed.len() < 1000, "{}", printed.len());
    drop(long);
}
