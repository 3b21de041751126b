//! Layer 0: text of others, as a terminal may have it.

/// Characters of a task's name that are told.
const LONGEST_NAME: usize = 60;

/// A task's name, as [`plain`] text.
pub(crate) fn plain_name(name: &str) -> String {
    plain(name, LONGEST_NAME)
}

/// The text in one line of at most `most` characters, without any that a terminal obeys, or that
/// change the order of the others: those are written as `\u{1b}`.
pub(crate) fn plain(text: &str, most: usize) -> String {
    let mut plain = String::new();
    for (number, c) in text.chars().enumerate() {
        if number == most {
            plain.push('…');
            break;
        }
        if is_obeyed(c) { plain.extend(c.escape_default()) } else { plain.push(c) }
    }
    plain
}

fn is_obeyed(c: char) -> bool {
    // The second are marks and overrides of direction, and separators of lines.
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_written_out_and_the_rest_is_left() {
        assert_eq!(
            plain("\u{1b}[2Ja\tb\n\u{9b}1m\u{202e}", 99),
            r"\u{1b}[2Ja\tb\n\u{9b}1m\u{202e}"
        );
        let kept = "größer \"so\" \\ हिन्दी 🦭";
        assert_eq!(plain(kept, 99), kept);
    }

    #[test]
    fn a_long_text_is_cut_and_one_that_fits_is_not() {
        assert_eq!(plain("ééééé", 5), "ééééé");
        assert_eq!(plain("éééééé", 5), "ééééé…");
    }
}
