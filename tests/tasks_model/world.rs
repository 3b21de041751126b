//! Two runtimes, their tasks, and what is true of them after every operation.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::{Context, Waker};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use selkie::{Remote, Runtime};

use super::program::{Op, Program, Script, Side};
use super::record::{Handle, Record, Signal};

/// Operations of a world at most, those of tasks included.
const FUEL: u32 = 600;

/// Turns after which a runtime that still finds something to do never comes to rest.
const MOST_TURNS: u32 = 10_000;

thread_local! {
    static WORLD: RefCell<Option<Rc<World>>> = const { RefCell::new(None) };
}

/// The world that this thread is in.
pub fn world() -> Rc<World> {
    WORLD.with_borrow(Clone::clone).expect("only the world's own thread is in it")
}

pub struct World {
    pub scripts: Vec<Rc<Script>>,
    pub sides: [RefCell<Seat>; 2],
    pub records: RefCell<Vec<Rc<Record>>>,
    pub handles: RefCell<Vec<Handle>>,
    pub wakers: RefCell<Vec<Sleeper>>,
    /// Threads on their way.
    pub threads: RefCell<Vec<JoinHandle<()>>>,
    /// The runtimes on the stack, by serial number, the current one last.
    pub stack: RefCell<Vec<usize>>,
    /// How many of these are in a turn or a `block_on`.
    pub running: Cell<usize>,
    pub next_runtime: Cell<usize>,
    fuel: Cell<u32>,
    failure: RefCell<Option<String>>,
}

/// The runtime on one side, if there is one, and what is left of the last one.
#[derive(Default)]
pub struct Seat {
    pub runtime: Option<Rc<Runtime>>,
    pub serial: usize,
    pub remote: Option<Remote>,
    pub resumes: bool,
}

/// The waker of a task that waits, or has waited.
#[derive(Clone)]
pub struct Sleeper {
    pub record: Rc<Record>,
    pub waker: Waker,
    pub signal: Signal,
}

/// Runs what may panic.
pub fn quietly<R>(f: impl FnOnce() -> R) -> Result<R, Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(f))
}

/// Does what the program says, and tells what was wrong, if anything was.
pub fn run(program: Program) -> Result<(), String> {
    let Program { settings: [left, right], scripts, ops } = program;
    let world = Rc::new(World::new(scripts));
    WORLD.set(Some(Rc::clone(&world)));
    let ran = quietly(|| {
        world.apply(Op::Open(Side::Left, left));
        world.apply(Op::Open(Side::Right, right));
        for (step, op) in ops.into_iter().enumerate() {
            world.apply(op);
            world.check_queues();
            world.result().map_err(|why| format!("op {step}, {op:?}: {why}"))?;
        }
        world.end();
        world.result().map_err(|why| format!("at the end: {why}"))
    });
    if !matches!(ran, Ok(Ok(()))) {
        // What is left of it has last words, too.
        world.fuel.set(0);
        let _ = quietly(|| world.end());
    }
    WORLD.set(None);
    ran.unwrap_or_else(|panic| Err(format!("the model panicked: {}", text_of(&*panic))))
}

pub fn text_of(panic: &dyn Any) -> String {
    let literal = panic.downcast_ref::<&str>().map(ToString::to_string);
    literal.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

impl World {
    fn new(scripts: Vec<Script>) -> Self {
        Self {
            scripts: scripts.into_iter().map(Rc::new).collect(),
            sides: Default::default(),
            records: RefCell::default(),
            handles: RefCell::default(),
            wakers: RefCell::default(),
            threads: RefCell::default(),
            stack: RefCell::default(),
            running: Cell::default(),
            next_runtime: Cell::new(1),
            fuel: Cell::new(FUEL),
            failure: RefCell::default(),
        }
    }

    /// Notes the first thing that is wrong. Not a panic: the executor would catch it.
    pub fn expect(&self, is_right: bool, number: usize, what: &str) {
        if !is_right {
            self.fail(format!("task {number}: {what}"));
        }
    }

    pub fn fail(&self, what: String) {
        self.failure.borrow_mut().get_or_insert(what);
    }

    fn result(&self) -> Result<(), String> {
        self.failure.borrow_mut().take().map_or(Ok(()), Err)
    }

    /// False once the world has done enough.
    pub fn burn(&self) -> bool {
        let left = self.fuel.get().checked_sub(1);
        self.fuel.set(left.unwrap_or(0));
        left.is_some()
    }

    pub fn seat(&self, side: Side) -> &RefCell<Seat> {
        &self.sides[side as usize]
    }

    pub fn runtime(&self, side: Side) -> Option<Rc<Runtime>> {
        self.seat(side).borrow().runtime.clone()
    }

    pub fn new_record(&self, make: impl FnOnce(usize) -> Rc<Record>) -> Rc<Record> {
        let number = self.records.borrow().len();
        let record = make(number);
        self.records.borrow_mut().push(Rc::clone(&record));
        record
    }

    fn records_of(&self, serial: usize) -> Vec<Rc<Record>> {
        let records = self.records.borrow();
        records.iter().filter(|record| record.runtime == serial).cloned().collect()
    }

    pub fn script(&self, pick: u8) -> Rc<Script> {
        Rc::clone(&self.scripts[usize::from(pick) % self.scripts.len()])
    }

    /// Between turns, a runtime with a task that is to be polled says so, and its descriptor
    /// as well.
    fn check_queues(&self) {
        for side in [Side::Left, Side::Right] {
            let seat = self.seat(side).borrow();
            let Some(runtime) = &seat.runtime else { continue };
            let due = self.records_of(seat.serial).into_iter().find(|record| record.is_due());
            if let Some(due) = due {
                self.expect(runtime.has_ready_tasks(), due.number, "due, but no task is ready");
                let descriptor = runtime.descriptor();
                // Not at once: a thread may have found the loop asleep, and be about to notify it.
                let is_readable = descriptor.ok().is_none_or(|descriptor| {
                    let mut fds = [PollFd::new(&descriptor, PollFlags::IN)];
                    let patience = Timespec { tv_sec: 10, tv_nsec: 0 };
                    retry_on_intr(|| poll(&mut fds, Some(&patience))) == Ok(1)
                });
                self.expect(is_readable, due.number, "due, but the descriptor is not readable");
            }
        }
        for handle in &*self.handles.borrow() {
            handle.check_finished(self);
        }
    }

    /// Waits for the threads on their way; true if there were any.
    pub fn join_threads(&self) -> bool {
        let threads = self.threads.take();
        let some = !threads.is_empty();
        for thread in threads {
            if let Err(panic) = thread.join() {
                self.fail(format!("a thread panicked: {}", text_of(&*panic)));
            }
        }
        some
    }

    /// Takes turns until there is nothing left to do, and insists that all was done.
    pub fn settle(&self, side: Side) {
        let Some(runtime) = self.runtime(side) else { return };
        let serial = self.seat(side).borrow().serial;
        if self.stack.borrow().contains(&serial) {
            return;
        }
        for _ in 0..MOST_TURNS {
            let others = self.join_threads();
            if self.turn(side, &runtime) && !others && self.threads.borrow().is_empty() {
                self.records_of(serial).iter().for_each(|record| record.check_at_rest(self));
                return;
            }
        }
        self.fail(format!("{side:?} does not come to rest"));
    }

    /// One turn; true if it found nothing to do.
    pub fn turn(&self, side: Side, runtime: &Runtime) -> bool {
        let turned = self.on_stack(side, || quietly(|| runtime.turn(Some(Duration::ZERO))));
        match turned {
            Ok(Ok(turn)) => {
                let is_due = runtime.next_deadline().is_some_and(|next| next <= Instant::now());
                let (ready, more) = (runtime.has_ready_tasks(), turn.more);
                // More than tasks that can go on are timers that the turn had no room for.
                let is_right = if ready { more } else { !more || is_due };
                if self.threads.borrow().is_empty() && !is_right {
                    self.fail(format!("{side:?}: {turn:?}, but has_ready_tasks says otherwise"));
                }
                turn.is_idle()
            }
            Ok(Err(error)) => {
                self.fail(format!("{side:?}: {error}"));
                true
            }
            Err(panic) => {
                self.check_panic(side, &*panic);
                false
            }
        }
    }

    /// Runs `f`, which runs the runtime on this side.
    pub fn on_stack<R>(&self, side: Side, f: impl FnOnce() -> R) -> R {
        let serial = self.seat(side).borrow().serial;
        self.stack.borrow_mut().push(serial);
        self.running.update(|n| n + 1);
        let result = f();
        self.running.update(|n| n - 1);
        self.stack.borrow_mut().pop();
        result
    }

    /// A panic that left a turn: of a task that nobody awaits, and if that was asked for.
    pub fn check_panic(&self, side: Side, panic: &(dyn Any + Send)) {
        let known = panic.is::<super::record::Payload>();
        if !known || !self.seat(side).borrow().resumes {
            self.fail(format!("{side:?}: a turn panicked: {}", text_of(panic)));
        }
    }

    /// Drops the runtime on this side, and insists that nothing is left of its tasks.
    pub fn close(&self, side: Side) {
        let runtime = self.seat(side).borrow_mut().runtime.take_if(|r| Rc::strong_count(r) == 1);
        let Some(runtime) = runtime else { return };
        let serial = self.seat(side).borrow().serial;
        self.stack.borrow_mut().push(serial);
        drop(runtime);
        self.stack.borrow_mut().pop();
        self.records_of(serial).iter().for_each(|record| record.check_gone(self));
    }

    /// Everything ends: first what can, by itself.
    fn end(&self) {
        for _ in 0..2 {
            self.settle(Side::Left);
            self.settle(Side::Right);
        }
        self.close(Side::Left);
        self.close(Side::Right);
        // Last words may have opened others.
        self.close(Side::Left);
        self.close(Side::Right);
        for mut handle in self.handles.take() {
            let is_told = handle.poll(&mut Context::from_waker(Waker::noop()), self);
            self.expect(is_told, handle.record.number, "its awaiter is told nothing");
        }
        self.wakers.take();
        self.join_threads();
        for record in self.records.take() {
            record.check_gone(self);
            // Tasks that waited for each other: their records would keep each other for ever.
            record.wait_no_more();
        }
    }
}
