//! All back ends against poll(2) and each other, as `tests/differential` has it; its header says
//! what is compared.
#![no_main]

#[path = "../../tests/differential/acts.rs"]
mod acts;
#[path = "../../tests/differential/channel.rs"]
mod channel;
#[path = "../../tests/differential/compare.rs"]
mod compare;
#[allow(dead_code)] // Nothing is counted here.
#[path = "../../tests/util/liar/mod.rs"]
mod liar;
#[allow(dead_code)] // Here arbitrary draws the operations, not proptest.
#[path = "../../tests/differential/ops.rs"]
mod ops;
#[path = "../../tests/differential/run.rs"]
mod run;
#[path = "../../tests/differential/world.rs"]
mod world;

use std::sync::Arc;

use arbitrary::{Arbitrary, Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use rustix::net::Shutdown;
use selkie::{Interest, Mode};
use signal_hook::consts::SIGPIPE;

use channel::Plumber;
use ops::{Amount, Kind, Op, Order, Sequence, Successor};
use run::{Tally, run};

/// Operations of a sequence at most.
const LONGEST: usize = 120;

thread_local! {
    static PLUMBER: Plumber = Plumber::new().expect("there is loopback, and a processor to stay on");
}

#[derive(Debug)]
struct Input(Sequence);

impl<'b> Arbitrary<'b> for Input {
    fn arbitrary(bytes: &mut Unstructured<'b>) -> Result<Self> {
        let count = bytes.int_in_range(1..=3)?;
        let channels = (0..count).map(|_| kind(bytes)).collect::<Result<_>>()?;
        let mut ops = Vec::new();
        while !bytes.is_empty() && ops.len() < LONGEST {
            ops.push(op(bytes)?);
        }
        Ok(Self(Sequence { channels, ops }))
    }
}

fn kind(bytes: &mut Unstructured<'_>) -> Result<Kind> {
    bytes.choose(&[Kind::Unix, Kind::Tcp, Kind::Pipe]).copied()
}

fn mode(bytes: &mut Unstructured<'_>) -> Result<Mode> {
    bytes.choose(&[Mode::Level, Mode::Oneshot, Mode::Edge]).copied()
}

fn interest(bytes: &mut Unstructured<'_>) -> Result<Interest> {
    bytes.arbitrary().map(Interest::from_bits_truncate)
}

fn amount(bytes: &mut Unstructured<'_>) -> Result<Amount> {
    bytes.choose(&[Amount::Byte, Amount::Some, Amount::All]).copied()
}

fn successor(bytes: &mut Unstructured<'_>) -> Result<Successor> {
    match bytes.arbitrary()? {
        true => kind(bytes).map(Successor::New),
        false => bytes.arbitrary().map(Successor::DupOf),
    }
}

fn op(bytes: &mut Unstructured<'_>) -> Result<Op> {
    let pick = |bytes: &mut Unstructured<'_>| bytes.arbitrary::<u8>();
    Ok(match bytes.int_in_range(0..=17)? {
        0 => Op::Open(kind(bytes)?),
        1 | 2 => Op::Register(pick(bytes)?, interest(bytes)?, mode(bytes)?),
        3 => Op::Modify(pick(bytes)?, interest(bytes)?, None),
        4 => Op::Modify(pick(bytes)?, interest(bytes)?, Some(mode(bytes)?)),
        5 => Op::Unregister(pick(bytes)?),
        6 => Op::Write(pick(bytes)?, amount(bytes)?),
        7 => Op::Read(pick(bytes)?, amount(bytes)?),
        8 => {
            let how = *bytes.choose(&[Shutdown::Read, Shutdown::Write, Shutdown::Both])?;
            Op::ShutDown(pick(bytes)?, how)
        }
        9 => Op::SendOutOfBand(pick(bytes)?),
        10 => Op::TakeOutOfBand(pick(bytes)?),
        11 => Op::Close(pick(bytes)?),
        12 => Op::CloseTooEarly(pick(bytes)?),
        13 => Op::Dup(pick(bytes)?),
        14 => {
            let order = *bytes.choose(&[Order::UnregisterFirst, Order::TooEarly])?;
            Op::Reuse(pick(bytes)?, successor(bytes)?, order)
        }
        15 => Op::SelectOneByOne,
        _ => Op::Select,
    })
}

/// A write to a pipe that nobody reads is to fail, as it does where Rust's own `main` has begun.
fn survive_broken_pipes() {
    signal_hook::flag::register(SIGPIPE, Arc::default()).expect("a signal that can be caught");
}

fuzz_target!(init: survive_broken_pipes(), |input: Input| {
    let Input(sequence) = input;
    let ran = PLUMBER.with(|plumber| run(&sequence, plumber, &Tally::default()));
    if let Err(why) = ran {
        panic!("{why}\n{sequence}");
    }
});
