//! A module imports strictly lower layers or its own folder, never upwards, never in a circle.
//!
//! Reads the `use` declarations and the written-out paths of every file in `src/`, follows
//! re-exports to the file that declares the name, and says which file imports what it may not.

mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use source::{File, parse};

/// The layers of the design, and the guide, which is all text; `lib.rs`, the front door, stands
/// above.
const LAYERS: &[&[&str]] = &[
    &["interest", "panics", "probe", "slots", "sync", "sys", "text", "timers"],
    &["selector"],
    &["reactor"],
    &["executor"],
    &["runtime", "io", "time"],
    &["task", "unblock"],
    &["net"],
    &["inspect"],
    &["hyper", "process", "signal"],
    &["guide", "world"],
];

/// What `lib.rs` may not contain: it has no logic.
const LOGIC: [&str; 6] = ["fn", "struct", "enum", "trait", "impl", "static"];

/// A module as its path has it: `["selector", "key"]`; the front door is `[]`.
type Module = Vec<String>;

/// All files of a crate, by the module that each is.
struct House(BTreeMap<Module, File>);

impl House {
    fn of(sources: &[(&str, &str)]) -> Self {
        let files = sources.iter().map(|(path, source)| {
            let path = path.trim_end_matches(".rs").trim_end_matches("/mod");
            let module: Module =
                path.split('/').filter(|name| *name != "lib").map(str::to_owned).collect();
            let file = parse(source, &module);
            (module, file)
        });
        Self(files.collect())
    }

    /// The file that declares what `path` names, through any number of re-exports.
    fn declares<'h>(&'h self, path: &'h [String], hops: usize) -> &'h [String] {
        let file = (0..=path.len()).rev().map(|end| &path[..end]);
        let module = file.into_iter().find(|module| self.0.contains_key(*module)).unwrap_or(&[]);
        let handed_on = path.get(module.len()).and_then(|name| {
            let imports = &self.0.get(module)?.imports;
            imports.iter().find(|import| import.handed_on_as.as_ref() == Some(name))
        });
        match handed_on {
            Some(import) if hops > 0 => self.declares(&import.path, hops - 1),
            _ => module,
        }
    }

    /// Which other files each file needs, and whether only to hand it on.
    fn dependencies(&self) -> impl Iterator<Item = (&Module, &[String], bool)> {
        self.0.iter().flat_map(move |(module, file)| {
            file.imports.iter().filter_map(move |import| {
                let target = self.declares(&import.path, 8);
                let name = import.handed_on_as.as_ref();
                let only_handed_on = name.is_some_and(|name| !file.words.contains(name));
                (target != module).then_some((module, target, only_handed_on))
            })
        })
    }

    /// A sentence for each breach.
    fn breaches(&self) -> Vec<String> {
        let mut breaches = BTreeSet::new();
        for module in self.0.keys().filter(|module| !module.is_empty()) {
            if layer(module).is_none() {
                breaches.insert(format!(
                    "{} is in no layer: give `{}` its place in the design and in LAYERS",
                    name(module),
                    module[0]
                ));
            }
        }
        if let Some(door) = self.0.get(&Module::new())
            && let Some(word) = door.words.iter().find(|word| LOGIC.contains(&word.as_str()))
        {
            breaches.insert(format!("the front door has no logic, but there is a `{word}` in it"));
        }
        for (module, target, _) in self.dependencies() {
            if let Some(breach) = breach(module, target) {
                breaches.insert(breach);
            }
        }
        breaches.extend(self.circles());
        breaches.into_iter().collect()
    }

    /// The files that need themselves by way of others.
    fn circles(&self) -> Vec<String> {
        let mut needs: BTreeMap<&[String], BTreeSet<&[String]>> = BTreeMap::new();
        for (module, target, only_handed_on) in self.dependencies() {
            if !only_handed_on && !module.is_empty() {
                needs.entry(module).or_default().insert(target);
            }
        }
        // What needs nothing that is left, or is not needed by it, is in no circle.
        while let Some(free) = needs.iter().find_map(|(module, targets)| {
            let needs_some = targets.iter().any(|target| needs.contains_key(target));
            let is_needed = needs.values().any(|targets| targets.contains(module));
            (!needs_some || !is_needed).then_some(*module)
        }) {
            needs.remove(free);
        }
        let left: Vec<_> = needs.keys().map(|module| name(module)).collect();
        let circle = format!("there is a circle among these: {}", left.join(", "));
        (!left.is_empty()).then_some(circle).into_iter().collect()
    }
}

fn layer(module: &[String]) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module[0].as_str()))
}

fn name(module: &[String]) -> String {
    if module.is_empty() { "lib.rs".to_owned() } else { format!("src/{}", module.join("/")) }
}

/// What is wrong with `module` importing `target`, if anything is.
fn breach(module: &[String], target: &[String]) -> Option<String> {
    if module.is_empty() || module.first() == target.first() {
        return None;
    }
    let importing = name(module);
    if target.is_empty() {
        return Some(format!("{importing} imports from lib.rs, the front door, which is above it"));
    }
    let (own, other) = (layer(module)?, layer(target)?);
    (other >= own).then(|| {
        format!(
            "{importing} (layer {own}) imports {} (layer {other}): a module imports strictly \
             lower layers or its own folder",
            name(target)
        )
    })
}

fn collect(folder: &Path, root: &Path, sources: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, root, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let relative = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            sources.push((relative, fs::read_to_string(&path).unwrap()));
        }
    }
}

/// The lines of code outside tests that have `word` in them, by file.
fn lines_with(word: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    collect(&root, &root, &mut sources);
    let of_tests =
        |path: &str| ["tests.rs", "model.rs", "loom.rs"].iter().any(|name| path.ends_with(name));
    sources.retain(|(path, _)| !of_tests(path));
    let mut found = Vec::new();
    for (path, source) in sources {
        let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        let lines = lines.filter(|line| line.contains(word));
        found.extend(lines.map(|line| (path.clone(), line.trim().to_owned())));
    }
    found
}

#[test]
fn the_systems_clock_is_read_in_one_place() {
    let expected = ("selector/backend/mod.rs".to_owned(), "Instant::now()".to_owned());
    assert_eq!(lines_with("Instant::now"), [expected]);
    assert_eq!(lines_with("SystemTime::now"), []);
}

#[test]
fn descriptor_types_have_their_names_from_one_file() {
    assert!(lines_with("os::fd").iter().all(|(path, _)| path == "sys.rs"), "use crate::sys");
}

#[test]
fn modules_import_lower_layers_or_their_own_folder_and_never_in_a_circle() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    collect(&root, &root, &mut sources);
    let sources: Vec<_> =
        sources.iter().map(|(path, source)| (path.as_str(), source.as_str())).collect();
    let house = House::of(&sources);
    assert!(house.dependencies().count() > 20, "this test does not see the imports any more");
    assert_eq!(house.breaches(), [""; 0], "see section 2 of the design");
}

/// What this test says about a few made-up files.
fn breaches(sources: &[(&str, &str)]) -> String {
    House::of(sources).breaches().join("\n")
}

const INTEREST: (&str, &str) = ("interest.rs", "pub struct Interest;");

#[test]
fn an_import_upwards_or_sideways_is_named() {
    let said = breaches(&[
        ("lib.rs", "mod interest; pub mod selector; mod io; mod time;"),
        ("interest.rs", "use crate::selector::Selector;"),
        ("selector/mod.rs", "use crate::interest::Interest; pub struct Selector;"),
        ("io.rs", "pub struct Async;"),
        ("time.rs", "fn f() { let _: super::io::Async; }"),
    ]);
    assert!(said.contains("src/interest (layer 0) imports src/selector (layer 1)"), "{said}");
    assert!(said.contains("src/time (layer 4) imports src/io (layer 4)"), "{said}");
    assert!(!said.contains("src/selector (layer 1) imports"), "{said}");
}

#[test]
fn an_import_by_the_front_door_counts_as_what_it_leads_to() {
    let door = ("lib.rs", "mod interest; mod time; pub use interest::Interest; pub use time::Now;");
    let time = ("time.rs", "pub struct Now;");
    let io = ("io/mod.rs", "use crate::Interest; use {std::io, selkie::Now as Then};");
    let said = breaches(&[door, INTEREST, time, io]);
    assert_eq!(
        said,
        "src/io (layer 4) imports src/time (layer 4): a module imports strictly lower layers \
         or its own folder"
    );
    let said = breaches(&[door, INTEREST, time, ("io.rs", "use crate::macro_of_the_door;")]);
    assert!(said.contains("src/io imports from lib.rs"), "{said}");
}

#[test]
fn a_circle_within_a_folder_is_named_and_a_front_door_is_none() {
    let front = "mod a; mod b; pub use a::A; pub use b::B; pub trait T {}";
    let a = ("selector/a.rs", "use super::T; use super::b;");
    let b = ("selector/b.rs", "use super::T; mod tests { use super::*; }");
    assert_eq!(breaches(&[INTEREST, ("selector/mod.rs", front), a, b]), "");
    let b = ("selector/b.rs", "use super::T; use crate::selector::A;");
    let said = breaches(&[INTEREST, ("selector/mod.rs", front), a, b]);
    assert_eq!(said, "there is a circle among these: src/selector/a, src/selector/b");
    let front = format!("{front} fn uses_it(_: B) {{}}");
    let b = ("selector/b.rs", "use super::T;");
    let said = breaches(&[INTEREST, ("selector/mod.rs", &front), b]);
    assert_eq!(said, "there is a circle among these: src/selector, src/selector/b");
}

#[test]
fn a_module_without_a_layer_and_a_front_door_with_logic_are_named() {
    let said = breaches(&[("lib.rs", "mod utils; pub fn f() {}"), ("utils.rs", "")]);
    assert!(said.contains("src/utils is in no layer"), "{said}");
    assert!(said.contains("there is a `fn` in it"), "{said}");
}

#[test]
fn comments_and_strings_import_nothing() {
    let source = r####"
        //! use crate::net::Tcp;
        /* use crate::net::Tcp; */
        const TEXT: &str = "\" use crate::net::Tcp;";
        const RAW: &str = r#"" use crate::net::Tcp;"#;
        fn f<'a>(c: char, _: &'a str) -> bool { c == '"' || c == '\'' || c == 'x' }
        const TWO: &str = "'"; use crate::runtime::Seen;
        fn g() -> impl Sized + use<> { let one = 1; one }
        use crate::time::Now;
    "####;
    let others = ["net.rs", "time.rs", "runtime.rs"].map(|path| (path, ""));
    let said = breaches(&[&others[..], &[("interest.rs", source)]].concat());
    assert!(said.contains("src/interest (layer 0) imports src/time"), "{said}");
    assert!(said.contains("src/interest (layer 0) imports src/runtime"), "{said}");
    assert!(!said.contains("src/net"), "{said}");
}
