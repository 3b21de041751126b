//! What may happen to a world of sources, and how proptest draws it.

use std::fmt;

use proptest::prelude::*;
use proptest::sample::select;
use rustix::net::Shutdown;
use selkie::{Interest, Mode};

/// Most operations of a sequence.
const LONGEST: usize = 80;

/// What a channel is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Unix,
    Tcp,
    /// The near end reads, the far end writes.
    Pipe,
}

#[derive(Clone, Copy, Debug)]
pub enum Amount {
    Byte,
    /// A hundred bytes.
    Some,
    /// Until it would block. (To write: one kilobyte over TCP, see the header of the test.)
    All,
}

/// One of the handles that are open at that moment: the number modulo how many there are.
pub type Pick = u8;

#[derive(Clone, Copy, Debug)]
pub enum Op {
    /// A new channel: two handles.
    Open(Kind),
    Register(Pick, Interest, Mode),
    Modify(Pick, Interest, Option<Mode>),
    Unregister(Pick),
    Write(Pick, Amount),
    Read(Pick, Amount),
    ShutDown(Pick, Shutdown),
    SendOutOfBand(Pick),
    TakeOutOfBand(Pick),
    /// Unregisters and closes: what the other end sees is its peer's close.
    Close(Pick),
    /// Closes the descriptor of a registration before it is unregistered.
    CloseTooEarly(Pick),
    /// Another handle of the same open file.
    Dup(Pick),
    /// Another file takes the descriptor number of a handle.
    Reuse(Pick, Successor, Order),
    Select,
    /// Selects with room for one event, until each has had its turn.
    SelectOneByOne,
}

/// What takes a descriptor number.
#[derive(Clone, Copy, Debug)]
pub enum Successor {
    /// The near end of a new channel.
    New(Kind),
    /// The open file of this handle.
    DupOf(Pick),
}

/// Whether a number is reused after its registration has ended, or behind the selector's back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    UnregisterFirst,
    TooEarly,
}

#[derive(Clone, Debug)]
pub struct Sequence {
    pub channels: Vec<Kind>,
    pub ops: Vec<Op>,
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let opened = self.channels.iter().copied().map(Op::Open);
        let mut steps = opened.chain(self.ops.iter().copied()).enumerate();
        steps.try_for_each(|(step, op)| writeln!(f, "{step:>3}. {op:?}"))
    }
}

pub fn sequences() -> impl Strategy<Value = Sequence> {
    let channels = prop::collection::vec(kinds(), 1..=3);
    let ops = prop::collection::vec(ops(), 1..=LONGEST);
    (channels, ops).prop_map(|(channels, ops)| Sequence { channels, ops })
}

fn ops() -> impl Strategy<Value = Op> {
    let pick = || 0..8_u8;
    let mode =
        || prop_oneof![6 => Just(Mode::Level), 3 => Just(Mode::Oneshot), 2 => Just(Mode::Edge)];
    let amount = || select(&[Amount::Byte, Amount::Some, Amount::All][..]);
    let how = select(&[Shutdown::Read, Shutdown::Write, Shutdown::Both][..]);
    let successor =
        prop_oneof![kinds().prop_map(Successor::New), pick().prop_map(Successor::DupOf)];
    let order = select(&[Order::UnregisterFirst, Order::TooEarly][..]);
    prop_oneof![
        24 => Just(Op::Select),
        2 => Just(Op::SelectOneByOne),
        2 => kinds().prop_map(Op::Open),
        24 => (pick(), interests(), mode()).prop_map(|(p, i, m)| Op::Register(p, i, m)),
        10 => (pick(), interests(), prop::option::of(mode())).prop_map(|(p, i, m)| Op::Modify(p, i, m)),
        4 => pick().prop_map(Op::Unregister),
        10 => (pick(), amount()).prop_map(|(p, a)| Op::Write(p, a)),
        8 => (pick(), amount()).prop_map(|(p, a)| Op::Read(p, a)),
        4 => (pick(), how).prop_map(|(p, how)| Op::ShutDown(p, how)),
        3 => pick().prop_map(Op::SendOutOfBand),
        2 => pick().prop_map(Op::TakeOutOfBand),
        3 => pick().prop_map(Op::Close),
        2 => pick().prop_map(Op::CloseTooEarly),
        3 => pick().prop_map(Op::Dup),
        4 => (pick(), successor, order).prop_map(|(p, s, o)| Op::Reuse(p, s, o)),
    ]
}

fn kinds() -> impl Strategy<Value = Kind> {
    select(&[Kind::Unix, Kind::Tcp, Kind::Pipe][..])
}

/// Any set of the three directions; seldom the empty one, which is refused. Numbered here, so that
/// a kept seed means the same whatever the bits of an interest are.
fn interests() -> impl Strategy<Value = Interest> {
    const DIRECTIONS: [Interest; 3] = [Interest::READ, Interest::WRITE, Interest::PRIORITY];
    prop_oneof![1 => Just(0_u8), 24 => 1..=7_u8].prop_map(|set| {
        DIRECTIONS
            .into_iter()
            .enumerate()
            .filter(|(i, _)| set >> i & 1 == 1)
            .map(|(_, d)| d)
            .collect()
    })
}
