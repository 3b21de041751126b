//! A world with a network of its own, of one listener: what is connected comes out there.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use futures::{AsyncReadExt, AsyncWriteExt};
use selkie::net::nonblocking;
use selkie::selector::BackendKind;
use selkie::world::{Instead, Jobs, Taking, World, install};
use selkie::{Async, Builder, DefaultSelector, Interest};

const SERVER: &str = "192.0.2.1:80";
const CLIENT: &str = "192.0.2.2:4711";

/// Knows one listener, by its number, and what waits to be accepted.
struct Small {
    /// Readable while something waits.
    bell: (UnixStream, UnixStream),
    listener: Cell<Option<RawFd>>,
    waiting: RefCell<Vec<TcpStream>>,
    datagrams: RefCell<Vec<Vec<u8>>>,
    nodelay: Cell<bool>,
}

impl Small {
    fn new() -> Rc<Self> {
        let bell = UnixStream::pair().unwrap();
        bell.1.set_nonblocking(true).unwrap();
        Rc::new(Self {
            bell,
            listener: Cell::new(None),
            waiting: RefCell::default(),
            datagrams: RefCell::default(),
            nodelay: Cell::new(false),
        })
    }

    fn is_listener(&self, fd: BorrowedFd<'_>) -> bool {
        self.listener.get() == Some(fd.as_raw_fd())
    }
}

impl World for Small {
    fn watched(&self, fd: BorrowedFd<'_>) -> Instead<OwnedFd> {
        self.is_listener(fd).then(|| Ok(self.bell.1.try_clone()?.into()))
    }

    fn listen_tcp(&self, address: SocketAddr, backlog: u32) -> Instead<TcpListener> {
        assert_eq!((address.to_string().as_str(), backlog), (SERVER, 4096));
        // Something with a descriptor, that does nothing.
        let listener = TcpListener::from(OwnedFd::from(UdpSocket::bind("127.0.0.1:0").unwrap()));
        self.listener.set(Some(listener.as_raw_fd()));
        Some(Ok(listener))
    }

    fn accept_tcp(&self, listener: BorrowedFd<'_>) -> Instead<(TcpStream, SocketAddr)> {
        if !self.is_listener(listener) {
            return None;
        }
        let Some(stream) = self.waiting.borrow_mut().pop() else {
            return Some(Err(io::ErrorKind::WouldBlock.into()));
        };
        io::Read::read_exact(&mut &self.bell.1, &mut [0]).unwrap();
        Some(Ok((stream, CLIENT.parse().unwrap())))
    }

    fn connect_tcp(&self, address: SocketAddr) -> Instead<TcpStream> {
        if address.to_string() != SERVER {
            return None;
        }
        let (near, far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        far.set_nonblocking(true).unwrap();
        self.waiting.borrow_mut().push(TcpStream::from(OwnedFd::from(far)));
        io::Write::write_all(&mut &self.bell.0, &[0]).unwrap();
        Some(Ok(TcpStream::from(OwnedFd::from(near))))
    }

    fn finish_connect(&self, _stream: BorrowedFd<'_>) -> Instead<()> {
        Some(if self.listener.get().is_some() {
            Ok(())
        } else {
            Err(io::ErrorKind::ConnectionRefused.into())
        })
    }

    fn local_addr(&self, _socket: BorrowedFd<'_>) -> Instead<SocketAddr> {
        Some(Ok(SERVER.parse().unwrap()))
    }

    fn peer_addr(&self, _socket: BorrowedFd<'_>) -> Instead<SocketAddr> {
        Some(Ok(CLIENT.parse().unwrap()))
    }

    fn nodelay(&self, _stream: BorrowedFd<'_>) -> Instead<bool> {
        Some(Ok(self.nodelay.get()))
    }

    fn set_nodelay(&self, _stream: BorrowedFd<'_>, nodelay: bool) -> Instead<()> {
        self.nodelay.set(nodelay);
        Some(Ok(()))
    }

    fn bind_udp(&self, _address: SocketAddr) -> Instead<UdpSocket> {
        Some(UdpSocket::bind("127.0.0.1:0"))
    }

    fn connect_udp(&self, _socket: BorrowedFd<'_>, peer: SocketAddr) -> Instead<()> {
        assert_eq!(peer.to_string(), CLIENT);
        Some(Ok(()))
    }

    fn send_udp(
        &self,
        _socket: BorrowedFd<'_>,
        datagram: &[u8],
        _target: Option<SocketAddr>,
    ) -> Instead<usize> {
        self.datagrams.borrow_mut().push(datagram.to_vec());
        Some(Ok(datagram.len()))
    }

    fn receive_udp(
        &self,
        _socket: BorrowedFd<'_>,
        buf: &mut [u8],
        taking: Taking,
    ) -> Instead<(usize, SocketAddr)> {
        let mut datagrams = self.datagrams.borrow_mut();
        let datagram = datagrams.first().cloned()?;
        buf[..datagram.len()].copy_from_slice(&datagram);
        if taking == Taking::Takes {
            datagrams.remove(0);
        }
        Some(Ok((datagram.len(), CLIENT.parse().unwrap())))
    }

    fn resolve(&self, name: &str, port: u16) -> Instead<Vec<SocketAddr>> {
        (name == "server").then(|| Ok(vec![SocketAddr::new([192, 0, 2, 1].into(), port)]))
    }
}

/// Runs a future in a runtime of a small world, on each back end.
fn in_small_worlds<F: Future<Output = io::Result<()>>>(mut make: impl FnMut(Rc<Small>) -> F) {
    for backend in BackendKind::ALL {
        let world = Small::new();
        let builder = Builder::new();
        let opened = backend.open().unwrap();
        let runtime = builder.build_in(opened, Rc::clone(&world) as Rc<dyn World>).unwrap();
        runtime.block_on(make(world)).unwrap();
    }
}

#[test]
fn what_is_connected_in_a_world_is_accepted_there() {
    in_small_worlds(|_| async {
        let listener = Async::<TcpListener>::bind(SERVER)?;
        assert_eq!(listener.local_addr()?.to_string(), SERVER);
        let accepting = selkie::spawn(async move { listener.accept().await });
        selkie::yield_now().await;
        let mut client = Async::<TcpStream>::connect("server:80").await?;
        let (mut server, peer) = accepting.await?;
        assert_eq!(peer.to_string(), CLIENT);
        client.write_all(b"hello").await?;
        let mut buf = [0; 5];
        server.read_exact(&mut buf).await?;
        assert_eq!(&buf, b"hello");
        assert_eq!(server.peer_addr()?.to_string(), CLIENT);
        server.set_nodelay(true)?;
        assert!(client.nodelay()?);
        client.set_keepalive(Some(selkie::net::Keepalive::default()))?;
        assert!(client.keepalive()?.is_some());
        Ok(())
    });
}

#[test]
fn a_listener_is_ready_when_what_its_world_watches_is() {
    in_small_worlds(|_| async {
        let listener = Async::<TcpListener>::bind(SERVER)?;
        let before = selkie::timeout(std::time::Duration::from_millis(10), listener.readable());
        assert!(before.await.is_err(), "nothing waits to be accepted");
        let _client = Async::<TcpStream>::connect(SERVER).await?;
        listener.readable().await?;
        let limited = listener.limit(1);
        let (_server, peer) = limited.accept().await?;
        assert_eq!(peer.to_string(), CLIENT);
        Ok(())
    });
}

#[test]
fn a_connect_that_fails_in_a_world_fails_with_its_error() {
    in_small_worlds(|_| async {
        let refused = Async::<TcpStream>::connect(SERVER).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        Ok(())
    });
}

#[test]
fn datagrams_go_through_the_world() {
    in_small_worlds(|_| async {
        let socket = Async::<UdpSocket>::bind("192.0.2.1:53")?;
        let target: SocketAddr = CLIENT.parse().unwrap();
        let mut buf = [0; 8];
        socket.connect(target)?;
        assert_eq!(socket.send_to(b"one", target).await?, 3);
        assert_eq!(socket.send(b"three").await?, 5);
        assert_eq!(socket.peek(&mut buf).await?, 3);
        assert_eq!(socket.peek_from(&mut buf).await?, (3, target));
        assert_eq!(socket.recv_from(&mut buf).await?, (3, target));
        assert_eq!(socket.recv(&mut buf).await?, 5);
        assert_eq!(&buf[..5], b"three");
        Ok(())
    });
}

#[test]
fn what_a_world_leaves_to_the_system_is_the_systems() {
    struct Nothing;
    impl World for Nothing {}
    let _installed = install(Rc::new(Nothing));
    for backend in BackendKind::ALL {
        Builder::new().backend(*backend).build().unwrap().block_on(async {
            let listener = Async::<TcpListener>::bind("127.0.0.1:0").unwrap();
            let client = Async::<TcpStream>::connect(listener.local_addr().unwrap()).await.unwrap();
            let (server, peer) = listener.accept().await.unwrap();
            assert_eq!(client.local_addr().unwrap(), peer);
            assert_eq!(server.peer_addr().unwrap(), peer);
            client.set_nodelay(true).unwrap();
            assert!(client.nodelay().unwrap());
        });
    }
}

#[test]
fn the_sockets_of_an_explicit_loop_are_those_of_the_threads_world() {
    let world = Small::new();
    let _installed = install(Rc::clone(&world) as Rc<dyn World>);
    let listener = nonblocking::listen(SERVER).unwrap();
    let nobody = nonblocking::accept(&listener).unwrap_err();
    assert_eq!(nobody.kind(), io::ErrorKind::WouldBlock);
    let client = nonblocking::connect(SERVER.parse().unwrap()).unwrap();
    nonblocking::finish_connect(&client).unwrap();
    let (_server, peer) = nonblocking::accept(&listener).unwrap();
    assert_eq!(peer.to_string(), CLIENT);
    let mut selector = DefaultSelector::new().unwrap();
    selector.register(client, Interest::WRITE, ()).unwrap();
}

#[test]
fn a_job_of_a_world_without_threads_is_run_at_once() {
    struct Alone;
    impl World for Alone {
        fn jobs(&self) -> Jobs {
            Jobs::AtOnce
        }
    }
    let backend = BackendKind::DEFAULT.open().unwrap();
    let runtime = Builder::new().build_in(backend, Rc::new(Alone)).unwrap();
    runtime.block_on(async {
        let here = std::thread::current().id();
        let mut job = selkie::unblock(move || std::thread::current().id() == here);
        assert!(!futures::future::FusedFuture::is_terminated(&job));
        assert!((&mut job).await);
        assert!(futures::future::FusedFuture::is_terminated(&job));
        drop(selkie::unblock(|| ()));
        let panics = selkie::spawn(async { selkie::unblock(|| assert_eq!(1, 2)).await });
        assert!(panics.outcome().await.is_err());
    });
    assert_eq!(selkie::Runtime::new().unwrap().block_on(async { selkie::unblock(|| 1).await }), 1);
}
