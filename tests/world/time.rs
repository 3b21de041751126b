//! A world with a clock of its own.

use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use selkie::selector::{Backend, BackendKind, ReadyList, Until, Wrapped, Wrapper};
use selkie::world::{World, install};
use selkie::{Builder, Runtime};

const HOUR: Duration = Duration::from_secs(3600);

/// What all back ends of a world go by. Whoever waits, and finds nothing, is at the end of the wait
/// at once.
#[derive(Clone)]
struct Jumping(std::sync::Arc<std::sync::Mutex<Instant>>);

impl Jumping {
    fn new() -> Self {
        Self(std::sync::Arc::new(std::sync::Mutex::new(Instant::now())))
    }

    fn get(&self) -> Instant {
        *self.0.lock().unwrap()
    }
}

impl World for Jumping {
    fn now(&self) -> Instant {
        self.get()
    }

    fn open(&self, kind: BackendKind) -> io::Result<Box<dyn Backend + Send>> {
        Ok(Box::new(Wrapped { inner: kind.open_system()?, wrapper: self.clone() }))
    }
}

impl<B: Backend> Wrapper<B> for Jumping {
    fn now(&self, _inner: &B) -> Instant {
        self.get()
    }

    fn wait(&mut self, inner: &mut B, ready: &mut ReadyList, until: Until) -> io::Result<()> {
        inner.wait(ready, Until::Now)?;
        if let Until::At { deadline, .. } = until
            && ready.is_empty()
        {
            *self.0.lock().unwrap() = deadline;
        }
        Ok(())
    }
}

#[test]
fn sleeps_go_by_the_clock_of_the_world_and_take_no_time() {
    let world = Rc::new(Jumping::new());
    let _installed = install(Rc::clone(&world) as Rc<dyn World>);
    let (real, before) = (Instant::now(), selkie::time::now());
    selkie::block_on(async {
        let start = selkie::time::now();
        selkie::sleep(HOUR).await;
        assert_eq!(selkie::time::now() - start, HOUR);
        let late = selkie::timeout(HOUR, std::future::pending::<()>()).await;
        assert!(late.is_err());
    });
    assert_eq!(selkie::time::now() - before, 2 * HOUR);
    assert!(real.elapsed() < HOUR / 60);
}

#[test]
fn a_sleep_that_is_made_outside_a_runtime_counts_by_the_clock_of_the_world() {
    let world = Rc::new(Jumping::new());
    *world.0.lock().unwrap() += HOUR;
    let _installed = install(Rc::clone(&world) as Rc<dyn World>);
    let sleep = selkie::sleep(HOUR);
    assert_eq!(sleep.deadline(), Some(world.get() + HOUR));
    let interval = selkie::interval(HOUR);
    Runtime::new().unwrap().block_on(async move {
        let mut interval = interval;
        let start = selkie::time::now();
        assert_eq!(interval.tick().await, start);
        sleep.await;
        assert_eq!(selkie::time::now() - start, HOUR);
    });
}

#[test]
fn a_runtime_of_one_world_keeps_it_while_another_is_installed() {
    let [own, other] = [(); 2].map(|()| Rc::new(Jumping::new()));
    *other.0.lock().unwrap() += HOUR;
    let backend = own.open(BackendKind::DEFAULT).unwrap();
    let runtime = Builder::new().build_in(backend, Rc::clone(&own) as Rc<dyn World>).unwrap();
    let _installed = install(Rc::clone(&other) as Rc<dyn World>);
    assert_eq!(runtime.enter(selkie::time::now), own.get());
    assert_eq!(selkie::time::now(), other.get());
}
