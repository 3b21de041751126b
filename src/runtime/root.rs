//! Layer 4: the future that `block_on` drives, and its waker.
//! Invariant: a wake-up is seen before the loop sleeps, or ends its sleep: the flag is set before
//! the loop is roused, and read after it has said that it sleeps.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Wake, Waker};

use crate::executor::{Executor, Origin, Rooted, Shown, TaskId, current};
use crate::sync::AtomicBool;

/// What the loop sees of the future of a `block_on`, whatever its type.
pub(super) trait Root {
    fn origin(&self) -> &Origin;

    /// True if it is to be polled.
    fn is_woken(&self) -> bool;

    /// Polls the future if it was woken; true if it has ended.
    fn poll(&mut self) -> bool;
}

/// The future of a `block_on`, and its value when it has one.
pub(super) struct BlockOn<'f, F: Future> {
    future: Pin<&'f mut F>,
    flag: Arc<Flag>,
    waker: Waker,
    value: Option<F::Output>,
}

impl<'f, F: Future> BlockOn<'f, F> {
    pub(super) fn new(future: Pin<&'f mut F>, origin: Origin) -> Self {
        let flag = Arc::new(Flag { is_woken: AtomicBool::new(true), origin });
        Self { future, waker: Arc::clone(&flag).into(), flag, value: None }
    }

    /// Shows this among the tasks of `executor`.
    pub(super) fn show<'e>(&self, executor: &'e Executor) -> Shown<'e> {
        executor.show(Arc::clone(&self.flag) as Arc<dyn Rooted>, self.waker.data())
    }

    /// The value, once the future has ended.
    pub(super) fn take_value(&mut self) -> Option<F::Output> {
        self.value.take()
    }
}

impl<F: Future> Root for BlockOn<'_, F> {
    fn origin(&self) -> &Origin {
        &self.flag.origin
    }

    fn is_woken(&self) -> bool {
        self.flag.is_woken.load(SeqCst)
    }

    fn poll(&mut self) -> bool {
        if self.value.is_none() && self.is_woken() {
            // Not a store: what a waker did before it found the flag set is to be seen here.
            self.flag.is_woken.swap(false, SeqCst);
            let polled = self.future.as_mut().poll(&mut Context::from_waker(&self.waker));
            if let Poll::Ready(value) = polled {
                self.value = Some(value);
            }
        }
        self.value.is_some()
    }
}

struct Flag {
    is_woken: AtomicBool,
    origin: Origin,
}

impl Rooted for Flag {
    fn origin(&self) -> &Origin {
        &self.origin
    }

    fn is_woken(&self) -> bool {
        self.is_woken.load(SeqCst)
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_woken.swap(true, SeqCst) {
            let is_in_turn = current::with(|executor| {
                let is_in_turn = executor.is_running() && executor.serves(&self.origin.shared);
                if is_in_turn {
                    executor.reactor.probe.woken(TaskId::ROOT.get());
                }
                is_in_turn
            });
            if is_in_turn != Some(true) {
                self.origin.shared.inbox.rouse();
            }
        }
    }
}
