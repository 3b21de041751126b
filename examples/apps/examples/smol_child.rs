//! `child`, with smol.

use std::error::Error;
use std::io;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use smol::future::{FutureExt, zip};
use smol::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader, copy};
use smol::process::{Child, ChildStdin, Command, Stdio};
use smol::stream::StreamExt;
use smol::{Timer, Unblock};

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
    copy(Unblock::new(io::stdin()), &mut pipe).await?;
    pipe.close().await
}

async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    let too_late = async {
        Timer::after(limit).await;
        None
    };
    async { Some(future.await) }.or(too_late).await
}

async fn end(child: &mut Child, limit: Duration) -> io::Result<ExitStatus> {
    if let Some(status) = within(limit, child.status()).await {
        return status;
    }
    println!("it took longer than {limit:?}");
    // The number could be another's by now, if it had ended and been waited for.
    if let Some(pid) = Pid::from_raw(child.id().cast_signed())
        && child.try_status()?.is_none()
    {
        kill_process(pid, Signal::TERM)?;
    }
    if let Some(status) = within(GRACE, child.status()).await {
        return status;
    }
    println!("it does not end by itself");
    child.kill()?;
    child.status().await
}

async fn run(limit: Duration, program: &str, arguments: &[String]) -> io::Result<()> {
    let mut command = Command::new(program);
    command.args(arguments).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let executor = smol::LocalExecutor::new();
    let output = child.stdout.take().map(|pipe| executor.spawn(tell("out", pipe)));
    let errors = child.stderr.take().map(|pipe| executor.spawn(tell("err", pipe)));
    let _feeds = child.stdin.take().map(|pipe| executor.spawn(feed(pipe)));
    executor
        .run(async {
            let status = end(&mut child, limit).await?;
            if let (Some(output), Some(errors)) = (output, errors) {
                within(GRACE, zip(output, errors)).await;
            }
            println!("{status}");
            Ok(())
        })
        .await
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result: Result<(), Box<dyn Error>> = match &arguments[..] {
        [seconds, program, arguments @ ..] => {
            match seconds.parse().map(Duration::try_from_secs_f64) {
                Ok(Ok(limit)) => smol::block_on(run(limit, program, arguments))
                    .map_err(|error| format!("{program}: {error}").into()),
                _ => Err(format!("{seconds:?} is no number of seconds").into()),
            }
        }
        _ => Err("seconds and a program are needed".into()),
    };
    selkie_apps::exit("child SECONDS PROGRAM [ARGUMENT...]", result)
}
