//! The example of the guide's page on simulation: what it shows is what is here, and what it tells
//! happens.

mod first;
mod second;
mod third;

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use second::Counted;
use selkie_sim::{Faults, Kind, Sim, check};

fn counts_to_ten(sim: &mut Sim) {
    let total = Arc::new(AtomicU64::new(0));
    let shared = Arc::clone(&total);
    let server = sim.host("server", move || first::server(Arc::clone(&shared)));
    let client = sim.host("client", first::client);
    let faults = Faults::new(&[server, client], Duration::from_secs(1));
    // It counts in memory.
    sim.draw_faults(&faults.without(&Kind::RESTARTS));
    assert!(sim.run_until_ended(client, Duration::from_secs(60)));
    assert_eq!(total.load(Ordering::Relaxed), 10);
}

/// The counter that counts once, with this server.
fn counts_once<F>(sim: &mut Sim, server: fn(Arc<Mutex<Counted>>) -> F)
where
    F: Future<Output = io::Result<()>> + 'static,
{
    let counted = Arc::new(Mutex::new(Counted::default()));
    let shared = Arc::clone(&counted);
    let server = sim.host("server", move || server(Arc::clone(&shared)));
    let client = sim.host("client", second::client);
    let faults = Faults::new(&[server, client], Duration::from_secs(1));
    sim.draw_faults(&faults.without(&Kind::RESTARTS));
    assert!(sim.run_until_ended(client, Duration::from_secs(60)));
    assert_eq!(counted.lock().unwrap().total, 10);
}

/// What a check tells, if it fails.
fn told_by(check: impl FnOnce()) -> Option<String> {
    let payload = catch_unwind(AssertUnwindSafe(check)).err()?;
    payload.downcast_ref::<String>().cloned()
}

/// What is told, but for the command of the last line: the page names another test.
fn assert_on_the_page(told: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("../src/guide/simulation.md")).unwrap();
    let (result, _command) = told.split_once(" cargo test ").unwrap();
    assert!(page.contains(result), "this is not on the page:\n{told}");
}

#[test]
fn the_first_counter_counts_twice_what_was_asked_twice() {
    let told = told_by(|| check(0..100, counts_to_ten)).unwrap();
    println!("{told}");
    assert!(told.contains("left: 11"), "{told}");
    assert_on_the_page(&told);
}

#[test]
fn the_second_counter_dies_of_an_accept_that_fails() {
    let told = told_by(|| check(0..100, |sim| counts_once(sim, second::server))).unwrap();
    println!("{told}");
    assert!(told.contains("host server has failed at"), "{told}");
    assert_on_the_page(&told);
}

/// As it is on the page.
#[test]
#[ignore = "it fails, as the page tells"]
fn the_counter_counts_to_ten() {
    check(0..100, counts_to_ten);
}

#[test]
fn the_third_counter_is_right() {
    check(0..100, |sim| counts_once(sim, third::server));
}

#[test]
fn without_faults_the_first_counter_seems_to_be_right() {
    let mut sim = Sim::new(1);
    sim.only_faults([]);
    counts_to_ten(&mut sim);
}

#[test]
fn the_page_shows_what_is_here() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("../src/guide/simulation.md")).unwrap();
    let read = |file| fs::read_to_string(root.join("tests/guide").join(file)).unwrap();
    // Code that is part of a function is indented on the page, too.
    let files = ["main.rs", "first.rs", "second.rs", "third.rs"].map(read).concat();
    let blocks: Vec<_> = page.split("```rust\n").skip(1).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        let (code, _) = block.split_once("```").expect("the end of a block");
        assert!(files.contains(code), "this is on the page, and not in the files:\n{code}");
    }
}
