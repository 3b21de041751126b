//! The same seed takes the same steps: in this process, in others, and whatever else runs.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use selkie_sim::{Faults, Link, Sim, between_runs, check_repeats};

use crate::util::{echo_client, echo_server, loop_server};

const SECOND: Duration = Duration::from_secs(1);

/// Some of everything: threads, turns, an explicit loop, and all kinds of faults.
fn mixed(sim: &mut Sim) {
    sim.links(Link::default().fragmentation(0.5));
    let mut hosts = vec![
        sim.host("server", echo_server),
        sim.host_stepped("stepped", echo_server),
        sim.host_blocking("loop", loop_server),
    ];
    for client in 0..3 {
        let name = format!("client{client}");
        hosts.push(sim.host(name.as_str(), move || async move {
            let server = ["server", "stepped", "loop"][client];
            loop {
                let _ = echo_client(server, 3000, 50, Duration::from_millis(5)).await;
                selkie::sleep(Duration::from_millis(50)).await;
            }
            #[expect(unreachable_code)]
            ()
        }));
    }
    sim.draw_faults(&Faults::new(&hosts, SECOND));
    sim.run_for(2 * SECOND);
}

fn hash(seed: u64) -> u64 {
    let mut sim = Sim::new(seed);
    mixed(&mut sim);
    sim.trace_hash()
}

const CHILD: &str = "SELKIE_TEST_HASHES";

/// Not a test: what the processes of the others run.
#[test]
#[ignore = "it is run by others"]
fn hashes_of_seeds() {
    let Ok(seeds) = env::var(CHILD) else { return };
    for seed in 0..seeds.parse().unwrap() {
        println!("\nseed {seed} is {:016x}", hash(seed));
    }
}

/// The hashes that each of so many processes has of so many seeds.
fn hashes_of(processes: usize, seeds: u64) -> BTreeMap<String, BTreeSet<String>> {
    let mut hashes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut children = Vec::new();
    for started in 0..processes + SIDE_BY_SIDE {
        if started < processes {
            let mut command = Command::new(env::current_exe().unwrap());
            command
                .args(["repeats::hashes_of_seeds", "--exact", "--ignored", "--nocapture"])
                .env(CHILD, seeds.to_string())
                .stdout(Stdio::piped())
                .stderr(Stdio::null());
            children.push(between_runs(|| command.spawn()).unwrap());
        }
        if (started >= SIDE_BY_SIDE || started >= processes) && !children.is_empty() {
            let output = children.remove(0).wait_with_output().unwrap();
            assert!(output.status.success());
            let text = String::from_utf8(output.stdout).unwrap();
            let lines = text.lines().filter_map(|line| line.strip_prefix("seed "));
            for (seed, hash) in lines.filter_map(|line| line.split_once(" is ")) {
                hashes.entry(seed.to_owned()).or_default().insert(hash.to_owned());
            }
        }
    }
    hashes
}

/// Processes that run at the same time.
const SIDE_BY_SIDE: usize = 3;

fn assert_one_hash_for_each_seed(processes: usize, seeds: u64) {
    let hashes = hashes_of(processes, seeds);
    assert_eq!(hashes.len() as u64, seeds);
    let differ: Vec<_> = hashes.iter().filter(|(_, hashes)| hashes.len() != 1).collect();
    assert!(differ.is_empty(), "{differ:?}");
    let different: BTreeSet<_> = hashes.values().flatten().collect();
    assert_eq!(different.len() as u64, seeds);
    println!("{processes} processes: one hash for each of {seeds} seeds, {seeds} in all");
}

#[test]
fn processes_have_one_hash_for_a_seed_and_another_for_another() {
    assert_one_hash_for_each_seed(3, 12);
}

#[test]
#[ignore = "it takes minutes; with its figures: -- --ignored --nocapture a_hundred"]
fn a_hundred_processes_have_one_hash_and_a_thousand_seeds_a_thousand() {
    assert_one_hash_for_each_seed(100, 3);
    assert_one_hash_for_each_seed(2, 1000);
}

#[test]
fn what_differs_between_two_runs_is_told_with_the_first_step_that_does() {
    check_repeats(3, mixed);
    static RUNS: AtomicU64 = AtomicU64::new(0);
    let differs = || {
        check_repeats(1, |sim| {
            // A static, as programs have them.
            let pause = SECOND * (1 + RUNS.fetch_add(1, Ordering::Relaxed) as u32);
            sim.host("server", echo_server);
            sim.host("client", move || async move {
                selkie::sleep(pause).await;
                echo_client("server", 10, 1, SECOND).await
            });
            sim.run_for(10 * SECOND);
        })
    };
    let payload = catch_unwind(AssertUnwindSafe(differs)).unwrap_err();
    let text = payload.downcast_ref::<String>().unwrap();
    assert!(text.contains("two runs of seed 1 differ"), "{text}");
    assert!(text.contains("client     connects  #2 to 10.0.0.1:7"), "{text}");
}
