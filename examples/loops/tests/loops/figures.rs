//! The table of the guide: it tells how many lines each program has, and is made by a test that is
//! not run unless it is asked for.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::{Told, c, folder, recipes};

/// How often each program is run; the medians count.
const ROUNDS: usize = 5;

const COMMAND: &str = if cfg!(debug_assertions) {
    "cargo test -p selkie-loops --all-features -- --ignored figures"
} else {
    "cargo test --release -p selkie-loops --all-features -- --ignored figures"
};

/// A loop as the table has it, the source of its program, and how that is run, with what it needs
/// meanwhile.
type Row = (&'static str, &'static str, fn() -> Option<(Command, Option<crate::process::Program>)>);

macro_rules! program {
    ($name:literal) => {
        || Some((Command::new(env!(concat!("CARGO_BIN_EXE_", $name))), None))
    };
}

const ROWS: &[Row] = &[
    ("selkie: `Selector`", "src/bin/selkie_select.rs", program!("selkie_select")),
    ("selkie: a task", "src/bin/selkie_nested.rs", program!("selkie_nested")),
    ("calloop", "src/bin/calloop_source.rs", program!("calloop_source")),
    ("tokio", "src/bin/tokio_loop.rs", program!("tokio_loop")),
    ("smol", "src/bin/smol_loop.rs", program!("smol_loop")),
    ("poll(2), in C", "c/poll_loop.c", || Some((c::poll_loop()?, None))),
    ("libuv, in C", "c/uv_loop.c", || Some((c::uv_loop()?, None))),
    ("asyncio, in Python", "python/asyncio_loop.py", || Some((c::asyncio_loop()?, None))),
    #[cfg(feature = "glib")]
    ("GLib", "src/bin/glib_source.rs", program!("glib_source")),
    #[cfg(feature = "winit")]
    ("winit", "src/bin/winit_loop.rs", || {
        let (program, display) = crate::window::program()?;
        Some((program, Some(display)))
    }),
    ("a game, 60 Hz", "src/bin/game.rs", program!("game")),
];

/// The lines that a user writes: neither blank nor comments.
fn lines(source: &str) -> usize {
    let text = fs::read_to_string(folder(source)).unwrap();
    let is_comment = |line: &str| ["//", "/*", "*", "\"\"\""].iter().any(|it| line.starts_with(it));
    let is_code = |line: &&str| !line.trim().is_empty() && !is_comment(line.trim());
    recipes(&text).iter().map(|recipe| recipe.lines().filter(is_code).count()).sum()
}

fn page() -> PathBuf {
    folder("../../src/guide/loops_figures.md")
}

#[test]
fn the_table_tells_how_many_lines_each_program_has() {
    let page = fs::read_to_string(page()).unwrap();
    for (name, source, _) in ROWS {
        let row = page.lines().find(|line| line.starts_with(&format!("| {name} |")));
        let told = row.and_then(|row| row.split('|').nth(3)).map(str::trim);
        let lines = lines(source).to_string();
        assert_eq!(told, Some(lines.as_str()), "{name}: make the table anew, by\n{COMMAND}");
    }
}

#[test]
#[ignore = "writes the table of the guide"]
fn the_figures_of_the_guide() {
    let revision = Command::new("git").args(["rev-parse", "--short", "HEAD"]).output().unwrap();
    let revision = String::from_utf8(revision.stdout).unwrap();
    let mut table = format!(
        "Made at revision {} by `{COMMAND}`, on a virtual machine with two cores; the \
         median of {ROUNDS} runs, and in parentheses the lowest and the highest.\n\n\
         | loop | program | lines | turns in an idle second | a wake, to one in `block_on` |\n\
         | --- | --- | ---: | ---: | ---: |\n",
        revision.trim()
    );
    for (name, source, command) in ROWS {
        let mut runs: Vec<(f64, usize)> = (0..ROUNDS)
            .map(|_| {
                let (mut command, _beside) = command().expect("all libraries are there");
                let told = Told::by(&mut command);
                (told.ratio(), told.number("turns in an idle second"))
            })
            .collect();
        let mut turns: Vec<_> = runs.iter().map(|run| run.1).collect();
        turns.sort_unstable();
        runs.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
        let [(low, _), (middle, _), (high, _)] = [0, ROUNDS / 2, ROUNDS - 1].map(|at| runs[at]);
        let (lines, turns) = (lines(source), turns[ROUNDS / 2]);
        table += &format!(
            "| {name} | `{source}` | {lines} | {turns} | {middle:.2} ({low:.2} to {high:.2}) |\n"
        );
    }
    println!("{table}");
    fs::write(page(), table).unwrap();
}
