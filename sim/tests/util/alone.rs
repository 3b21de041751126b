//! Has each thread of the crate's own tests be a simulated host, from its first runtime on.

use std::cell::RefCell;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

use selkie_sim::Alone;

/// What the threads have had, altogether.
static THREADS: AtomicU64 = AtomicU64::new(0);
static MILLISECONDS: AtomicU64 = AtomicU64::new(0);

struct Counted(Alone);

impl Drop for Counted {
    fn drop(&mut self) {
        let time = self.0.now().as_millis() as u64;
        let time = time + MILLISECONDS.fetch_add(time, Ordering::Relaxed);
        let threads = 1 + THREADS.fetch_add(1, Ordering::Relaxed);
        println!("{threads} tests were simulated, with {}.{:03} s", time / 1000, time % 1000);
    }
}

thread_local! {
    static ALONE: RefCell<Option<Counted>> = const { RefCell::new(None) };
}

fn begin() {
    // The files of the crate are named from its root.
    static AT_ROOT: Once = Once::new();
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    AT_ROOT.call_once(|| std::env::set_current_dir(root).expect("the crate's root is there"));
    let thread = std::thread::current();
    // Others than the threads of tests are the system's.
    let Some(test) = thread.name().filter(|name| name.contains("::")) else { return };
    if crate::REAL.iter().any(|(name, _)| test.starts_with(name)) {
        return;
    }
    // A thread that is ending is the system's.
    let _ = ALONE.try_with(|alone| {
        alone.borrow_mut().get_or_insert_with(|| {
            let alone = selkie_sim::alone(1);
            // The ends that a test keeps for itself are the kernel's, which moves bytes at once.
            alone.allow_network();
            Counted(alone)
        });
    });
}

/// As that of the crate's own tests, but each runtime is on a host.
pub mod liar {
    use std::io;

    use selkie::selector::{Backend, BackendKind};
    use selkie::{Builder, Runtime};

    pub use crate::liar_of_the_system::*;

    pub fn build(builder: Builder) -> io::Result<Runtime> {
        super::begin();
        crate::liar_of_the_system::build(builder)
    }

    pub fn build_on(builder: Builder, kind: BackendKind) -> io::Result<Runtime> {
        super::begin();
        crate::liar_of_the_system::build_on(builder, kind)
    }

    pub fn open_hidden(kind: BackendKind) -> io::Result<Box<dyn Backend + Send>> {
        super::begin();
        crate::liar_of_the_system::open_hidden(kind)
    }
}
