//! Layer 1: epoll(7), the native back end of Linux.
//! Invariant: one `wait` is one system call; the notifier is registered by edge, so that nothing
//! has to read it.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustix::event::epoll;
use rustix::io::{DupFlags, Errno, dup3};

use super::eventfd::EventFd;
use super::{Backend, Open, ReadyList, Token, poll_bits};
use crate::interest::Interest;
use crate::selector::key::Mode;
use crate::selector::notifier::Notifier;
use crate::selector::until::Until;
use crate::sys::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// The back end on epoll(7): level, edge and oneshot; nanosecond timeouts on Linux 5.11 and
/// later, rounded up to milliseconds before.
#[derive(Debug)]
pub struct EpollBackend {
    epoll: OwnedFd,
    /// What `as_fd` lends, from the first time that it is asked for: a set that watches `epoll`
    /// and nothing else. Who registered or duplicated it need not know when `epoll` is made anew.
    front: OnceLock<OwnedFd>,
    eventfd: Arc<EventFd>,
    buffer: Vec<libc::epoll_event>,
    /// How many registrations there are at most: a wait needs no larger buffer.
    registered: usize,
    precision: Precision,
}

/// What the system's timeouts are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Precision {
    /// `epoll_pwait2(2)`, or so it is hoped until the first call.
    Nanoseconds,
    /// `epoll_pwait(2)`: the kernel is older than 5.11, or a seccomp filter refuses.
    Milliseconds,
}

impl EpollBackend {
    fn event_flags(interest: Interest, mode: Mode) -> epoll::EventFlags {
        epoll::EventFlags::from_bits_retain(poll_bits::asked(interest))
            | match mode {
                Mode::Level => epoll::EventFlags::empty(),
                Mode::Edge => epoll::EventFlags::ET,
                Mode::Oneshot => epoll::EventFlags::ONESHOT,
            }
    }

    fn open_set(eventfd: &EventFd) -> io::Result<OwnedFd> {
        let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&set, eventfd, data(Token::RESERVED), flags)?;
        Ok(set)
    }

    fn front(&self) -> io::Result<BorrowedFd<'_>> {
        if let Some(front) = self.front.get() {
            return Ok(front.as_fd());
        }
        let front = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&front, &self.epoll, data(Token::RESERVED), epoll::EventFlags::IN)?;
        Ok(self.front.get_or_init(|| front).as_fd())
    }

    /// One wait into `self.buffer[..most]`; returns how many events it holds.
    fn wait_once(&mut self, most: usize, timeout: Option<Duration>) -> rustix::io::Result<usize> {
        let events = &mut self.buffer[..most];
        if let Some(timeout) = timeout
            && timeout.subsec_nanos() % 1_000_000 != 0
            && self.precision == Precision::Nanoseconds
        {
            match epoll_pwait2(self.epoll.as_fd(), events, timeout) {
                // EPERM: a seccomp filter that predates the call.
                Err(Errno::NOSYS | Errno::PERM) => self.precision = Precision::Milliseconds,
                result => return result,
            }
        }
        epoll_wait(self.epoll.as_fd(), events, timeout.map_or(-1, whole_milliseconds))
    }
}

impl Open for EpollBackend {
    fn open() -> io::Result<Self> {
        let eventfd = EventFd::new()?;
        Ok(Self {
            epoll: Self::open_set(&eventfd)?,
            front: OnceLock::new(),
            eventfd,
            buffer: Vec::new(),
            registered: 0,
            precision: Precision::Nanoseconds,
        })
    }
}

impl Backend for EpollBackend {
    fn name(&self) -> &'static str {
        "epoll"
    }

    fn supports(&self, _mode: Mode) -> bool {
        true
    }

    fn reports_read_closed(&self) -> bool {
        true
    }

    unsafe fn register(
        &mut self,
        token: Token,
        fd: BorrowedFd<'_>,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        let flags = Self::event_flags(interest, mode);
        match epoll::add(&self.epoll, fd, data(token), flags) {
            // The selector knows of no registration, so it is one whose descriptor was closed
            // too early and has come back by a duplicate: take it over.
            Err(Errno::EXIST) => epoll::modify(&self.epoll, fd, data(token), flags)?,
            result => result?,
        }
        self.registered += 1;
        Ok(())
    }

    unsafe fn modify(
        &mut self,
        token: Token,
        fd: BorrowedFd<'_>,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        let flags = Self::event_flags(interest, mode);
        Ok(epoll::modify(&self.epoll, fd, data(token), flags)?)
    }

    fn unregister(&mut self, _token: Token, fd: BorrowedFd<'_>) -> io::Result<()> {
        epoll::delete(&self.epoll, fd)?;
        self.registered = self.registered.saturating_sub(1);
        Ok(())
    }

    fn wait(&mut self, ready: &mut ReadyList, until: Until) -> io::Result<()> {
        // The notifier is one more.
        let most = ready.capacity().get().min(self.registered + 1);
        if self.buffer.len() < most {
            self.buffer.resize(most, libc::epoll_event { events: 0, u64: 0 });
        }
        let count = self.wait_once(most, until.timeout())?;
        let mut is_notified = false;
        ready.extend(self.buffer[..count].iter().map(|event| {
            let token = Token::from_bits(event.u64);
            is_notified |= token == Token::RESERVED;
            (token, poll_bits::happened(event.events))
        }));
        if is_notified {
            self.eventfd.acknowledge();
            ready.set_notified();
            ready.retain(|token, _| token != Token::RESERVED);
        }
        Ok(())
    }

    fn notifier(&self) -> Notifier {
        self.eventfd.notifier()
    }

    fn reset(&mut self) -> io::Result<()> {
        self.eventfd.settle();
        let fresh = Self::open_set(&self.eventfd)?;
        // Keeps its number: another one could be that which somebody has closed too early, and is
        // about to close again. The old set leaves `front` by being closed.
        dup3(&fresh, &mut self.epoll, DupFlags::CLOEXEC)?;
        self.registered = 0;
        if let Some(front) = self.front.get() {
            epoll::add(front, &self.epoll, data(Token::RESERVED), epoll::EventFlags::IN)?;
        }
        Ok(())
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.as_fd())
    }
}

impl AsFd for EpollBackend {
    /// Readable whenever a select would report something, a notification included.
    ///
    /// The first call opens it. Should the system have no descriptor to spare then, it is for
    /// once that of the set itself, which goes out of use when the set is made anew.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.front().unwrap_or(self.epoll.as_fd())
    }
}

fn data(token: Token) -> epoll::EventData {
    epoll::EventData::new_u64(token.to_bits())
}

/// The timeout as epoll_wait(2) counts it, rounded up, at most 24 days: the selector begins
/// again when that is too early.
fn whole_milliseconds(timeout: Duration) -> libc::c_int {
    timeout.as_nanos().div_ceil(1_000_000).try_into().unwrap_or(libc::c_int::MAX)
}

/// epoll_wait(2), which counts milliseconds. Not by rustix, whose event is not `Send`.
fn epoll_wait(
    epoll: BorrowedFd<'_>,
    events: &mut [libc::epoll_event],
    milliseconds: libc::c_int,
) -> rustix::io::Result<usize> {
    let most = libc::c_int::try_from(events.len()).unwrap_or(libc::c_int::MAX);
    // SAFETY: the kernel writes at most `most` events behind the pointer; `events` has that many
    // and is borrowed mutably for the call, as is the descriptor.
    let count =
        unsafe { libc::epoll_wait(epoll.as_raw_fd(), events.as_mut_ptr(), most, milliseconds) };
    count_or_errno(count.into())
}

/// epoll_pwait2(2), which counts nanoseconds, and is in no C library older than glibc 2.35.
///
/// The measured reason: by milliseconds, a timeout of 100 µs took 1.1 ms and one of 1.5 ms took
/// 2.1 ms (medians, Linux 6.18).
fn epoll_pwait2(
    epoll: BorrowedFd<'_>,
    events: &mut [libc::epoll_event],
    timeout: Duration,
) -> rustix::io::Result<usize> {
    let most = libc::c_int::try_from(events.len()).unwrap_or(libc::c_int::MAX);
    // The kernel's own `struct __kernel_timespec`, 64-bit everywhere.
    let seconds = timeout.as_secs().try_into().unwrap_or(i64::MAX);
    let timeout: [i64; 2] = [seconds, timeout.subsec_nanos().into()];
    let no_signal_mask = std::ptr::null::<libc::sigset_t>();
    // SAFETY: as for `epoll_wait`; the kernel also reads two `i64` behind `timeout`, and no
    // signal mask.
    let count = unsafe {
        libc::syscall(
            libc::SYS_epoll_pwait2,
            epoll.as_raw_fd(),
            events.as_mut_ptr(),
            most,
            timeout.as_ptr(),
            no_signal_mask,
            0_usize,
        )
    };
    count_or_errno(count)
}

fn count_or_errno(count: libc::c_long) -> rustix::io::Result<usize> {
    usize::try_from(count).map_err(|_| {
        let error = io::Error::last_os_error();
        Errno::from_io_error(&error).unwrap_or(Errno::INVAL)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_round_up_and_saturate() {
        assert_eq!(whole_milliseconds(Duration::ZERO), 0);
        assert_eq!(whole_milliseconds(Duration::from_nanos(1)), 1);
        assert_eq!(whole_milliseconds(Duration::from_micros(1_500)), 2);
        assert_eq!(whole_milliseconds(Duration::from_millis(2)), 2);
        assert_eq!(whole_milliseconds(Duration::MAX), i32::MAX);
    }

    #[test]
    fn without_epoll_pwait2_a_wait_still_is_never_cut_short() {
        let mut backend = EpollBackend::open().unwrap();
        backend.precision = Precision::Milliseconds;
        let mut ready = ReadyList::new(std::num::NonZeroUsize::MIN);
        let timeout = Duration::from_micros(1_300);
        let start = backend.now();
        backend.wait(&mut ready, Until::after(Some(timeout), || start)).unwrap();
        assert!(start.elapsed() >= timeout);
        assert!(ready.is_empty() && !ready.is_notified());
    }
}
