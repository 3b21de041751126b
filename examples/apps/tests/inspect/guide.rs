//! The three programs of the guide's pages print what the pages say, and are what they show.

use std::fs;
use std::path::{Path, PathBuf};

use selkie::inspect::Recording;

use crate::picture;
use crate::process::{Ended, Program, example_path};

fn guide(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src/guide").join(file)
}

/// What is in the blocks of a page that begin so.
fn blocks(page: &str, language: &str) -> String {
    let begin = format!("```{language}\n");
    let blocks = page.split(&begin).skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.collect()
}

/// Its lines, without their numbers, units of time and runs of spaces.
fn normal(text: &str) -> Vec<String> {
    let units = ["s", "ms", "µs", "ns"];
    let word = |word: &str| {
        let is_number = |c: char| c.is_ascii_digit() || c == '.';
        // A number and its unit are one word, or two.
        let number = word.starts_with(|c: char| c.is_ascii_digit());
        let rest = word.trim_start_matches(is_number);
        let end = rest.trim_end_matches([';', ',', ':']);
        match number && (end.is_empty() || units.contains(&end)) {
            true => format!("0{}", &rest[end.len()..]),
            false => word.replace(|c: char| c.is_ascii_digit(), "0"),
        }
    };
    let line = |line: &str| {
        let words = line.split_whitespace().filter(|word| !units.contains(word)).map(word);
        // Line numbers of more or fewer digits.
        words.collect::<Vec<_>>().join(" ").replace("00", "0").replace("00", "0")
    };
    text.lines().map(line).filter(|line| !line.is_empty()).collect()
}

/// Runs the program of a page, and compares.
#[track_caller]
fn check(page: &str, example: &str, arguments: &[&str]) {
    let page = fs::read_to_string(guide(page)).unwrap();
    let name = format!("examples/{example}.rs");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(&name);
    let source = fs::read_to_string(source).unwrap();
    for line in blocks(&page, "rust").lines() {
        assert!(source.lines().any(|is| is == line), "{name} has not this line: {line}");
    }
    let mut command = std::process::Command::new(example_path(example));
    let Ended { status, out, err } = Program::start(command.args(arguments)).end();
    assert!(status.success() && err.is_empty(), "{err:?}");
    let mut out = out.join("\n");
    // On a busy machine a poll may be slow that is not meant to be.
    if let Some((before, after)) = out.split_once("with consume_budget:") {
        let after: Vec<_> = after.lines().filter(|line| !line.starts_with("hook: ")).collect();
        out = format!("{before}with consume_budget:\n{}", after.join("\n"));
    }
    assert_eq!(normal(&out), normal(&blocks(&page, "text")), "{out}");
}

#[test]
fn the_page_on_a_dead_lock_prints_what_its_program_does() {
    check("dead_lock.md", "inside_dead_lock", &[]);
}

#[test]
fn the_page_on_starving_prints_what_its_program_does() {
    check("starved.md", "inside_starves", &[]);
}

/// `SELKIE_PICTURES=write cargo test -p selkie-apps --test inspect picture` draws the guide's picture
/// anew.
#[test]
fn the_page_on_blocking_prints_what_its_program_does_and_has_its_picture() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recording");
    check("blocked.md", "inside_blocks", &[path.to_str().unwrap()]);
    let recording = Recording::read_from(fs::File::open(path).unwrap()).unwrap();
    let svg = picture::draw(&recording);
    if std::env::var_os("SELKIE_PICTURES").is_some() {
        fs::write(guide("blocked.svg"), &svg).unwrap();
        fs::write(guide("blocked.uri"), picture::uri(&svg)).unwrap();
    }
    let kept = fs::read_to_string(guide("blocked.svg")).unwrap();
    for svg in [&svg, &kept] {
        picture::check(svg);
        for text in ["loop", "#1 heartbeat", "#2 report"] {
            assert!(svg.contains(&format!(">{text}</text>")), "{text}: {svg}");
        }
    }
    assert_eq!(fs::read_to_string(guide("blocked.uri")).unwrap(), picture::uri(&kept));
}
