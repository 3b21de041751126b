//! The pages beside the code name tests and files that exist, and figures that a run has written.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = "RELIABILITY.md";

/// What is between these two lines of the page comes from the files of `reliability/`.
const BEGIN: &str =
    "<!-- The figures of reliability/*.txt: SELKIE_FIGURES=write cargo test --test pages. -->\n";
const END: &str = "<!-- End of the figures. -->\n";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page() -> String {
    fs::read_to_string(root().join(PAGE)).unwrap()
}

/// The files of `folder` whose names end so, in order.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|is| is == ending)).collect();
    files.sort();
    files
}

/// The text of all Rust files below `folder`.
fn read(folder: &Path, sources: &mut String) {
    for path in files(folder, "rs") {
        sources.push_str(&fs::read_to_string(path).unwrap());
    }
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, sources);
        }
    }
}

/// The words of a page that are names of tests: sentences with underscores.
fn tests_named_by(page: &str) -> BTreeSet<&str> {
    page.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.split('_').filter(|part| !part.is_empty()).count() >= 4)
        .filter(|word| !word.contains(|c: char| c.is_ascii_uppercase()))
        .collect()
}

/// The table of what the runs have left in `reliability/`, each with its revision.
fn table_of_runs() -> String {
    let mut table =
        String::from("\n| run | command | revision | found |\n| --- | --- | --- | --- |\n");
    for path in files(&root().join("reliability"), "txt") {
        let text = fs::read_to_string(&path).unwrap();
        let field = |name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            value.unwrap_or_else(|| panic!("{} has no {name}", path.display()))
        };
        let [revision, date, command, summary] =
            ["revision", "date", "command", "summary"].map(field);
        let name = path.file_stem().unwrap().display();
        table += &format!("| {name} | `{command}` | `{revision}`, {date} | {summary} |\n");
    }
    table + "\n"
}

#[test]
fn every_test_that_the_page_on_reliability_names_is_there() {
    let page = page();
    let mut sources = String::new();
    ["src", "tests"].iter().for_each(|folder| read(&root().join(folder), &mut sources));
    let named = tests_named_by(&page);
    assert!(named.len() >= 20, "the page names tests: {named:?}");
    let is_missing = |test: &&str| !sources.contains(*test);
    let missing: Vec<_> = named.into_iter().filter(is_missing).collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn the_figures_of_the_page_on_reliability_are_those_that_the_runs_wrote() {
    let (page, table) = (page(), table_of_runs());
    let (before, rest) = page.split_once(BEGIN).expect("a place for the figures");
    let (shown, behind) = rest.split_once(END).expect("an end of the figures");
    if env::var("SELKIE_FIGURES").is_ok_and(|value| value == "write") {
        let page = [before, BEGIN, &table, END, behind].concat();
        return fs::write(root().join(PAGE), page).unwrap();
    }
    assert_eq!(shown, table, "SELKIE_FIGURES=write cargo test --test pages writes them");
}

#[test]
fn figures_are_nowhere_else_on_the_page_on_reliability() {
    let page = page();
    let (before, rest) = page.split_once(BEGIN).expect("a place for the figures");
    let (_, behind) = rest.split_once(END).expect("an end of the figures");
    // A count of thousands is one that somebody has counted.
    let is_figure = |word: &&str| {
        let mut parts = word.split(',');
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        parts.next().is_some_and(is_number)
            && parts.next().is_some_and(|part| part.len() == 3 && is_number(part))
    };
    let words = [before, behind].into_iter().flat_map(str::split_whitespace);
    let trimmed = words.map(|word| word.trim_matches(|c: char| !c.is_ascii_digit()));
    assert_eq!(trimmed.filter(is_figure).collect::<Vec<_>>(), [""; 0]);
}

/// What a URI with `%` in it stands for.
fn decoded(uri: &str) -> String {
    let mut parts = uri.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn the_pictures_in_the_docs_are_those_in_the_repository() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/guide");
    for picture in ["loop", "shutdown"] {
        let read =
            |extension| fs::read_to_string(folder.join(picture).with_extension(extension)).unwrap();
        let uri = decoded(read("uri").trim());
        let picture = read("svg").trim().replace('\n', " ");
        assert_eq!(uri.strip_prefix("data:image/svg+xml,"), Some(picture.as_str()));
    }
}
