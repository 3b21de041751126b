//! Layer 3: what a task is called.

use std::borrow::Cow;
use std::fmt;

/// Names a task of one runtime, for ever: a number is given once.
///
/// 0 is the future of [`block_on`](crate::Runtime::block_on).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(pub(super) u64);

impl TaskId {
    /// The future of a `block_on`.
    pub(crate) const ROOT: Self = Self(0);

    /// The task of a recorded number.
    #[cfg(feature = "record")]
    pub(crate) fn of(number: u32) -> Self {
        Self(number.into())
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

/// As `#12`.
impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("#{}", self.0))
    }
}

/// What a program calls a task.
pub(crate) type Name = Cow<'static, str>;
