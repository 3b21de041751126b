//! The pages beside the code name tests and files that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The text of all Rust files below `folder`.
fn read(folder: &Path, sources: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&fs::read_to_string(path).unwrap());
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

#[test]
fn every_test_that_the_page_on_reliability_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("RELIABILITY.md")).unwrap();
    let mut sources = String::new();
    ["src", "tests"].iter().for_each(|folder| read(&root.join(folder), &mut sources));
    let named = tests_named_by(&page);
    assert!(named.len() >= 20, "the page names tests: {named:?}");
    let is_missing = |test: &&str| !sources.contains(*test);
    let missing: Vec<_> = named.into_iter().filter(is_missing).collect();
    assert_eq!(missing, [""; 0]);
}
