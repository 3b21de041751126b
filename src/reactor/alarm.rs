//! Layer 2: a timer descriptor, so that a foreign loop that watches only the runtime's descriptor
//! is woken for deadlines too.
//! Imports `selector`. Invariant: while a deadline is set, the descriptor becomes readable when
//! it has passed, and stays so until another one is set.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use super::source::SourceSelector;
use crate::interest::Interest;

/// A `timerfd(2)`, registered by level in the reactor's selector.
#[derive(Debug)]
pub(super) struct Alarm {
    timer: Rc<OwnedFd>,
    deadline: Cell<Option<Instant>>,
}

impl Alarm {
    pub(super) fn new(selector: &mut SourceSelector) -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = Rc::new(timerfd_create(TimerfdClockId::Monotonic, flags)?);
        selector.register(Rc::clone(&timer) as Rc<dyn AsFd>, Interest::READ, None)?;
        Ok(Self { timer, deadline: Cell::new(None) })
    }

    /// Rings at `deadline`, at once if it has passed, and no more for an older one.
    pub(super) fn set(&self, deadline: Option<Instant>) -> io::Result<()> {
        if self.deadline.get() == deadline {
            return Ok(());
        }
        let value = deadline.map_or(NEVER, |deadline| {
            // Zero would disarm the timer instead of firing it.
            let left = deadline.saturating_duration_since(Instant::now());
            Timespec::try_from(left.max(Duration::from_nanos(1))).unwrap_or(FAR_FUTURE)
        });
        let setting = Itimerspec { it_interval: NEVER, it_value: value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &setting)?;
        self.deadline.set(deadline);
        Ok(())
    }
}

const NEVER: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
const FAR_FUTURE: Timespec = Timespec { tv_sec: i64::MAX, tv_nsec: 0 };
