//! Who a task is.

use std::future::pending;
use std::time::Duration;

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
