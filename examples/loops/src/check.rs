//! A runtime whose turns are counted, and whether all of the work was done in it.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use futures::channel::oneshot;
use selkie::selector::{Backend, BackendKind, ReadyList, Until, Wrapped, Wrapper};
use selkie::{Builder, Runtime};

use crate::work::{self, Done};

/// How many turns a runtime has taken: as many as its back end has waited.
#[derive(Clone, Default)]
pub(crate) struct Turns(Arc<AtomicUsize>);

impl Turns {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Relaxed)
    }
}

impl<B: Backend> Wrapper<B> for Turns {
    fn wait(&mut self, inner: &mut B, ready: &mut ReadyList, until: Until) -> io::Result<()> {
        self.0.fetch_add(1, Relaxed);
        inner.wait(ready, until)
    }
}

/// The work that a runtime does in a loop of somebody else.
#[derive(Clone)]
pub struct Check(Rc<State>);

struct State {
    turns: Turns,
    /// A wake of a task by another thread, in `block_on`.
    usual_wake: Duration,
    called: RefCell<Option<oneshot::Sender<()>>>,
    done: Cell<Option<Done>>,
    is_over: Cell<bool>,
}

impl Check {
    /// A runtime as the guide has it, but for the count of its turns.
    ///
    /// # Errors
    /// As [`Builder::build`].
    pub fn open(builder: Builder) -> io::Result<(Rc<Runtime>, Self)> {
        let usual_wake = selkie::try_block_on(work::wake())?;
        let turns = Turns::default();
        let backend = Wrapped { inner: BackendKind::DEFAULT.open()?, wrapper: turns.clone() };
        let runtime = builder.build_with(Box::new(backend))?;
        let state = State {
            turns,
            usual_wake,
            called: RefCell::default(),
            done: Cell::default(),
            is_over: Cell::default(),
        };
        Ok((Rc::new(runtime), Self(Rc::new(state))))
    }

    /// Spawns the work, which calls `ended` in its last turn.
    pub fn start(&self, runtime: &Runtime, ended: impl FnOnce() + 'static) {
        let (sender, called) = oneshot::channel();
        *self.0.called.borrow_mut() = Some(sender);
        let check = self.clone();
        let work = async move {
            let done = work::all(&check.0.turns, called).await;
            check.0.done.set(Some(done));
            check.0.is_over.set(true);
            ended();
        };
        runtime.spawn(work).detach();
    }

    /// Spawns a task that the work waits for. The foreign loop calls this in a callback of its
    /// own, between two turns.
    pub fn call(&self, runtime: &Runtime) {
        if let Some(called) = self.0.called.take() {
            let told = async move { called.send(()).expect("the work waits for it") };
            runtime.spawn(told).detach();
        }
    }

    /// True once the work has been done.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.0.is_over.get()
    }

    /// Prints what was done.
    ///
    /// # Panics
    /// If the loop has ended before the work.
    pub fn report(&self) {
        let done = self.0.done.take().expect("the loop goes on until the work is done");
        let ratio = done.wake.as_secs_f64() / self.0.usual_wake.as_secs_f64();
        println!("timers: {}, none early", done.timers);
        println!("echoes: {}", done.echoes);
        println!("wakes by another thread: {}", done.wakes);
        println!("tasks spawned by a callback: 1");
        println!("threads: {}", done.threads);
        println!("turns in an idle second: {}", done.idle_turns);
        println!("processor time of an idle second: {} us", done.idle_work.as_micros());
        println!("a wake: {} ns, {ratio:.2} of one in block_on", done.wake.as_nanos());
    }
}
