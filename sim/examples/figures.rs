//! How much virtual time a second of real time is: `cargo run --release -p selkie-sim --example
//! figures`.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::{AsyncReadExt, AsyncWriteExt};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};
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
    serve(Async::<TcpListener>::bind("0.0.0.0:7")?).await
}

async fn serve(listener: Async<TcpListener>) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        selkie::spawn(async move { futures::io::copy(&stream, &mut &stream).await }).detach();
    }
}

/// How often something went there and back.
static ROUND_TRIPS: AtomicU64 = AtomicU64::new(0);

/// Sends `len` bytes every `period`, and reads them back.
async fn beat(server: SocketAddr, len: usize, period: Duration) -> io::Result<()> {
    let mut stream = Async::<TcpStream>::connect(server).await?;
    let mut message = vec![1; len];
    loop {
        stream.write_all(&message).await?;
        stream.read_exact(&mut message).await?;
        ROUND_TRIPS.fetch_add(1, Ordering::Relaxed);
        if !period.is_zero() {
            selkie::sleep(period).await;
        }
    }
}

/// The same over the real loopback, in one runtime, for a second.
fn loopback(hosts: u32, len: usize) {
    let before = ROUND_TRIPS.load(Ordering::Relaxed);
    let ran = selkie::block_on(selkie::timeout(SECOND, async {
        let listener = Async::<TcpListener>::bind("127.0.0.1:0")?;
        let server = listener.local_addr()?;
        for _ in 1..hosts {
            selkie::spawn(beat(server, len, Duration::ZERO)).detach();
        }
        serve(listener).await
    }));
    assert!(ran.is_err(), "nothing ends by itself");
    let count = ROUND_TRIPS.load(Ordering::Relaxed) - before;
    println!("{:<44} {:<8} {count:>9} round trips a second", "real loopback, without a pause", "");
}

/// A server, and hosts that each send it something now and then.
fn beats(form: Form, hosts: u32, len: usize, period: Duration) -> Sim {
    let mut sim = Sim::new(1);
    sim.links(Link::new(Duration::from_millis(1)));
    let server = form.host(&mut sim, "server", echo);
    let server = SocketAddr::new(server.ip(), 7);
    for host in 1..hosts {
        form.host(&mut sim, format!("host{host}").as_str(), move || beat(server, len, period));
    }
    sim
}

/// The processor time that this process has used.
fn cpu_time() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the system knows");
    let seconds = |time: TimeVal| time.num_microseconds() as f64 / 1e6;
    seconds(usage.user_time()) + seconds(usage.system_time())
}

/// Runs it for so much virtual time, and prints what a second of real time had of it, and what a
/// second of processor time, which other processes do not take away.
fn measure(name: &str, form: Form, virtual_time: Duration, mut sim: Sim) {
    let (start, cpu, before) = (Instant::now(), cpu_time(), ROUND_TRIPS.load(Ordering::Relaxed));
    sim.run_for(virtual_time);
    let (real, cpu) = (start.elapsed().as_secs_f64(), cpu_time() - cpu);
    let trips = (ROUND_TRIPS.load(Ordering::Relaxed) - before) as f64;
    let [in_real, in_cpu] = [real, cpu].map(|time| virtual_time.as_secs_f64() / time);
    println!(
        "{name:<44} {form:<8?} {:>9.0} round trips a second, {in_real:>6.1} s/s, {in_cpu:>6.1} s/cpu s",
        trips / real
    );
}

fn main() {
    loopback(10, 1024);
    for form in [Form::Threads, Form::Stepped] {
        let heart_beats = beats(form, 100, 16, Duration::from_millis(100));
        measure("100 hosts, heart-beats each 100 ms", form, 20 * SECOND, heart_beats);
        let echoes = beats(form, 10, 1024, Duration::from_millis(5));
        measure("10 hosts, 1 KiB there and back each 5 ms", form, 10 * SECOND, echoes);
    }
}
