//! The future of a task, which does a script.

use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, ready};
use std::thread;
use std::time::Duration;

use selkie::{Sleep, sleep};

use super::program::{End, Script, Step};
use super::record::{Blocked, Cancelled, Handle, Outcome, Payload, Record, Signal, Token};
use super::world::{Sleeper, World, world};

pub struct Actor {
    pub record: Rc<Record>,
    script: Rc<Script>,
    next: usize,
    waiting: Option<Waiting>,
    /// Last: what is above is gone when it goes.
    _token: Token,
}

enum Waiting {
    Yield { has_yielded: bool },
    Signal(Signal),
    Timer(Sleep),
    Child(Handle),
    Cancelled(Cancelled),
}

impl Actor {
    pub fn new(record: Rc<Record>, script: Rc<Script>, mut token: Token) -> Self {
        token.settle_down();
        Self { record, script, next: 0, waiting: None, _token: token }
    }

    /// Does all steps that need not wait.
    fn advance(&mut self, cx: &mut Context<'_>, world: &World) -> Poll<()> {
        loop {
            if let Some(waiting) = &mut self.waiting {
                ready!(waiting.poll(cx, &self.record, world));
                self.waiting = None;
                self.record.wait_no_more();
            }
            let Some(step) = self.script.steps.get(self.next) else { return Poll::Ready(()) };
            self.next += 1;
            self.waiting = self.begin(*step, cx, world);
        }
    }

    /// Begins to wait, if the step is to wait.
    fn begin(&mut self, step: Step, cx: &Context<'_>, world: &World) -> Option<Waiting> {
        let sleeper = || Sleeper {
            record: Rc::clone(&self.record),
            waker: cx.waker().clone(),
            signal: Arc::new(AtomicBool::new(false)),
        };
        match step {
            Step::Yield => Some(Waiting::Yield { has_yielded: false }),
            Step::Wait => {
                let sleeper = sleeper();
                let signal = Arc::clone(&sleeper.signal);
                world.wakers.borrow_mut().push(sleeper);
                Some(self.wait_for(signal))
            }
            Step::WaitForThread => {
                let Sleeper { waker, signal, .. } = sleeper();
                let waiting = self.wait_for(Arc::clone(&signal));
                self.record.is_up_to_others();
                world.threads.borrow_mut().push(thread::spawn(move || {
                    signal.store(true, SeqCst);
                    waker.wake();
                }));
                Some(waiting)
            }
            Step::Sleep => {
                self.record.wait(Blocked::Timer);
                // One that has passed when it is polled would be ready at once.
                Some(Waiting::Timer(sleep(Duration::from_nanos(1))))
            }
            Step::Await(pick) => {
                let handle = world.take_handle(pick)?;
                self.record.wait(Blocked::Child(Rc::clone(&handle.record)));
                Some(Waiting::Child(handle))
            }
            Step::AwaitCancelled(pick) => {
                let cancelled = Cancelled::new(world.take_handle(pick)?)?;
                self.record.wait(Blocked::Child(Rc::clone(cancelled.record())));
                Some(Waiting::Cancelled(cancelled))
            }
            Step::Do(op) => {
                world.apply(op);
                None
            }
        }
    }

    fn wait_for(&self, signal: Signal) -> Waiting {
        self.record.wait(Blocked::Signal(Arc::clone(&signal)));
        Waiting::Signal(signal)
    }

    /// True if a thread is about to wake it.
    pub fn is_woken_soon(&self) -> bool {
        let step = self.next.checked_sub(1).and_then(|step| self.script.steps.get(step));
        self.waiting.is_some() && matches!(step, Some(Step::WaitForThread))
    }
}

impl Waiting {
    fn poll(&mut self, cx: &mut Context<'_>, record: &Record, world: &World) -> Poll<()> {
        let is_over = match self {
            Self::Yield { has_yielded } => {
                let is_over = std::mem::replace(has_yielded, true);
                if !is_over {
                    record.wake();
                    cx.waker().wake_by_ref();
                }
                is_over
            }
            Self::Signal(signal) => signal.load(SeqCst),
            Self::Timer(timer) => Pin::new(timer).poll(cx).is_ready(),
            Self::Child(handle) => handle.poll(cx, world),
            Self::Cancelled(cancelled) => cancelled.poll(cx, world),
        };
        if is_over { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Future for Actor {
    type Output = usize;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        let (this, world) = (self.get_mut(), world());
        this.record.begin_poll(&world);
        let advanced = this.advance(cx, &world);
        this.record.end_poll();
        ready!(advanced);
        let outcome = match this.script.end {
            End::Value => Outcome::Value,
            // In somebody else's panic, by whose last words this was run, it keeps still.
            End::PanicInDrop if thread::panicking() => Outcome::Value,
            End::Panic | End::PanicInDrop => Outcome::Panic,
        };
        this.record.outcome.set(Some(outcome));
        if this.script.end == End::Panic {
            // Without the hook: nothing of it is printed.
            resume_unwind(Box::new(Payload(this.record.number)));
        }
        Poll::Ready(this.record.number)
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        self.record.leave();
        if let Some(op) = self.script.last_words {
            world().apply(op);
        }
        // Not within a panic, which a destructor must not add to.
        if self.script.end == End::PanicInDrop && !thread::panicking() {
            resume_unwind(Box::new(Payload(self.record.number)));
        }
    }
}
