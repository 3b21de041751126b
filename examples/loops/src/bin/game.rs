//! A game loop at 60 frames a second, whose tasks have what is left of each frame.
//!
//! `cargo run -p selkie-loops --bin game` prints what the runtime did in that loop, and how many
//! round trips two tasks made in a second: with one turn a frame, and with the rest of each frame.

use std::cell::Cell;
use std::io;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use futures::{AsyncReadExt, AsyncWriteExt};
use selkie::{Async, Builder, Runtime};
use selkie_loops::Check;

/// The time of one frame.
const FRAME: Duration = Duration::from_nanos(1_000_000_000 / 60);

// ----
/// Calls `frame` 60 times a second, until that returns false; the rest of the time is the tasks'.
fn play(runtime: &Runtime, mut frame: impl FnMut() -> bool) -> io::Result<()> {
    let mut end = runtime.now();
    while frame() {
        end = (end + FRAME).max(runtime.now()); // A late frame does not hurry those after it.
        runtime.run_until(end)?;
    }
    Ok(())
}
// ----

/// The same with one turn a frame, which is right, and slow.
fn play_with_one_turn(runtime: &Runtime, mut frame: impl FnMut() -> bool) -> io::Result<()> {
    let mut end = Instant::now();
    while frame() {
        end += FRAME;
        runtime.turn(Some(Duration::ZERO))?;
        thread::sleep(end.saturating_duration_since(Instant::now()));
    }
    Ok(())
}

/// Bytes to and fro between two tasks, until the runtime is dropped.
async fn bounce(count: Rc<Cell<usize>>, streams: (UnixStream, UnixStream)) -> io::Result<()> {
    let (mut near, far) = (Async::new(streams.0)?, Async::new(streams.1)?);
    let _echo = selkie::spawn(async move { futures::io::copy(&far, &mut &far).await });
    loop {
        near.write_all(&[7]).await?;
        near.read_exact(&mut [0]).await?;
        count.set(count.get() + 1);
    }
}

type Play = fn(&Runtime, &mut dyn FnMut() -> bool) -> io::Result<()>;

fn round_trips(play: Play) -> io::Result<usize> {
    let (runtime, count, mut frames) = (Builder::new().build()?, Rc::new(Cell::new(0)), 0);
    runtime.spawn(bounce(count.clone(), UnixStream::pair()?)).detach();
    play(&runtime, &mut || {
        frames += 1;
        frames <= 60
    })?;
    Ok(count.get())
}

fn main() -> io::Result<()> {
    let (runtime, check) = Check::open(Builder::new())?;
    check.start(&runtime, || {});
    let mut frames = 0;
    play(&runtime, || {
        frames += 1;
        if frames == 2 {
            check.call(&runtime);
        }
        !check.is_over()
    })?;
    check.report();
    println!("frames: {frames}");
    println!(
        "round trips in 60 frames, with one turn each: {}",
        round_trips(|runtime, frame| play_with_one_turn(runtime, frame))?
    );
    println!(
        "round trips in 60 frames, with the rest of each: {}",
        round_trips(|runtime, frame| play(runtime, frame))?
    );
    Ok(())
}
