//! Layer 2: a timer descriptor, so that a foreign loop that watches only the runtime's descriptor
//! is woken for deadlines too.
//! Invariant: while a deadline is set, the descriptor is readable from then on, until another is set.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use super::source::{Source, SourceSelector};
use crate::interest::Interest;
use crate::sys::{AsRawFd, OwnedFd};

/// A `timerfd(2)`, registered by level in the reactor's selector.
pub(super) struct Alarm {
    timer: Rc<Source<OwnedFd>>,
    deadline: Cell<Option<Instant>>,
}

impl Alarm {
    pub(super) fn new(selector: &mut SourceSelector) -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let timer = Rc::new(Source::new(timer.as_raw_fd(), None, false, timer));
        selector.register(Rc::clone(&timer) as Rc<Source>, Interest::READ, ())?;
        Ok(Self { timer, deadline: Cell::new(None) })
    }

    /// How often it was reported since this was asked last.
    pub(super) fn take_events(&self) -> usize {
        self.timer.state.take_events()
    }

    /// Rings at `deadline`, at once if it has passed, and no more for an older one.
    ///
    /// # Errors
    /// As `timerfd_settime(2)`.
    pub(super) fn set(
        &self,
        deadline: Option<Instant>,
        now: impl FnOnce() -> Instant,
    ) -> io::Result<()> {
        if self.deadline.get() == deadline {
            return Ok(());
        }
        let value = deadline.map_or(NEVER, |deadline| {
            // Zero would disarm the timer instead of firing it.
            let left = deadline.saturating_duration_since(now());
            Timespec::try_from(left.max(Duration::from_nanos(1))).unwrap_or(FAR_FUTURE)
        });
        let setting = Itimerspec { it_interval: NEVER, it_value: value };
        timerfd_settime(&self.timer.io, TimerfdTimerFlags::empty(), &setting)?;
        self.deadline.set(deadline);
        Ok(())
    }
}

const NEVER: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
const FAR_FUTURE: Timespec = Timespec { tv_sec: i64::MAX, tv_nsec: 0 };
