//! What a source file says of modules: which it has, and which paths it names. Not a parser of
//! Rust, but of what is needed here.

use std::collections::BTreeSet;

/// What one file says.
#[derive(Default)]
pub struct File {
    children: BTreeSet<String>,
    pub imports: Vec<Import>,
    pub words: Vec<String>,
}

/// A path that the file names, from the crate's root on.
pub struct Import {
    pub path: Vec<String>,
    /// The name under which a `pub use` hands it on; it is a dependency only if also used here.
    pub handed_on_as: Option<String>,
}

/// Identifiers, `::` and single signs; without comments, strings, characters and lifetimes.
fn tokens(source: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = literal(rest) {
            length
        } else if first.is_alphanumeric() || first == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            tokens.push(rest[..end].to_owned());
            end
        } else {
            let length = if rest.starts_with("::") { 2 } else { first.len_utf8() };
            if !first.is_whitespace() {
                tokens.push(rest[..length].to_owned());
            }
            length
        };
        rest = &rest[length..];
    }
    tokens
}

/// The length of the string, character or lifetime that `rest` begins with.
fn literal(rest: &str) -> Option<usize> {
    let raw = rest.trim_start_matches('b').strip_prefix('r').unwrap_or_default();
    let hashes = raw.len() - raw.trim_start_matches('#').len();
    if raw[hashes..].starts_with('"') {
        let end = format!("\"{}", "#".repeat(hashes));
        let before = rest.len() - raw.len() + hashes + 1;
        return Some(before + rest[before..].find(&end)? + end.len());
    }
    let quoted = |rest: &str, quote: char| {
        let mut escaped = false;
        rest[1..].char_indices().find_map(|(at, c)| {
            let ends = c == quote && !escaped;
            escaped = c == '\\' && !escaped;
            ends.then_some(at + 2)
        })
    };
    if rest.starts_with('"') {
        return quoted(rest, '"');
    }
    let mut chars = rest.strip_prefix('\'')?.chars();
    match (chars.next()?, chars.next()) {
        ('\\', _) => quoted(rest, '\''),
        (character, Some('\'')) => Some(character.len_utf8() + 2),
        _ => Some(1), // The tick of a lifetime; its name is harmless.
    }
}

/// Reads the tokens of one file from the left to the right.
struct Parser<'t> {
    tokens: &'t [String],
    at: usize,
    module: Vec<String>,
    /// Modules written out inside the file, each with the depth of braces at which it ends.
    inline: Vec<(String, usize)>,
    depth: usize,
    file: File,
}

pub fn parse(source: &str, module: &[String]) -> File {
    let tokens = tokens(source);
    let mut parser = Parser {
        tokens: &tokens,
        at: 0,
        module: module.to_vec(),
        inline: Vec::new(),
        depth: 0,
        file: File::default(),
    };
    let child = |pair: &[String]| (pair[0] == "mod" && pair[2] == ";").then(|| pair[1].clone());
    parser.file.children = tokens.windows(3).filter_map(child).collect();
    while parser.at < tokens.len() {
        parser.item();
    }
    parser.file
}

impl Parser<'_> {
    fn peek(&self, ahead: usize) -> &str {
        self.tokens.get(self.at + ahead).map_or("", String::as_str)
    }

    fn item(&mut self) {
        match self.peek(0) {
            // `use<>` in a bound names what a type captures, and no path.
            "use" if self.peek(1) != "<" => return self.declaration(),
            "{" => self.depth += 1,
            "}" => {
                self.depth = self.depth.saturating_sub(1);
                self.inline.pop_if(|(_, ends)| *ends == self.depth);
            }
            "mod" if self.peek(2) == "{" => {
                self.inline.push((self.peek(1).to_owned(), self.depth));
            }
            _ if self.peek(1) == "::" && !self.follows_a_path() => return self.written_out(),
            word => self.file.words.push(word.to_owned()),
        }
        self.at += 1;
    }

    fn follows_a_path(&self) -> bool {
        self.at > 0 && self.tokens[self.at - 1] == "::"
    }

    /// `crate::interest::Interest` in the middle of the code.
    fn written_out(&mut self) {
        let mut path = vec![self.peek(0).to_owned()];
        self.at += 1;
        while self.peek(0) == "::" && self.peek(1).starts_with(|c: char| c.is_alphabetic()) {
            path.push(self.peek(1).to_owned());
            self.at += 2;
        }
        self.file.words.push(path[0].clone());
        self.import(&path, None);
    }

    fn declaration(&mut self) {
        let hands_on = self.at > 0 && ["pub", ")"].contains(&self.tokens[self.at - 1].as_str());
        self.at += 1;
        self.tree(&mut Vec::new(), hands_on);
    }

    /// `a::{b, c::*, d as e}`, behind `prefix`.
    fn tree(&mut self, prefix: &mut Vec<String>, hands_on: bool) {
        let before = prefix.len();
        loop {
            match self.peek(0) {
                "::" => self.at += 1,
                "{" => {
                    self.at += 1;
                    while !["}", ""].contains(&self.peek(0)) {
                        self.tree(prefix, hands_on);
                        self.at += usize::from(self.peek(0) == ",");
                    }
                    self.at += 1;
                    break;
                }
                "," | "}" | ";" | "" => {
                    self.leaf(prefix, hands_on);
                    break;
                }
                "as" => {
                    let name = self.peek(1).to_owned();
                    self.import(prefix, hands_on.then_some(name));
                    self.at += 2;
                    break;
                }
                segment => {
                    prefix.push(segment.to_owned());
                    self.at += 1;
                }
            }
        }
        prefix.truncate(before);
    }

    fn leaf(&mut self, path: &[String], hands_on: bool) {
        let name = path.last().cloned().filter(|_| hands_on);
        self.import(path, name);
    }

    /// Notes a path of this crate, from its root on; those of other crates are nobody's business.
    fn import(&mut self, path: &[String], handed_on_as: Option<String>) {
        let mut here = self.module.clone();
        here.extend(self.inline.iter().map(|(name, _)| name.clone()));
        let mut segments = path.iter().peekable();
        let mut absolute = match segments.peek().map(|first| first.as_str()) {
            Some("crate" | "selkie") => Vec::new(),
            Some("self" | "super") => here,
            Some(child) if self.file.children.contains(child) => self.module.clone(),
            _ => return,
        };
        for segment in segments {
            match segment.as_str() {
                "crate" | "selkie" | "self" => {}
                "super" => drop(absolute.pop()),
                name => absolute.push(name.to_owned()),
            }
        }
        self.file.imports.push(Import { path: absolute, handed_on_as });
    }
}
