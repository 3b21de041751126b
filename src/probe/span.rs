//! Layer 0: what `tracing` is told: a span for each task, which its polls enter, and turns.
//! Invariant: all of this calls a subscriber, which is user code.

use std::borrow::Cow;
use std::panic::Location;

use tracing::span::EnteredSpan;

/// The span of one task, from its spawning to its end.
pub(crate) struct TaskSpan(tracing::Span);

/// While it lives, code is inside a task's span.
pub(crate) struct Inside {
    _entered: EnteredSpan,
}

impl TaskSpan {
    /// A span without a parent: a task may live longer than who spawned it.
    pub(crate) fn new(id: u64, name: Option<&Cow<'static, str>>, at: &Location<'_>) -> Self {
        let name = name.map(|name| &**name);
        let span =
            tracing::trace_span!(target: "selkie::task", parent: None, "task", id, name, at = %at);
        Self(span)
    }

    /// Enters it, until the value is dropped.
    pub(crate) fn enter(&self) -> Inside {
        Inside { _entered: self.0.clone().entered() }
    }
}

/// Tells of a turn.
pub(crate) fn tell_turn(events: usize, timers: usize, polls: usize) {
    tracing::trace!(target: "selkie::turn", events, timers, polls, "turn");
}
