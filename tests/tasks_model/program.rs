//! What may happen to two runtimes and their tasks, drawn from bytes.

use std::fmt;

use arbitrary::{Arbitrary, Result, Unstructured};

/// Scripts of a program, and steps of a script, at most.
const MOST: u8 = 7;

/// Operations of a program at most, but for those that tasks do.
const LONGEST: usize = 150;

/// One of those that are there at that moment: the number modulo how many there are.
pub type Pick = u8;

#[derive(Debug)]
pub struct Program {
    /// Of the runtimes that are there at the beginning.
    pub settings: [Settings; 2],
    /// What tasks do; they may do it several times over.
    pub scripts: Vec<Script>,
    pub ops: Vec<Op>,
}

#[derive(Debug)]
pub struct Script {
    pub steps: Vec<Step>,
    pub end: End,
    /// Done by the future's destructor.
    pub last_words: Option<Op>,
}

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Value,
    Panic,
    /// The future's destructor panics.
    PanicInDrop,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Step {
    Yield,
    /// For an [`Op::Wake`].
    Wait,
    /// For a thread that is started here.
    WaitForThread,
    /// Until a timer fires that is due.
    Sleep,
    Await(Pick),
    AwaitCancelled(Pick),
    Do(Op),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Op {
    /// Opens the runtime, if there is none on that side just now.
    Open(Side, Settings),
    /// Drops the runtime, unless it is running.
    Close(Side),
    /// Spawns a task that does this script.
    Spawn(Road, Pick),
    Turn(Side),
    /// Takes turns until there is nothing left to do.
    Settle(Side),
    /// Runs a script to its end or, if that takes long, for a while.
    BlockOn(Side, Pick),
    Notify(Side, Place),
    Wake(Pick, Place),
    DropWaker(Pick),
    PollTask(Pick),
    DropTask(Pick, Place),
    CancelTask(Pick),
    DetachTask(Pick),
}

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Settings {
    /// Whether an unobserved panic stops the turn.
    pub resumes: bool,
    /// Polls in a turn: one of a few.
    pub polls: u8,
    pub backend: Pick,
}

/// How a task gets to its runtime.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Road {
    Runtime(Side),
    /// The current runtime, if there is one.
    Current,
    Remote(Side, Place),
}

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Here,
    /// On another thread, before this one goes on.
    Elsewhere,
    /// On another thread, while this one goes on.
    Meanwhile,
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}", self.settings)?;
        for (number, script) in self.scripts.iter().enumerate() {
            writeln!(f, "script {number}: {script:?}")?;
        }
        self.ops.iter().enumerate().try_for_each(|(step, op)| writeln!(f, "{step:>3}. {op:?}"))
    }
}

impl Program {
    /// Reads as many operations as there are bytes for.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut bytes = Unstructured::new(bytes);
        let settings = bytes.arbitrary().expect("goes on with zeros");
        let count = bytes.int_in_range(1..=MOST).unwrap_or(1);
        let scripts = (0..count).map(|_| bytes.arbitrary().expect("goes on with zeros")).collect();
        let mut ops = Vec::new();
        while !bytes.is_empty() && ops.len() < LONGEST {
            ops.push(bytes.arbitrary().expect("goes on with zeros"));
        }
        Self { settings, scripts, ops }
    }
}

impl<'b> Arbitrary<'b> for Script {
    fn arbitrary(bytes: &mut Unstructured<'b>) -> Result<Self> {
        let count = bytes.int_in_range(0..=MOST)?;
        let steps = (0..count).map(|_| bytes.arbitrary()).collect::<Result<_>>()?;
        Ok(Self { steps, end: bytes.arbitrary()?, last_words: bytes.arbitrary()? })
    }
}
