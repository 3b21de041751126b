//! What the model knows of a task, and what must hold for it.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};

use selkie::Task;

use super::world::{World, quietly, text_of};

/// Set by whoever wakes, before that.
pub type Signal = Arc<AtomicBool>;

/// What tasks panic with: their number.
#[derive(Debug, PartialEq, Eq)]
pub struct Payload(pub usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Value,
    Panic,
}

/// What a task waits for.
#[derive(Default)]
pub enum Blocked {
    #[default]
    No,
    Signal(Signal),
    Timer,
    Child(Rc<Record>),
}

pub struct Record {
    pub number: usize,
    /// The serial number of its runtime.
    pub runtime: usize,
    drops: Arc<AtomicUsize>,
    pub outcome: Cell<Option<Outcome>>,
    /// Its destructor is running, or has run.
    is_leaving: Cell<bool>,
    is_cancelled: Cell<bool>,
    /// It was spawned or woken, and not polled since.
    is_due: Cell<bool>,
    is_polling: Cell<bool>,
    /// Others than the model may wake it, or cancel it, at a time of their own.
    others_act: Cell<bool>,
    pub blocked: RefCell<Blocked>,
}

impl Record {
    pub fn new(number: usize, runtime: usize) -> (Rc<Self>, Token) {
        let drops = Arc::new(AtomicUsize::new(0));
        let token = Token { drops: Arc::clone(&drops), home: thread::current().id(), left: false };
        let record = Self {
            number,
            runtime,
            drops,
            outcome: Cell::default(),
            is_leaving: Cell::default(),
            is_cancelled: Cell::default(),
            is_due: Cell::new(true),
            is_polling: Cell::default(),
            others_act: Cell::default(),
            blocked: RefCell::default(),
        };
        (Rc::new(record), token)
    }

    pub fn is_dropped(&self) -> bool {
        self.drops.load(SeqCst) > 0
    }

    /// It can still be polled.
    fn is_live(&self) -> bool {
        !self.is_dropped() && self.outcome.get().is_none() && !self.is_cancelled.get()
    }

    /// It is to be polled in a later turn.
    pub fn is_due(&self) -> bool {
        self.is_live() && self.is_due.get()
    }

    /// Somebody is about to wake it.
    pub fn wake(&self) {
        self.is_due.set(true);
    }

    /// Its handle is dropped.
    fn cancel(&self) {
        if !self.is_dropped() {
            self.is_cancelled.set(true);
        }
    }

    pub fn wait(&self, blocked: Blocked) {
        if !matches!(blocked, Blocked::Signal(_)) {
            self.others_act.set(true);
        }
        *self.blocked.borrow_mut() = blocked;
    }

    pub fn wait_no_more(&self) {
        *self.blocked.borrow_mut() = Blocked::No;
    }

    /// A thread wakes or cancels it at a time of its own.
    pub fn is_up_to_others(&self) {
        self.others_act.set(true);
    }

    pub fn begin_poll(&self, world: &World) {
        world.expect(!self.is_polling.replace(true), self.number, "polled in its own poll");
        world.expect(!self.is_dropped(), self.number, "polled after it was dropped");
        world.expect(self.outcome.get().is_none(), self.number, "polled after its end");
        let is_cancelled = self.is_cancelled.get() && !self.others_act.get();
        world.expect(!is_cancelled, self.number, "polled after it was cancelled");
        let is_expected = self.is_due.replace(false) || self.others_act.get();
        world.expect(is_expected, self.number, "polled though nobody woke it");
    }

    pub fn end_poll(&self) {
        self.is_polling.set(false);
    }

    pub fn leave(&self) {
        self.is_leaving.set(true);
    }

    /// When its runtime has nothing left to do.
    pub fn check_at_rest(&self, world: &World) {
        world.expect(!self.is_due(), self.number, "woken, but not polled");
        if !self.is_live() {
            world.expect(self.is_dropped(), self.number, "cancelled or ended, but not dropped");
            return;
        }
        let overslept = match &*self.blocked.borrow() {
            Blocked::No => false,
            Blocked::Signal(signal) => signal.load(SeqCst),
            Blocked::Timer => true,
            Blocked::Child(child) => child.is_dropped(),
        };
        world.expect(!overslept, self.number, "still waits for what has come");
    }

    pub fn check_gone(&self, world: &World) {
        let drops = self.drops.load(SeqCst);
        world.expect(drops == 1, self.number, &format!("dropped {drops} times"));
    }

    /// What an awaiter or a canceller may be told just now.
    fn check_told(&self, world: &World, told: &Told) {
        let is_between =
            !self.is_dropped() && (self.outcome.get().is_some() || self.is_leaving.get());
        let right = match told {
            Told::Nothing => is_between || !self.is_dropped(),
            Told::Value(value) => {
                self.outcome.get() == Some(Outcome::Value) && *value == self.number
            }
            Told::Gone if self.is_cancelled.get() => true,
            Told::Gone => self.outcome.get().is_none() && (self.is_dropped() || is_between),
            Told::Panic(number) => {
                self.outcome.get() == Some(Outcome::Panic) && *number == self.number
            }
            Told::Other(_) => false,
        };
        world.expect(right, self.number, &format!("told {told:?}, not {:?}", self.outcome.get()));
    }
}

/// Dropped with the future of a task or, before there is one, with the closure that makes it.
pub struct Token {
    drops: Arc<AtomicUsize>,
    home: ThreadId,
    /// The closure has become a future: from now on it stays on its thread.
    left: bool,
}

impl Token {
    pub fn settle_down(&mut self) {
        self.left = true;
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        if self.left && thread::current().id() != self.home {
            // Nobody could catch a panic, and the count is wrong in any case.
            self.drops.fetch_add(1_000, SeqCst);
        }
        self.drops.fetch_add(1, SeqCst);
    }
}

/// What comes of asking for a task's value.
#[derive(Debug)]
enum Told {
    Nothing,
    Value(usize),
    /// It was cancelled, or its runtime was dropped.
    Gone,
    Panic(usize),
    #[expect(dead_code, reason = "for the message")]
    Other(String),
}

impl Told {
    fn of(asked: Result<Poll<Option<usize>>, Box<dyn Any + Send>>) -> Self {
        let payload = match asked {
            Ok(Poll::Pending) => return Self::Nothing,
            Ok(Poll::Ready(value)) => return value.map_or(Self::Gone, Self::Value),
            Err(payload) => payload,
        };
        match (payload.downcast_ref::<Payload>(), text_of(&*payload)) {
            (Some(Payload(number)), _) => Self::Panic(*number),
            (_, text) if text.contains("the awaited task is gone") => Self::Gone,
            (_, text) => Self::Other(text),
        }
    }
}

/// The handle of a task.
pub struct Handle {
    pub record: Rc<Record>,
    task: Option<Task<usize>>,
}

impl Handle {
    pub fn new(record: Rc<Record>, task: Task<usize>) -> Self {
        Self { record, task: Some(task) }
    }

    /// True if it has been told how the task ended.
    pub fn poll(&mut self, cx: &mut Context<'_>, world: &World) -> bool {
        let Some(task) = &mut self.task else { return true };
        let polled = quietly(|| Pin::new(task).poll(cx).map(Some));
        let told = Told::of(polled);
        self.record.check_told(world, &told);
        if !matches!(told, Told::Nothing) {
            self.task = None;
        }
        self.task.is_none()
    }

    pub fn check_finished(&self, world: &World) {
        if let Some(task) = &self.task {
            let record = &self.record;
            let is_between = record.is_leaving.get() || record.outcome.get().is_some();
            let right = task.is_finished() == record.is_dropped() || is_between;
            world.expect(right, record.number, "is_finished");
        }
    }

    /// Takes the task out, which is cancelled.
    pub fn into_cancelled(mut self) -> Option<(Rc<Record>, Task<usize>)> {
        self.record.cancel();
        self.task.take().map(|task| (Rc::clone(&self.record), task))
    }

    pub fn detach(mut self) {
        if let Some(task) = self.task.take() {
            task.detach();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            self.record.cancel();
            drop(task);
        }
    }
}

/// A task that is being cancelled, and the wait for that.
pub struct Cancelled {
    record: Rc<Record>,
    waiting: Option<Pin<Box<dyn Future<Output = Option<usize>>>>>,
}

impl Cancelled {
    pub fn new(handle: Handle) -> Option<Self> {
        let (record, task) = handle.into_cancelled()?;
        Some(Self { record, waiting: Some(Box::pin(task.cancel())) })
    }

    pub fn record(&self) -> &Rc<Record> {
        &self.record
    }

    pub fn poll(&mut self, cx: &mut Context<'_>, world: &World) -> bool {
        let Some(waiting) = &mut self.waiting else { return true };
        let told = Told::of(quietly(|| waiting.as_mut().poll(cx)));
        self.record.check_told(world, &told);
        if !matches!(told, Told::Nothing) {
            self.waiting = None;
        }
        self.waiting.is_none()
    }

    /// Asks once.
    pub fn look(mut self, world: &World) {
        self.poll(&mut Context::from_waker(Waker::noop()), world);
    }
}
