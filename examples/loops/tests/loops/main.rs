//! Each program, run as a user runs it: what a runtime does in the loop, on one thread, and that
//! the process is idle while nothing happens.
//!
//! A program whose library or tool is missing is left out, and told of; with `CI=true` that fails.

#[path = "../../../../tests/util/process.rs"]
mod process;

mod c;
mod figures;
mod pages;
mod rust;
#[cfg(feature = "winit")]
mod window;

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use process::{Ended, Program};

/// A late timer, or an event that nobody waits for, may cost another turn.
const FEW: usize = 3;

/// What a program has told, a line each.
struct Told(Vec<String>);

impl Told {
    /// Runs it to its end, and insists that it ends well.
    #[track_caller]
    fn by(command: &mut Command) -> Self {
        let Ended { status, out, err } = Program::start(command).end();
        assert!(status.success() && err.is_empty(), "{command:?}: {status}\n{out:#?}\n{err:#?}");
        Self(out)
    }

    /// The number after `what`.
    #[track_caller]
    fn number(&self, what: &str) -> usize {
        let after = |line: &String| line.strip_prefix(what)?.strip_prefix(": ").map(str::to_owned);
        let Some(text) = self.0.iter().find_map(after) else {
            panic!("nothing is told of {what:?}: {:#?}", self.0)
        };
        let digits = text.split(|c: char| !c.is_ascii_digit()).next();
        digits.and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("{what}: {text}"))
    }

    /// How long a wake took, as a ratio to one in `block_on`.
    #[track_caller]
    fn ratio(&self) -> f64 {
        let ratio = |line: &String| {
            let (_, ratio) = line.strip_prefix("a wake: ")?.split_once(" ns, ")?;
            ratio.strip_suffix(" of one in block_on")?.parse().ok()
        };
        self.0.iter().find_map(ratio).expect("the wake is told")
    }

    /// That all of the work was done, on so many threads; and that a second without anything to do
    /// had but so many turns: one is for the timer that ends it.
    #[track_caller]
    fn did_all(&self, threads: usize, turns: usize) {
        assert_eq!(self.number("timers"), 10);
        assert_eq!(self.number("echoes"), 100);
        assert_eq!(self.number("wakes by another thread"), 301);
        assert_eq!(self.number("tasks spawned by a callback"), 1);
        assert_eq!(self.number("threads"), threads);
        let idle = self.number("turns in an idle second");
        assert!((1..=turns).contains(&idle), "{idle} turns in an idle second");
        let work = self.number("processor time of an idle second");
        assert!(work < 100_000, "{work} us of work in an idle second");
    }
}

/// The text between two lines of dashes, which is what a user copies.
fn recipes(text: &str) -> Vec<String> {
    let is_dashes = |line: &str| ["// ----", "/* ---- */", "# ----"].contains(&line.trim());
    let (mut recipes, mut inside) = (Vec::new(), false);
    for line in text.lines() {
        if is_dashes(line) {
            inside = !inside;
            if inside {
                recipes.push(String::new());
            }
        } else if let Some(recipe) = recipes.last_mut().filter(|_| inside) {
            recipe.push_str(line);
            recipe.push('\n');
        }
    }
    recipes
}

/// Tells that a test cannot run here. In CI everything has to be there.
fn skip(what: &str) {
    assert_ne!(env::var_os("CI").as_deref(), Some(OsStr::new("true")), "CI needs {what}");
    println!("skipped: there is no {what}");
}

/// A folder or a file of this package.
fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}
