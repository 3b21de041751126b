//! Finds of the selector's property tests, each in its shortest form.

mod channel;
mod found;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Held by each test: they close descriptors by number, so nobody else may open any.
fn alone() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}
