//! The same programs with tokio and with smol, which the guide's table counts: they do the same.

use std::fs;
use std::path::Path;

use crate::process::example_path;
use crate::{child, http_server, netcat, proxy, tls, websocket};

#[test]
fn the_http_servers_of_the_others_answer_and_end_gracefully_too() {
    for (name, threads) in [("tokio_http_server", 1), ("smol_http_server", 2)] {
        let program = example_path(name);
        http_server::answers(&program, threads);
        http_server::ends_gracefully(&program);
    }
}

#[test]
fn the_proxies_of_the_others_keep_half_closed_connections_too() {
    proxy::half_closed(&example_path("tokio_proxy"), 1);
    proxy::half_closed(&example_path("smol_proxy"), 2);
}

#[test]
fn the_echo_servers_of_the_others_speak_tls_and_websocket_too() {
    for (runtime, threads) in [("tokio", 1), ("smol", 2)] {
        tls::either_version(&example_path(&format!("{runtime}_tls_echo")), threads);
        let websocket_echo = example_path(&format!("{runtime}_websocket_echo"));
        websocket::messages(&websocket_echo, threads);
        websocket::too_much(&websocket_echo);
    }
}

#[test]
fn the_netcat_with_tokio_takes_every_input_too() {
    netcat::every_input(&example_path("tokio_netcat"));
}

#[test]
fn the_others_have_pipes_and_times_for_a_child_too() {
    child::pipes_and_times(&example_path("tokio_child"));
    child::pipes_and_times(&example_path("smol_child"));
}

/// Lines that somebody has to write: neither blank nor a comment.
fn lines(path: &str) -> Option<usize> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).ok()?;
    let lines = text.lines().map(str::trim);
    Some(lines.filter(|line| !line.is_empty() && !line.starts_with("//")).count())
}

#[test]
fn the_table_of_the_guide_counts_the_lines_as_they_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let guide = fs::read_to_string(root.join("../../src/guide/libraries.md")).unwrap();
    let programs = fs::read_dir(root.join("src/bin")).unwrap();
    let mut programs: Vec<String> = programs
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    programs.sort_unstable();
    let cell = |path: String| lines(&path).map(|count| count.to_string()).unwrap_or_default();
    let rows: Vec<String> = programs
        .iter()
        .map(|name| {
            let cells = [
                cell(format!("src/bin/{name}.rs")),
                cell(format!("examples/tokio_{name}.rs")),
                cell(format!("examples/smol_{name}.rs")),
            ];
            format!("| `{name}` | {} |", cells.join(" | "))
        })
        .collect();
    let table = rows.join("\n");
    assert!(guide.contains(&format!("\n{table}\n")), "the table has to be\n{table}");
}
