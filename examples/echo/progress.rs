//! A bar on a terminal, and nothing where there is none.

use std::io;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Between two pictures of the bar.
const PICTURE: Duration = Duration::from_millis(50);

pub struct Progress {
    bar: ProgressBar,
    /// The time of the rounds that have ended.
    before: Duration,
    next_picture: Duration,
}

impl Progress {
    pub fn new(total: Duration) -> io::Result<Self> {
        let style =
            ProgressStyle::with_template("{bar:40} {percent:>3} %").map_err(io::Error::other)?;
        let bar = ProgressBar::new(total.as_millis() as u64).with_style(style);
        Ok(Self { bar, before: Duration::ZERO, next_picture: PICTURE })
    }

    /// Shows how far it is, `elapsed` into this round.
    pub fn show(&mut self, elapsed: Duration) {
        let elapsed = self.before + elapsed;
        if elapsed >= self.next_picture {
            self.bar.set_position(elapsed.as_millis() as u64);
            self.next_picture = elapsed + PICTURE;
        }
    }

    /// A round has ended.
    pub fn advance(&mut self, round: Duration) {
        self.before += round;
    }

    pub fn finish(self) {
        self.bar.finish_and_clear();
    }
}
