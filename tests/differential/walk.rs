//! A batch of events is walked while the loop body registers, modifies, unregisters and selects.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use proptest::prelude::*;
use selkie::selector::BackendKind;
use selkie::{Events, Interest, Key, Mode, Readiness, Selector};

use super::liar;

/// What a loop body does.
#[derive(Clone, Copy, Debug)]
pub enum Deed {
    Register(Source),
    /// Of one of the sources, registered or not: the number modulo how many there are.
    Unregister(u8),
    Modify(u8, Interest),
    /// Unregisters a source and registers it again: same descriptor, perhaps the same slot.
    RegisterAnew(u8),
    /// Selects into another buffer and walks that.
    SelectElsewhere,
}

/// How a source is registered. It is one end of a pair, so it is writable.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    interest: Interest,
    mode: Mode,
    has_bytes: bool,
}

#[derive(Clone, Debug)]
pub struct Plan {
    sources: Vec<Source>,
    /// What is done at the first event, the second, and so on.
    bodies: Vec<Vec<Deed>>,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sources.iter().try_for_each(|source| writeln!(f, "{source:?}"))?;
        let mut bodies = self.bodies.iter().enumerate();
        bodies.try_for_each(|(event, body)| writeln!(f, "event {event}: {body:?}"))
    }
}

pub fn plans() -> impl Strategy<Value = Plan> {
    let bodies = prop::collection::vec(prop::collection::vec(deeds(), 0..4), 1..12);
    let sources = prop::collection::vec(sources(), 1..10);
    (sources, bodies).prop_map(|(sources, bodies)| Plan { sources, bodies })
}

fn deeds() -> impl Strategy<Value = Deed> {
    let pick = || 0..16_u8;
    prop_oneof![
        2 => sources().prop_map(Deed::Register),
        6 => pick().prop_map(Deed::Unregister),
        2 => (pick(), interests()).prop_map(|(pick, interest)| Deed::Modify(pick, interest)),
        2 => pick().prop_map(Deed::RegisterAnew),
        1 => Just(Deed::SelectElsewhere),
    ]
}

fn sources() -> impl Strategy<Value = Source> {
    let mode = prop_oneof![3 => Just(Mode::Level), 1 => Just(Mode::Oneshot)];
    (interests(), mode, prop::bool::weighted(0.8)).prop_map(|(interest, mode, has_bytes)| Source {
        interest,
        mode,
        has_bytes,
    })
}

fn interests() -> impl Strategy<Value = Interest> {
    prop::sample::select(vec![Interest::READ, Interest::WRITE, Interest::all()])
}

/// The selector under test and what must be true of it.
struct Walk {
    kind: BackendKind,
    selector: Selector<UnixStream, usize>,
    /// The other ends by the number of the source, so that nobody hangs up.
    far: Vec<UnixStream>,
    registered: BTreeMap<Key, Registered>,
}

#[derive(Clone, Copy, Debug)]
struct Registered {
    number: usize,
    source: Source,
    armed: bool,
}

type Report = BTreeMap<Key, Readiness>;

pub fn run(plan: &Plan) -> Result<(), TestCaseError> {
    BackendKind::ALL.iter().try_for_each(|kind| {
        let mut walk = Walk {
            kind: *kind,
            selector: Selector::with_backend(liar::open_hidden(*kind)?),
            far: Vec::new(),
            registered: BTreeMap::new(),
        };
        plan.sources.iter().try_for_each(|source| walk.register(*source))?;
        walk.run(&plan.bodies)
    })
}

impl Walk {
    fn run(&mut self, bodies: &[Vec<Deed>]) -> Result<(), TestCaseError> {
        let kind = self.kind;
        let mut events = Events::new();
        let mut bodies = bodies.iter();
        let owed = self.take_owed();
        let mut delivered = Report::new();
        for (key, readiness) in self.selector.select(&mut events, Some(Duration::ZERO))? {
            let stayed = self.selector.get(key).map(|registered| registered.data);
            let number = self.registered.get(&key).map(|registered| registered.number);
            prop_assert!(number.is_some(), "{kind}: {key:?} was unregistered, yet delivered");
            prop_assert_eq!(stayed, number);
            let before = delivered.insert(key, readiness);
            prop_assert!(before.is_none(), "{kind}: {key:?} was delivered twice");
            for deed in bodies.next().into_iter().flatten() {
                self.act(*deed)?;
            }
        }
        for (key, readiness) in &delivered {
            prop_assert_eq!(owed.get(key), Some(readiness), "{}: {:?}", kind, key);
        }
        let stayed: Report =
            owed.into_iter().filter(|(key, _)| self.registered.contains_key(key)).collect();
        let lost = stayed.keys().find(|key| !delivered.contains_key(key));
        prop_assert!(lost.is_none(), "{kind}: {lost:?} stayed registered and was lost");
        prop_assert_eq!(events.iter().collect::<Report>(), stayed, "{}: walked again", kind);
        self.select_elsewhere()
    }

    fn act(&mut self, deed: Deed) -> Result<(), TestCaseError> {
        let pick = |pick: u8| {
            let turn = usize::from(pick).checked_rem(self.registered.len())?;
            self.registered.iter().nth(turn).map(|(key, registered)| (*key, *registered))
        };
        match deed {
            Deed::Register(source) => self.register(source)?,
            Deed::SelectElsewhere => self.select_elsewhere()?,
            Deed::Unregister(number) => {
                let Some((key, _)) = pick(number) else { return Ok(()) };
                self.unregister(key)?;
            }
            Deed::RegisterAnew(number) => {
                let Some((key, registered)) = pick(number) else { return Ok(()) };
                let stream = self.unregister(key)?;
                self.register_stream(stream, registered.number, registered.source)?;
            }
            Deed::Modify(number, interest) => {
                let Some((key, _)) = pick(number) else { return Ok(()) };
                self.selector.modify(key, interest)?;
                let registered = self.registered.get_mut(&key).expect("picked from it");
                registered.source.interest = interest;
                registered.armed = true;
            }
        }
        Ok(())
    }

    /// What the next select owes; oneshots are spent by it.
    fn take_owed(&mut self) -> Report {
        let mut report = Report::new();
        for (key, Registered { source, armed, .. }) in &mut self.registered {
            let read = if source.has_bytes { Readiness::READ } else { Readiness::empty() };
            let owed = (read | Readiness::WRITE).masked_by(source.interest);
            if *armed && !owed.is_empty() {
                report.insert(*key, owed);
                *armed = source.mode != Mode::Oneshot;
            }
        }
        report
    }

    fn select_elsewhere(&mut self) -> Result<(), TestCaseError> {
        let owed = self.take_owed();
        let mut elsewhere = Events::new();
        let found = self.selector.select(&mut elsewhere, Some(Duration::ZERO))?;
        prop_assert_eq!(found.collect::<Report>(), owed, "{}: selected elsewhere", self.kind);
        Ok(())
    }

    fn register(&mut self, source: Source) -> Result<(), TestCaseError> {
        let (near, mut far) = UnixStream::pair()?;
        if source.has_bytes {
            far.write_all(b"x")?;
        }
        let number = self.far.len();
        self.far.push(far);
        self.register_stream(near, number, source)
    }

    fn register_stream(
        &mut self,
        stream: UnixStream,
        number: usize,
        source: Source,
    ) -> Result<(), TestCaseError> {
        let Source { interest, mode, .. } = source;
        let key = self.selector.register_with_mode(stream, interest, mode, number)?;
        let before = self.registered.insert(key, Registered { number, source, armed: true });
        prop_assert!(before.is_none(), "{}: a key came back", self.kind);
        Ok(())
    }

    fn unregister(&mut self, key: Key) -> Result<UnixStream, TestCaseError> {
        let registered = self.registered.remove(&key).expect("picked from it");
        let (stream, number) = self.selector.unregister(key)?.into_parts();
        prop_assert_eq!(number, registered.number);
        Ok(stream)
    }
}
