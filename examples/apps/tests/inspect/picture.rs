//! A recording, drawn: a track for the loop and for each task, and arrows for wakes.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use selkie::inspect::{Actor, Recording, What};
use selkie::task::TaskId;

const WIDTH: f64 = 720.0;
/// What the names take on the left, and what is left free on the right.
const LEFT: f64 = 120.0;
const RIGHT: f64 = 44.0;
const ROW: f64 = 34.0;
const TOP: f64 = 16.0;

/// Polls that are longer say how long.
const LONG: Duration = Duration::from_millis(50);

struct Drawing {
    svg: String,
    end: Duration,
    /// The row of each task; the loop's is the first one.
    rows: BTreeMap<TaskId, usize>,
}

impl Drawing {
    fn x(&self, time: Duration) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * time.as_secs_f64() / self.end.as_secs_f64()
    }

    fn row(&self, by: Actor) -> usize {
        match by {
            Actor::Task(task) => self.rows.get(&task).copied().unwrap_or(0),
            _ => 0,
        }
    }

    fn slice(&mut self, row: usize, (end, took): (Duration, Duration), color: &str) {
        let (x, y) = (self.x(end - took), TOP + ROW * row as f64 + 8.0);
        let width = (self.x(end) - x).max(1.5);
        let _ = writeln!(
            self.svg,
            r#"<rect x="{x:.1}" y="{y}" width="{width:.1}" height="18" fill="{color}"/>"#
        );
    }

    fn text(&mut self, (x, y): (f64, f64), more: &str, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        let _ = writeln!(self.svg, r#"<text x="{x:.1}" y="{y:.1}"{more}>{text}</text>"#);
    }

    fn arrow(&mut self, from: usize, to: usize, time: Duration) {
        let x = self.x(time);
        let middle = |row: usize| TOP + ROW * row as f64 + 17.0;
        let down = if to > from { 1.0 } else { -1.0 };
        let (y, end) = (middle(from) + 9.0 * down, middle(to) - 9.0 * down);
        let tip = end - 5.0 * down;
        let _ = writeln!(
            self.svg,
            r##"<path d="M{x:.1} {y}V{end}M{:.1} {tip}L{x:.1} {end}L{:.1} {tip}" fill="none" stroke="#b04a4a"/>"##,
            x - 2.5,
            x + 2.5,
        );
    }
}

/// The picture of a recording, whose tasks are few.
pub fn draw(recording: &Recording) -> String {
    let entries: Vec<_> = recording.entries().collect();
    let end = entries.last().expect("something was recorded").time;
    let mut tasks: Vec<_> = entries
        .iter()
        .filter_map(|entry| match entry.what {
            What::Poll { task, .. } => Some(task),
            _ => None,
        })
        .filter(|task| recording.name(*task).is_some_and(|name| name != "Remote::tasks"))
        .collect();
    tasks.sort_unstable();
    tasks.dedup();
    let rows: BTreeMap<_, _> =
        tasks.iter().enumerate().map(|(row, task)| (*task, row + 1)).collect();
    let height = TOP + ROW * (rows.len() + 1) as f64 + 34.0;
    let svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">
<rect width="{WIDTH}" height="{height}" rx="8" fill="#ffffff"/>
"##
    );
    let mut drawing = Drawing { svg, end, rows };
    for entry in &entries {
        match entry.what {
            What::Wait { took, .. } => drawing.slice(0, (entry.time, took), "#dde3ea"),
            What::Turn { took, .. } => drawing.slice(0, (entry.time, took), "#3f6e9c"),
            What::Poll { task, took } => {
                let Some(row) = drawing.rows.get(&task).copied() else { continue };
                drawing.slice(row, (entry.time, took), "#5b9a68");
                if took >= LONG {
                    let middle = drawing.x(entry.time - took / 2);
                    let at = (middle, TOP + ROW * row as f64 + 22.0);
                    let text = format!("{} ms", took.as_millis());
                    drawing.text(at, r##" text-anchor="middle" fill="#ffffff""##, &text);
                }
            }
            What::Wake { task, by } => {
                let (from, to) = (drawing.row(by), drawing.row(Actor::Task(task)));
                if from != to && drawing.rows.contains_key(&task) {
                    drawing.arrow(from, to, entry.time);
                }
            }
            _ => {}
        }
    }
    names_and_scale(&mut drawing, recording);
    drawing.svg + "</svg>\n"
}

fn names_and_scale(drawing: &mut Drawing, recording: &Recording) {
    drawing.text((16.0, TOP + 22.0), "", "loop");
    for (task, row) in drawing.rows.clone() {
        let name = format!("{task} {}", recording.name(task).unwrap_or_default());
        drawing.text((16.0, TOP + ROW * row as f64 + 22.0), "", &name);
    }
    let bottom = TOP + ROW * (drawing.rows.len() + 1) as f64 + 20.0;
    for millis in (0..=drawing.end.as_millis() as u64).step_by(100) {
        let x = drawing.x(Duration::from_millis(millis));
        let more = r##" text-anchor="middle" fill="#666666""##;
        drawing.text((x, bottom), more, &format!("{millis} ms"));
    }
}

/// The picture as an address, for a page that has no files beside it.
pub fn uri(svg: &str) -> String {
    let mut uri = String::from("data:image/svg+xml,");
    for c in svg.trim_end().chars() {
        match c {
            ' ' | '\n' => uri.push_str("%20"),
            '"' => uri.push_str("%22"),
            '#' => uri.push_str("%23"),
            '%' => uri.push_str("%25"),
            '<' => uri.push_str("%3C"),
            '>' => uri.push_str("%3E"),
            c => uri.push(c),
        }
    }
    uri
}

/// Insists that it is a picture: another program reads it.
#[track_caller]
pub fn check(svg: &str) {
    let program = "import sys, xml.dom.minidom as dom; dom.parseString(sys.argv[1])";
    let mut python = Command::new("python3");
    let status = python.args(["-c", program, svg]).stderr(Stdio::inherit()).status();
    assert!(status.unwrap().success(), "{svg}");
}
