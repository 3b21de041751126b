//! What is each task of a program waiting for? Asks a program that has `selkie::inspect::serve`.
//!
//! Run it with `cargo run -p selkie-apps --bin selkie-ps -- PATH`, where PATH is the program's socket.
//! It prints the table of tasks, or what a word after PATH asks for: `metrics`, `trace` (for Perfetto),
//! `recording`. With `--watch` it prints again every second until Ctrl-C, in place if the output is a
//! terminal, or as often as `--watch=0.2` says.

use std::io::{self, IsTerminal, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use futures::future::{Either, select};
use futures::{AsyncReadExt, AsyncWriteExt};
use rustix::termios::tcgetwinsize;
use selkie::{Async, interval, signal, timeout};

/// The program's loop may be blocked: that is worth knowing.
const PATIENCE: Duration = Duration::from_secs(5);

/// The other screen of a terminal, without a cursor, on which long lines are cut.
const BEGIN: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const END: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

struct Wanted {
    path: PathBuf,
    question: String,
    period: Option<Duration>,
}

fn wanted(arguments: impl Iterator<Item = String>) -> io::Result<Wanted> {
    let bad = |text: String| io::Error::new(io::ErrorKind::InvalidInput, text);
    let (mut words, mut period) = (Vec::new(), None);
    for argument in arguments {
        match argument.strip_prefix("--watch") {
            Some("") => period = Some(Duration::from_secs(1)),
            Some(seconds) => {
                let seconds = seconds.trim_start_matches('=').parse().ok();
                let seconds = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
                period = Some(seconds.filter(|period| !period.is_zero()).ok_or_else(|| {
                    bad(format!("{argument:?} names no time; give seconds, as --watch=0.5"))
                })?);
            }
            None => words.push(argument),
        }
    }
    let mut words = words.into_iter();
    let path = words.next().ok_or_else(|| bad("no socket is named".to_owned()))?.into();
    Ok(Wanted { path, question: words.next().unwrap_or_else(|| "tasks".to_owned()), period })
}

async fn ask(path: &Path, question: &str) -> io::Result<Vec<u8>> {
    let talk = async {
        let mut stream = Async::<UnixStream>::connect(path).await?;
        stream.write_all(format!("{question}\n").as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok(answer)
    };
    let answer = timeout(PATIENCE, talk).await.unwrap_or_else(|_elapsed| {
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no answer within {PATIENCE:?}: a task blocks the loop, or nobody takes turns"),
        ))
    })?;
    if answer.is_empty() {
        let text = "the program has hung up without an answer; ask again";
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
    }
    match answer.strip_prefix(b"error: ") {
        Some(error) => Err(io::Error::other(String::from_utf8_lossy(error).trim().to_owned())),
        None => Ok(answer),
    }
}

/// The text without what a terminal would obey: another program has written it.
fn plain(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}")
}

/// How many lines the terminal has.
fn rows() -> usize {
    let rows = tcgetwinsize(io::stdout()).map_or(0, |size| size.ws_row.into());
    if rows == 0 { 24 } else { rows }
}

/// What draws a text over the one before it: the first lines, which are the most interesting ones, and
/// how many there are beside them.
fn frame(text: &str, rows: usize) -> String {
    let mut frame = String::from("\x1b[H");
    let (mut lines, count): (Vec<_>, _) = (text.lines().collect(), text.lines().count());
    let left = format!("… and {} lines", (count + 1).saturating_sub(rows));
    if count > rows {
        lines.truncate(rows - 1);
        lines.push(&left);
    }
    // What is left of the lines that were there is erased.
    frame.push_str(&lines.join("\x1b[K\n"));
    frame + "\x1b[J"
}

/// Prints again and again; an error is printed, too: the program may be back soon.
async fn watch(wanted: &Wanted, period: Duration) -> io::Result<()> {
    let is_terminal = io::stdout().is_terminal();
    let mut ticks = interval(period);
    loop {
        ticks.tick().await;
        let text = match ask(&wanted.path, &wanted.question).await {
            Ok(answer) if is_terminal => plain(&answer),
            Ok(answer) => String::from_utf8_lossy(&answer).into_owned(),
            Err(error) => format!("{}: {error}\n", wanted.path.display()),
        };
        let text = if is_terminal { frame(&text, rows()) } else { text + "\n" };
        io::stdout().write_all(text.as_bytes())?;
        io::stdout().flush()?;
    }
}

/// The terminal as it was, in any case.
struct Screen(bool);

impl Screen {
    fn begin() -> Self {
        let is_terminal = io::stdout().is_terminal();
        if is_terminal {
            print!("{BEGIN}");
        }
        Self(is_terminal)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.0 {
            print!("{END}");
            let _ = io::stdout().flush();
        }
    }
}

async fn run(wanted: Wanted) -> io::Result<()> {
    let Some(period) = wanted.period else {
        let answer = ask(&wanted.path, &wanted.question).await?;
        let is_terminal = io::stdout().is_terminal();
        let answer = if is_terminal { plain(&answer).into_bytes() } else { answer };
        return io::stdout().write_all(&answer);
    };
    let (stop, _screen) = (signal::ctrl_c(), Screen::begin());
    match select(pin!(watch(&wanted, period)), stop).await {
        Either::Left((failed, _stop)) => failed,
        Either::Right((stopped, _watch)) => stopped,
    }
}

fn main() -> ExitCode {
    let result = wanted(std::env::args().skip(1));
    let result = result.and_then(|wanted| selkie::block_on(run(wanted)));
    selkie_apps::exit("selkie-ps [--watch[=SECONDS]] PATH [tasks|metrics|trace|recording]", result)
}
