//! The same conversations over the real loopback and over a simulated one: what the programs see,
//! call by call, is the same, but for the rows of `differences`. All rows, as a table:
//! `cargo test -p selkie-sim --test parity -- --nocapture`.

mod datagrams;
mod differences;
mod listeners;
mod seen;
mod streams;
mod unix;

use std::fmt::Write as _;
use std::time::Duration;

use selkie_sim::Sim;

use crate::differences::DIFFERENCES;
use crate::seen::{Conversation, Row, Seen};

fn conversations() -> Vec<Conversation> {
    let mut all = streams::ALL.to_vec();
    all.extend_from_slice(listeners::ALL);
    all.extend_from_slice(datagrams::ALL);
    all.extend_from_slice(unix::ALL);
    all
}

fn really(conversation: Conversation) -> Vec<Row> {
    let seen = Seen::default();
    selkie::block_on((conversation.talk)(seen.clone()));
    seen.rows()
}

fn simulated(conversation: Conversation) -> Vec<Row> {
    let (seen, mut sim) = (Seen::default(), Sim::new(1));
    let host = {
        let seen = seen.clone();
        sim.host("host", move || (conversation.talk)(seen.clone()))
    };
    assert!(sim.run_until_ended(host, Duration::from_secs(600)), "{}", conversation.name);
    seen.rows()
}

#[test]
fn what_programs_see_is_the_same_in_both_worlds_but_for_what_is_listed() {
    let mut table = String::from("| conversation | call | really | simulated |\n");
    table += "| --- | --- | --- | --- |\n";
    let (mut count, mut unlisted) = (0, Vec::new());
    let mut listed: Vec<_> = DIFFERENCES.iter().map(|row| (row.0, row.1)).collect();
    for conversation in conversations() {
        let name = conversation.name;
        let (real, simulated) = (really(conversation), simulated(conversation));
        let calls = |rows: &[Row]| rows.iter().map(|row| row.call.clone()).collect::<Vec<_>>();
        assert_eq!(calls(&real), calls(&simulated), "{name}");
        for (real, simulated) in real.into_iter().zip(simulated) {
            count += 1;
            let is_same = real.result == simulated.result;
            let place = listed.iter().position(|row| *row == (name, real.call.as_str()));
            let other = if is_same { "the same".to_owned() } else { simulated.result.clone() };
            writeln!(table, "| {name} | {} | {} | {other} |", real.call, real.result).unwrap();
            match (is_same, place) {
                (true, Some(_)) | (false, None) => unlisted.push(format!(
                    "{name}: {}: {} and {}",
                    real.call, real.result, simulated.result
                )),
                (false, Some(place)) => drop(listed.remove(place)),
                (true, None) => {}
            }
        }
    }
    println!("{table}\n{count} calls, {} differ:", DIFFERENCES.len());
    for (conversation, call, reason) in DIFFERENCES {
        println!("- {conversation}, {call}: {reason}");
    }
    assert_eq!(unlisted, [""; 0], "these differ, and are not listed; or the other way round");
    assert!(listed.is_empty(), "these are listed, but there is no such call: {listed:?}");
}
