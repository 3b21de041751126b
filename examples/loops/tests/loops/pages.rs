//! The guide has the same lines as the programs.

use std::fs;

use crate::{folder, recipes};

/// Each block of code of the page, with the file that it says to be from.
fn blocks(page: &str) -> Vec<(String, String)> {
    let (mut blocks, mut file, mut lines) = (Vec::new(), None, page.lines());
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->")) {
            file = Some(name.to_owned());
        } else if line.starts_with("```") {
            let block = lines.by_ref().take_while(|line| *line != "```");
            let block = block.map(|line| format!("{line}\n")).collect();
            blocks.push((file.take().expect("the file is named above each block"), block));
        }
    }
    blocks
}

#[test]
fn every_block_of_the_page_on_loops_is_what_a_program_has_between_dashes() {
    let page = fs::read_to_string(folder("../../src/guide/loops.md")).unwrap();
    let blocks = blocks(&page);
    assert!(blocks.len() >= 10, "the page has a block for each loop");
    for (file, block) in blocks {
        let recipes = recipes(&fs::read_to_string(folder(&file)).unwrap());
        assert!(
            recipes.iter().any(|recipe| unindented(recipe) == block),
            "the page has other lines than {file}:\n{block}\n{recipes:#?}"
        );
    }
}

/// The text without the spaces that all its lines begin with.
fn unindented(text: &str) -> String {
    let lines = || text.lines().filter(|line| !line.is_empty());
    let spaces = lines().map(|line| line.len() - line.trim_start().len()).min().unwrap_or(0);
    text.lines().map(|line| format!("{}\n", line.get(spaces..).unwrap_or(""))).collect()
}
