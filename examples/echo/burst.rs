//! How fast a server answers many clients. It knows the server by its trait alone, so every skin
//! is measured alike.

use std::fmt;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use super::Server;
use super::load::{Load, MESSAGE, Then};

const CONNECTIONS: u64 = 50;

const DURATION: Duration = Duration::from_secs(2);

/// Between two pictures of the progress bar.
const PICTURE: Duration = Duration::from_millis(50);

/// How long to wait for the other side when neither had anything to do. On loopback that is rare.
const PAUSE: Duration = Duration::from_millis(1);

/// Much longer than any echo takes, to end the burst if one should be lost.
const PATIENCE: Duration = Duration::from_secs(10);

pub fn title() -> String {
    format!(
        "{CONNECTIONS} connections for {} s, {MESSAGE}-byte messages, every echo compared:",
        DURATION.as_secs()
    )
}

/// What a burst has shown.
pub struct Figures {
    skin: &'static str,
    backend: &'static str,
    messages: u64,
    elapsed: Duration,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { skin, backend, messages, elapsed } = self;
        let rate = *messages as f64 / elapsed.as_secs_f64();
        let megabytes = rate * MESSAGE as f64 / 1e6;
        let (messages, rate) = (HumanCount(*messages), HumanCount(rate as u64));
        write!(f, "{skin}: {messages} messages, {rate} messages/s, ")?;
        write!(f, "{megabytes:.1} MB/s each way, back end {backend}")
    }
}

/// Drives the server and its load in turn for [`DURATION`], and until every message is back.
pub fn run(server: &mut dyn Server) -> io::Result<Figures> {
    let mut load = Load::connect(server.address(), CONNECTIONS)?;
    let mut progress = Progress::new()?;
    let (start, mut pause) = (Instant::now(), Duration::ZERO);
    loop {
        let elapsed = start.elapsed();
        let then = if elapsed < DURATION { Then::SendAnother } else { Then::Rest };
        if load.outstanding() == 0 && then == Then::Rest {
            progress.bar.finish_and_clear();
            let (skin, backend) = (server.skin(), server.backend());
            return Ok(Figures { skin, backend, messages: load.echoed(), elapsed });
        }
        if elapsed > DURATION + PATIENCE {
            let text = format!("{} echoes did not come back in 10 s", load.outstanding());
            return Err(io::Error::new(ErrorKind::TimedOut, text));
        }
        progress.show(elapsed, load.echoed());
        let happened = server.turn(pause)? + load.turn(pause, then)?;
        pause = if happened > 0 { Duration::ZERO } else { PAUSE };
    }
}

struct Progress {
    bar: ProgressBar,
    next_picture: Duration,
}

impl Progress {
    /// A bar on stderr; nothing at all where that is no terminal.
    fn new() -> io::Result<Self> {
        let style = ProgressStyle::with_template("{bar:40} {msg}").map_err(io::Error::other)?;
        let bar = ProgressBar::new(DURATION.as_millis() as u64).with_style(style);
        Ok(Self { bar, next_picture: PICTURE })
    }

    fn show(&mut self, elapsed: Duration, messages: u64) {
        if elapsed >= self.next_picture {
            let rate = messages as f64 / elapsed.as_secs_f64();
            self.bar.set_position(elapsed.as_millis() as u64);
            self.bar.set_message(format!("{} messages/s", HumanCount(rate as u64)));
            self.next_picture = elapsed + PICTURE;
        }
    }
}
