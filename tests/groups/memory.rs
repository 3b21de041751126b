//! What a group keeps of tasks that have ended: nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use selkie::{Cancel, TaskGroup, sleep, yield_now};

use crate::util::run;

/// The system's allocator, which counts what each thread has of it.
struct Counting;

thread_local! {
    static BYTES: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // Fails while the thread ends.
    let _ = BYTES.try_with(|counter| counter.set(counter.get() + bytes));
}

// SAFETY: all calls go to the system's allocator as they came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as the caller's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

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
    BYTES.get()
}

#[test]
fn a_hundred_thousand_tasks_leave_no_memory_behind_whether_or_not_somebody_asks_for_them() {
    for joins in [true, false] {
        run(async {
            let mut group = TaskGroup::new();
            let before = bytes_after(&mut group, 100, joins).await;
            let after = bytes_after(&mut group, 10_000, joins).await;
            assert_eq!(after - before, 0, "bytes; asked for: {joins}");
        });
    }
}
