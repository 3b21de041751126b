//! Layer 6: lines of cells, as columns for a terminal.

use std::fmt;

/// Writes a line of titles and the others below it. A column that is empty in all lines is left
/// out.
pub(super) fn columns<const N: usize>(
    f: &mut fmt::Formatter<'_>,
    titles: [&str; N],
    lines: &[[String; N]],
) -> fmt::Result {
    let mut widths = [0; N];
    for (column, width) in widths.iter_mut().enumerate() {
        let longest = lines.iter().map(|line| line[column].chars().count()).max();
        *width = match longest.unwrap_or(0) {
            0 => 0,
            longest => longest.max(titles[column].chars().count()),
        };
    }
    line(f, &titles, &widths)?;
    lines.iter().try_for_each(|cells| line(f, cells, &widths))
}

fn line(f: &mut fmt::Formatter<'_>, cells: &[impl AsRef<str>], widths: &[usize]) -> fmt::Result {
    // Blanks are written before the next cell: none at the end of a line.
    let mut blanks = 0;
    for (cell, width) in cells.iter().zip(widths).filter(|(_, width)| **width > 0) {
        let cell = cell.as_ref();
        if !cell.is_empty() {
            write!(f, "{:blanks$}{cell}", "")?;
            blanks = 0;
        }
        blanks += width + 2 - cell.chars().count();
    }
    writeln!(f)
}
