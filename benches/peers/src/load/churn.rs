//! Connections that come and go: each is made, echoes one message and is closed; then the next.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use slab::Slab;

use super::pattern::Pattern;
use super::{Load, Outcome, PATIENCE};

pub fn run(load: &Load, pattern: &Pattern) -> Result<Outcome> {
    let mut churn = Churn {
        load,
        pattern,
        epoll: epoll::create(CreateFlags::CLOEXEC)?,
        visits: Slab::new(),
        begun: 0,
        buffer: vec![0; load.bytes as usize + 1],
    };
    load.bursts(load.warm_up, |count| churn.turn(count, |_begun, _now| {}))?;
    load.measure(|latencies| {
        load.bursts(load.count, |count| {
            churn.turn(count, |begun, now| latencies.record(now - begun))
        })
    })
}

struct Churn<'a> {
    load: &'a Load,
    pattern: &'a Pattern,
    epoll: OwnedFd,
    visits: Slab<Visit>,
    /// Connections made so far: where the next one's bytes begin in the pattern.
    begun: u64,
    buffer: Vec<u8>,
}

struct Visit {
    stream: TcpStream,
    position: u64,
    received: usize,
    begun: Instant,
}

impl Churn<'_> {
    /// Makes `count` connections in all, and calls `done` for each with the times when it was
    /// begun and closed.
    fn turn(&mut self, count: u32, mut done: impl FnMut(Instant, Instant)) -> Result<()> {
        let start = Instant::now();
        let (mut left, mut missing) = (count, count);
        for _ in 0..self.load.connections.min(count) {
            self.begin()?;
            left -= 1;
        }
        let mut events = Vec::with_capacity(1024);
        while missing > 0 {
            ensure!(start.elapsed() < PATIENCE, "{missing} of {count} connections took too long");
            let timeout = Timespec::try_from(PATIENCE).context("patience")?;
            epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timeout))?;
            for event in events.drain(..) {
                let key = event.data.u64() as usize;
                if !self.receive(key)? {
                    continue;
                }
                let visit = self.visits.remove(key);
                drop(visit.stream);
                done(visit.begun, Instant::now());
                missing -= 1;
                if left > 0 {
                    left -= 1;
                    self.begin()?;
                }
            }
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<()> {
        let begun = Instant::now();
        let mut stream = self.load.connect()?;
        let position = self.begun * 7_919;
        self.begun += 1;
        // A new connection has room for a message.
        stream.write_all(self.pattern.at(position, self.load.bytes as usize))?;
        stream.set_nonblocking(true)?;
        let slot = self.visits.vacant_entry();
        epoll::add(
            &self.epoll,
            &stream,
            EventData::new_u64(slot.key() as u64),
            EventFlags::IN | EventFlags::ET,
        )?;
        slot.insert(Visit { stream, position, received: 0, begun });
        Ok(())
    }

    /// Takes in what has come back. True if the message is complete.
    fn receive(&mut self, key: usize) -> Result<bool> {
        let visit = &mut self.visits[key];
        let len = match visit.stream.read(&mut self.buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            result => result.context("the server broke a connection")?,
        };
        ensure!(len > 0, "the server closed a connection");
        let message = self.pattern.at(visit.position, self.load.bytes as usize);
        let rest = &message[visit.received..];
        ensure!(rest.starts_with(&self.buffer[..len]), "an echo differs from what was sent");
        visit.received += len;
        Ok(visit.received == message.len())
    }
}
