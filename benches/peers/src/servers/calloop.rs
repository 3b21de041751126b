//! calloop: a callback for the listener, and an event source of our own for a connection, whose
//! interest follows what is unsent.

use std::cell::RefCell;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Result, anyhow};
use calloop::generic::{Generic, NoIoDrop};
use calloop::{
    EventLoop, EventSource, Interest, LoopHandle, Mode, Poll, PostAction, Readiness, Token,
    TokenFactory,
};

use super::echo::{Echo, Next};

struct State {
    handle: LoopHandle<'static, State>,
    buffer: [u8; super::BUFFER],
}

pub fn serve() -> Result<()> {
    let mut event_loop = EventLoop::<State>::try_new()?;
    let handle = event_loop.handle();
    let listener = TcpListener::bind(super::ADDRESS)?;
    listener.set_nonblocking(true)?;
    super::announce(listener.local_addr()?)?;
    let source = Generic::new(listener, Interest::READ, Mode::Level);
    handle
        .insert_source(source, |_readiness, listener, state| {
            accept(listener, state)?;
            Ok(PostAction::Continue)
        })
        .map_err(|failed| anyhow!("{}", failed.error))?;
    let mut state = State { handle, buffer: [0; super::BUFFER] };
    Ok(event_loop.run(None, &mut state, |_state| {})?)
}

fn accept(listener: &TcpListener, state: &mut State) -> io::Result<()> {
    let (stream, _peer) = listener.accept()?;
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    let connection = Connection { stream, echo: RefCell::default() };
    let source = Echoing(Generic::new(connection, Interest::READ, Mode::Level));
    let step = |_readiness, connection: &mut NoIoDrop<Connection>, state: &mut State| {
        connection.echo.borrow_mut().step(&connection.stream, &mut state.buffer)
    };
    match state.handle.insert_source(source, step) {
        Ok(_token) => Ok(()),
        Err(failed) => Err(io::Error::other(failed.error.to_string())),
    }
}

struct Connection {
    stream: TcpStream,
    echo: RefCell<Echo>,
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// A connection whose callback says what to wait for.
struct Echoing(Generic<Connection>);

impl EventSource for Echoing {
    type Event = Readiness;
    type Metadata = NoIoDrop<Connection>;
    type Ret = Next;
    type Error = io::Error;

    fn process_events<C>(
        &mut self,
        readiness: Readiness,
        token: Token,
        mut callback: C,
    ) -> io::Result<PostAction>
    where
        C: FnMut(Readiness, &mut NoIoDrop<Connection>) -> Next,
    {
        let mut next = Next::Read;
        self.0.process_events(readiness, token, |readiness, connection| {
            next = callback(readiness, connection);
            Ok(PostAction::Continue)
        })?;
        let interest = match next {
            Next::Read => Interest::READ,
            Next::Write => Interest::WRITE,
            Next::Closed => return Ok(PostAction::Remove),
        };
        let unchanged = (interest.readable, interest.writable)
            == (self.0.interest.readable, self.0.interest.writable);
        self.0.interest = interest;
        Ok(if unchanged { PostAction::Continue } else { PostAction::Reregister })
    }

    fn register(&mut self, poll: &mut Poll, tokens: &mut TokenFactory) -> calloop::Result<()> {
        self.0.register(poll, tokens)
    }

    fn reregister(&mut self, poll: &mut Poll, tokens: &mut TokenFactory) -> calloop::Result<()> {
        self.0.reregister(poll, tokens)
    }

    fn unregister(&mut self, poll: &mut Poll) -> calloop::Result<()> {
        self.0.unregister(poll)
    }
}
