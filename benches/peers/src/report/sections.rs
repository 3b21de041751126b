//! The report's text: what was measured, how, and the tables.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use clap::ValueEnum;

use super::charts::Chart;
use super::http;
use super::markdown::{Table, digits, ratio, time, width};
use super::view;
use crate::case::{CHURN, CONNECTIONS, Case, SHAPES};
use crate::results::{Figure, Measured, Memory, Part, Results, Run};
use crate::servers::{PEERS, REFERENCE};
use crate::stats::Spread;

/// The whole document.
pub fn document(results: &Results, charts: &[Chart]) -> String {
    let mut text = introduction() + &machines(results) + &peers(results);
    for part in Part::value_variants() {
        text += &section(results, *part, charts);
        if *part == Part::Cpu {
            text += &churn(results, charts);
        }
    }
    text.trim_end().to_owned() + "\n"
}

/// The text of one part; none if it was not measured.
pub fn section(results: &Results, part: Part, charts: &[Chart]) -> String {
    match part {
        Part::Cpu => cpu(results, charts),
        Part::Rate => rate(results),
        Part::Calls => calls(results),
        Part::Instructions => instructions(results),
        Part::Memory => memory(results, charts),
        Part::Micro => micro(results),
        Part::Http => http::section(results),
        Part::Build => build(results),
    }
}

fn introduction() -> String {
    format!(
        "# Results\n\n\
         selkie beside what a user would pick instead, on the same echo work. Written by \
         `cargo run --release -p peers`, which leaves its samples in `results.json` beside this \
         file.\n\n\
         Absolute times on a shared machine are noise. What compares is a ratio of two figures \
         of one run, and a count. Every table names the command that makes it, and ranges are \
         from the lowest to the highest round.\n\n\
         Alike for all: an own server process, listening on the loopback address; `TCP_NODELAY` \
         on both sides; reads of up to 16 KiB (`python-uvloop`: its own 256 KiB); the `release` \
         profile. The load generator is another process, the same for all: a closed loop on \
         epoll that checks every byte of the echo. `{REFERENCE}` is the reference: one read and \
         one write per message, and each connection registered once.\n\n"
    )
}

/// A heading, the command and what it measures; nothing if that was not measured.
pub fn heading(results: &Results, part: Part, title: &str, text: &str) -> Option<String> {
    let Measured { arguments, noise, .. } = results.measured(part)?;
    let per_cent = |permille: u64| permille as f64 / 10.0;
    let (others, host) = (per_cent(noise.others_permille), per_cent(noise.stolen_permille));
    let mut heading = format!(
        "## {title}\n\n{text}\n\n```sh\ncargo run --release -p peers -- {arguments}\n```\n\n\
         Of the processors' time meanwhile, other processes took {others:.1} % and the host \
         {host:.1} %.\n\n"
    );
    for skipped in results.skipped.iter().filter(|skipped| skipped.part == Some(part)) {
        let _ = writeln!(heading, "Left out: {}, {}.\n", skipped.peer, skipped.reason);
    }
    Some(heading)
}

fn image(charts: &[Chart], name: &str) -> String {
    let chart = charts.iter().find(|chart| chart.name == name);
    chart.map(|chart| format!("![{}](charts/{name}.svg)\n\n", chart.title)).unwrap_or_default()
}

fn machines(results: &Results) -> String {
    // Parts that were measured at another time may have another machine; not every part asks for
    // every peer's version.
    let mut machines: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for Measured { environment: at, .. } in &results.parts {
        let machine = format!(
            "- {}, {} cores, {}, {}\n- selkie at revision {}",
            at.processor, at.cores, at.kernel, at.rustc, at.revision
        );
        let versions = machines.entry(machine).or_default();
        versions.extend(at.versions.iter().map(String::as_str));
    }
    let mut text = "## Machine and versions\n\n".to_owned();
    for (machine, versions) in machines {
        let mut seen = BTreeSet::new();
        let versions: Vec<&str> = versions.into_iter().filter(|name| seen.insert(*name)).collect();
        let _ = write!(text, "{machine}; {}\n\n", versions.join(", "));
    }
    text
}

fn peers(results: &Results) -> String {
    let mut text = "## Peers\n\n".to_owned();
    for peer in PEERS {
        let absent = results.skipped.iter().find(|s| s.part.is_none() && s.peer == peer.name);
        let reason = absent.map(|s| format!(" (left out: {})", s.reason)).unwrap_or_default();
        let _ = writeln!(text, "- `{}`: {}{reason}", peer.name, peer.about);
    }
    text + "\n"
}

fn shape_title((bytes, outstanding): (u32, u32)) -> String {
    let size = if bytes < 1024 { format!("{bytes} B") } else { format!("{} KiB", bytes / 1024) };
    match outstanding {
        1 => size,
        _ => format!("{size}, {outstanding} messages of a connection under way"),
    }
}

/// A table of a shape: peers down, connections across. `None` if nothing was measured.
fn shape_table(
    runs: &[Run],
    (bytes, outstanding): (u32, u32),
    cell: impl Fn(&Run) -> String,
) -> Option<String> {
    let cases = CONNECTIONS.map(|connections| Case::echo(connections, bytes, outstanding));
    let cases = cases.iter().filter(|case| runs.iter().any(|run| run.case == **case));
    let cases: Vec<Case> = cases.copied().collect();
    if cases.is_empty() {
        return None;
    }
    let heads = cases.iter().map(|case| match case.connections {
        1 => "1 connection".to_owned(),
        connections => format!("{connections} connections"),
    });
    let mut table = Table::new(["".to_owned()].into_iter().chain(heads));
    for peer in view::peers(runs.iter().map(|run| run.peer.as_str())) {
        let cells =
            cases.iter().map(|case| view::run(runs, *case, peer).map(&cell).unwrap_or_default());
        table.row([peer.to_owned()].into_iter().chain(cells));
    }
    let title = shape_title((bytes, outstanding));
    Some(format!("### {title}\n\n{}", table.finish()))
}

fn cpu(results: &Results, charts: &[Chart]) -> String {
    let Some(mut text) = heading(
        results,
        Part::Cpu,
        "Server CPU per message",
        "The primary figure. Server and load generator share one core under `SCHED_BATCH`. The \
         server's CPU time per message is divided by the load generator's of the same run, and \
         that by the reference's of the same round: median (range), less is better. Rounds of \
         all peers take turns, each with new processes. At 16 KiB a read fills the buffer, so that \
         who works by edges has to read once more.",
    ) else {
        return String::new();
    };
    for shape in SHAPES {
        let cell = |run: &Run| view::relative_cpu(&results.cpu, run).map(ratio).unwrap_or_default();
        if let Some(table) = shape_table(&results.cpu, shape, cell) {
            text += &table;
            text += &scale(results, shape);
            text += &image(charts, &view::cpu_chart(shape));
        }
    }
    text
}

/// What 1.000 stands for.
fn scale(results: &Results, (bytes, outstanding): (u32, u32)) -> String {
    let times = CONNECTIONS.iter().filter_map(|&connections| {
        let case = Case::echo(connections, bytes, outstanding);
        let run = view::run(&results.cpu, case, REFERENCE)?;
        let times = run.outcomes.iter().map(|o| o.server_cpu_ns as f64 / o.count as f64);
        Some(time(Spread::of(times)?.median))
    });
    format!("1.000 is {} of the server's CPU time.\n\n", times.collect::<Vec<_>>().join(", "))
}

fn churn(results: &Results, charts: &[Chart]) -> String {
    let runs: Vec<&Run> = results.cpu.iter().filter(|run| run.case == CHURN).collect();
    if runs.is_empty() {
        return String::new();
    }
    let mut table = Table::new([
        "",
        "server CPU, relative",
        "connections/s",
        "p50",
        "p99",
        "p99.9",
        "system calls",
    ]);
    for run in runs {
        let rate = view::run(&results.rate, CHURN, &run.peer);
        let calls = results.calls.iter().find(|c| c.case == CHURN && c.peer == run.peer);
        let mut cells = vec![
            run.peer.clone(),
            view::relative_cpu(&results.cpu, run).map(ratio).unwrap_or_default(),
        ];
        cells.extend(rate.map_or_else(|| vec![String::new(); 4], rate_and_latency));
        cells.push(calls.map(|c| digits(view::total(c))).unwrap_or_default());
        table.row(cells);
    }
    format!(
        "## Connections that come and go\n\n\
         {} at once, each made, echoing one message of {} B and closed by the load generator. \
         The columns are made by the commands of the sections on CPU, rate and system calls, \
         and mean the same per connection.\n\n{}{}",
        CHURN.connections,
        CHURN.bytes,
        table.finish(),
        image(charts, view::CHURN_CHART)
    )
}

/// Median rate, and medians of the latencies.
fn rate_and_latency(run: &Run) -> Vec<String> {
    let median = |samples: Vec<f64>| Spread::of(samples).map_or(f64::NAN, |s| s.median);
    let latency = |of: fn(&crate::load::Outcome) -> u64| {
        time(median(run.outcomes.iter().map(|outcome| of(outcome) as f64).collect()))
    };
    let rate = median(run.outcomes.iter().map(crate::load::Outcome::rate).collect());
    vec![
        digits(rate),
        latency(|outcome| outcome.p50_ns),
        latency(|outcome| outcome.p99_ns),
        latency(|outcome| outcome.p999_ns),
    ]
}

fn rate(results: &Results) -> String {
    let Some(mut text) = heading(
        results,
        Part::Rate,
        "Messages per second and latency",
        "With a core each for server and load generator. Medians: messages per second; p50 / p99 \
         / p99.9 from the start of a message to the end of its echo, with all others under way.",
    ) else {
        return String::new();
    };
    let rates = |run: &Run| Spread::of(run.outcomes.iter().map(crate::load::Outcome::rate));
    let widths = Spread::of(results.rate.iter().filter_map(rates).map(width));
    if let Some(Spread { median, max, .. }) = widths {
        let _ = writeln!(
            text,
            "Noise: rates of one peer lie {median:.0} % apart (median), {max:.0} % at worst.\n"
        );
    }
    for shape in SHAPES {
        let cell = |run: &Run| match &rate_and_latency(run)[..] {
            [rate, latencies @ ..] => format!("{rate}; {}", latencies.join(" / ")),
            [] => String::new(),
        };
        text += &shape_table(&results.rate, shape, cell).unwrap_or_default();
    }
    text
}

fn calls(results: &Results) -> String {
    let Some(mut text) = heading(
        results,
        Part::Calls,
        "System calls per message",
        "Counted by `strace -cf` in two runs of different length; the difference is what the \
         messages cost. What is rarer than one in a hundred messages is not shown. The load comes \
         in bursts, so that the slowed server works as it does by itself. An io_uring runtime \
         hands many operations over in one call, and the kernel does them behind it: its counts do \
         not compare with the others'.",
    ) else {
        return String::new();
    };
    for case in view::cases(results.calls.iter().map(|calls| calls.case)) {
        let mut table = Table::of_text(["", "total", "which"]);
        for calls in results.calls.iter().filter(|calls| calls.case == case) {
            let which = calls.calls.iter().map(|(name, n)| format!("{name} {}", digits(*n)));
            let which = which.collect::<Vec<_>>().join(", ");
            table.row([calls.peer.clone(), digits(view::total(calls)), which]);
        }
        let _ = write!(text, "### {}, per {}\n\n{}", case.name(), case.unit(), table.finish());
    }
    text
}

fn instructions(results: &Results) -> String {
    let Some(text) = heading(
        results,
        Part::Instructions,
        "User instructions per message",
        "Counted by callgrind under two loads of different length; the difference is what the \
         messages cost in the program, without the kernel. The load comes in bursts, as above.",
    ) else {
        return String::new();
    };
    let figures = &results.instructions;
    let cases = view::cases(figures.iter().map(|figure| figure.case));
    let heads = cases.iter().map(|case| case.name());
    let mut table = Table::new(["".to_owned()].into_iter().chain(heads));
    for peer in view::peers(figures.iter().map(|figure| figure.peer.as_str())) {
        let cells = cases.iter().map(|case| {
            let figure = figures.iter().find(|f| f.case == *case && f.peer == peer);
            figure.and_then(median).map(digits).unwrap_or_default()
        });
        table.row([peer.to_owned()].into_iter().chain(cells));
    }
    text + &table.finish()
}

fn median(figure: &Figure) -> Option<f64> {
    Some(Spread::of(figure.samples.iter().copied())?.median)
}

fn memory(results: &Results, charts: &[Chart]) -> String {
    let Some(text) = heading(
        results,
        Part::Memory,
        "Memory per idle connection",
        "By how much the server's own memory (anonymous PSS) grows with 1000 connections that \
         have echoed one message of 64 B and then stay, in bytes per connection (range); without \
         what the kernel keeps for them. A loop has one buffer for all; a task has its own, of 16 \
         KiB as everywhere else, or of 64 B to show what the runtime itself needs.",
    ) else {
        return String::new();
    };
    let mut table = Table::new(["", "buffers of 16 KiB", "buffers of 64 B"]);
    for Memory { peer, large, small } in &results.memory {
        let cells = [large, small].map(|samples| {
            let spread = Spread::of(samples.iter().copied());
            spread.map(|s| format!("{:.0} ({:.0}–{:.0})", s.median, s.min, s.max))
        });
        table.row([peer.clone()].into_iter().chain(cells.into_iter().flatten()));
    }
    text + &table.finish() + &image(charts, view::MEMORY_CHART)
}

fn micro(results: &Results) -> String {
    let contenders = view::distinct(results.micro.iter().map(|micro| micro.contender.as_str()));
    let operations = view::distinct(results.micro.iter().map(|micro| micro.operation.as_str()));
    let (Some(first), Some(mut text)) = (
        contenders.first(),
        heading(
            results,
            Part::Micro,
            "Tasks, wake-ups and timers",
            "Each operation alone, in one process and in turns, without any I/O: median, and the \
             ratio to the first column (range).",
        ),
    ) else {
        return String::new();
    };
    let heads = contenders.iter().copied();
    let mut table = Table::new([""].into_iter().chain(heads));
    for operation in operations {
        let samples = |contender: &str| {
            let found =
                |m: &&crate::results::Micro| m.operation == operation && m.contender == contender;
            results.micro.iter().find(found).map(|m| m.nanoseconds.as_slice()).unwrap_or_default()
        };
        let cells = contenders.iter().map(|contender| {
            let own = samples(contender);
            let Some(spread) = Spread::of(own.iter().copied()) else { return String::new() };
            match Spread::of_ratios(own, samples(first)) {
                Some(relative) if contender != first => {
                    format!("{}, {}", time(spread.median), ratio(relative))
                }
                _ => time(spread.median),
            }
        });
        table.row([operation.to_owned()].into_iter().chain(cells));
    }
    text += &table.finish();
    text
}

fn build(results: &Results) -> String {
    let Some(text) = heading(
        results,
        Part::Build,
        "What depending on it costs",
        "An echo server in a package of its own, built from nothing (`--release`, downloads not \
         counted) and stripped. tokio has the features io-util, net, rt and time; smol has no \
         choice.",
    ) else {
        return String::new();
    };
    let mut table = Table::new(["", "crates", "seconds (range)", "binary, KiB"]);
    for build in &results.build {
        let seconds = Spread::of(build.seconds.iter().copied())
            .map(|s| format!("{:.1} ({:.1}–{:.1})", s.median, s.min, s.max));
        table.row([
            build.dependency.clone(),
            build.crates.to_string(),
            seconds.unwrap_or_default(),
            (build.bytes / 1024).to_string(),
        ]);
    }
    text + &table.finish()
}
