//! The C interface, for loops that are not in Rust: `c/selkie_loops.h` has the same, with a word on
//! each function.
//!
//! A panic ends the process: it cannot leave a function of C.

use std::ffi::{c_int, c_longlong};
use std::os::fd::{AsFd, AsRawFd};
use std::rc::Rc;
use std::time::Duration;

use selkie::{Builder, Runtime};

use crate::Check;

/// What the pointer points to.
pub struct Handle {
    runtime: Rc<Runtime>,
    check: Check,
}

/// What a pointer of C's points to.
///
/// # Safety
/// `handle` comes from [`sk_open`], and [`sk_close`] has not been called with it.
unsafe fn get<'h>(handle: *const Handle) -> &'h Handle {
    // SAFETY: it points to the box that `sk_open` has leaked, by the caller's promise.
    unsafe { handle.as_ref() }.expect("the pointer of a runtime is not null")
}

/// Opens a runtime. With `timer_fd`, its descriptor tells of timers, too. Null if the system has
/// no descriptors to spare.
#[unsafe(no_mangle)]
pub extern "C" fn sk_open(timer_fd: c_int) -> *mut Handle {
    match Check::open(Builder::new().timer_fd(timer_fd != 0)) {
        Ok((runtime, check)) => Box::into_raw(Box::new(Handle { runtime, check })),
        Err(_) => std::ptr::null_mut(),
    }
}

/// The descriptor to watch for reading, by level.
///
/// # Safety
/// As for all of these: `handle` comes from [`sk_open`], is not closed, and is used on the thread
/// that has opened it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sk_fd(handle: *const Handle) -> c_int {
    // SAFETY: the caller's promise.
    let handle = unsafe { get(handle) };
    handle.runtime.as_fd().as_raw_fd()
}

/// How long the loop may sleep, in nanoseconds; -1 is for ever.
///
/// # Safety
/// As [`sk_fd`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sk_timeout_ns(handle: *const Handle) -> c_longlong {
    // SAFETY: the caller's promise.
    let handle = unsafe { get(handle) };
    let as_nanos = |timeout: Duration| timeout.as_nanos().try_into().unwrap_or(c_longlong::MAX);
    handle.runtime.next_timeout().map_or(-1, as_nanos)
}

/// The same as poll(2) takes it, in milliseconds: rounded up, or the loop would spin for the last
/// one.
///
/// # Safety
/// As [`sk_fd`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sk_timeout_ms(handle: *const Handle) -> c_int {
    // SAFETY: the caller's promise.
    match unsafe { sk_timeout_ns(handle) } {
        -1 => -1,
        nanos => c_int::try_from(nanos.unsigned_abs().div_ceil(1_000_000)).unwrap_or(c_int::MAX),
    }
}

/// Takes a turn, which does not block. 0, or an errno; nothing is lost by an error.
///
/// # Safety
/// As [`sk_fd`]; and not from a callback that a task runs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sk_turn(handle: *const Handle) -> c_int {
    // SAFETY: the caller's promise.
    let handle = unsafe { get(handle) };
    match handle.runtime.turn(Some(Duration::ZERO)) {
        Ok(_turn) => 0,
        Err(error) => error.raw_os_error().unwrap_or(-1),
    }
}

/// Drops the runtime and its tasks. Stop watching the descriptor first.
///
/// # Safety
/// `handle` comes from [`sk_open`], is not closed, and no function here is running with it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sk_close(handle: *mut Handle) {
    // SAFETY: `sk_open` has leaked this box, and it has not been taken back yet.
    drop(unsafe { Box::from_raw(handle) });
}

/// Spawns the work of the example.
///
/// # Safety
/// As [`sk_fd`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sk_start(handle: *const Handle) {
    // SAFETY: the caller's promise.
    let handle = unsafe { get(handle) };
    handle.check.start(&handle.runtime, || {});
}

/// Spawns a task, from a callback of the loop.
///
/// # Safety
/// As [`sk_fd`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sk_call(handle: *const Handle) {
    // SAFETY: the caller's promise.
    let handle = unsafe { get(handle) };
    handle.check.call(&handle.runtime);
}

/// 1 once the work has been done, else 0.
///
/// # Safety
/// As [`sk_fd`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sk_is_over(handle: *const Handle) -> c_int {
    // SAFETY: the caller's promise.
    let handle = unsafe { get(handle) };
    handle.check.is_over().into()
}

/// Prints what was done, at the end.
///
/// # Safety
/// As [`sk_fd`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sk_report(handle: *const Handle) {
    // SAFETY: the caller's promise.
    let handle = unsafe { get(handle) };
    handle.check.report();
}
