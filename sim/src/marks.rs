//! Marks: what some run of a check must have reached.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Says that in some run of all that a [`check`](crate::check()) makes, this must be true here.
///
/// If it was looked at and was never true, the check fails: then the runs are not as interesting as
/// was thought. Outside of a check it does nothing. What was never looked at is not known.
///
/// ```
/// # let elections = 1;
/// selkie_sim::sometimes!(elections > 1);
/// ```
#[macro_export]
macro_rules! sometimes {
    ($condition:expr) => {
        $crate::mark(
            ::core::concat!(::core::file!(), ":", ::core::line!()),
            ::core::stringify!($condition),
            $condition,
        )
    };
}

/// A place, and what is said there.
pub(crate) type Mark = (String, String);

/// Of each check: whether a mark was reached.
static MARKS: Mutex<BTreeMap<(u64, Mark), bool>> = Mutex::new(BTreeMap::new());

static LAST_CHECK: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The check that this thread works for.
    static CHECK: Cell<u64> = const { Cell::new(0) };
}

#[doc(hidden)]
pub fn mark(place: &'static str, condition: &'static str, holds: bool) {
    let check = CHECK.get();
    if check != 0 {
        let mark = (place.to_owned(), condition.to_owned());
        note(check, mark, holds);
    }
}

pub(crate) fn note(check: u64, mark: Mark, holds: bool) {
    let mut marks = MARKS.lock().unwrap_or_else(PoisonError::into_inner);
    *marks.entry((check, mark)).or_default() |= holds;
}

/// The number of this thread's check.
pub(crate) fn current() -> u64 {
    CHECK.get()
}

/// Has this thread work for a check.
pub(crate) fn set_current(check: u64) {
    CHECK.set(check);
}

/// Begins a check on this thread.
pub(crate) fn begin() -> u64 {
    let check = 1 + LAST_CHECK.fetch_add(1, Ordering::Relaxed);
    set_current(check);
    check
}

/// The marks of a check, and whether each was reached.
pub(crate) fn of(check: u64) -> Vec<(Mark, bool)> {
    let marks = MARKS.lock().unwrap_or_else(PoisonError::into_inner);
    let of_check = marks.iter().filter(|((of, _), _)| *of == check);
    of_check.map(|((_, mark), reached)| (mark.clone(), *reached)).collect()
}
