//! What one `select` costs, per back end: 1, 100 and 10,000 registered, 1, 10 and 100 % ready. And
//! what it costs to unregister while a thousand filled buffers are alive, relative to one.
//!
//! Run it with `cargo bench -p benches --bench select`, or `cargo bench -p benches --bench select
//! -- '100 registered'`. It shows the time of one select and a walk over what it found, and, as
//! ratios to epoll, what a system call costs that is told all descriptors each time. Linux only:
//! the sources are eventfds, for one descriptor each.

mod support;

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};
use selkie::selector::{Backend, BackendKind};
use selkie::{DefaultSelector, Events, Interest};
use support::{Bench, Sides, cpu_time, may_have_descriptors};

/// Descriptors beside the sources: those of the back ends, of criterion, and the standard ones.
const OTHERS: u64 = 50;

/// Sources of which some are ready, by level and so for ever.
struct Sources {
    all: Vec<Rc<OwnedFd>>,
    ready: usize,
}

impl Sources {
    fn new(count: usize, ready: usize) -> io::Result<Self> {
        // Those that are ready are spread over all, as in life.
        let is_ready = |number| (number + 1) * ready / count > number * ready / count;
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let all = (0..count).map(|number| Ok(Rc::new(eventfd(is_ready(number).into(), flags)?)));
        Ok(Self { all: all.collect::<io::Result<_>>()?, ready })
    }
}

/// A selector of them all.
struct Crowd {
    selector: DefaultSelector<Rc<OwnedFd>, usize>,
    events: Events,
}

impl Crowd {
    fn new(backend: Box<dyn Backend + Send>, sources: &Sources) -> io::Result<Self> {
        let mut selector = DefaultSelector::with_backend(backend);
        for (number, source) in sources.all.iter().enumerate() {
            selector.register(Rc::clone(source), Interest::READ, number)?;
        }
        let capacity = NonZeroUsize::new(sources.all.len()).unwrap_or(NonZeroUsize::MIN);
        Ok(Self { selector, events: Events::with_capacity(capacity) })
    }

    /// One select, and a look at the data of each that is ready.
    fn select(&mut self) -> io::Result<usize> {
        let mut found = 0;
        for (key, _readiness) in self.selector.select(&mut self.events, Some(Duration::ZERO))? {
            found += usize::from(self.selector.get(key).is_some_and(|key| key.data < usize::MAX));
        }
        Ok(found)
    }
}

fn compare(bench: &mut Bench, registered: usize, ready: usize) -> io::Result<()> {
    let name = format!("select, {registered} registered, {ready} ready");
    if !may_have_descriptors(registered as u64 + OTHERS, &name) {
        return Ok(());
    }
    let sources = Sources::new(registered, ready)?;
    let mut sides = Sides::new(name);
    for kind in BackendKind::ALL {
        // Made when it is first wanted, so that what a filter leaves out costs nothing.
        let (mut crowd, sources) = (None, &sources);
        sides.add(kind, move |iterations| {
            let crowd = crowd.get_or_insert_with(|| {
                let backend = kind.open().expect("this system has the back end");
                Crowd::new(backend, sources).expect("the back end watches eventfds")
            });
            cpu_time(|| {
                for _ in 0..iterations {
                    assert_eq!(crowd.select().ok(), Some(sources.ready));
                }
            })
        });
    }
    bench.run(sides);
    Ok(())
}

/// How many keys each buffer holds, beside the one that comes and goes.
const OTHERS_READY: usize = 100;

/// A source comes and goes, while so many buffers are alive, with many others in each.
fn come_and_go(buffers: usize) -> io::Result<impl FnMut(u64) -> Duration> {
    let sources = Sources::new(OTHERS_READY + 1, OTHERS_READY + 1)?;
    let Crowd { mut selector, .. } = Crowd::new(BackendKind::DEFAULT.open()?, &sources)?;
    let room = NonZeroUsize::new(OTHERS_READY + 1).unwrap_or(NonZeroUsize::MIN);
    let mut filled: Vec<_> = (0..buffers).map(|_| Events::with_capacity(room)).collect();
    for events in &mut filled {
        selector.select(events, Some(Duration::ZERO))?;
    }
    let mut key = selector.key_of(&sources.all[0]).expect("it is registered");
    Ok(move |iterations| {
        cpu_time(|| {
            for _ in 0..iterations {
                let registration = selector.unregister(key).expect("it is registered");
                let again = selector.register(registration.source, Interest::READ, 0);
                key = again.expect("it was registered before");
            }
            assert!(filled.iter().all(|events| events.len() == OTHERS_READY + 1));
        })
    })
}

fn unregister(bench: &mut Bench) -> io::Result<()> {
    let mut sides = Sides::new("unregister and register, live buffers");
    for buffers in [1, 1_000] {
        sides.add(buffers, come_and_go(buffers)?);
    }
    bench.run(sides);
    Ok(())
}

fn main() -> io::Result<()> {
    let mut bench = Bench::from_args();
    for (registered, percents) in [(1, &[100][..]), (100, &[1, 10, 100]), (10_000, &[1, 10, 100])] {
        for percent in percents {
            compare(&mut bench, registered, registered * percent / 100)?;
        }
    }
    unregister(&mut bench)?;
    bench.finish();
    Ok(())
}
