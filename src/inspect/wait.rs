//! Layer 6: what would wake a task.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use super::file::{File, FileKind};
use crate::interest::Interest;
use crate::sys::RawFd;
use crate::task::TaskId;

/// What a task waits for: what would wake it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wait {
    /// A descriptor.
    Descriptor(WaitFor),
    /// A deadline, by how far it lies ahead; zero if it has passed.
    Deadline(Duration),
    /// The end of another task.
    Task(TaskId),
    /// What it says by [`waits_for`](super::waits_for).
    Noted(Cow<'static, str>),
    /// A call of its waker by something that the loop does not know: a channel, a lock, another
    /// thread.
    ByHand,
}

/// A descriptor that is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WaitFor {
    /// Its number.
    pub fd: RawFd,
    /// READ or WRITE.
    pub interest: Interest,
    /// What is behind it.
    pub file: File,
    /// What the program calls it, by [`Async::set_label`](crate::Async::set_label).
    pub label: Option<Cow<'static, str>>,
}

impl WaitFor {
    /// What will be done when it is ready.
    fn purpose(&self) -> &'static str {
        let reads = self.interest.contains(Interest::READ);
        match self.file.kind {
            FileKind::Process(_) => "the end of",
            _ if reads && self.file.is_listener() => "accept on",
            _ if reads => "read from",
            _ if self.file.is_unconnected() => "connect by",
            _ => "write to",
        }
    }
}

/// As `read from TCP stream 127.0.0.1:4000 to 127.0.0.1:50123 (fd 7)`.
impl fmt::Display for WaitFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(label) = &self.label {
            write!(f, "{label}: ")?;
        }
        write!(f, "{} {} (fd {})", self.purpose(), self.file, self.fd)
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Descriptor(wait) => wait.fmt(f),
            Self::Deadline(Duration::ZERO) => f.write_str("deadline that has passed"),
            Self::Deadline(left) => write!(f, "deadline in {}", Short(*left)),
            Self::Task(id) => write!(f, "task {id}"),
            Self::Noted(what) => f.write_str(what),
            Self::ByHand => f.write_str("woken by hand"),
        }
    }
}

/// A duration in three digits and a unit.
pub(super) struct Short(pub(super) Duration);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        let (value, unit) = match nanos {
            0..1_000 => (nanos as f64, "ns"),
            1_000..1_000_000 => (nanos as f64 / 1e3, "µs"),
            1_000_000..1_000_000_000 => (nanos as f64 / 1e6, "ms"),
            _ => (nanos as f64 / 1e9, "s"),
        };
        let digits = if unit == "ns" || value >= 100.0 {
            0
        } else if value >= 10.0 {
            1
        } else {
            2
        };
        f.pad(&format!("{value:.digits$} {unit}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_told_in_three_digits() {
        let short = |nanos| Short(Duration::from_nanos(nanos)).to_string();
        assert_eq!(short(0), "0 ns");
        assert_eq!(short(1_234), "1.23 µs");
        assert_eq!(short(56_700_000), "56.7 ms");
        assert_eq!(short(3_600_000_000_000), "3600 s");
    }
}
