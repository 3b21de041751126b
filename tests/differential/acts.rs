//! What a world does when it is told an operation, and what each operation must answer.

use std::io::ErrorKind;
use std::rc::Rc;

use proptest::prelude::*;
use selkie::{Interest, Mode};

use super::channel::{self, Moved, Plumber};
use super::ops::{Kind, Op, Order, Pick, Successor};
use super::world::{End, Handle, Number, Registration, Side, World};

/// Whether it is a mistake that the handle is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IfRegistered {
    Refused,
    Changed,
}

impl World {
    /// Does what is not a select. Returns how many bytes it moved, for those that move bytes.
    pub fn apply(&mut self, op: Op, plumber: &Plumber) -> Result<Option<Moved>, TestCaseError> {
        match op {
            Op::Open(kind) => self.open(kind, plumber)?,
            Op::Register(pick, interest, mode) => self.register(pick, interest, mode)?,
            Op::Modify(pick, interest, mode) => self.modify(pick, interest, mode)?,
            Op::Unregister(pick) => {
                self.pick(pick).map_or(Ok(()), |index| self.unregister(index))?
            }
            Op::Close(pick) => self.pick(pick).map_or(Ok(()), |index| self.close(index))?,
            Op::CloseTooEarly(pick) => self.close_too_early(pick)?,
            Op::Dup(pick) => self.dup(pick)?,
            Op::Reuse(pick, successor, order) => self.reuse(pick, successor, order, plumber)?,
            Op::Write(..) | Op::Read(..) | Op::ShutDown(..) => return Ok(self.transfer(op)),
            Op::SendOutOfBand(_) | Op::TakeOutOfBand(_) => return Ok(self.transfer(op)),
            Op::Select | Op::SelectOneByOne => unreachable!("told by `select`"),
        }
        Ok(None)
    }

    fn open(&mut self, kind: Kind, plumber: &Plumber) -> Result<(), TestCaseError> {
        if self.room_for(2) {
            let [near, far] = plumber.open(kind)?;
            let channel = self.new_channel();
            self.add(near, kind, End { channel, side: Side::Near });
            self.add(far, kind, End { channel, side: Side::Far });
        }
        Ok(())
    }

    fn new_channel(&mut self) -> usize {
        self.next_channel += 1;
        self.next_channel
    }

    fn dup(&mut self, pick: Pick) -> Result<(), TestCaseError> {
        if let Some(index) = self.pick(pick)
            && self.room_for(1)
        {
            let Handle { fd, kind, end, .. } = &self.handles[index];
            let (kind, end) = (*kind, *end);
            let fd = fd.try_clone()?;
            self.add(fd, kind, end);
        }
        Ok(())
    }

    fn register(
        &mut self,
        pick: Pick,
        interest: Interest,
        mode: Mode,
    ) -> Result<(), TestCaseError> {
        let Some(index) = self.pick(pick) else { return Ok(()) };
        let refused = self.refusal(index, interest, mode, IfRegistered::Refused);
        let handle = &mut self.handles[index];
        match self.selector.register_with_mode(Rc::clone(&handle.fd), interest, mode, handle.id) {
            Ok(key) => {
                prop_assert_eq!(refused, None, "registered handle {}", handle.id);
                handle.registration = Some(Registration::new(key, interest, mode));
            }
            Err(error) => {
                prop_assert_eq!(Some(error.kind()), refused, "handle {}: {}", handle.id, error);
                let (_, source, id) = error.into_parts();
                prop_assert!(Rc::ptr_eq(&source, &handle.fd) && id == handle.id);
            }
        }
        Ok(())
    }

    /// The error that this registration or modification is to meet.
    fn refusal(
        &self,
        index: usize,
        interest: Interest,
        mode: Mode,
        if_registered: IfRegistered,
    ) -> Option<ErrorKind> {
        let has_edges = match self.kind.name() {
            "epoll" => true,
            "polling" => !cfg!(polling_test_poll_backend),
            _ => false,
        };
        let is_registered = self.handles[index].registration.is_some();
        if is_registered && if_registered == IfRegistered::Refused {
            Some(ErrorKind::AlreadyExists)
        } else if interest.is_empty() {
            Some(ErrorKind::InvalidInput)
        } else {
            (mode == Mode::Edge && !has_edges).then_some(ErrorKind::Unsupported)
        }
    }

    fn modify(
        &mut self,
        pick: Pick,
        interest: Interest,
        mode: Option<Mode>,
    ) -> Result<(), TestCaseError> {
        let Some(index) = self.pick(pick) else { return Ok(()) };
        let Some(old) = self.handles[index].registration else { return self.check_stale() };
        let mode_after = mode.unwrap_or(old.mode);
        let refused = self.refusal(index, interest, mode_after, IfRegistered::Changed);
        let result = match mode {
            Some(mode) => self.selector.modify_with_mode(old.key, interest, mode),
            None => self.selector.modify(old.key, interest),
        };
        let handle = &mut self.handles[index];
        // What the system says to a number that another file has is the system's own.
        if handle.number == Number::InStep {
            let error = result.as_ref().err().map(std::io::Error::kind);
            prop_assert_eq!(error, refused, "modified handle {}", handle.id);
        }
        if result.is_ok() {
            handle.registration = Some(Registration::new(old.key, interest, mode_after));
        }
        Ok(())
    }

    fn unregister(&mut self, index: usize) -> Result<(), TestCaseError> {
        let handle = &mut self.handles[index];
        let Some(registration) = handle.registration.take() else { return self.check_stale() };
        let back = self.selector.unregister(registration.key)?;
        prop_assert!(Rc::ptr_eq(&back.source, &handle.fd), "another source came back");
        prop_assert_eq!(back.data, handle.id);
        prop_assert_eq!((back.interest, back.mode), (registration.interest, registration.mode));
        handle.number = Number::InStep;
        self.stale.push(registration.key);
        Ok(())
    }

    /// A key that was unregistered is refused everywhere.
    fn check_stale(&mut self) -> Result<(), TestCaseError> {
        for &key in self.stale.iter().rev().take(4) {
            prop_assert!(self.selector.get(key).is_none());
            let modified = self.selector.modify(key, Interest::READ).map_err(|e| e.kind());
            prop_assert_eq!(modified, Err(ErrorKind::NotFound));
            let unregistered = self.selector.unregister(key).map(drop).map_err(|e| e.kind());
            prop_assert_eq!(unregistered, Err(ErrorKind::NotFound));
        }
        Ok(())
    }

    fn close(&mut self, index: usize) -> Result<(), TestCaseError> {
        self.unregister(index)?;
        self.handles.remove(index);
        Ok(())
    }

    fn close_too_early(&mut self, pick: Pick) -> Result<(), TestCaseError> {
        let Some(index) = self.pick(pick) else { return Ok(()) };
        if self.handles[index].number == Number::Reused {
            self.unregister(index)?;
        }
        let handle = &mut self.handles[index];
        channel::close_too_early(&handle.fd)?;
        handle.number = Number::ClosedTooEarly;
        Ok(())
    }

    /// Unregisters what was closed too early: before any world does something that could take
    /// its number.
    pub fn give_up_closed(&mut self) -> Result<(), TestCaseError> {
        let closed = |handle: &Handle| handle.number == Number::ClosedTooEarly;
        if let Some(index) = self.handles.iter().position(closed) {
            self.unregister(index)?;
            let Handle { fd, .. } = self.handles.remove(index);
            // Only for `fd` to close it.
            channel::occupy(&fd, &self.spare)?;
        }
        Ok(())
    }

    fn reuse(
        &mut self,
        pick: Pick,
        successor: Successor,
        order: Order,
        plumber: &Plumber,
    ) -> Result<(), TestCaseError> {
        let Some(index) = self.pick(pick) else { return Ok(()) };
        if order == Order::UnregisterFirst {
            self.unregister(index)?;
        }
        let (file, kind, end) = match successor {
            Successor::DupOf(pick) => {
                let Handle { fd, kind, end, .. } =
                    &self.handles[usize::from(pick) % self.handles.len()];
                (fd.try_clone()?, *kind, *end)
            }
            Successor::New(kind) if self.room_for(1) => {
                let [near, far] = plumber.open(kind)?;
                let channel = self.new_channel();
                self.add(far, kind, End { channel, side: Side::Far });
                (near, kind, End { channel, side: Side::Near })
            }
            Successor::New(_) => return Ok(()),
        };
        let handle = &mut self.handles[index];
        channel::close_too_early(&handle.fd)?;
        channel::occupy(&handle.fd, &file)?;
        drop(file);
        if handle.registration.is_some() {
            handle.number = Number::Reused;
        }
        (handle.kind, handle.end) = (kind, end);
        Ok(())
    }

    fn transfer(&self, op: Op) -> Option<Moved> {
        let handle = |pick| self.pick(pick).map(|index| &self.handles[index]);
        Some(match op {
            Op::Write(pick, amount) => {
                let Handle { fd, kind, .. } = handle(pick)?;
                channel::write(fd, *kind, amount)
            }
            Op::Read(pick, amount) => channel::read(&handle(pick)?.fd, amount),
            Op::ShutDown(pick, how) => channel::shut_down(&handle(pick)?.fd, how),
            Op::SendOutOfBand(pick) => channel::send_out_of_band(&handle(pick)?.fd),
            Op::TakeOutOfBand(pick) => channel::take_out_of_band(&handle(pick)?.fd),
            _ => return None,
        })
    }
}
