//! The whole harness on the smallest of its tasks, as CI runs it.

use std::fs;
use std::process::{Command, Output};

fn peers(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_peers")).args(arguments).output().expect("it starts")
}

#[test]
fn one_peer_and_one_case_make_a_report_with_a_table_and_a_chart() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().to_str().expect("a name");
    let chosen = ["--part", "cpu", "--only", "raw-epoll-level", "--case", "1x64"];
    let effort = ["--quick", "--rounds", "1", "--out", out];
    let run = peers(&[chosen.as_slice(), &effort].concat());
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));

    let report = fs::read_to_string(folder.path().join("RESULTS.md")).expect("a report");
    assert!(report.contains("| raw-epoll-edge | 1.000 (1.000–1.000) |\n"), "{report}");
    assert!(report.contains("| raw-epoll-level | "), "{report}");
    assert!(!report.contains("Left out"), "{report}");
    assert!(!report.contains(out), "a local path is in the report:\n{report}");
    let chart = fs::read_to_string(folder.path().join("charts/cpu-64.svg")).expect("a chart");
    assert!(chart.starts_with("<svg") && chart.contains("raw-epoll-level"), "{chart}");
}

#[test]
fn an_unknown_name_is_refused_with_the_known_ones() {
    for (option, known) in [("--only", "selkie-select"), ("--case", "1000x16384")] {
        let run = peers(&[option, "nonesuch"]);
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(!run.status.success() && said.contains(known), "{said}");
    }
}
