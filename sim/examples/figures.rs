//! How much virtual time a second of real time is: `cargo run --release -p selkie-sim --example
//! figures`.

use std::future::pending;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use futures::{AsyncReadExt, AsyncWriteExt};
use selkie::Async;
use selkie_sim::{Host, Link, Place, Sim};

const SECOND: Duration = Duration::from_secs(1);

/// How the hosts are run.
#[derive(Clone, Copy, Debug)]
enum Form {
    Threads,
    Stepped,
}

impl Form {
    fn host<F, Fut>(self, sim: &mut Sim, place: impl Place, main: F) -> Host
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = io::Result<()>> + 'static,
    {
        match self {
            Self::Threads => sim.host(place, main),
            Self::Stepped => sim.host_stepped(place, main),
        }
    }
}

async fn echo() -> io::Result<()> {
    let listener = Async::<TcpListener>::bind("0.0.0.0:7")?;
    loop {
        let (stream, _) = listener.accept().await?;
        selkie::spawn(async move { futures::io::copy(&stream, &mut &stream).await }).detach();
    }
}

/// Sends `len` bytes every `period`, and reads them back.
async fn beat(len: usize, period: Duration) -> io::Result<()> {
    let mut stream = Async::<TcpStream>::connect("server:7").await?;
    let mut message = vec![1; len];
    loop {
        stream.write_all(&message).await?;
        stream.read_exact(&mut message).await?;
        selkie::sleep(period).await;
    }
}

/// A server, and hosts that each send it something now and then.
fn beats(form: Form, hosts: u32, len: usize, period: Duration) -> Sim {
    let mut sim = Sim::new(1);
    sim.links(Link::new(Duration::from_millis(1)));
    form.host(&mut sim, "server", echo);
    for host in 1..hosts {
        form.host(&mut sim, format!("host{host}").as_str(), move || beat(len, period));
    }
    sim
}

fn idle(form: Form) -> Sim {
    let mut sim = Sim::new(1);
    form.host(&mut sim, "host", pending);
    sim
}

/// Runs it for so much virtual time, and prints how many seconds of it a second had.
fn measure(name: &str, form: Form, virtual_time: Duration, mut sim: Sim) {
    let start = Instant::now();
    sim.run_for(virtual_time);
    let real = start.elapsed();
    let (steps, hash) = (sim.trace().count(), sim.trace_hash());
    let rate = virtual_time.as_secs_f64() / real.as_secs_f64();
    println!("{name:<44} {form:<8?} {rate:>9.1} s/s {steps:>9} steps {real:>9.3?} {hash:016x}");
}

fn main() {
    for form in [Form::Threads, Form::Stepped] {
        measure("nothing happens", form, 1_000_000 * SECOND, idle(form));
        let heart_beats = beats(form, 100, 16, Duration::from_millis(100));
        measure("100 hosts, heart-beats each 100 ms", form, 20 * SECOND, heart_beats);
        let echoes = beats(form, 10, 1024, Duration::from_millis(5));
        measure("10 hosts, 1 KiB there and back each 5 ms", form, 10 * SECOND, echoes);
    }
}
