//! One sequence of operations, done in a world for each back end.

use std::cell::Cell;
use std::time::Instant;

use proptest::prelude::*;
use selkie::selector::BackendKind;

use super::channel::{PATIENCE, Plumber};
use super::compare;
use super::ops::{Op, Sequence};
use super::world::{Room, World};

#[derive(Debug, Default)]
pub struct Tally {
    pub sequences: Cell<u64>,
    pub selects: Cell<u64>,
    pub reported: Cell<u64>,
}

pub fn run(sequence: &Sequence, plumber: &Plumber, tally: &Tally) -> Result<(), TestCaseError> {
    let mut worlds = Vec::new();
    for kind in BackendKind::ALL {
        worlds.push(World::new(*kind)?);
    }
    tally.sequences.update(|n| n + 1);
    let opened = sequence.channels.iter().copied().map(Op::Open);
    for (step, op) in opened.chain(sequence.ops.iter().copied()).enumerate() {
        let done = match op {
            Op::Select => select(&mut worlds, Room::Ample, tally),
            Op::SelectOneByOne => select(&mut worlds, Room::One, tally),
            _ => act(&mut worlds, op, plumber),
        };
        done.map_err(|error| match error {
            TestCaseError::Fail(why) => TestCaseError::fail(format!("step {step}, {op:?}: {why}")),
            reject => reject,
        })?;
    }
    Ok(())
}

/// Does the same in all worlds, and waits until they are in the same state.
fn act(worlds: &mut [World], op: Op, plumber: &Plumber) -> Result<(), TestCaseError> {
    for world in worlds.iter_mut() {
        world.give_up_closed()?;
    }
    let mut outcomes = Vec::new();
    for world in worlds.iter_mut() {
        outcomes.push(world.apply(op, plumber)?);
        world.check_map()?;
    }
    prop_assert!(outcomes.windows(2).all(|pair| pair[0] == pair[1]), "outcomes {outcomes:?}");
    // Once is enough, unless the kernel has put work off because the machine is busy.
    let give_up = Instant::now() + PATIENCE;
    loop {
        plumber.settle()?;
        let seen: Vec<_> = worlds.iter().map(World::seen).collect();
        if seen.windows(2).all(|pair| pair[0] == pair[1]) {
            break;
        }
        prop_assert!(Instant::now() < give_up, "the kernel's states {seen:?}");
    }
    worlds.iter_mut().for_each(World::note_edges);
    Ok(())
}

/// Selects in all worlds, and compares.
fn select(worlds: &mut [World], room: Room, tally: &Tally) -> Result<(), TestCaseError> {
    let mut rounds = Vec::new();
    for world in worlds {
        tally.selects.update(|n| n + 1);
        let round = world.select(room)?;
        tally.reported.update(|n| n + round.report.len() as u64);
        compare::check(world.kind, &round.expected, &round.report)?;
        rounds.push((world.kind, round));
    }
    compare::agree(&rounds)
}
