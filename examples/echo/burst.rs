//! How fast the two skins answer many clients. It knows them by the same trait, has the same load
//! for both, and lets them take turns in rounds, so that noise of the machine hits both alike.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use super::Server;
use super::figures::{Figures, Round};
use super::load::{Load, MESSAGE, Then};
use super::progress::Progress;

const CONNECTIONS: u64 = 50;

/// Rounds of each skin. Even, so that each is first as often as the other.
const ROUNDS: usize = 20;

const ROUND: Duration = Duration::from_millis(125);

/// How long to wait for the other side when neither had anything to do. On loopback that is rare.
const PAUSE: Duration = Duration::from_millis(1);

/// Much longer than any echo takes, to end the burst if one should be lost.
const PATIENCE: Duration = Duration::from_secs(10);

pub fn title() -> String {
    format!(
        "{CONNECTIONS} connections, {MESSAGE}-byte messages, every echo compared, \
         {ROUNDS} rounds of {} ms each",
        ROUND.as_millis()
    )
}

/// A server and its clients.
struct Side<'s> {
    server: &'s mut dyn Server,
    load: Load,
    rounds: Vec<Round>,
}

/// Drives each server with its load for [`ROUNDS`] rounds.
pub fn run(explicit: &mut dyn Server, tasks: &mut dyn Server) -> io::Result<Figures> {
    let mut progress = Progress::new(2 * ROUNDS as u32 * ROUND)?;
    let mut sides = [Side::new(explicit)?, Side::new(tasks)?];
    for number in 0..ROUNDS {
        // One is first in even rounds and the other in odd ones.
        for turn in 0..2 {
            sides[(number + turn) % 2].round(&mut progress)?;
        }
    }
    progress.finish();
    let [explicit, tasks] = sides.map(|side| side.rounds);
    Ok(Figures { explicit, tasks })
}

impl<'s> Side<'s> {
    fn new(server: &'s mut dyn Server) -> io::Result<Self> {
        let load = Load::connect(server.address(), CONNECTIONS)?;
        Ok(Self { server, load, rounds: Vec::new() })
    }

    /// For [`ROUND`], and until every message is back.
    fn round(&mut self, progress: &mut Progress) -> io::Result<()> {
        let before = self.load.echoed();
        let (start, mut pause) = (Instant::now(), Duration::ZERO);
        self.load.begin()?;
        loop {
            let elapsed = start.elapsed();
            let then = if elapsed < ROUND { Then::SendAnother } else { Then::Rest };
            if self.load.outstanding() == 0 && then == Then::Rest {
                self.rounds.push(Round { messages: self.load.echoed() - before, elapsed });
                progress.advance(ROUND);
                return Ok(());
            }
            if elapsed > ROUND + PATIENCE {
                let text = format!("{} echoes did not come back in 10 s", self.load.outstanding());
                return Err(io::Error::new(ErrorKind::TimedOut, text));
            }
            progress.show(elapsed.min(ROUND));
            let happened = self.server.turn(pause)? + self.load.turn(pause, then)?;
            pause = if happened > 0 { Duration::ZERO } else { PAUSE };
        }
    }
}
