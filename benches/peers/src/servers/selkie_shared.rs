//! selkie's tasks with one read buffer for all of them, as a loop has: since they are on one
//! thread, and none keeps it across an await, they can share it without a lock.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Poll, ready};

use anyhow::Result;
use futures_lite::{AsyncRead, AsyncWrite, AsyncWriteExt};
use selkie::Async;

type Buffer = RefCell<Vec<u8>>;

pub fn serve() -> Result<()> {
    let buffer = Rc::new(Buffer::new(vec![0; super::BUFFER]));
    selkie::block_on(async {
        let listener = Async::<TcpListener>::bind(super::ADDRESS)?;
        super::announce(listener.get_ref().local_addr()?)?;
        loop {
            let (stream, _peer) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let buffer = Rc::clone(&buffer);
            selkie::spawn(async move { echo(stream, &buffer).await }).detach();
        }
    })
}

async fn echo(mut stream: Async<TcpStream>, buffer: &Buffer) -> io::Result<()> {
    while let Some(unsent) = echo_once(&stream, buffer).await? {
        stream.write_all(&unsent).await?;
    }
    Ok(())
}

/// Reads once and sends what it can of it at once; returns the rest, or `None` at the end.
async fn echo_once(mut stream: &Async<TcpStream>, buffer: &Buffer) -> io::Result<Option<Vec<u8>>> {
    poll_fn(|cx| {
        let buffer = &mut *buffer.borrow_mut();
        let len = ready!(Pin::new(&mut stream).poll_read(cx, buffer))?;
        if len == 0 {
            return Poll::Ready(Ok(None));
        }
        let sent = match Pin::new(&mut stream).poll_write(cx, &buffer[..len])? {
            Poll::Ready(sent) => sent,
            Poll::Pending => 0,
        };
        Poll::Ready(Ok(Some(buffer[sent..len].to_vec())))
    })
    .await
}
