//! Layer 6: answers questions about a runtime on a Unix socket.
//! Limits: few clients at a time, each for some seconds; a question is a line.

use std::fs;
use std::future::{Future, poll_fn};
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use futures_io::{AsyncRead, AsyncWrite};
use rustix::fs::{Mode, fchmod};
use socket2::{Domain, SockAddr, Socket, Type};

use super::gather::tasks;
use super::metrics::metrics;
use crate::io::Async;
use crate::net::is_exhaustion;
use crate::time::timeout;

/// How long a client may take to ask and to read the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many clients are answered at once. One that says nothing, or does not read, has one of these
/// places until its time is over.
const CLIENTS: usize = 4;

/// Longer than any question.
const QUESTION: usize = 64;

/// Listens on a path for [`serve`], with mode 0600: only this user, and root, may ask.
///
/// A socket that is there, and at which nobody listens any more, is replaced. The new one stays
/// there when the listener is gone.
///
/// # Errors
/// As `bind(2)`, of kind `AddrInUse` if somebody listens there, or there is another file.
///
/// # Panics
/// As [`Async::new`].
#[track_caller]
pub fn listen(path: impl AsRef<Path>) -> io::Result<Async<UnixListener>> {
    let path = path.as_ref();
    let listener = match bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_left_behind(path) => {
            fs::remove_file(path)?;
            bind(path)?
        }
        bound => bound?,
    };
    Ok(Async::new(listener)?)
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    let owner_only = Mode::RUSR | Mode::WUSR;
    // On Linux, the file that `bind` makes has this mode from the beginning.
    let is_set = cfg!(target_os = "linux") && fchmod(&socket, owner_only).is_ok();
    socket.bind(&SockAddr::unix(path)?)?;
    if !is_set {
        rustix::fs::chmod(path, owner_only)?;
    }
    socket.listen(8)?;
    Ok(socket.into())
}

/// True if it is a socket of a listener that is gone.
fn is_left_behind(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let connect = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        // Else it waits for one that listens and does not accept.
        socket.set_nonblocking(true)?;
        socket.connect(&SockAddr::unix(path)?)
    };
    let is_refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    is_socket && connect().is_err_and(is_refused)
}

/// Answers whoever connects, until there is an error or this is dropped: spawn it as a task.
///
/// A client sends a line, is answered, and the connection is closed: `tasks` is answered by the
/// [table of tasks](super::Tasks), without this one, `metrics` by the [numbers](super::Metrics), and,
/// with the feature `record`, `trace` by the recording as a trace and `recording` by the same in its
/// own format. Anything else is answered by a line that begins with `error: `. Four clients are
/// served at once; one that takes longer than five seconds is given up.
///
/// The program `selkie-ps` in the repository's `examples/apps` asks. So does `nc`:
/// `echo tasks | nc -U PATH`.
///
/// ```
/// # let folder = std::env::temp_dir().join(format!("selkie-serve-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("inspect");
/// selkie::block_on(async {
///     let listener = selkie::inspect::listen(&path)?;
///     selkie::spawn_named("inspect", selkie::inspect::serve(listener)).detach();
///     // … the program itself …
///     # Ok::<(), std::io::Error>(())
/// })?;
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// An answer is made in the loop, which it keeps waiting: a table of a thousand tasks for some
/// milliseconds, a trace of 65536 records for some tens.
///
/// # Errors
/// As `accept(2)`; not for want of descriptors, which it waits for, nor for what a client does.
///
/// # Cancel safety
/// May be dropped at any time; a client that is being answered is cut off.
pub async fn serve(listener: Async<UnixListener>) -> io::Result<()> {
    let mut incoming = listener.incoming();
    let mut talks: Vec<Pin<Box<dyn Future<Output = ()>>>> = Vec::new();
    poll_fn(|cx| {
        loop {
            talks.retain_mut(|talk| talk.as_mut().poll(cx).is_pending());
            if talks.len() == CLIENTS {
                return Poll::Pending;
            }
            match ready!(Pin::new(&mut incoming).poll_next(cx)) {
                Some(Ok((client, _))) => talks.push(Box::pin(talk_for_a_while(client))),
                Some(Err(error)) if passes(&error) => {}
                Some(Err(error)) => return Poll::Ready(Err(error)),
                None => return Poll::Ready(Ok(())),
            }
        }
    })
    .await
}

async fn talk_for_a_while(mut client: Async<UnixStream>) {
    // Whatever goes wrong is the client's own affair.
    let _ = timeout(PATIENCE, talk(&mut client)).await;
}

/// True if the next `accept` may do better: `incoming` pauses before that, where it has to.
fn passes(error: &io::Error) -> bool {
    is_exhaustion(error) || error.kind() == io::ErrorKind::ConnectionAborted
}

async fn talk(client: &mut Async<UnixStream>) -> io::Result<()> {
    let question = read_line(client).await?;
    let answer = answer(question.trim())?;
    let mut rest = &answer[..];
    while !rest.is_empty() {
        let count = poll_fn(|cx| Pin::new(&mut *client).poll_write(cx, rest)).await?;
        rest = &rest[count..];
    }
    poll_fn(|cx| Pin::new(&mut *client).poll_close(cx)).await?;
    // A socket that is closed with something to read takes the answer from its peer.
    let mut rest = [0; 1024];
    while poll_fn(|cx| Pin::new(&mut *client).poll_read(cx, &mut rest)).await? > 0 {}
    Ok(())
}

/// What comes until a new line, the end, or as much as a question may have.
async fn read_line(client: &mut Async<UnixStream>) -> io::Result<String> {
    let (mut buffer, mut len) = ([0; QUESTION], 0);
    while len < QUESTION && !buffer[..len].contains(&b'\n') {
        let free = &mut buffer[len..];
        match poll_fn(|cx| Pin::new(&mut *client).poll_read(cx, free)).await? {
            0 => break,
            count => len += count,
        }
    }
    Ok(String::from_utf8_lossy(&buffer[..len]).into_owned())
}

fn answer(question: &str) -> io::Result<Vec<u8>> {
    Ok(match question {
        "tasks" => tasks().without_running().to_string().into_bytes(),
        "metrics" => metrics().to_string().into_bytes(),
        "trace" | "recording" => recorded(question)?,
        _ => {
            let known = "ask for tasks, metrics, trace or recording";
            format!("error: {question:?} is not known here; {known}\n").into_bytes()
        }
    })
}

#[cfg(feature = "record")]
fn recorded(question: &str) -> io::Result<Vec<u8>> {
    let (recording, mut answer) = (super::recording(), Vec::new());
    if question == "trace" {
        recording.write_trace(&mut answer)?;
    } else {
        recording.write_to(&mut answer)?;
    }
    Ok(answer)
}

#[cfg(not(feature = "record"))]
fn recorded(_question: &str) -> io::Result<Vec<u8>> {
    let said = "error: nothing is recorded: build the program with selkie's feature `record`\n";
    Ok(said.into())
}
