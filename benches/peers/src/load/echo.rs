//! The closed loop: every connection has its messages under way, and begins another as soon as
//! one is back.

use std::os::fd::OwnedFd;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use super::connection::Connection;
use super::pattern::Pattern;
use super::{Load, Outcome, PATIENCE};

pub fn run(load: &Load, pattern: &Pattern) -> Result<Outcome> {
    let mut ring = Ring::open(load, pattern)?;
    load.bursts(load.warm_up, |count| ring.turn(count, |_begun, _now| {}))?;
    load.measure(|latencies| {
        load.bursts(load.count, |count| {
            ring.turn(count, |begun, now| latencies.record(now - begun))
        })
    })
}

struct Ring<'a> {
    load: &'a Load,
    pattern: &'a Pattern,
    epoll: OwnedFd,
    connections: Vec<Connection>,
    buffer: Box<[u8]>,
}

impl<'a> Ring<'a> {
    /// Makes the connections. Each is watched by edge, in both directions, once and for all.
    fn open(load: &'a Load, pattern: &'a Pattern) -> Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut connections = Vec::new();
        for index in 0..load.connections as usize {
            let stream = load.connect_and_greet(pattern)?;
            stream.set_nonblocking(true)?;
            let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
            epoll::add(&epoll, &stream, EventData::new_u64(index as u64), flags)?;
            connections.push(Connection::new(stream, index, load.bytes));
        }
        Ok(Self { load, pattern, epoll, connections, buffer: vec![0; 64 * 1024 - 64].into() })
    }

    /// Lets `count` messages go round, and calls `done` for each with the times when it was
    /// begun and back.
    fn turn(&mut self, count: u32, mut done: impl FnMut(Instant, Instant)) -> Result<()> {
        let start = Instant::now();
        let (mut left, mut missing) = (count, count);
        for connection in &mut self.connections {
            let messages = left.min(self.load.outstanding);
            connection.begin(messages, start, self.pattern)?;
            left -= messages;
        }
        let mut events = Vec::with_capacity(1024);
        while missing > 0 {
            ensure!(start.elapsed() < PATIENCE, "{missing} of {count} messages took too long");
            let timeout = Timespec::try_from(PATIENCE).context("patience")?;
            epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timeout))?;
            for event in events.drain(..) {
                let connection = &mut self.connections[event.data.u64() as usize];
                connection.send(self.pattern)?;
                let flags = event.flags;
                if !flags.contains(EventFlags::IN) {
                    continue;
                }
                let now = Instant::now();
                let back =
                    connection.receive(&mut self.buffer, self.pattern, |begun| done(begun, now))?;
                missing -= back;
                let messages = left.min(back);
                left -= messages;
                if messages > 0 {
                    connection.begin(messages, now, self.pattern)?;
                }
            }
        }
        Ok(())
    }
}
