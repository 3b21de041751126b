//! The liar itself.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use selkie::selector::{Backend, ReadyList, Token, Until, Wrapped, Wrapper};
use selkie::{Interest, Mode, Readiness};

use super::chance::Chance;
use super::counts::{Counts, Lie, Rates};
use super::descriptor::Descriptor;

/// The longest wait while an event is held back, and the longest that ends early: short enough
/// that thousands of them take no time, long enough that the clock moves.
const SHORT: Duration = Duration::from_micros(300);

/// Waits that an event, or a notification, is held back at most.
const MOST_WAITS: u64 = 4;

/// Tokens that are gone, and events that were told, that are remembered to be told again.
const MEMORY: usize = 8;

/// What READ and WRITE must not be reported before; see the contract of [`Backend`].
const FIRST: Readiness = Readiness::all().difference(Readiness::READ.union(Readiness::WRITE));

/// Passes on what a back end finds, with lies.
pub struct Liar {
    rates: Rates,
    chance: Chance,
    counts: Arc<Counts>,
    /// Printed if the test fails: how to repeat it.
    label: String,
    live: BTreeMap<Token, Interest>,
    gone: VecDeque<Token>,
    told: VecDeque<(Token, Readiness)>,
    /// What the inner back end has found and nobody was told yet, the oldest first.
    held: Vec<Held>,
    held_notification: Option<u64>,
    descriptor: Option<Descriptor>,
}

struct Held {
    token: Token,
    readiness: Readiness,
    /// How many waits end without it.
    waits: u64,
}

impl Liar {
    /// Around `inner`; says `label` if the test that it is part of panics.
    pub fn around(
        inner: Box<dyn Backend + Send>,
        rates: Rates,
        chance: Chance,
        counts: Arc<Counts>,
        label: String,
    ) -> io::Result<Box<dyn Backend + Send>> {
        // Who keeps nothing back from wait to wait can do with the inner one's, and is not even
        // asked for it before somebody wants it: the kernel lets epoll sets nest four deep only.
        let descriptor = if rates.keep_back() { inner.descriptor() } else { None };
        let descriptor = descriptor.map(Descriptor::new).transpose()?;
        let wrapper = Self {
            rates,
            chance,
            counts,
            label,
            live: BTreeMap::new(),
            gone: VecDeque::from([Token::RESERVED, Token::from_bits(0)]),
            told: VecDeque::new(),
            held: Vec::new(),
            held_notification: None,
            descriptor,
        };
        Ok(Box::new(Wrapped { inner, wrapper }))
    }

    /// True, and counted, if it is time for this lie.
    fn tells(&mut self, lie: Lie) -> bool {
        let tells = self.chance.percent(self.rates.of(lie));
        self.counts.add(lie, tells.into());
        tells
    }

    fn is_holding(&self) -> bool {
        !self.held.is_empty() || self.held_notification.is_some()
    }

    fn refuse(&mut self) -> io::Result<()> {
        Err(if self.chance.coin() { Errno::NOMEM } else { Errno::NOSPC }.into())
    }

    /// A part of a wait that is over soon.
    fn part_of(&mut self, inner: &(impl Backend + ?Sized), until: Until) -> Until {
        let short = SHORT.mul_f64(self.chance.below(4) as f64 / 3.0);
        until.at_most(short, || inner.now())
    }

    /// How long to wait in truth: while something is held back, no wait may last.
    fn patience(&mut self, inner: &(impl Backend + ?Sized), until: Until) -> Until {
        if self.is_holding() || !until.is_now() && self.tells(Lie::EndEarly) {
            self.part_of(inner, until)
        } else {
            until
        }
    }

    /// Asks the inner back end, for no more than there will be room for, and keeps what it finds.
    fn ask(
        &mut self,
        inner: &mut (impl Backend + ?Sized),
        most: NonZeroUsize,
        until: Until,
    ) -> io::Result<()> {
        let due = self.held.iter().filter(|event| event.waits == 0).count();
        let Some(room) = NonZeroUsize::new(most.get().saturating_sub(due)) else { return Ok(()) };
        let mut found = ReadyList::new(room);
        inner.wait(&mut found, until)?;
        for (token, readiness) in found.iter() {
            let waits = self.delay(Lie::Hold);
            let known = self.held.iter_mut().find(|event| event.token == token);
            match known {
                // Two events become one.
                Some(event) if self.chance.coin() => event.readiness |= readiness,
                _ => self.held.push(Held { token, readiness, waits }),
            }
        }
        if found.is_notified() && self.held_notification.is_none() {
            self.held_notification = Some(self.delay(Lie::HoldNotification));
        }
        Ok(())
    }

    fn delay(&mut self, lie: Lie) -> u64 {
        if self.tells(lie) { 1 + self.chance.below(MOST_WAITS) } else { 0 }
    }

    /// What of the held events is due, at most `most`.
    fn due(&mut self, most: usize) -> Vec<(Token, Readiness)> {
        let mut due = Vec::new();
        for mut event in std::mem::take(&mut self.held) {
            if event.waits > 0 || due.len() == most {
                event.waits = event.waits.saturating_sub(1);
                self.held.push(event);
                continue;
            }
            let later = self.some_bits(event.readiness - FIRST);
            let has_parts = !later.is_empty() && later != event.readiness;
            if has_parts && self.tells(Lie::Split) {
                due.push((event.token, event.readiness - later));
                let waits = self.chance.below(MOST_WAITS);
                self.held.push(Held { readiness: later, waits, ..event });
            } else {
                due.push((event.token, event.readiness));
            }
        }
        due
    }

    fn some_bits(&mut self, of: Readiness) -> Readiness {
        of.iter().filter(|_| self.chance.coin()).collect()
    }

    /// Adds to a batch what nobody has found, as far as there is room.
    fn invent(&mut self, batch: &mut Vec<(Token, Readiness)>, most: usize) {
        if batch.len() < most && !self.told.is_empty() && self.tells(Lie::Again) {
            let which = self.chance.index(self.told.len());
            batch.push(self.told[which]);
        }
        if batch.len() < most && !self.live.is_empty() && self.tells(Lie::Spurious) {
            let which = self.chance.index(self.live.len());
            if let Some((&token, &interest)) = self.live.iter().nth(which) {
                batch.push((token, self.some_bits(interest.into())));
            }
        }
        if batch.len() < most && self.tells(Lie::Gone) {
            let which = self.chance.index(self.gone.len());
            batch.push((self.gone[which], Readiness::all()));
        }
    }

    /// Says the same in another way: a selector makes of it what it was.
    fn disguise(&mut self, batch: &mut Vec<(Token, Readiness)>, most: usize) {
        for (token, readiness) in batch.iter_mut() {
            if let Some(interest) = self.live.get(token).copied()
                && self.tells(Lie::Beyond)
            {
                *readiness |= self.some_bits(Readiness::from(Interest::all() - interest));
            }
        }
        for index in 0..batch.len() {
            let (token, readiness) = batch[index];
            let room = most - batch.len();
            let parts = readiness.iter().count();
            if (2..=room + 1).contains(&parts) && self.tells(Lie::Fragment) {
                let mut parts = readiness.iter().map(|bit| (token, bit));
                batch[index] = parts.next().expect("there are two");
                batch.extend(parts);
            } else if room > 0 && self.tells(Lie::Repeat) {
                batch.push((token, readiness));
            }
        }
        if batch.len() > 1 && self.tells(Lie::Reorder) {
            self.chance.shuffle(batch);
        }
    }

    fn tell(&mut self, ready: &mut ReadyList) {
        let most = ready.capacity().get();
        let mut batch = self.due(most);
        for event in &batch {
            self.told.push_back(*event);
        }
        self.told.drain(..self.told.len().saturating_sub(MEMORY));
        self.invent(&mut batch, most);
        self.disguise(&mut batch, most);
        batch.into_iter().for_each(|(token, readiness)| ready.push(token, readiness));
        self.held_notification = match self.held_notification {
            Some(0) => {
                ready.set_notified();
                None
            }
            waits => waits.map(|waits| waits - 1),
        };
    }

    fn wait_with_lies(
        &mut self,
        inner: &mut (impl Backend + ?Sized),
        ready: &mut ReadyList,
        until: Until,
    ) -> io::Result<()> {
        let most = ready.capacity();
        for (lie, error) in [(Lie::Fail, Errno::NOMEM), (Lie::Interrupt, Errno::INTR)] {
            if self.tells(lie) {
                if self.chance.coin() {
                    let part = self.part_of(inner, until);
                    self.ask(inner, most, part)?;
                }
                return Err(error.into());
            }
        }
        let patience = self.patience(inner, until);
        self.ask(inner, most, patience)?;
        self.tell(ready);
        Ok(())
    }
}

impl<B: Backend> Wrapper<B> for Liar {
    unsafe fn register(
        &mut self,
        inner: &mut B,
        token: Token,
        fd: BorrowedFd<'_>,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        if self.tells(Lie::RefuseRegister) {
            return self.refuse();
        }
        // SAFETY: it is the caller's promise, handed on.
        unsafe { inner.register(token, fd, interest, mode)? };
        self.live.insert(token, interest);
        Ok(())
    }

    unsafe fn modify(
        &mut self,
        inner: &mut B,
        token: Token,
        fd: BorrowedFd<'_>,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        if self.tells(Lie::RefuseModify) {
            return self.refuse();
        }
        // SAFETY: it is the caller's promise, handed on.
        unsafe { inner.modify(token, fd, interest, mode)? };
        self.live.insert(token, interest);
        Ok(())
    }

    fn unregister(&mut self, inner: &mut B, token: Token, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.live.remove(&token);
        self.gone.push_back(token);
        self.gone.drain(..self.gone.len().saturating_sub(MEMORY));
        inner.unregister(token, fd)
    }

    fn wait(&mut self, inner: &mut B, ready: &mut ReadyList, until: Until) -> io::Result<()> {
        let result = self.wait_with_lies(inner, ready, until);
        let is_holding = self.is_holding();
        if let Some(descriptor) = &mut self.descriptor {
            descriptor.set(is_holding)?;
        }
        result
    }

    fn descriptor<'b>(&'b self, inner: &'b B) -> Option<BorrowedFd<'b>> {
        self.descriptor.as_ref().map(Descriptor::as_fd).or_else(|| inner.descriptor())
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}; told {}", self.label, self.counts);
        }
    }
}
