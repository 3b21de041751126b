//! Layer 6: how many connections of a listener are open at once.
//! Invariant: a place is taken before accept(2) and given back after close(2), so that the limit
//! holds for descriptors, too. No waker is called, cloned or dropped under the lock.

use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::mem;
use std::net::{self, TcpListener, TcpStream};
use std::ops::Deref;
use std::os::unix::net::{self as unix, UnixListener, UnixStream};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use super::incoming::Incoming;
use super::unix as unix_sockets;
use crate::io::Async;
use crate::panics::FirstPanic;
use crate::reactor::Direction;
use crate::sys::{AsFd, BorrowedFd};

/// A listener that accepts no more than so many connections at once; from
/// [`limit`](Async::limit).
///
/// While as many are open, [`accept`](Self::accept) waits. Further peers wait in the system's queue
/// meanwhile, up to the [`backlog`](super::Listen::backlog): they are connected, and nobody answers.
pub struct LimitedListener<L> {
    listener: Async<L>,
    places: Arc<Places>,
}

/// A socket that counts towards its listener's limit until it is dropped.
///
/// So an `Async<Limited<TcpStream>>` counts until its last clone is dropped. It can go to another
/// thread, too, and counts there.
pub struct Limited<T> {
    // Before the place: closed first.
    socket: T,
    _place: Place,
}

/// Listeners that [`LimitedListener`] knows: those of TCP and of Unix sockets.
pub trait Accept: AsFd + 'static + sealed::Sealed {
    /// What it accepts.
    type Stream: AsFd + 'static;
    /// Whose it is.
    type Address;

    /// One accept(2), of a socket that does not block.
    #[doc(hidden)]
    fn accept_one(listener: &Async<Self>) -> io::Result<(Self::Stream, Self::Address)>
    where
        Self: Sized;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::TcpListener {}
    impl Sealed for super::UnixListener {}
}

impl Accept for TcpListener {
    type Stream = TcpStream;
    type Address = net::SocketAddr;

    fn accept_one(listener: &Async<Self>) -> io::Result<(TcpStream, net::SocketAddr)> {
        listener.accept_now()
    }
}

impl Accept for UnixListener {
    type Stream = UnixStream;
    type Address = unix::SocketAddr;

    fn accept_one(listener: &Async<Self>) -> io::Result<(UnixStream, unix::SocketAddr)> {
        unix_sockets::accept(listener.io())
    }
}

type Accepted<L> = (Async<Limited<<L as Accept>::Stream>>, <L as Accept>::Address);

impl<L: Accept> Async<L> {
    /// Accepts from now on only while fewer than `connections` of those that it has accepted are
    /// open. An accepted socket counts until it is closed, whoever has it.
    ///
    /// ```
    /// # use std::net::TcpStream;
    /// # use selkie::{Async, net::{self, Limited}};
    /// # async fn serve(_: Async<Limited<TcpStream>>) {}
    /// # async fn server() -> std::io::Result<()> {
    /// let listener = net::listen("127.0.0.1:8080").nodelay(true).bind()?.limit(1000);
    /// loop {
    ///     // Waits while 1000 connections are open.
    ///     let (stream, _peer) = listener.accept().await?;
    ///     selkie::spawn(serve(stream)).detach();
    /// }
    /// # }
    /// ```
    ///
    /// # Panics
    /// If `connections` is 0: nothing could ever be accepted.
    pub fn limit(self, connections: usize) -> LimitedListener<L> {
        assert!(
            connections > 0,
            "a listener with a limit of 0 can accept nothing; allow 1 at least"
        );
        let state = State { taken: 0, waiting: BTreeMap::new(), last_ticket: 0 };
        let places = Arc::new(Places { most: connections, state: Mutex::new(state) });
        LimitedListener { listener: self, places }
    }
}

impl<L: Accept> LimitedListener<L> {
    /// Waits until fewer connections are open than may be, and then accepts one; returns it and the
    /// peer's address.
    ///
    /// # Errors
    /// As accept(2). When the process is out of descriptors (`EMFILE`) the listener stays readable
    /// and the error comes again at once: choose a lower limit, or use [`incoming`](Self::incoming).
    ///
    /// # Cancel safety
    /// May be dropped at any time: no accepted connection is lost.
    pub async fn accept(&self) -> io::Result<Accepted<L>> {
        let mut waiting = Waiting::new(&self.places);
        let place = poll_fn(|cx| waiting.poll(cx)).await;
        let accept_one = || L::accept_one(&self.listener);
        let (socket, peer) = self.listener.operation(Direction::Read, accept_one).await?;
        Ok((self.accepted(socket, place)?, peer))
    }

    /// Accepts one connection after the other; it rests when the process is out of descriptors.
    pub fn incoming(&self) -> Incoming<'_, Accepted<L>> {
        let (mut waiting, mut place) = (Waiting::new(&self.places), None);
        let poll_accept = move |cx: &mut Context<'_>| {
            let taken = match place.take() {
                Some(place) => place,
                None => ready!(waiting.poll(cx)),
            };
            let accept_one = || L::accept_one(&self.listener);
            match self.listener.poll_operation(Direction::Read, cx, accept_one) {
                Poll::Ready(Ok((socket, peer))) => {
                    Poll::Ready(self.accepted(socket, taken).map(|stream| (stream, peer)))
                }
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Pending => {
                    place = Some(taken);
                    Poll::Pending
                }
            }
        };
        Incoming::new(self.listener.reactor(), Box::new(poll_accept))
    }

    /// In the listener's runtime, whether or not that is the current one.
    fn accepted(&self, socket: L::Stream, place: Place) -> io::Result<Async<Limited<L::Stream>>> {
        let socket = Limited { socket, _place: place };
        let reactor = Rc::clone(self.listener.reactor());
        Ok(Async::fresh(socket, self.listener.kind_of_accepted(), reactor)?)
    }

    /// How many connections are open, and calls of [`accept`](Self::accept) that have a place and
    /// wait for a peer.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.places.lock().taken
    }

    /// The listener. What it accepts itself is not counted.
    #[must_use]
    pub fn get_ref(&self) -> &Async<L> {
        &self.listener
    }
}

/// Somebody who waits for a place, again and again.
struct Waiting<'l> {
    places: &'l Arc<Places>,
    /// Its place in the line, while it waits. It keeps that when it is woken and has no luck.
    ticket: Option<u64>,
}

impl<'l> Waiting<'l> {
    fn new(places: &'l Arc<Places>) -> Self {
        Self { places, ticket: None }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Place> {
        let waker = cx.waker().clone();
        let mut state = self.places.lock();
        if state.taken < self.places.most {
            state.taken += 1;
            let earlier = self.ticket.take().and_then(|ticket| state.waiting.remove(&ticket));
            drop(state);
            drop(earlier);
            return Poll::Ready(Place(Arc::clone(self.places)));
        }
        let ticket = *self.ticket.get_or_insert_with(|| {
            state.last_ticket += 1;
            state.last_ticket
        });
        let earlier = state.waiting.insert(ticket, waker);
        drop(state);
        drop(earlier);
        Poll::Pending
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let waker = self.places.lock().waiting.remove(&ticket);
            drop(waker); // Outside of the lock.
        }
    }
}

/// What a listener and its connections share, on any thread.
struct Places {
    most: usize,
    state: Mutex<State>,
}

struct State {
    taken: usize,
    /// Who waits for a place, by ticket: who came first is woken first. All are woken when there
    /// is one: mostly there is one task that accepts, and this way none can be forgotten.
    waiting: BTreeMap<u64, Waker>,
    last_ticket: u64,
}

impl Places {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code of a user runs under the lock, so a poisoned one is as good as any.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of the places that a listener has to give.
struct Place(Arc<Places>);

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.taken -= 1;
        let waiting = mem::take(&mut state.waiting);
        drop(state);
        let mut first = FirstPanic::default();
        for waker in waiting.into_values() {
            first.watch(|| waker.wake());
        }
        first.resume();
    }
}

impl<T> Limited<T> {
    /// Takes the socket out, which counts no longer.
    pub fn into_inner(self) -> T {
        self.socket
    }
}

impl<T> Deref for Limited<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.socket
    }
}

impl<T: AsFd> AsFd for Limited<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl<T: fmt::Debug> fmt::Debug for Limited<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Limited").field(&self.socket).finish()
    }
}

impl<L: AsFd> AsFd for LimitedListener<L> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl<L: fmt::Debug> fmt::Debug for LimitedListener<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitedListener")
            .field("listener", &self.listener)
            .field("limit", &self.places.most)
            .finish_non_exhaustive()
    }
}
