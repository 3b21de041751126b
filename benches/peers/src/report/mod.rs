//! The report: RESULTS.md, and the charts in it.

mod charts;
mod http;
mod markdown;
mod sections;
mod view;

use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::results::{Part, Results};

pub const FILE: &str = "RESULTS.md";

/// The text of one part.
pub fn section(results: &Results, part: Part) -> String {
    sections::section(results, part, &[])
}

/// Writes the report and its charts into `folder`.
pub fn write(results: &Results, folder: &Path) -> Result<()> {
    let charts = charts::draw(results, &folder.join("charts"))?;
    Ok(fs::write(folder.join(FILE), sections::document(results, &charts))?)
}
