//! Runs a program for a limited time, and tells its lines apart.
//!
//! Run it with `cargo run -p selkie-apps --bin child -- SECONDS PROGRAM [ARGUMENT...]`, as in `child 2
//! ping localhost`. Standard input goes to the program. Its lines come with the stream that they are
//! from. When the time is up it is asked to end by SIGTERM, and a second later killed.

use std::error::Error;
use std::io;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use futures::io::BufReader;
use futures::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, StreamExt};
use selkie::io::stdin;
use selkie::process::{Child, ChildStdin, Command};
use selkie::signal::SIGTERM;
use selkie::{TaskGroup, spawn, timeout};

/// For a program that was asked to end.
const GRACE: Duration = Duration::from_secs(1);

async fn tell(stream: &'static str, pipe: impl AsyncRead + Unpin) {
    let mut lines = BufReader::new(pipe).lines();
    while let Some(line) = lines.next().await {
        match line {
            Ok(line) => println!("{stream}: {line}"),
            Err(error) => return println!("{stream}: {error}"),
        }
    }
}

async fn feed(mut pipe: ChildStdin) -> io::Result<()> {
    futures::io::copy(stdin()?, &mut pipe).await?;
    pipe.close().await
}

async fn end(child: &mut Child, limit: Duration) -> io::Result<ExitStatus> {
    if let Ok(status) = timeout(limit, child.wait()).await {
        return status;
    }
    println!("it took longer than {limit:?}");
    child.send_signal(SIGTERM)?;
    if let Ok(status) = timeout(GRACE, child.wait()).await {
        return status;
    }
    println!("it does not end by itself");
    child.kill()?;
    child.wait().await
}

async fn run(limit: Duration, program: &str, arguments: &[String]) -> io::Result<()> {
    let mut command = Command::new(program);
    command.args(arguments).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let mut pipes = TaskGroup::new();
    child.stdout.take().into_iter().for_each(|pipe| pipes.spawn(tell("out", pipe)));
    child.stderr.take().into_iter().for_each(|pipe| pipes.spawn(tell("err", pipe)));
    // A program need not read all that there is: then the rest goes nowhere.
    let _feeds = child.stdin.take().map(|pipe| spawn(feed(pipe)));
    let status = end(&mut child, limit).await?;
    // A child of the child may hold the pipes open.
    pipes.shutdown(GRACE).await;
    println!("{status}");
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result: Result<(), Box<dyn Error>> = match &arguments[..] {
        [seconds, program, arguments @ ..] => {
            match seconds.parse().map(Duration::try_from_secs_f64) {
                Ok(Ok(limit)) => selkie::block_on(run(limit, program, arguments))
                    .map_err(|error| format!("{program}: {error}").into()),
                _ => Err(format!("{seconds:?} is no number of seconds").into()),
            }
        }
        _ => Err("seconds and a program are needed".into()),
    };
    selkie_apps::exit("child SECONDS PROGRAM [ARGUMENT...]", result)
}
