//! What a group keeps of tasks that have ended: nothing.

use selkie::{Cancel, TaskGroup, sleep, yield_now};

use crate::allocator::bytes;
use crate::util::runtime;

/// The bytes that are in use after ten tasks have come and gone `rounds` times.
async fn bytes_after(group: &mut TaskGroup<()>, rounds: usize, joins: bool) -> isize {
    for round in 0..rounds {
        for number in 0..10 {
            let [token, child] = [group.token().clone(), group.token().child()];
            // Some kilobytes, as a connection has.
            let buffer = [number; 2_000];
            group.spawn(async move {
                let _ = futures::FutureExt::now_or_never(token.cancelled());
                let _child_goes_with_it: Cancel = child;
                yield_now().await;
                std::hint::black_box(&buffer);
            });
        }
        if round % 10 == 0 {
            group.cancel_all();
        }
        while !group.is_empty() {
            match joins {
                true => drop(group.join_next().await),
                false => yield_now().await,
            }
        }
    }
    sleep(std::time::Duration::ZERO).await;
    bytes()
}

#[test]
fn a_hundred_thousand_tasks_leave_no_memory_behind_whether_or_not_somebody_asks_for_them() {
    for joins in [true, false] {
        // Without a deadline: a busy machine may need more than that.
        runtime().block_on(async {
            let mut group = TaskGroup::new();
            let before = bytes_after(&mut group, 100, joins).await;
            let after = bytes_after(&mut group, 10_000, joins).await;
            assert_eq!(after - before, 0, "bytes; asked for: {joins}");
        });
    }
}
