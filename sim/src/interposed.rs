//! What the functions of `interpose!` do: answer for a host, or ask the system.
//! Invariant: nothing here calls one of these functions by its C name.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, OsStr, c_char, c_int, c_uint, c_void};
use std::mem::ManuallyDrop;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use libc::{sockaddr, socklen_t, timespec};
use rustix::time::ClockId;
use selkie::world::World;
use socket2::SockAddr;

use crate::rng::nanos;
use crate::world::{Form, HostWorld};

/// Has the test's program ask the simulation, on its hosts, where the standard library would ask the
/// system: for the time (`Instant::now`, `SystemTime::now`), for a pause (`thread::sleep`), for random
/// bytes (the order of a `HashMap`), for the addresses of streams (`TcpStream::local_addr`,
/// `peer_addr`), and to remove what a Unix listener was bound to (`fs::remove_file`).
///
/// Write it once, at the root of a test or of a program. It defines C functions of these names, which
/// take the place of libc's in the whole program: `clock_gettime`, `nanosleep`, `clock_nanosleep`,
/// `getrandom`, `unlink`, `getsockname`, `getpeername`. Outside of hosts they ask the system, as before.
///
/// The calendar's time on a host begins with the year 2026.
#[macro_export]
macro_rules! interpose {
    () => {
        #[allow(unsafe_code)]
        mod selkie_sim_interposed {
            use $crate::interposed as sim;

            #[unsafe(no_mangle)]
            unsafe extern "C" fn clock_gettime(
                clock: ::std::ffi::c_int,
                time: *mut sim::Timespec,
            ) -> ::std::ffi::c_int {
                // SAFETY: the caller's promise is that of clock_gettime(2).
                unsafe { sim::clock_gettime(clock, time) }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn nanosleep(
                time: *const sim::Timespec,
                rest: *mut sim::Timespec,
            ) -> ::std::ffi::c_int {
                // SAFETY: the caller's promise is that of nanosleep(2).
                unsafe { sim::nanosleep(time, rest) }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn clock_nanosleep(
                clock: ::std::ffi::c_int,
                flags: ::std::ffi::c_int,
                time: *const sim::Timespec,
                rest: *mut sim::Timespec,
            ) -> ::std::ffi::c_int {
                // SAFETY: the caller's promise is that of clock_nanosleep(2).
                unsafe { sim::clock_nanosleep(clock, flags, time, rest) }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn getrandom(
                buf: *mut ::std::ffi::c_void,
                len: usize,
                flags: ::std::ffi::c_uint,
            ) -> isize {
                // SAFETY: the caller's promise is that of getrandom(2).
                unsafe { sim::getrandom(buf, len, flags) }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn unlink(path: *const ::std::ffi::c_char) -> ::std::ffi::c_int {
                // SAFETY: the caller's promise is that of unlink(2).
                unsafe { sim::unlink(path) }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn getsockname(
                fd: ::std::ffi::c_int,
                address: *mut sim::Address,
                len: *mut sim::Length,
            ) -> ::std::ffi::c_int {
                // SAFETY: the caller's promise is that of getsockname(2).
                unsafe { sim::getsockname(fd, address, len) }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn getpeername(
                fd: ::std::ffi::c_int,
                address: *mut sim::Address,
                len: *mut sim::Length,
            ) -> ::std::ffi::c_int {
                // SAFETY: the caller's promise is that of getpeername(2).
                unsafe { sim::getpeername(fd, address, len) }
            }
        }
    };
}

pub type Timespec = timespec;
pub type Address = sockaddr;
pub type Length = socklen_t;

/// The first second of 2026, counted from 1970.
const CALENDAR: Duration = Duration::from_secs(1_767_225_600);

thread_local! {
    /// The host that runs on this thread. Without a destructor, so that an exit finds it there.
    static HOST: RefCell<Option<ManuallyDrop<Rc<HostWorld>>>> = const { RefCell::new(None) };
    /// What the clock shows, whatever the system's does.
    static FIXED: Cell<Option<Duration>> = const { Cell::new(None) };
}

/// Says which host runs on this thread, and returns the former one.
pub(crate) fn set_host(host: Option<Rc<HostWorld>>) -> Option<Rc<HostWorld>> {
    HOST.replace(host.map(ManuallyDrop::new)).map(ManuallyDrop::into_inner)
}

/// Calls `f` with the host that runs here; `None` if there is none.
fn with_host<R>(f: impl FnOnce(&HostWorld) -> R) -> Option<R> {
    HOST.with(|host| Some(f(host.try_borrow().ok()?.as_ref()?)))
}

/// The name of the host that runs here.
pub(crate) fn host_here() -> Option<String> {
    with_host(|host| host.shared.lock().hosts[host.host].name.clone())
}

/// An instant, and what clock_gettime(2) says in it.
pub(crate) fn instant_and_clock() -> (Instant, Duration) {
    let clock = duration(rustix::time::clock_gettime(ClockId::Monotonic));
    FIXED.set(Some(clock));
    // If nothing is interposed, a few nanoseconds later.
    let instant = Instant::now();
    FIXED.set(None);
    (instant, clock)
}

fn duration(time: rustix::time::Timespec) -> Duration {
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// As clock_gettime(2).
///
/// # Safety
/// As for that: `time` is writable.
pub unsafe fn clock_gettime(clock: c_int, time: *mut timespec) -> c_int {
    let Some(shown) = virtual_time(clock) else {
        // SAFETY: the caller's promise.
        return unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) } as c_int;
    };
    let shown = timespec { tv_sec: shown.as_secs() as _, tv_nsec: shown.subsec_nanos() as _ };
    // SAFETY: the caller promises that `time` is writable.
    unsafe { time.write(shown) };
    0
}

/// What a clock shows here. `None`: ask the system.
fn virtual_time(clock: c_int) -> Option<Duration> {
    let is_calendar = matches!(clock, libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE);
    let counts = [
        libc::CLOCK_MONOTONIC,
        libc::CLOCK_MONOTONIC_RAW,
        libc::CLOCK_MONOTONIC_COARSE,
        libc::CLOCK_BOOTTIME,
    ];
    if !is_calendar && !counts.contains(&clock) {
        return None;
    }
    if let Some(fixed) = FIXED.try_with(Cell::get).ok().flatten() {
        return Some(fixed);
    }
    let of_host = with_host(|host| {
        let start = if is_calendar { CALENDAR } else { host.shared.clock_at_start };
        let now = host.shared.flags.clock.load(Ordering::Acquire);
        start + Duration::from_nanos(host.own.clock().show(now))
    });
    // Without a system call, where the kernel has one for that.
    of_host.or_else(|| match clock {
        libc::CLOCK_MONOTONIC => Some(duration(rustix::time::clock_gettime(ClockId::Monotonic))),
        libc::CLOCK_REALTIME => Some(duration(rustix::time::clock_gettime(ClockId::Realtime))),
        _ => None,
    })
}

/// As nanosleep(2).
///
/// # Safety
/// As for that: `time` is readable, and `rest` writable or null.
pub unsafe fn nanosleep(time: *const timespec, rest: *mut timespec) -> c_int {
    // SAFETY: the caller promises that `time` is readable.
    let length = since_zero(unsafe { time.read() });
    if sleep_on_host(|now| now.saturating_add(nanos(length))) {
        return 0;
    }
    // SAFETY: the caller's promise.
    unsafe { libc::syscall(libc::SYS_nanosleep, time, rest) as c_int }
}

/// As clock_nanosleep(2).
///
/// # Safety
/// As for that: `time` is readable, and `rest` writable or null.
pub unsafe fn clock_nanosleep(
    clock: c_int,
    flags: c_int,
    time: *const timespec,
    rest: *mut timespec,
) -> c_int {
    // SAFETY: the caller promises that `time` is readable.
    let told = since_zero(unsafe { time.read() });
    let start = match clock {
        libc::CLOCK_MONOTONIC => with_host(|host| host.shared.clock_at_start),
        libc::CLOCK_REALTIME => Some(CALENDAR),
        _ => None,
    };
    if let Some(start) = start {
        let is_absolute = flags & libc::TIMER_ABSTIME != 0;
        let deadline = |now: u64| match is_absolute {
            true => nanos(told.saturating_sub(start)),
            false => now.saturating_add(nanos(told)),
        };
        if sleep_on_host(deadline) {
            return 0;
        }
    }
    // SAFETY: the caller's promise.
    let result =
        unsafe { libc::syscall(libc::SYS_clock_nanosleep, clock, flags, time, rest) as c_int };
    // This function returns its error, and leaves `errno` alone.
    if result == 0 { 0 } else { std::io::Error::last_os_error().raw_os_error().unwrap_or(result) }
}

fn since_zero(time: timespec) -> Duration {
    Duration::new(time.tv_sec.max(0) as u64, time.tv_nsec.clamp(0, 999_999_999) as u32)
}

/// Sleeps in virtual time, on a host's own thread, to a time of its clock. False elsewhere.
///
/// A host that is to end comes back early: it ends at its next wait, as nothing can unwind through
/// a C function.
fn sleep_on_host(deadline: impl FnOnce(u64) -> u64) -> bool {
    // Out of the thread-local, which others may need meanwhile.
    let host = HOST.with(|host| host.try_borrow().ok()?.as_deref().cloned());
    let Some(host) = host.filter(|host| host.form == Form::Threaded) else { return false };
    let now = || host.own.clock().show(host.shared.flags.clock.load(Ordering::Acquire));
    let is_ending = || host.own.is_ending.load(Ordering::Acquire);
    let deadline = deadline(now());
    if !is_ending() {
        host.shared.take_turn(host.host);
    }
    while now() < deadline && !is_ending() {
        host.shared.sleep(host.host, Some(deadline));
    }
    true
}

/// As getrandom(2).
///
/// # Safety
/// As for that: `buf` has `len` writable bytes.
pub unsafe fn getrandom(buf: *mut c_void, len: usize, flags: c_uint) -> isize {
    let random = with_host(|host| {
        let mut random = host.own.random.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the caller promises that `buf` has `len` writable bytes; as bytes they need no
        // alignment, and nobody else has them meanwhile.
        let bytes = unsafe { std::slice::from_raw_parts_mut(buf.cast::<u8>(), len) };
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&random.next_u64().to_ne_bytes()[..chunk.len()]);
        }
        len as isize
    });
    // SAFETY: the caller's promise.
    random
        .unwrap_or_else(|| unsafe { libc::syscall(libc::SYS_getrandom, buf, len, flags) } as isize)
}

/// As unlink(2): of what a host has bound, if it has, or else of the system's file.
///
/// # Safety
/// As for that: `path` is a string that ends with zero.
pub unsafe fn unlink(path: *const c_char) -> c_int {
    // SAFETY: the caller's promise.
    let name = unsafe { CStr::from_ptr(path) };
    let name = Path::new(OsStr::from_bytes(name.to_bytes()));
    let is_bound = with_host(|host| host.shared.lock().unix.unlink(host.host, name));
    if is_bound == Some(true) {
        return 0;
    }
    // SAFETY: the caller's promise.
    unsafe { libc::syscall(libc::SYS_unlinkat, libc::AT_FDCWD, path, 0) as c_int }
}

/// As getsockname(2).
///
/// # Safety
/// As for that: `address` has as many writable bytes as `len` says, which is writable, too.
pub unsafe fn getsockname(fd: c_int, address: *mut sockaddr, len: *mut socklen_t) -> c_int {
    let known = with_host(|host| host.local_addr(borrowed(fd)?)).flatten();
    match known {
        // SAFETY: the caller's promise.
        Some(known) => unsafe { tell(known, address, len) },
        // SAFETY: the caller's promise.
        None => unsafe { libc::syscall(libc::SYS_getsockname, fd, address, len) as c_int },
    }
}

/// As getpeername(2).
///
/// # Safety
/// As for [`getsockname`].
pub unsafe fn getpeername(fd: c_int, address: *mut sockaddr, len: *mut socklen_t) -> c_int {
    let known = with_host(|host| host.peer_addr(borrowed(fd)?)).flatten();
    match known {
        // SAFETY: the caller's promise.
        Some(known) => unsafe { tell(known, address, len) },
        // SAFETY: the caller's promise.
        None => unsafe { libc::syscall(libc::SYS_getpeername, fd, address, len) as c_int },
    }
}

fn borrowed<'f>(fd: c_int) -> Option<BorrowedFd<'f>> {
    // SAFETY: `borrow_raw` needs an open descriptor, and not -1. If it is not open, all that is done
    // with it is fstat(2), which says so.
    (fd >= 0).then(|| unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Tells an address, or an error, in C's way.
///
/// # Safety
/// As for [`getsockname`].
unsafe fn tell(
    known: std::io::Result<SocketAddr>,
    address: *mut sockaddr,
    len: *mut socklen_t,
) -> c_int {
    let known = match known {
        Ok(known) => SockAddr::from(known),
        Err(error) => {
            set_errno(error.raw_os_error().unwrap_or(libc::EINVAL));
            return -1;
        }
    };
    // SAFETY: the caller promises that `len` is readable and writable.
    let room = unsafe { len.read() };
    let bytes = known.len().min(room) as usize;
    // SAFETY: `known` has so many bytes, and the caller promises that `address` has as many; they are
    // not the same ones.
    unsafe { std::ptr::copy_nonoverlapping(known.as_ptr().cast::<u8>(), address.cast(), bytes) };
    // SAFETY: as for the read.
    unsafe { len.write(known.len()) };
    0
}

fn set_errno(number: c_int) {
    // SAFETY: it is the address of this thread's `errno`, for as long as the thread lives.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    unsafe { errno.write(number) };
}
