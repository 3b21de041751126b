//! A back end that lies, in every way that the contract of [`Backend`] allows, and no other. Lies
//! come from one number, the seed, and no clock, and each is counted.
//!
//! # What it does, and why it may
//! "Spuriously, twice, too much, too early, tokens that are gone; it must not lose anything":
//! - [`Lie::EndEarly`]: a wait may return too early, with nothing.
//! - [`Lie::Repeat`], [`Lie::Again`]: an event twice, in one batch or in a later one.
//! - [`Lie::Spurious`]: READ, WRITE and PRIORITY that nobody has. Never the closed bits or ERROR:
//!   these must be true.
//! - [`Lie::Beyond`]: directions that the interest does not name, which the selector masks.
//! - [`Lie::Gone`]: tokens that are gone, the reserved one, and one that never was. The events of
//!   a registration that went while they were held back come out as such, too.
//! - [`Lie::Hold`], [`Lie::HoldNotification`]: events may be delayed if waits return promptly until
//!   then, here within a millisecond, and the descriptor is readable. They come after a few waits.
//! - [`Lie::Split`], [`Lie::Fragment`]: an event in parts, READ and WRITE not before the others, as
//!   a reader who knows of no end of stream takes a short read for the last one.
//! - [`Lie::Reorder`]: a batch has no order. Two events of a token may become one.
//! - [`Lie::Interrupt`], [`Lie::Fail`]: nothing is pushed on an error and nothing lost: what was found
//!   before the signal came, a notification too, is told by a later wait.
//! - [`Lie::RefuseRegister`], [`Lie::RefuseModify`]: nothing is registered, or all is as it was.
//!
//! It never invents a notification, and never lets a wait outlast its timeout.
//!
//! # The whole suite under lies
//! `SELKIE_LIES=1 cargo test` (any number) has the back ends of `tests/runtime`, `tests/async_io`,
//! `tests/differential` and the boxed ones of `tests/conformance` lie: without errors, as these are
//! for tests that expect them. Those lies that a selector hides altogether are told to everybody,
//! exact assertions or not. The others are left out where a test says so, with its reason:
//! [`only_hidden_lies`]. A test that fails prints the line that repeats it.

#![allow(dead_code)] // No test binary needs all of it.

pub mod backend;
pub mod chance;
pub mod counts;
mod descriptor;

use std::cell::Cell;
use std::env;
use std::io;
use std::sync::Arc;
use std::thread;

use selkie::selector::{Backend, BackendKind};
use selkie::{Builder, Runtime};

pub use backend::Liar;
pub use chance::Chance;
#[allow(unused_imports)] // Not every test binary names them.
pub use counts::{Counts, Lie, Rates};

/// The environment variable with the seed of the suite's lies.
const VARIABLE: &str = "SELKIE_LIES";

thread_local! {
    static LICENCE: Cell<Licence> = const { Cell::new(Licence::Full) };
    /// How many liars this thread has made: each has a seed of its own.
    static MADE: Cell<u64> = const { Cell::new(0) };
}

/// How far back ends that a thread opens may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Licence {
    None,
    Hidden,
    Full,
}

/// Restores the licence to lie when it is dropped.
#[must_use]
pub struct Restricted(Licence);

/// Until the guard is dropped, back ends that this thread opens tell only those lies that a
/// selector hides: for a test that counts events, turns or wakes, or insists on silence.
pub fn only_hidden_lies(_reason: &'static str) -> Restricted {
    restrict(Licence::Hidden)
}

/// Until the guard is dropped, back ends that this thread opens tell the truth: for a test that
/// counts waits, or meddles with them itself.
pub fn no_lies(_reason: &'static str) -> Restricted {
    restrict(Licence::None)
}

fn restrict(licence: Licence) -> Restricted {
    Restricted(LICENCE.replace(licence.min(LICENCE.get())))
}

impl Drop for Restricted {
    fn drop(&mut self) {
        LICENCE.set(self.0);
    }
}

/// The seed of the suite's lies, if it is to be lied to.
fn seed() -> Option<u64> {
    let value = env::var(VARIABLE).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{VARIABLE} is a number, not {value:?}")))
}

/// A back end of this kind, which lies if `SELKIE_LIES` says so.
pub fn open(kind: BackendKind) -> io::Result<Box<dyn Backend + Send>> {
    open_with(kind, LICENCE.get())
}

/// As [`open`], with lies that the selector hides.
pub fn open_hidden(kind: BackendKind) -> io::Result<Box<dyn Backend + Send>> {
    open_with(kind, LICENCE.get().min(Licence::Hidden))
}

fn open_with(kind: BackendKind, licence: Licence) -> io::Result<Box<dyn Backend + Send>> {
    let inner = kind.open()?;
    let Some(seed) = seed() else { return Ok(inner) };
    let rates = match licence {
        Licence::None => return Ok(inner),
        Licence::Hidden => Rates::HIDDEN,
        Licence::Full => Rates::HONOURABLE,
    };
    let thread = thread::current();
    let name = thread.name().unwrap_or_default();
    let made = MADE.replace(MADE.get() + 1);
    // FNV-1a: the same test gets the same lies, whatever runs beside it.
    let stir = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let bytes = name.bytes().chain(seed.to_le_bytes()).chain(made.to_le_bytes());
    let mut chance = Chance::new(bytes.fold(0xcbf2_9ce4_8422_2325, stir));
    let rates = rates.some(&mut chance);
    let label = format!("{VARIABLE}={seed} SELKIE_BACKEND={kind} cargo test {name}");
    Liar::around(inner, rates, chance, Arc::default(), label)
}

/// A runtime as `builder` says, on the back end that `SELKIE_BACKEND` names.
pub fn build(builder: Builder) -> io::Result<Runtime> {
    build_on(builder, BackendKind::from_env()?)
}

/// As [`build`], on this one.
pub fn build_on(builder: Builder, kind: BackendKind) -> io::Result<Runtime> {
    builder.build_with(open(kind)?)
}
