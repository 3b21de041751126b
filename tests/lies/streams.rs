//! Byte streams that are checked: who sends, who echoes, and who reads it back.

use std::cell::RefCell;
use std::io::{self, IoSliceMut, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::rc::Rc;
use std::time::Duration;

use futures::io::{AsyncReadExt, AsyncWriteExt};
use selkie::{Async, sleep, yield_now};

use crate::giving_up::{Fickle, perhaps};
use crate::seeds::{count, is_invented};

/// The byte at a place of the stream that a number names.
pub fn byte(name: u64, place: u64) -> u8 {
    (name.wrapping_add(place).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}

type Shared = Rc<RefCell<Fickle>>;

/// A socket that can be had twice, as a registration that fails takes one with it.
pub trait Io: AsFd + 'static {
    fn duplicate(&self) -> io::Result<Self>
    where
        Self: Sized;
}

macro_rules! duplicable {
    ($($io:ty),*) => {
        $(impl Io for $io {
            fn duplicate(&self) -> io::Result<Self> {
                self.try_clone()
            }
        })*
    };
}

duplicable!(TcpListener, TcpStream, UnixStream, UnixDatagram);

/// Makes `io` async, however often that is refused.
pub async fn register<T: Io>(fickle: &Shared, io: T) -> Rc<Async<T>> {
    loop {
        match Async::new(io.duplicate().unwrap()) {
            Ok(stream) => return Rc::new(stream),
            Err(error) => meet(fickle, error.into()),
        }
        yield_now().await;
    }
}

/// Goes on after an error that a liar has invented, and after no other.
pub fn meet(fickle: &Shared, error: io::Error) {
    assert!(is_invented(&error), "{error}");
    count(&fickle.borrow().tally.refusals_met, 1);
}

/// Rests now and then, so that the other side gets ahead.
pub async fn dawdle(fickle: &Shared) {
    let [rest, micros] = [40, 300].map(|most| fickle.borrow_mut().chance.below(most));
    match rest {
        0 => sleep(Duration::from_micros(micros)).await,
        1..4 => yield_now().await,
        _ => {}
    }
}

/// Sends the first `total` bytes of a stream, and says that these are all.
pub async fn send<T: Io>(stream: Rc<Async<T>>, fickle: Shared, name: u64, total: u64)
where
    for<'a> &'a T: Read + Write,
{
    let mut sent = 0;
    let most = fickle.borrow_mut().chance.below(20_000) + 1;
    while sent < total {
        let len = fickle.borrow_mut().chance.below(most.min(total - sent)) + 1;
        let bytes: Vec<u8> = (sent..sent + len).map(|place| byte(name, place)).collect();
        sent += write_some(&stream, &fickle, &bytes).await as u64;
        dawdle(&fickle).await;
    }
    close(&stream, &fickle).await;
}

/// Reads a stream to its end, and insists that it is what was sent.
pub async fn check<T: Io>(stream: Rc<Async<T>>, fickle: Shared, name: u64, total: u64)
where
    for<'a> &'a T: Read + Write,
{
    let (mut place, mut buf) = (0, vec![0; 16 * 1024]);
    let most = fickle.borrow_mut().chance.index(buf.len()) + 1;
    loop {
        let len = read_some(&stream, &fickle, &mut buf[..most]).await;
        if len == 0 {
            break;
        }
        for byte_read in &buf[..len] {
            assert_eq!(*byte_read, byte(name, place), "byte {place} of {total} is another one");
            place += 1;
        }
        dawdle(&fickle).await;
    }
    assert_eq!(place, total, "the stream ended at another place");
    count(&fickle.borrow().tally.bytes, total);
}

/// Sends everything back, to the end.
pub async fn echo<T: Io>(stream: Rc<Async<T>>, fickle: Shared)
where
    for<'a> &'a T: Read + Write,
{
    let mut buf = vec![0; 16 * 1024];
    let most = fickle.borrow_mut().chance.index(buf.len()) + 1;
    loop {
        let len = read_some(&stream, &fickle, &mut buf[..most]).await;
        if len == 0 {
            break;
        }
        let mut written = 0;
        while written < len {
            written += write_some(&stream, &fickle, &buf[written..len]).await;
        }
        dawdle(&fickle).await;
    }
    close(&stream, &fickle).await;
}

/// One read in one of the ways there are, as often as it takes.
async fn read_some<T: Io>(stream: &Async<T>, fickle: &Shared, buf: &mut [u8]) -> usize
where
    for<'a> &'a T: Read + Write,
{
    loop {
        let way = fickle.borrow_mut().chance.below(6);
        let mut reader = stream;
        let read = match way {
            0 => perhaps(fickle, stream.read_with(|mut io| io.read(buf))).await,
            1 => {
                let (head, tail) = buf.split_at_mut(buf.len() / 2);
                let mut bufs = [IoSliceMut::new(head), IoSliceMut::new(tail)];
                perhaps(fickle, reader.read_vectored(&mut bufs)).await
            }
            2 => match perhaps(fickle, stream.readable()).await {
                Some(Ok(())) => continue,
                readable => readable.map(|readable| readable.map(|()| 0)),
            },
            _ => perhaps(fickle, reader.read(buf)).await,
        };
        match read {
            Some(Ok(len)) => return len,
            Some(Err(error)) => meet(fickle, error),
            None => {}
        }
        yield_now().await;
    }
}

/// One write in one of the ways there are, as often as it takes.
async fn write_some<T: Io>(stream: &Async<T>, fickle: &Shared, bytes: &[u8]) -> usize
where
    for<'a> &'a T: Read + Write,
{
    loop {
        let way = fickle.borrow_mut().chance.below(6);
        let mut writer = stream;
        let written = match way {
            0 => perhaps(fickle, stream.write_with(|mut io| io.write(bytes))).await,
            1 => match perhaps(fickle, stream.writable()).await {
                Some(Ok(())) => continue,
                writable => writable.map(|writable| writable.map(|()| 0)),
            },
            _ => perhaps(fickle, writer.write(bytes)).await,
        };
        match written {
            Some(Ok(len)) => return len,
            Some(Err(error)) => meet(fickle, error),
            None => {}
        }
        yield_now().await;
    }
}

async fn close<T: Io>(stream: &Async<T>, fickle: &Shared)
where
    for<'a> &'a T: Read + Write,
{
    let mut stream = stream;
    while let Err(error) = stream.close().await {
        meet(fickle, error);
    }
}
