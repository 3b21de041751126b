//! What it costs to wait for a source that many others wait for, or have given up to wait for.
//!
//! Run it with `cargo bench -p benches --bench waiters`. It shows the CPU time of one wait, with
//! more and more of them: who waits has a name (an `async fn`), or has none (`poll_*`) and gives up
//! under a fresh waker each time, as each round of a `FuturesUnordered` does. The time must not grow
//! with their number.

mod support;

use std::cell::Cell;
use std::os::unix::net::UnixDatagram;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use selkie::{Async, Runtime};
use support::{Bench, Sides, cpu_time};

const CROWDS: [usize; 3] = [16, 1_000, 16_000];

struct Fresh;

impl Wake for Fresh {
    fn wake(self: Arc<Self>) {}
}

/// A source that is silent, and its peer.
fn pair(runtime: &Runtime) -> (Rc<Async<UnixDatagram>>, UnixDatagram) {
    let (near, far) = UnixDatagram::pair().expect("there are descriptors to spare");
    (Rc::new(runtime.enter(|| Async::new(near)).expect("it can be watched")), far)
}

/// A crowd of tasks that receive from one socket.
struct Crowd {
    runtime: Runtime,
    far: UnixDatagram,
    received: Rc<Cell<u64>>,
}

impl Crowd {
    fn new(count: usize) -> Self {
        let runtime = Runtime::new().expect("there are descriptors to spare");
        let (near, far) = pair(&runtime);
        let received = Rc::new(Cell::new(0));
        for _ in 0..count {
            let (near, received) = (Rc::clone(&near), Rc::clone(&received));
            let receive = async move {
                loop {
                    near.recv(&mut [0; 8]).await.expect("it is a socket");
                    received.set(received.get() + 1);
                }
            };
            runtime.spawn(receive).detach();
        }
        let crowd = Self { runtime, far, received };
        crowd.turns(0);
        crowd
    }

    /// Takes turns until `wanted` datagrams have come, and all wait again.
    fn turns(&self, wanted: u64) {
        let turn = || self.runtime.turn(Some(Duration::ZERO)).expect("the system answers");
        while !turn().is_idle() || self.received.get() < wanted {}
    }

    fn datagrams(&self, count: u64) {
        for _ in 0..count {
            let wanted = self.received.get() + 1;
            self.far.send(b"x").expect("there is room");
            self.turns(wanted);
        }
    }
}

/// Waits that are given up, each under a waker of its own.
fn given_up(near: &Async<UnixDatagram>, count: u64) {
    for _ in 0..count {
        let waker = Waker::from(Arc::new(Fresh));
        assert!(near.poll_readable(&mut Context::from_waker(&waker)).is_pending());
    }
}

fn main() {
    let mut bench = Bench::from_args();
    let mut sides = Sides::new("a datagram, for each task that waits for it");
    for count in CROWDS {
        let mut crowd = None;
        sides.add(count as u32, move |iterations| {
            let crowd = crowd.get_or_insert_with(|| Crowd::new(count));
            let datagrams = iterations.div_ceil(count as u64);
            let time = cpu_time(|| crowd.datagrams(datagrams));
            time.mul_f64(iterations as f64 / (datagrams * count as u64) as f64)
        });
    }
    bench.run(sides);

    let mut sides = Sides::new("a wait that is given up under a fresh waker, after so many");
    for before in CROWDS {
        sides.add(before as u32, move |iterations| {
            let runtime = Runtime::new().expect("there are descriptors to spare");
            let (near, _far) = pair(&runtime);
            given_up(&near, before as u64);
            cpu_time(|| given_up(&near, iterations))
        });
    }
    bench.run(sides);
    bench.finish();
}
