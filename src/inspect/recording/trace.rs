//! Layer 6: a recording in Chrome's JSON for traces, see
//! "Trace Event Format" (Google, 2016): what Perfetto and Chrome open.

use std::collections::HashMap;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use super::capture::Recording;
use super::entry::{Actor, Bits, Entry, What};
use super::whole::save;
use crate::task::TaskId;

impl Recording {
    /// Writes it as a trace that Perfetto (<https://ui.perfetto.dev>) and Chrome (`chrome://tracing`)
    /// open, in Chrome's JSON: a track for the loop with its waits and turns, one for each task with
    /// its polls, and arrows from who wakes a task to the poll that comes of it.
    ///
    /// # Errors
    /// As `out` has them.
    pub fn write_trace(&self, out: impl Write) -> io::Result<()> {
        write(self, out)
    }

    /// As [`write_trace`](Self::write_trace), to a file, which is there when it is complete.
    ///
    /// # Errors
    /// As the system's, for a new file beside it, and for its renaming.
    pub fn save_trace(&self, path: impl AsRef<Path>) -> io::Result<()> {
        save(path.as_ref(), |out| self.write_trace(out))
    }
}

/// The number of the loop's track; a task's is its own and this.
const LOOP: u64 = 1;

fn track(task: TaskId) -> u64 {
    LOOP + 1 + task.get()
}

/// The track of who does something; code outside polls has none of its own.
fn track_of(actor: Actor) -> u64 {
    match actor {
        Actor::Task(task) => track(task),
        Actor::Loop | Actor::Outside => LOOP,
    }
}

/// Where an arrow begins.
struct Arrow {
    track: u64,
    time: Duration,
    by: Actor,
}

struct Writer<'r, W> {
    recording: &'r Recording,
    out: W,
    is_first: bool,
    /// By the task at which each ends, with its next poll.
    arrows: HashMap<TaskId, Arrow>,
    arrow_count: u64,
}

fn write(recording: &Recording, out: impl Write) -> io::Result<()> {
    let arrows = HashMap::new();
    let mut writer = Writer { recording, out, is_first: true, arrows, arrow_count: 0 };
    write!(writer.out, "{{\"displayTimeUnit\":\"ns\",\"traceEvents\":[")?;
    writer.names()?;
    recording.entries().try_for_each(|entry| writer.entry(&entry))?;
    writeln!(writer.out, "\n]}}")
}

/// As a string of JSON.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            c if c < ' ' => quoted.push_str(&format!("\\u{:04x}", c as u32)),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// Microseconds, as the format has them.
fn micros(time: Duration) -> String {
    let nanos = time.as_nanos();
    format!("{}.{:03}", nanos / 1000, nanos % 1000)
}

impl<W: Write> Writer<'_, W> {
    /// Writes one event: its type and what more the type needs.
    fn event(&mut self, kind: char, track: u64, name: &str, more: impl Display) -> io::Result<()> {
        let comma = if std::mem::take(&mut self.is_first) { "" } else { "," };
        let name = quoted(name);
        write!(
            self.out,
            "{comma}\n{{\"ph\":\"{kind}\",\"pid\":1,\"tid\":{track},\"name\":{name}{more}}}"
        )
    }

    fn names(&mut self) -> io::Result<()> {
        let mut tracks = vec![(LOOP, "loop".to_owned())];
        for (id, who) in &self.recording.tasks {
            let name = who.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
            let name = match &*who.spawned_at {
                "" => name.trim_start().to_owned(),
                place => format!("{id}{name} ({place})"),
            };
            tracks.push((track(*id), name));
        }
        self.event('M', LOOP, "process_name", ",\"args\":{\"name\":\"selkie\"}")?;
        for (track, name) in tracks {
            let name = format!(",\"args\":{{\"name\":{}}}", quoted(&name));
            self.event('M', track, "thread_name", name)?;
            let order = format!(",\"args\":{{\"sort_index\":{track}}}");
            self.event('M', track, "thread_sort_index", order)?;
        }
        Ok(())
    }

    /// What took until `end`.
    fn slice(
        &mut self,
        track: u64,
        name: &str,
        (end, took): (Duration, Duration),
        args: impl Display,
    ) -> io::Result<()> {
        let begin = end.saturating_sub(took);
        let (begin_text, took) = (micros(begin), micros(end - begin));
        let more = format!(",\"ts\":{begin_text},\"dur\":{took},\"args\":{{{args}}}");
        self.event('X', track, name, more)
    }

    fn instant(&mut self, track: u64, name: &str, time: Duration, args: &str) -> io::Result<()> {
        let more = format!(",\"s\":\"t\",\"ts\":{},\"args\":{{{args}}}", micros(time));
        self.event('i', track, name, more)
    }

    fn entry(&mut self, &Entry { time, what }: &Entry) -> io::Result<()> {
        match what {
            What::Wait { took, events } => {
                self.slice(LOOP, "wait", (time, took), format_args!("\"events\":{events}"))
            }
            What::Turn { took, polls } => {
                self.slice(LOOP, "turn", (time, took), format_args!("\"polls\":{polls}"))
            }
            What::Event { fd, readiness } => {
                self.instant(LOOP, &format!("fd {fd}: {}", Bits(readiness)), time, "")
            }
            What::Timers { count, late } => {
                let args = format!("\"count\":{count},\"late_us\":{}", micros(late));
                self.instant(LOOP, "timers", time, &args)
            }
            What::Wake { task, by } => {
                self.arrows.insert(task, Arrow { track: track_of(by), time, by });
                Ok(())
            }
            What::Spawn { task, by } => {
                self.arrows.insert(task, Arrow { track: track_of(by), time, by });
                self.instant(track(task), "spawned", time, "")
            }
            What::Arrival { task } => self.instant(LOOP, &format!("arrival of {task}"), time, ""),
            What::End { task } => self.instant(track(task), "end", time, ""),
            What::Poll { task, took } => self.poll(task, (time, took)),
        }
    }

    fn poll(&mut self, task: TaskId, (end, took): (Duration, Duration)) -> io::Result<()> {
        // A task that wakes itself does so for the next poll.
        let arrow = self.arrows.remove(&task);
        let (own, arrow) = match arrow {
            Some(arrow) if arrow.by == Actor::Task(task) && arrow.time + took >= end => {
                (Some(arrow), None)
            }
            arrow => (None, arrow),
        };
        if let Some(own) = own {
            self.arrows.insert(task, own);
        }
        let name = self.recording.name(task).unwrap_or("poll").to_owned();
        self.slice(track(task), &name, (end, took), "")?;
        if let Some(arrow) = arrow {
            let id = self.arrow_count;
            self.arrow_count += 1;
            let at = |time| format!(",\"cat\":\"wake\",\"id\":{id},\"ts\":{}", micros(time));
            let (from, to) = (at(arrow.time), at(end.saturating_sub(took)));
            self.event('s', arrow.track, "wake", from)?;
            self.event('f', track(task), "wake", to + ",\"bp\":\"e\"")?;
        }
        Ok(())
    }
}
