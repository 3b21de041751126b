//! Layer 6: a recording in Chrome's JSON for traces, see
//! "Trace Event Format" (Google, 2016): what Perfetto and Chrome open.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::io::{self, Write};
use std::mem;
use std::path::Path;
use std::time::Duration;

use super::capture::Recording;
use super::entry::{Actor, Bits, Entry, What};
use super::whole::save;
use crate::task::TaskId;

impl Recording {
    /// Writes it as a trace that Perfetto (<https://ui.perfetto.dev>) and Chrome (`chrome://tracing`)
    /// open, in Chrome's JSON: a track for the loop with its waits and turns, one for each task with
    /// its polls, one for events and timers, one for other code and threads, and arrows from who wakes or spawns a task to the
    /// poll that comes of it.
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

/// The numbers of tracks; a task's is its own and the last of these.
const LOOP: u64 = 1;
const EVENTS: u64 = 2;
const OTHERS: u64 = 3;
const TASKS: u64 = 4;

fn track(task: TaskId) -> u64 {
    TASKS + task.get()
}

/// The track of who does something.
fn track_of(actor: Actor) -> u64 {
    match actor {
        Actor::Task(task) => track(task),
        Actor::Loop => LOOP,
        Actor::Outside => OTHERS,
    }
}

fn is_from_outside(what: What) -> bool {
    match what {
        What::Wake { by, .. } | What::Spawn { by, .. } => by == Actor::Outside,
        What::Arrival { .. } => true,
        _ => false,
    }
}

fn owned((track, name): (u64, &str)) -> (u64, String) {
    (track, name.to_owned())
}

/// The shortest time. What other code does takes one that nobody knows, and an arrow needs a slice to
/// begin in.
const MOMENT: Duration = Duration::from_nanos(1);

/// Where an arrow begins.
#[derive(Clone, Copy)]
struct Arrow {
    name: &'static str,
    time: Duration,
    by: Actor,
}

/// Where it ends: in the poll that begins then.
type End = (TaskId, Duration);

struct Writer<'r, W> {
    recording: &'r Recording,
    out: W,
    is_first: bool,
    /// By the task at which each ends, with its next poll.
    arrows: BTreeMap<TaskId, Arrow>,
    /// From the task whose poll is under way to itself: to its next poll.
    own: Option<Arrow>,
    arrow_count: u64,
    /// When tasks ended whose last poll is not over.
    ended: BTreeMap<TaskId, Duration>,
    /// Arrows from the loop, in the turn that is not over. They leave at its very beginning: of two
    /// events of one time, Perfetto takes the first one first, and that has to be the turn.
    in_turn: Vec<(Arrow, End)>,
    /// Of the wait that is told next.
    events: Vec<(String, String)>,
    /// When other code has last done something.
    others_at: Option<Duration>,
}

fn write(recording: &Recording, out: impl Write) -> io::Result<()> {
    let mut writer = Writer {
        recording,
        out,
        is_first: true,
        arrows: BTreeMap::new(),
        own: None,
        arrow_count: 0,
        ended: BTreeMap::new(),
        in_turn: Vec::new(),
        events: Vec::new(),
        others_at: None,
    };
    let entries: Vec<_> = recording.entries().collect();
    write!(writer.out, "{{\"displayTimeUnit\":\"ns\",\"traceEvents\":[")?;
    writer.names(&entries)?;
    entries.iter().try_for_each(|entry| writer.entry(entry))?;
    writer.rest()?;
    writeln!(writer.out, "\n]}}")
}

/// Whose track an entry is on.
fn task_of(what: What) -> Option<TaskId> {
    match what {
        What::Poll { task, .. }
        | What::Wake { task, .. }
        | What::Spawn { task, .. }
        | What::Arrival { task }
        | What::End { task } => Some(task),
        _ => None,
    }
}

/// As a string of JSON.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            // The last one is allowed by JSON, and refused by Perfetto.
            c if c < ' ' || c == '\x7f' => quoted.push_str(&format!("\\u{:04x}", c as u32)),
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
        let comma = if mem::take(&mut self.is_first) { "" } else { "," };
        let name = quoted(name);
        write!(
            self.out,
            "{comma}\n{{\"ph\":\"{kind}\",\"pid\":1,\"tid\":{track},\"name\":{name}{more}}}"
        )
    }

    /// What a track is called.
    fn name(&self, id: TaskId) -> String {
        let Some(who) = self.recording.tasks.get(&id) else {
            return if id == TaskId::ROOT { format!("{id} block_on") } else { id.to_string() };
        };
        let name = who.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
        match &*who.spawned_at {
            "" => name.trim_start().to_owned(),
            place => format!("{id}{name} ({place})"),
        }
    }

    /// Names the tracks that something is on: others are not shown.
    fn names(&mut self, entries: &[Entry]) -> io::Result<()> {
        let mut tracks = [(LOOP, "loop"), (EVENTS, "events")].map(owned).to_vec();
        if entries.iter().any(|entry| is_from_outside(entry.what)) {
            tracks.push(owned((OTHERS, "other code")));
        }
        let tasks: BTreeSet<_> = entries.iter().filter_map(|entry| task_of(entry.what)).collect();
        tracks.extend(tasks.into_iter().map(|id| (track(id), self.name(id))));
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
                // Chrome's viewer takes both ends of a slice as within it; the arrows are the turn's.
                let (end, took) = (time.saturating_sub(MOMENT), took.saturating_sub(MOMENT));
                self.slice(LOOP, "wait", (end, took), format_args!("\"events\":{events}"))?;
                self.events_of_wait(time)
            }
            What::Turn { took, polls } => {
                self.slice(LOOP, "turn", (time, took), format_args!("\"polls\":{polls}"))?;
                self.arrows_of_turn()
            }
            What::Event { fd, readiness } => {
                self.events.push((format!("fd {fd}"), Bits(readiness).to_string()));
                Ok(())
            }
            What::Timers { count, late } => {
                let args = format!("\"count\":{count},\"late_us\":{}", micros(late));
                self.instant(EVENTS, "timers", time, &args)
            }
            What::Wake { task, by } => self.woken(task, Arrow { name: "wake", time, by }),
            What::Spawn { task, by } => self.woken(task, Arrow { name: "spawn", time, by }),
            What::Arrival { task } => {
                // Of a new one, its spawning has been told.
                let is_new = self.arrows.get(&task).is_some_and(|arrow| arrow.name == "spawn");
                let name = if is_new { "spawn" } else { "wake" };
                self.woken(task, Arrow { name, time, by: Actor::Outside })
            }
            What::End { task } => {
                self.ended.insert(task, time);
                Ok(())
            }
            What::Poll { task, took } => self.poll(task, (time, took)),
        }
    }

    /// One instant for all events of a wait: a viewer would put many of one time below each other.
    fn events_of_wait(&mut self, time: Duration) -> io::Result<()> {
        let events = mem::take(&mut self.events);
        let name = match &events[..] {
            [] => return Ok(()),
            [(fd, readiness)] => format!("{fd}: {readiness}"),
            several => format!("{} events", several.len()),
        };
        let args: Vec<_> = events.iter().map(|(fd, bits)| format!("\"{fd}\":\"{bits}\"")).collect();
        self.instant(EVENTS, &name, time, &args.join(","))
    }

    fn woken(&mut self, task: TaskId, arrow: Arrow) -> io::Result<()> {
        if arrow.by == Actor::Task(task) {
            self.own = Some(arrow);
            return Ok(());
        }
        self.arrows.insert(task, arrow);
        if arrow.by == Actor::Outside && self.others_at != Some(arrow.time) {
            self.others_at = Some(arrow.time);
            self.slice(OTHERS, "other code", (arrow.time + MOMENT, MOMENT), "")?;
        }
        Ok(())
    }

    /// Writes both ends of an arrow, after the slices that they are in.
    fn arrow(&mut self, arrow: Arrow, (task, end): End) -> io::Result<()> {
        let id = self.arrow_count;
        self.arrow_count += 1;
        let at = |time| format!(",\"cat\":\"wake\",\"id\":{id},\"ts\":{}", micros(time));
        self.event('s', track_of(arrow.by), arrow.name, at(arrow.time))?;
        self.event('f', track(task), arrow.name, at(end) + ",\"bp\":\"e\"")
    }

    fn arrows_of_turn(&mut self) -> io::Result<()> {
        mem::take(&mut self.in_turn).into_iter().try_for_each(|(arrow, end)| self.arrow(arrow, end))
    }

    /// What is left at the end.
    fn rest(&mut self) -> io::Result<()> {
        self.arrows_of_turn()?;
        for (task, time) in mem::take(&mut self.ended) {
            self.instant(track(task), "end", time, "")?;
        }
        // No arrow goes to who was not polled any more.
        for (task, arrow) in mem::take(&mut self.arrows) {
            self.instant(track(task), arrow.name, arrow.time, "")?;
        }
        Ok(())
    }

    fn poll(&mut self, task: TaskId, (end, took): (Duration, Duration)) -> io::Result<()> {
        let arrow = self.arrows.remove(&task);
        if let Some(own) = self.own.take() {
            self.arrows.insert(task, own);
        }
        let name = self.recording.name(task).unwrap_or("poll").to_owned();
        self.slice(track(task), &name, (end, took), "")?;
        // In a slice that begins then, it would be taken for where the arrow ends.
        if self.ended.remove(&task).is_some() {
            self.instant(track(task), "end", end, "")?;
        }
        let begin = (task, end.saturating_sub(took));
        match arrow {
            Some(arrow) if arrow.by == Actor::Loop => self.in_turn.push((arrow, begin)),
            Some(arrow) => self.arrow(arrow, begin)?,
            None => {}
        }
        Ok(())
    }
}
