//! What a burst has shown, side by side.

use std::fmt;
use std::time::Duration;

use indicatif::HumanCount;

use super::load::MESSAGE;

pub struct Round {
    pub messages: u64,
    pub elapsed: Duration,
}

impl Round {
    fn rate(&self) -> f64 {
        self.messages as f64 / self.elapsed.as_secs_f64()
    }
}

/// The rounds of each skin, in pairs that were measured right after one another.
pub struct Figures {
    pub explicit: Vec<Round>,
    pub tasks: Vec<Round>,
}

impl Figures {
    /// The least and the greatest ratio of a pair: how much noise there is.
    fn spread(&self) -> [f64; 2] {
        let pairs = self.tasks.iter().zip(&self.explicit);
        let ratios = pairs.map(|(tasks, explicit)| tasks.rate() / explicit.rate());
        ratios
            .fold([f64::INFINITY, 0.0], |[least, most], ratio| [least.min(ratio), most.max(ratio)])
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = |rounds: &[Round]| Round {
            messages: rounds.iter().map(|round| round.messages).sum(),
            elapsed: rounds.iter().map(|round| round.elapsed).sum(),
        };
        let sides = [total(&self.explicit), total(&self.tasks)];
        let count = |count: u64| HumanCount(count).to_string();
        let [messages, rates, megabytes] = [
            sides.each_ref().map(|side| count(side.messages)),
            sides.each_ref().map(|side| count(side.rate() as u64)),
            sides.each_ref().map(|side| format!("{:.1}", side.rate() * MESSAGE as f64 / 1e6)),
        ];
        let ratio = sides[1].rate() / sides[0].rate();
        let [least, most] = self.spread();
        let mut line = |name: &str, [explicit, tasks]: [&str; 2], rest: &str| {
            writeln!(f, "{name:14} {explicit:>15} {tasks:>15}{rest}")
        };
        line("", ["explicit loop", "async tasks"], "    ratio")?;
        line("messages", messages.each_ref().map(|text| &**text), "")?;
        let rest = format!("    {ratio:.2} (by round {least:.2} to {most:.2})");
        line("messages/s", rates.each_ref().map(|text| &**text), &rest)?;
        line("MB/s each way", megabytes.each_ref().map(|text| &**text), "")
    }
}
