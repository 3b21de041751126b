//! Markdown: tables, and numbers as people read them.

use std::fmt::Write;

use crate::stats::Spread;

/// A table whose first column is text and whose others are numbers.
pub struct Table {
    columns: usize,
    text: String,
}

impl Table {
    pub fn new<S: AsRef<str>>(heads: impl IntoIterator<Item = S>) -> Self {
        Self::aligned(heads, "---:")
    }

    /// A table of text alone.
    pub fn of_text<S: AsRef<str>>(heads: impl IntoIterator<Item = S>) -> Self {
        Self::aligned(heads, "---")
    }

    fn aligned<S: AsRef<str>>(heads: impl IntoIterator<Item = S>, rule: &str) -> Self {
        let mut table = Self { columns: 0, text: String::new() };
        let heads: Vec<S> = heads.into_iter().collect();
        table.columns = heads.len();
        table.row(heads);
        table.text += "| --- ";
        table.text += &format!("| {rule} ").repeat(table.columns - 1);
        table.text += "|\n";
        table
    }

    /// Adds a row; missing cells are empty.
    pub fn row<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = S>) {
        let mut left = self.columns;
        for cell in cells {
            // Only a `|` would end the cell.
            let _ = write!(self.text, "| {} ", cell.as_ref().replace('|', "\\|"));
            left -= 1;
        }
        self.text += &"| ".repeat(left);
        self.text += "|\n";
    }

    pub fn finish(mut self) -> String {
        self.text.push('\n');
        self.text
    }
}

/// "1.04 (1.03–1.06)": the median and the range.
pub fn ratio(spread: Spread) -> String {
    format!("{:.3} ({:.3}–{:.3})", spread.median, spread.min, spread.max)
}

/// Three digits, with the unit that fits: 1234567 ns is "1.23 ms".
pub fn time(nanoseconds: f64) -> String {
    let units = [("s", 1e9), ("ms", 1e6), ("µs", 1e3)];
    match units.into_iter().find(|(_, unit)| nanoseconds.abs() >= *unit) {
        Some((name, unit)) => format!("{} {name}", digits(nanoseconds / unit)),
        None => format!("{} ns", digits(nanoseconds)),
    }
}

/// Three digits: 1234 is "1234", 12.34 is "12.3".
pub fn digits(value: f64) -> String {
    match value.abs() {
        large if large >= 99.95 => format!("{value:.0}"),
        middle if middle >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// How far the samples lie apart, in per cent of their median.
pub fn width(spread: Spread) -> f64 {
    (spread.max - spread.min) / spread.median * 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_their_unit() {
        let shown = [0.5, 99.96, 999.0, 1_234.0, 12_345_678.0, 2e9].map(time);
        assert_eq!(shown, ["0.50 ns", "100 ns", "999 ns", "1.23 µs", "12.3 ms", "2.00 s"]);
        assert_eq!(digits(-12.34), "-12.3");
    }

    #[test]
    fn a_row_is_filled_up_and_a_bar_in_a_cell_does_not_end_it() {
        let mut table = Table::new(["peer", "a", "b"]);
        table.row(["x|y", "1"]);
        let expected = "| peer | a | b |\n| --- | ---: | ---: |\n| x\\|y | 1 | |\n\n";
        assert_eq!(table.finish(), expected);
    }

    #[test]
    fn a_ratio_shows_its_range() {
        let spread = Spread { median: 1.04, min: 1.0, max: 1.1 };
        assert_eq!(ratio(spread), "1.040 (1.000–1.100)");
        assert!((width(spread) - 9.615).abs() < 0.001);
    }
}
