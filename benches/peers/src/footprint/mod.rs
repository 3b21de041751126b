//! What depending on a runtime costs: a small program with an echo server over it is built from
//! nothing, in a folder of its own.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::harness::Harness;
use crate::results::{Build, Part};

/// A dependency, and a program that uses it.
struct Subject {
    name: &'static str,
    /// The value in `[dependencies]`; `{selkie}` stands for this repository's folder.
    requirement: &'static str,
    program: &'static str,
}

const SUBJECTS: [Subject; 3] = [
    Subject {
        name: "selkie",
        requirement: "{ path = '{selkie}' }",
        program: include_str!("selkie.rs"),
    },
    Subject {
        name: "tokio",
        requirement: "{ version = '1.54', default-features = false, \
                      features = ['io-util', 'net', 'rt', 'time'] }",
        program: include_str!("tokio.rs"),
    },
    Subject { name: "smol", requirement: "'2'", program: include_str!("smol.rs") },
];

pub fn measure(harness: &mut Harness) -> Result<()> {
    let rounds = harness.rounds(3, 1);
    harness.begin(Part::Build, rounds as usize * SUBJECTS.len());
    harness.results.build.clear();
    let mut builds = Vec::new();
    for subject in &SUBJECTS {
        let folder = harness.tools.path().join(subject.name);
        subject.write(&folder)?;
        cargo(&folder, &["fetch", "--quiet"])?;
        let dependency = subject.name.to_owned();
        let crates = count_crates(&cargo(&folder, TREE)?);
        builds.push(Build { dependency, crates, seconds: Vec::new(), bytes: 0 });
    }
    for _ in 0..rounds {
        for (subject, build) in SUBJECTS.iter().zip(&mut builds) {
            harness.step(subject.name);
            let folder = harness.tools.path().join(subject.name);
            let start = Instant::now();
            cargo(&folder, &["build", "--quiet", "--release", "--offline", "--target-dir=target"])?;
            build.seconds.push(start.elapsed().as_secs_f64());
            build.bytes = fs::metadata(folder.join("target/release/probe"))?.len();
            fs::remove_dir_all(folder.join("target"))?;
        }
    }
    harness.results.build = builds;
    Ok(())
}

impl Subject {
    fn write(&self, folder: &Path) -> Result<()> {
        let selkie = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let requirement = self.requirement.replace("{selkie}", &selkie.display().to_string());
        let manifest = format!(
            "[package]\nname = 'probe'\nedition = '2024'\n\
             [dependencies]\n{} = {requirement}\n\
             [profile.release]\nstrip = true\n",
            self.name
        );
        fs::create_dir_all(folder.join("src"))?;
        fs::write(folder.join("Cargo.toml"), manifest)?;
        Ok(fs::write(folder.join("src/main.rs"), self.program)?)
    }
}

/// The crates that are built for a program, one a line.
const TREE: &[&str] = &["tree", "--offline", "--edges", "normal,build", "--prefix", "none"];

/// How many crates there are besides the program itself.
fn count_crates(tree: &str) -> usize {
    let name_and_version = |line: &str| {
        let mut words = line.split_whitespace();
        Some((words.next()?.to_owned(), words.next()?.to_owned()))
    };
    let crates: BTreeSet<_> = tree.lines().filter_map(name_and_version).collect();
    crates.len().saturating_sub(1)
}

fn cargo(folder: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("cargo")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .context("cargo does not start")?;
    if !output.status.success() {
        bail!("cargo {}: {}", arguments[0], String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_counts_once_per_version_and_the_program_not_at_all() {
        let tree = "probe v0.0.0 (/x)\nsmol v2.0.2\nlibc v0.2.1\n\nlibc v0.2.1 (*)\n\
                    rustix v0.38.1\nrustix v1.1.6\nserde_derive v1.0.1 (proc-macro)\n";
        assert_eq!(count_crates(tree), 5);
    }
}
