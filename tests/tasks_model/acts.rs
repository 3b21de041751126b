//! What the world does when it is told an operation.

use std::future::{Future, poll_fn};
use std::io::ErrorKind;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Waker};
use std::thread;

use selkie::selector::BackendKind;
use selkie::{Builder, Task, UnobservedPanic};

use super::actor::Actor;
use super::program::{Op, Pick, Place, Road, Settings, Side};
use super::record::{Cancelled, Handle, Payload, Record, Token};
use super::world::{Seat, Sleeper, World, quietly, text_of, world};

/// Polls of a root that waits for what may never come.
const PATIENCE: u32 = 24;

/// Tasks of a world at most.
const MOST_TASKS: usize = 100;

/// Runs `f` on another thread; see [`Place`].
fn at<R: Send + 'static>(place: Place, f: impl FnOnce() -> R + Send + 'static) -> Option<R> {
    match place {
        Place::Here => Some(f()),
        Place::Elsewhere => Some(thread::spawn(f).join().expect("it does not panic")),
        Place::Meanwhile => {
            let thread = thread::spawn(|| drop(f()));
            world().threads.borrow_mut().push(thread);
            None
        }
    }
}

impl World {
    /// Does an operation, perhaps within a task, or in its destructor.
    pub fn apply(&self, op: Op) {
        if !self.burn() {
            return;
        }
        match op {
            Op::Open(side, settings) => self.open(side, settings),
            Op::Close(side) => self.close(side),
            Op::Spawn(road, pick) => self.spawn(road, pick),
            Op::Turn(side) => self.turn_or_panic(side),
            Op::Settle(side) => self.settle(side),
            Op::BlockOn(side, pick) => self.block_on(side, pick),
            Op::Notify(side, place) => {
                let remote = self.seat(side).borrow().remote.clone();
                remote.and_then(|remote| at(place, move || remote.notify()));
            }
            Op::Wake(pick, place) => self.wake(pick, place),
            Op::DropWaker(pick) => drop(take(&mut *self.wakers.borrow_mut(), pick)),
            Op::PollTask(pick) => self.poll_task(pick),
            Op::DropTask(pick, place) => {
                if let Some((record, task)) =
                    self.take_handle(pick).and_then(Handle::into_cancelled)
                {
                    if place == Place::Meanwhile {
                        record.is_up_to_others();
                    }
                    at(place, move || drop(task));
                }
            }
            Op::CancelTask(pick) => {
                if let Some(cancelled) = self.take_handle(pick).and_then(Cancelled::new) {
                    cancelled.look(self);
                }
            }
            Op::DetachTask(pick) => {
                if let Some(handle) = self.take_handle(pick) {
                    handle.detach();
                }
            }
        }
    }

    fn open(&self, side: Side, settings: Settings) {
        let mut seat = self.seat(side).borrow_mut();
        if seat.runtime.is_some() {
            return;
        }
        let Settings { resumes, polls, backend } = settings;
        let kinds = BackendKind::ALL;
        let unobserved = if resumes { UnobservedPanic::Resume } else { UnobservedPanic::Ignore };
        let polls = [1, 2, 5, 128][usize::from(polls % 4)];
        let runtime = Builder::new()
            .backend(kinds[usize::from(backend) % kinds.len()])
            .polls_per_turn(polls)
            .unobserved_panic(unobserved)
            .build()
            .expect("there are descriptors to spare");
        let serial = self.next_runtime.replace(self.next_runtime.get() + 1);
        let remote = Some(runtime.remote());
        *seat = Seat { runtime: Some(Rc::new(runtime)), serial, remote, resumes };
    }

    fn record(&self, serial: usize) -> (Rc<Record>, Token) {
        let mut token = None;
        let record = self.new_record(|number| {
            let (record, its_token) = Record::new(number, serial);
            token = Some(its_token);
            record
        });
        (record, token.expect("it has just been made"))
    }

    fn spawn(&self, road: Road, pick: Pick) {
        if self.records.borrow().len() >= MOST_TASKS {
            return;
        }
        match road {
            Road::Runtime(side) => {
                let Some(runtime) = self.runtime(side) else { return };
                let (record, token) = self.record(self.seat(side).borrow().serial);
                let actor = Actor::new(Rc::clone(&record), self.script(pick), token);
                self.keep(record, runtime.spawn(actor));
            }
            Road::Current => {
                let Some(serial) = self.stack.borrow().last().copied() else { return };
                let (record, token) = self.record(serial);
                let actor = Actor::new(Rc::clone(&record), self.script(pick), token);
                self.keep(record, selkie::spawn(actor));
            }
            Road::Remote(side, place) => self.spawn_from(side, place, pick),
        }
    }

    fn keep(&self, record: Rc<Record>, task: Task<usize>) {
        self.handles.borrow_mut().push(Handle::new(record, task));
    }

    fn spawn_from(&self, side: Side, place: Place, pick: Pick) {
        let (remote, serial) = {
            let seat = self.seat(side).borrow();
            let Some(remote) = seat.remote.clone() else { return };
            (remote, seat.serial)
        };
        let is_going = self.runtime(side).is_none();
        let (record, token) = self.record(serial);
        let number = record.number;
        let spawn = move || {
            let spawned = remote.spawn(move || {
                let world = world();
                let record = Rc::clone(&world.records.borrow()[number]);
                Actor::new(record, world.script(pick), token)
            });
            spawned.map_err(|error| error.kind())
        };
        let place = if place == Place::Meanwhile { Place::Elsewhere } else { place };
        match at(place, spawn) {
            Some(Ok(task)) => {
                self.expect(!is_going, number, "spawned on a runtime that is gone");
                self.keep(record, task);
            }
            Some(Err(kind)) => {
                let right = is_going && kind == ErrorKind::BrokenPipe && record.is_dropped();
                self.expect(right, number, &format!("refused: {kind}"));
            }
            None => {}
        }
    }

    pub fn take_handle(&self, pick: Pick) -> Option<Handle> {
        take(&mut self.handles.borrow_mut(), pick)
    }

    fn poll_task(&self, pick: Pick) {
        let Some(mut handle) = self.take_handle(pick) else { return };
        if !handle.poll(&mut Context::from_waker(Waker::noop()), self) {
            self.handles.borrow_mut().push(handle);
        }
    }

    fn wake(&self, pick: Pick, place: Place) {
        let wakers = self.wakers.borrow();
        let Some(index) = usize::from(pick).checked_rem(wakers.len()) else { return };
        let Sleeper { record, waker, signal } = wakers[index].clone();
        drop(wakers);
        match place {
            // The wake-up is not seen before the thread has been waited for.
            Place::Meanwhile => record.is_up_to_others(),
            Place::Here | Place::Elsewhere => record.wake(),
        }
        at(place, move || {
            signal.store(true, SeqCst);
            waker.wake();
        });
    }

    fn turn_or_panic(&self, side: Side) {
        let Some(runtime) = self.runtime(side) else { return };
        let serial = self.seat(side).borrow().serial;
        if !self.stack.borrow().contains(&serial) {
            self.turn(side, &runtime);
            return;
        }
        let turned = quietly(|| runtime.turn(None));
        let text = turned.map_or_else(|panic| text_of(&*panic), |turn| format!("{turn:?}"));
        if !text.starts_with("a turn of this runtime was called inside one of its own tasks") {
            self.fail(format!("a turn within a turn: {text}"));
        }
    }

    fn block_on(&self, side: Side, pick: Pick) {
        let Some(runtime) = self.runtime(side) else { return };
        if self.running.get() > 0 {
            let blocked = quietly(|| runtime.block_on(async {}));
            let text = blocked.map_or_else(|panic| text_of(&*panic), |()| "it ended".to_owned());
            if !text.starts_with("block_on was called inside a running selkie runtime") {
                self.fail(format!("block_on within a turn: {text}"));
            }
            return;
        }
        let (record, token) = self.record(self.seat(side).borrow().serial);
        record.is_up_to_others();
        let mut actor = Actor::new(Rc::clone(&record), self.script(pick), token);
        let mut patience = PATIENCE;
        let root = poll_fn(move |cx| {
            let polled = Pin::new(&mut actor).poll(cx);
            if polled.is_pending() && !actor.is_woken_soon() {
                patience -= 1;
                cx.waker().wake_by_ref();
            }
            if patience == 0 { Poll::Ready(None) } else { polled.map(Some) }
        });
        let ended = self.on_stack(side, || quietly(|| runtime.try_block_on(root)));
        match ended {
            Ok(Ok(value)) => {
                let right = value.is_none_or(|value| value == record.number);
                self.expect(right, record.number, "another's value");
            }
            Ok(Err(error)) => self.fail(format!("block_on: {error}")),
            Err(panic) if panic.downcast_ref() == Some(&Payload(record.number)) => {}
            Err(panic) => self.check_panic(side, &*panic),
        }
        record.check_gone(self);
    }
}

fn take<T>(from: &mut Vec<T>, pick: Pick) -> Option<T> {
    let index = usize::from(pick).checked_rem(from.len())?;
    Some(from.swap_remove(index))
}
