//! Hosts without a thread: the driver takes their turns.
//! Invariant: what such a host owns is made, used and dropped while its world is that of the
//! driver's thread.

use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use selkie::world::{World, install};
use selkie::{Builder, Runtime, Task, Turn};

use crate::host::{Ended, Main};
use crate::interposed::set_host;
use crate::place::{HostResult, Place};
use crate::sim::{Host, Sim, text_of};
use crate::state::Index;
use crate::world::{Form, HostWorld};

type Result = std::result::Result<(), String>;

/// Begins what the host runs.
type Start = dyn Fn() -> Pin<Box<dyn Future<Output = Result>>>;

pub(crate) struct Stepped {
    start: Rc<Start>,
    running: Option<Running>,
}

struct Running {
    // Dropped before its runtime.
    task: Task<Result>,
    runtime: Runtime,
}

impl Sim {
    /// Adds a host that runs an async function on the thread of the test: as
    /// [`host`](Self::host), but it costs no thread, and its turns no change of threads.
    ///
    /// The function need not be `Send`. It shares thread-locals and other statics with the test and
    /// with all hosts of this form, and it keeps them when it is started again. It cannot wait in a
    /// `select()` of its own: that is an error.
    ///
    /// # Panics
    /// As [`host`](Self::host).
    #[track_caller]
    pub fn host_stepped<F, Fut>(&mut self, place: impl Place, main: F) -> Host
    where
        F: Fn() -> Fut + 'static,
        Fut: Future<Output: HostResult> + 'static,
    {
        let never: Main = Arc::new(|| Err("a host without a thread was given one".to_owned()));
        let host = self.add(place, never);
        let start: Rc<Start> = Rc::new(move || {
            let main = main();
            Box::pin(async move { main.await.into_result() })
        });
        if self.stepped.is_empty() {
            self.turns.watch();
        }
        self.stepped.insert(host.index, Stepped { start, running: None });
        host
    }

    /// Takes a turn of a host, which was given the baton.
    pub(crate) fn step(&mut self, index: Index) {
        let own = Arc::clone(&self.shared.lock().hosts[index].shared);
        let world = HostWorld::new(Arc::clone(&self.shared), index, own, Form::Stepped);
        let _installed = install(Rc::clone(&world) as Rc<dyn World>);
        let Some(stepped) = self.stepped.get_mut(&index) else { return };
        let former = set_host(Some(Rc::clone(&world)));
        self.turns.begin(index);
        let ended = if world.own.is_ending.load(Ordering::Acquire) {
            let ending = self.shared.lock().hosts[index].ending.take();
            Some(ending.unwrap_or(Ended::Killed))
        } else {
            match catch_unwind(AssertUnwindSafe(|| stepped.turn())) {
                Ok(Ok(After::Turn(turn))) => {
                    let deadline = stepped.next_deadline().map(|at| self.shared.since_start(at));
                    let mut state = self.shared.lock();
                    if has_run(&turn) {
                        state.takes_turn(index);
                    } else {
                        // So there is nothing new to look at, either.
                        state.sleeps(index, deadline);
                    }
                    None
                }
                Ok(Ok(After::End(Ok(())))) => Some(Ended::ByItself),
                Ok(Ok(After::End(Err(error)))) => Some(Ended::Failed(error)),
                Ok(Err(error)) => Some(Ended::Failed(error.to_string())),
                Err(payload) => Some(Ended::Failed(format!("it panicked: {}", text_of(&*payload)))),
            }
        };
        self.shared.flags.steps.fetch_add(1, Ordering::Relaxed);
        if let Some(how) = ended {
            // Its destructors run, and what it had open is closed.
            drop(stepped.running.take());
            self.shared.lock().host_ended(index, how);
        }
        self.turns.end();
        set_host(former);
    }
}

/// True if the turn has run something of the host's, or had no room for all that was ready. An event
/// that nobody waits for runs nothing: a socket tells that it is writable whenever it is emptied.
fn has_run(turn: &Turn) -> bool {
    /// Far less than a turn has room for.
    const FEW: usize = 100;
    turn.polls > 0 || turn.timers > 0 || turn.more || turn.events > FEW
}

enum After {
    Turn(Turn),
    End(Result),
}

impl Stepped {
    fn turn(&mut self) -> io::Result<After> {
        let running = match &mut self.running {
            Some(running) => running,
            none => {
                let runtime = Builder::new().backend_from_env().build()?;
                // The function may ask for its runtime before it gives a future.
                let start = Rc::clone(&self.start);
                let task = runtime.enter(|| selkie::spawn(start()));
                none.insert(Running { task, runtime })
            }
        };
        let turn = running.runtime.turn(Some(Duration::ZERO))?;
        if !running.task.is_finished() {
            return Ok(After::Turn(turn));
        }
        let Some(Running { task, runtime }) = self.running.take() else {
            return Ok(After::Turn(turn));
        };
        // Panics if the task did.
        Ok(After::End(runtime.block_on(task)))
    }

    fn next_deadline(&self) -> Option<std::time::Instant> {
        self.running.as_ref()?.runtime.next_deadline()
    }
}
