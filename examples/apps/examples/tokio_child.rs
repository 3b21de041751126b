//! `child`, with tokio.

use std::error::Error;
use std::io;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader, copy, stdin};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

const GRACE: Duration = Duration::from_secs(1);

async fn tell(stream: &'static str, pipe: impl AsyncRead + Unpin) {
    let mut lines = BufReader::new(pipe).lines();
    loop {
        match lines.next_line().await {
            Ok(Some(line)) => println!("{stream}: {line}"),
            Ok(None) => return,
            Err(error) => return println!("{stream}: {error}"),
        }
    }
}

async fn feed(mut pipe: ChildStdin) -> io::Result<()> {
    copy(&mut stdin(), &mut pipe).await?;
    pipe.shutdown().await
}

async fn end(child: &mut Child, limit: Duration) -> io::Result<ExitStatus> {
    if let Ok(status) = timeout(limit, child.wait()).await {
        return status;
    }
    println!("it took longer than {limit:?}");
    // `None` if it has ended: then the number is another's, perhaps.
    if let Some(pid) = child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
        kill_process(pid, Signal::TERM)?;
    }
    if let Ok(status) = timeout(GRACE, child.wait()).await {
        return status;
    }
    println!("it does not end by itself");
    child.kill().await?;
    child.wait().await
}

async fn run(limit: Duration, program: &str, arguments: &[String]) -> io::Result<()> {
    let mut command = Command::new(program);
    command.args(arguments).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let pipes = TaskTracker::new();
    child.stdout.take().into_iter().for_each(|pipe| drop(pipes.spawn(tell("out", pipe))));
    child.stderr.take().into_iter().for_each(|pipe| drop(pipes.spawn(tell("err", pipe))));
    child.stdin.take().into_iter().for_each(|pipe| drop(tokio::spawn(feed(pipe))));
    let status = end(&mut child, limit).await?;
    pipes.close();
    let _ = timeout(GRACE, pipes.wait()).await;
    println!("{status}");
    Ok(())
}

fn block_on<T>(future: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(future);
    // A thread may wait for standard input, and the runtime for it.
    runtime.shutdown_background();
    result
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result: Result<(), Box<dyn Error>> = match &arguments[..] {
        [seconds, program, arguments @ ..] => {
            match seconds.parse().map(Duration::try_from_secs_f64) {
                Ok(Ok(limit)) => block_on(run(limit, program, arguments))
                    .map_err(|error| format!("{program}: {error}").into()),
                _ => Err(format!("{seconds:?} is no number of seconds").into()),
            }
        }
        _ => Err("seconds and a program are needed".into()),
    };
    selkie_apps::exit("child SECONDS PROGRAM [ARGUMENT...]", result)
}
