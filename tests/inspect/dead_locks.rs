//! Tasks that wait for each other.

use std::cell::RefCell;
use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use selkie::{Runtime, Task, sleep};

use crate::util::{runtime, settle};

/// Two tasks, each of which awaits the other one, and beside that `beside`.
fn two_that_await_each_other(runtime: &Runtime, beside: Option<Duration>) -> [u64; 2] {
    let ids = two_that_will(runtime, beside);
    settle(runtime);
    ids
}

fn two_that_will(runtime: &Runtime, beside: Option<Duration>) -> [u64; 2] {
    let place = Rc::new(RefCell::new(None::<Task<()>>));
    let place_of_one = Rc::clone(&place);
    let one = runtime.spawn_named("one", async move {
        let other = place_of_one.borrow_mut().take().expect("it was put there");
        match beside {
            Some(duration) => drop(selkie::timeout(duration, other).await),
            None => other.await,
        }
    });
    let other = Rc::new(RefCell::new(Some(one)));
    let id = other.borrow().as_ref().unwrap().id().get();
    let task = runtime.spawn_named("other", async move {
        let one = other.borrow_mut().take().expect("it was put there");
        one.await;
    });
    let ids = [id, task.id().get()];
    *place.borrow_mut() = Some(task);
    ids
}

#[test]
fn two_tasks_that_await_each_other_are_a_dead_lock_and_it_is_printed() {
    let runtime = runtime();
    let bystander = runtime.spawn(pending::<()>());
    let [one, other] = two_that_await_each_other(&runtime, None);
    let tasks = runtime.tasks();
    let found: Vec<Vec<_>> =
        tasks.dead_locks().iter().map(|ids| ids.iter().map(|id| id.get()).collect()).collect();
    assert!(found == [vec![one, other]] || found == [vec![other, one]], "{found:?}");
    let printed = tasks.to_string();
    let expected = [
        format!("dead-lock: #{one} waits for #{other}, which waits for #{one}"),
        format!("dead-lock: #{other} waits for #{one}, which waits for #{other}"),
    ];
    assert!(expected.iter().any(|line| printed.contains(line)), "{printed}");
    assert_eq!(printed.lines().count(), 2 + 3 + 1, "{printed}");
    assert!(printed.lines().nth(2).unwrap().starts_with(&format!("#{}", found[0][0])), "{printed}");
    drop(bystander);
}

#[test]
fn a_circle_that_a_timer_ends_is_none() {
    let runtime = runtime();
    two_that_await_each_other(&runtime, Some(Duration::from_secs(3600)));
    assert!(runtime.tasks().dead_locks().is_empty(), "{}", runtime.tasks());
}

#[test]
fn tasks_that_await_tasks_are_printed_as_a_tree() {
    let runtime = runtime();
    let leaf = runtime.spawn_named("leaf", sleep(Duration::from_secs(3600)));
    let branch = runtime.spawn_named("branch", leaf);
    let other = runtime.spawn_named("other", pending::<()>());
    let root = runtime.spawn_named("root", async move { futures::join!(branch, other) });
    settle(&runtime);
    let printed = runtime.tasks().to_string();
    let tree: Vec<_> = printed.lines().skip(2).collect();
    let starts = ["#4", "└ #2", "  └ #1", "└ #3"];
    assert!(tree.iter().zip(starts).all(|(line, start)| line.starts_with(start)), "{printed}");
    let waits = ["task #2, or task #3", "task #1", "deadline in ", "woken by hand"];
    assert!(tree.iter().zip(waits).all(|(line, waits)| line.contains(waits)), "{printed}");
    assert_eq!(tree.len(), 4);
    drop(root);
}

/// Quadratic time would be minutes.
#[test]
fn very_many_tasks_in_trees_and_circles_are_told_in_linear_time() {
    let runtime = runtime();
    for _ in 0..10_000 {
        two_that_will(&runtime, None);
    }
    let awaited: Vec<_> = (0..20_000).map(|_| runtime.spawn(pending::<()>())).collect();
    let all = runtime.spawn(futures::future::join_all(awaited));
    while !runtime.turn(Some(Duration::ZERO)).unwrap().is_idle() {}
    let tasks = runtime.tasks();
    assert_eq!(tasks.dead_locks().len(), 10_000);
    assert_eq!(tasks.get(all.id()).unwrap().waits.len(), 20_000);
    let printed = tasks.to_string();
    assert_eq!(printed.lines().count(), 2 + 40_001 + 10_000);
    assert!(printed.contains(", or 19992 others\n"));
}
